"""Matrices of query and passage languages as HTML tables, and the languages of first answers.

They are tables and no pictures: a screen reader reads each cell with its headings, and colors
follow the reader's light or dark theme.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mixling.corpora.languages import language_name
from mixling.evaluation.result import split_pair
from mixling.reports.colors import THEMES, mix, text_color

# steps of color from the lowest figure to the highest
STEPS = 20
# share of the first ten from which a bar has room for the language's tag
LABELLED_SHARE = 0.07


def heat_css() -> str:
    """Return the classes `h0` … `h20` of cells, in the light and the dark theme.

    The text is black or white, whichever has the higher contrast: at least 4.5 to 1.
    """
    rules = {
        theme: "".join(
            f".h{i}{{background:rgb{rgb};color:{text_color(rgb)}}}".replace(", ", ",")
            for i in range(STEPS + 1)
            for rgb in [mix(low, high, i / STEPS)]
        )
        for theme, (low, high) in THEMES.items()
    }
    return f"{rules['light']}@media (prefers-color-scheme:dark){{{rules['dark']}}}"


def heat_table(
    rows: list[str],
    columns: list[str],
    values: dict[tuple[str, str], float],
    form: Callable[[float], str],
    maximum: float,
) -> dict[str, Any]:
    """Prepare a matrix of query languages (rows) and passage languages (columns).

    Args:
        rows: Query languages.
        columns: Passage languages.
        values: Figure of each (query, passage) language pair; a missing one is left blank.
        form: Formats a figure.
        maximum: The figure that is darkest.

    Returns:
        `columns` with `code` and `name`, and `rows` with `code`, `name` and `cells`; a cell has its
        `text`, its `step` of color and whether both languages are the `same`.
    """
    return {
        "columns": [{"code": x, "name": language_name(x)} for x in columns],
        "rows": [
            {
                "code": row,
                "name": language_name(row),
                "cells": [
                    {
                        "text": form(values[row, column]) if (row, column) in values else "",
                        "step": _step(values.get((row, column)), maximum),
                        "same": row == column,
                    }
                    for column in columns
                ],
            }
            for row in rows
        ],
    }


def _step(value: float | None, maximum: float) -> int | None:
    """Return the step of color of a figure."""
    if value is None:
        return None
    return round(STEPS * min(max(value / maximum if maximum else 0.0, 0.0), 1.0))


def score_matrix(entry: dict[str, Any]) -> dict[str, Any]:
    """Prepare the mAP of each query language against the passages of each language alone.

    Args:
        entry: A task's entry of a summary, with the cross-lingual scenario.

    Returns:
        The table, as `heat_table` has it.
    """
    values = {}
    for code, v in entry.get("monolingual", {}).get("by_language", {}).items():
        values[code, code] = v["mAP"]
    for pair, v in entry["cross-lingual"]["by_language"].items():
        query_language, passage_language = split_pair(pair, entry["languages"])
        values[query_language, passage_language] = v["mAP"]
    rows = [x for x in entry["languages"] if any(a == x for a, _ in values)]
    columns = [x for x in entry["languages"] if any(b == x for _, b in values)]
    return heat_table(rows, columns, values, lambda v: f"{v:.2f}".removeprefix("0"), 1.0)


def answer_bars(entry: dict[str, Any]) -> list[dict[str, Any]]:
    """Prepare which languages answer the queries of each language.

    Args:
        entry: A task's entry of a summary, with the multilingual scenario.

    Returns:
        One row a query language: `code`, `name`, `fair` (per cent), and `parts`, the languages of
        the first ten with their `percent`, the query's language first.
    """
    multilingual = entry["multilingual"]
    rows = []
    for code, shares in multilingual["top10_share"].items():
        order = [code, *(x for x in entry["languages"] if x != code)]
        rows.append(
            {
                "code": code,
                "name": language_name(code),
                "fair": 100 * multilingual["fair_share"][code].get(code, 0.0),
                "parts": [
                    {
                        "code": x,
                        "name": language_name(x),
                        "percent": 100 * shares[x],
                        "same": x == code,
                        "label": shares[x] >= LABELLED_SHARE,
                    }
                    for x in order
                    if shares.get(x, 0.0) > 0
                ],
            }
        )
    return rows
