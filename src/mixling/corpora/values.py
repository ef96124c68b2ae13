"""What a cell of a data file says: one rule for ids, groups, languages, titles and grades in every reader.

None, NaN (pandas' missing value) and a blank say nothing. A number is its text, and a whole one has no point: pandas writes
the id 1 as 1.0 once its column has a gap. Words are themselves, `nan` and `0` too. A boolean, a list or an object is none of
these and is refused.
"""

from __future__ import annotations

import math
import numbers
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from mixling.errors import BadRow

TITLES = "title, space, text"
LARGEST_GRADE = 2**31 - 1


def is_missing(value: Any) -> bool:
    """Whether a value says nothing: None, NaN, or a string of spaces."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return True
    return isinstance(value, numbers.Real | Decimal) and value != value


def value_text(value: Any, field: str, path: Path | str, line: int | str) -> str | None:
    """The text of an id, a group, a language or a title; None if it is missing. Raises BadRow."""
    if is_missing(value):
        return None
    if isinstance(value, str):
        return value
    if _is_number(value) and math.isfinite(value):
        return str(int(value)) if int(value) == value else str(value)
    raise BadRow(
        path, line, field, value, "text or a number", f"write '{field}' as text or leave it out"
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real | Decimal) and not isinstance(value, bool | np.bool_)


def first_text(row: dict, fields: tuple[str, ...], path: Path | str, line: int | str) -> str | None:
    """The text of the first of some fields that says anything. Raises BadRow."""
    found = (value_text(row.get(name), name, path, line) for name in fields)
    return next((x for x in found if x is not None), None)


def id_text(row: dict, fields: tuple[str, ...], path: Path | str, line: int | str) -> str:
    """The id that stands in the first of some fields that has one. Raises BadRow."""
    found = first_text(row, fields, path, line)
    if found is None:
        raise BadRow(
            path, line, fields[0], row.get(fields[0]), "an id", f"give every row {_an(fields[0])}"
        )
    return found


def _an(field: str) -> str:
    return f"an {field}" if field.strip("_")[0] in "aeiou" else f"a {field}"


def passage_text(
    row: dict, path: Path | str, line: int | str, field: str = "text", title: str | None = "title"
) -> tuple[str, str | None]:
    """Text and title of a passage. A passage that has a title alone is its title, as BEIR reads it. Raises BadRow."""
    heading = None if title is None else value_text(row.get(title), title, path, line)
    text = row.get(field)
    if is_missing(text) and heading is not None:
        return heading, None
    if not isinstance(text, str) or is_missing(text):
        raise BadRow(
            path,
            line,
            field,
            text,
            "text that is not empty",
            f"fill '{field}' or leave the row out",
        )
    return text, heading


def with_title(title: str | None, text: str) -> str:
    """What a model reads of a passage: its title, a space and its text, as BEIR and mteb join them; its text without a title."""
    return f"{title} {text}" if title else text


def grade_value(value: Any, field: str, path: Path | str, line: int | str) -> int:
    """A relevance grade, rounded to a whole number; one above 0 is at least 1. Raises BadRow."""
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number) or abs(number) > LARGEST_GRADE:
        raise BadRow(path, line, field, value, "a number", "mend the line")
    return max(1, round(number)) if number > 0 else min(0, round(number))
