"""A report's tables by language: a row a query language, and bands of many languages."""

from __future__ import annotations

import math
from typing import Any

from mixling.corpora.languages import language_name
from mixling.corpora.resources import LEVEL_ORDER, is_script_seen, resource_level

# heading and path in a task's entry, where LANGUAGE stands for the query language
COLUMNS = (
    ("monolingual mAP", ("monolingual", "by_language", "LANGUAGE", "mAP")),
    ("multilingual mAP", ("multilingual", "by_language", "LANGUAGE", "mAP")),
    ("rank distance", ("multilingual", "by_language", "LANGUAGE", "rank_distance")),
    ("TLR@20", ("bias", "by_language", "LANGUAGE", "TLR@20")),
    ("intrusion@10", ("bias", "by_language", "LANGUAGE", "intrusion@10")),
    ("LPR", ("bias", "by_language", "LANGUAGE", "LPR")),
    ("same-language share of ten", ("multilingual", "top10_share", "LANGUAGE", "LANGUAGE")),
    ("subwords a word", ("coverage", "LANGUAGE", "fertility")),
    ("unknown", ("coverage", "LANGUAGE", "unknown")),
    ("cut off", ("coverage", "LANGUAGE", "truncated")),
)
PERCENT_COLUMNS = ("same-language share of ten", "unknown", "cut off")


def language_rows(entry: dict[str, Any]) -> dict[str, Any]:
    """Make the table of all figures by query language, with the tokenizer's.

    Args:
        entry: A task's entry of a summary.

    Returns:
        `columns`, headings of the columns that have a figure, and `rows` with `code`, `name` and
        `values`.
    """
    rows = []
    for code in entry["languages"]:
        values = [_look_up(entry, path, code) for _, path in COLUMNS]
        if any(v is not None for v in values):
            rows.append((code, values))
    columns = [
        i
        for i in range(len(COLUMNS))
        if any((v := values[i]) is not None and not math.isnan(v) for _, values in rows)
    ]
    return {
        "columns": [COLUMNS[i][0] for i in columns],
        "rows": [
            {
                "code": code,
                "name": language_name(code),
                "values": [_format(values[i], COLUMNS[i][0]) for i in columns],
            }
            for code, values in rows
        ],
    }


def _look_up(entry: dict[str, Any], path: tuple[str, ...], code: str) -> float | None:
    """Follow a path into an entry; None where it ends early."""
    value: Any = entry
    for key in path:
        value = value.get(code if key == "LANGUAGE" else key)
        if value is None:
            return None
    return float(value)


def _format(value: float | None, column: str) -> str:
    """Format a figure as its column needs it."""
    if value is None or math.isnan(value):
        return "–"
    if column == "rank distance":
        return f"{value:.0f}"
    if column in PERCENT_COLUMNS:
        return f"{100 * value:.1f} %"
    return f"{value:.2f}" if column == "subwords a word" else f"{value:.3f}"


def multilingual_map(entry: dict[str, Any]) -> dict[str, float]:
    """Return the multilingual mAP of each query language.

    Args:
        entry: A task's entry of a summary.

    Returns:
        mAP by language.
    """
    return {code: v["mAP"] for code, v in entry["multilingual"]["by_language"].items()}


def resource_level_rows(entry: dict[str, Any]) -> list[dict[str, Any]]:
    """Summarize multilingual mAP by what encoders have seen: how much text, and the script.

    Args:
        entry: A task's entry of a summary.

    Returns:
        One row a resource level and kind of script, with the number of languages and the mean,
        worst and best mAP.
    """
    scores = multilingual_map(entry)
    rows = []
    for level in LEVEL_ORDER:
        for seen in (True, False):
            values = [
                v
                for code, v in scores.items()
                if resource_level(code) == level and is_script_seen(code) == seen
            ]
            if values:
                rows.append(
                    {
                        "level": level,
                        "script": "seen" if seen else "not seen",
                        "languages": len(values),
                        "mean": f"{sum(values) / len(values):.3f}",
                        "worst": f"{min(values):.3f}",
                        "best": f"{max(values):.3f}",
                    }
                )
    return rows
