"""Ids, groups, languages, titles and grades of rows, by one rule for every reader.

None, NaN (pandas' missing value) and blank text mean that a value is missing. A number counts as
its text, and a whole number is written without a point: pandas writes the id 1 as 1.0 once its
column has a gap. The words `nan` and `0` are words. Booleans, lists and objects are refused.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from mixling.errors import BadRowError, Skipped

TITLES = "title, space, text"
LARGEST_GRADE = 2**31 - 1


def is_missing(value: Any) -> bool:
    """Return whether a value is None, NaN or blank text."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return True
    return isinstance(value, numbers.Real | Decimal) and value != value


def value_text(value: Any, field: str, path: Path | str, line: int | str) -> str | None:
    """Return the text of an id, a group, a language or a title.

    Args:
        value: The value of the row's field.
        field: The field, for the error.
        path: The file, for the error.
        line: The line or place in the file, for the error.

    Returns:
        The text; None if the value is missing.

    Raises:
        BadRowError: The value is neither text nor a number.
    """
    if is_missing(value):
        return None
    if isinstance(value, str):
        return value
    if _is_number(value) and math.isfinite(value):
        return str(int(value)) if int(value) == value else str(value)
    raise BadRowError(
        path, line, field, value, "text or a number", f"write '{field}' as text, or leave it out"
    )


def _is_number(value: Any) -> bool:
    """Return whether a value is a number and no boolean."""
    return isinstance(value, numbers.Real | Decimal) and not isinstance(value, bool | np.bool_)


def first_text(
    row: dict[str, Any], fields: tuple[str, ...], path: Path | str, line: int | str
) -> str | None:
    """Return the text of the first field that has a value.

    Args:
        row: The row.
        fields: The fields, in the order in which they are tried.
        path: The file, for the error.
        line: The line or place in the file, for the error.

    Returns:
        The text; None if the row has none of the fields.

    Raises:
        BadRowError: The value is neither text nor a number.
    """
    texts = (value_text(row.get(name), name, path, line) for name in fields)
    return next((x for x in texts if x is not None), None)


def id_text(row: dict[str, Any], fields: tuple[str, ...], path: Path | str, line: int | str) -> str:
    """Return the id in the first field that has a value.

    Args:
        row: The row.
        fields: The fields, in the order in which they are tried.
        path: The file, for the error.
        line: The line or place in the file, for the error.

    Returns:
        The id.

    Raises:
        BadRowError: The row has no id, or one that is neither text nor a number.
    """
    key = first_text(row, fields, path, line)
    if key is None:
        raise BadRowError(
            path,
            line,
            fields[0],
            row.get(fields[0]),
            "an id",
            f"give every row {_with_article(fields[0])}",
        )
    return key


def _with_article(field: str) -> str:
    """Return a field's name with "a" or "an" before it."""
    return f"an {field}" if field.strip("_")[0] in "aeiou" else f"a {field}"


def text_field(row: Any, field: str, path: Path | str, line: int | str) -> str:
    """Return the text of a field that must not be empty.

    Args:
        row: The row, an object.
        field: The field.
        path: The file, for the error.
        line: The line or place in the file, for the error.

    Returns:
        The text, as it stands in the file.

    Raises:
        BadRowError: The row is no object, or the field holds no text.
    """
    if not isinstance(row, dict):
        raise BadRowError(
            path, line, field, row, f"an object with '{field}'", "correct the row, or leave it out"
        )
    value = row.get(field)
    if not isinstance(value, str) or not value.strip():
        raise BadRowError(
            path,
            line,
            field,
            value,
            "text that is not empty",
            f"fill '{field}', or leave the row out",
        )
    return value


def passage_text(
    row: dict[str, Any],
    path: Path | str,
    line: int | str,
    field: str = "text",
    title: str | None = "title",
) -> tuple[str, str | None]:
    """Return the text and the title of a passage.

    For a passage that has a title and no text, the title is the text, as in BEIR.

    Args:
        row: The row.
        path: The file, for the error.
        line: The line or place in the file, for the error.
        field: The field of the text.
        title: The field of the title; None: the rows have no titles.

    Returns:
        The text, and the title or None.

    Raises:
        BadRowError: The row has neither text nor title, or one of another type.
    """
    heading = None if title is None else value_text(row.get(title), title, path, line)
    text = row.get(field)
    if is_missing(text) and heading is not None:
        return heading, None
    return text_field(row, field, path, line), heading


def with_title(title: str | None, text: str) -> str:
    """Return a passage as BM25 and most models read it: the title, a space and the text.

    BEIR and mteb join them in the same way. Without a title the text stands alone.
    """
    return f"{title} {text}" if title else text


def with_titles(titles: Sequence[str | None] | None, texts: Sequence[str]) -> list[str]:
    """Return passages with their titles before them (see `with_title`).

    Args:
        titles: The title of each text; None: there are none.
        texts: The texts.

    Returns:
        One text a passage.
    """
    if titles is None:
        return list(texts)
    return [with_title(title, text) for title, text in zip(titles, texts, strict=True)]


def grade_value(value: Any, field: str, path: Path | str, line: int | str) -> int:
    """Return a relevance grade as a whole number.

    Grades are rounded, and a grade above 0 is at least 1.

    Args:
        value: The grade in the file.
        field: The field, for the error.
        path: The file, for the error.
        line: The line or place in the file, for the error.

    Returns:
        The grade.

    Raises:
        BadRowError: The value is no finite number of up to `LARGEST_GRADE`.
    """
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number) or abs(number) > LARGEST_GRADE:
        raise BadRowError(
            path,
            line,
            field,
            value,
            f"a number from -{LARGEST_GRADE:,} to {LARGEST_GRADE:,}",
            "correct the line",
        )
    return max(1, round(number)) if number > 0 else min(0, round(number))


def iter_objects(
    entries: Any, field: str, path: Path | str, line: int | str, skipped: Skipped
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the objects of a list that stands in a field.

    Args:
        entries: The field's value. If it is no list, it is reported as a bad row.
        field: The field, for the error.
        path: The file, for the error.
        line: The line or place in the file, for the error.
        skipped: Receives an error for each entry that is no object.

    Yields:
        The number of the entry, from 0, and the object.

    Raises:
        BadRowError: Something is no list or no object, and `skipped` does not skip bad rows.
    """
    if not isinstance(entries, list):
        skipped(
            BadRowError(
                path,
                line,
                field,
                entries,
                "a list of objects",
                "correct the field, or leave it out",
            )
        )
        return
    for number, entry in enumerate(entries):
        if isinstance(entry, dict):
            yield number, entry
        else:
            skipped(
                BadRowError(
                    path,
                    line,
                    f"{field}[{number}]",
                    entry,
                    "an object",
                    "correct the entry, or leave it out",
                )
            )
