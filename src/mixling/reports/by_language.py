"""A report's tables by language: a row a query language, and bands of many languages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mixling.corpora.languages import language_name
from mixling.corpora.resources import LEVEL_ORDER, is_script_seen, resource_level
from mixling.reports.answers import example
from mixling.reports.changes import SAME, number_of_tests
from mixling.reports.measures import cell
from mixling.reports.verdict import percent

if TYPE_CHECKING:
    from mixling.reports.runs import ReportRun

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
    """Summarize multilingual mAP by amount of text in pretraining, and by script.

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


def language_details(
    entry: dict[str, Any], examples: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Prepare the details of each query language that a report folds.

    Args:
        entry: A task's entry of a summary.
        examples: The task's example queries.

    Returns:
        One row a query language: `code`, `name`, `summary` (a line), `values` (heading and figure),
        `answers` (language and share of the first ten) and `examples`.
    """
    table = language_rows(entry)
    by_language: dict[str, list[dict[str, Any]]] = {}
    for x in examples:
        by_language.setdefault(x["query_language"], []).append(example(x))
    shares = entry.get("multilingual", {}).get("top10_share", {})
    return [
        {
            "code": row["code"],
            "name": row["name"],
            "summary": _summary(entry, row["code"]),
            "values": [
                (heading, value)
                for heading, value in zip(table["columns"], row["values"], strict=True)
                if value != "–"
            ],
            "answers": [
                {"name": language_name(code), "share": percent(share)}
                for code, share in sorted(
                    shares.get(row["code"], {}).items(), key=lambda x: (-x[1], x[0])
                )
            ],
            "examples": by_language.get(row["code"], []),
        }
        for row in table["rows"]
    ]


def _summary(entry: dict[str, Any], code: str) -> str:
    """Summarize the results of queries in a language in one line."""
    parts = []
    for scenario in ("monolingual", "multilingual"):
        value = _look_up(entry, (scenario, "by_language", "LANGUAGE", "mAP"), code)
        if value is not None and not math.isnan(value):
            parts.append(f"{scenario} mAP {value:.3f}")
    wrong = _look_up(entry, ("bias", "by_language", "LANGUAGE", "intrusion@10"), code)
    if wrong is not None and not math.isnan(wrong):
        parts.append(f"{percent(wrong)} wrong same-language passages in the first ten")
    return ", ".join(parts)


def compared_languages(
    entries: list[dict[str, Any]], runs: Sequence[ReportRun] | None, task: str
) -> list[dict[str, Any]]:
    """Prepare the tables of each query language's mAP, with the outcome of the comparison.

    Args:
        entries: A task's entry of each run's summary.
        runs: The runs.
        task: Name of the task.

    Returns:
        For each scenario and run but the first: `scenario`, `name`, `rows` (language and two
        cells), `counts` (languages of each outcome, in words) and `tests`. None for one run.
    """
    if runs is None or len(runs) < 2:
        return []
    tables = []
    for scenario in ("multilingual", "monolingual"):
        if any(scenario not in e for e in entries):
            continue
        first_scores = entries[0][scenario]["by_language"]
        for run, entry in zip(runs[1:], entries[1:], strict=True):
            tested = run.by_language.get(task, {})
            tests = number_of_tests(tested)
            rows = []
            for code, score in first_scores.items():
                comparison = tested.get(f"{scenario} {code}", {}).get("mAP")
                value = entry[scenario]["by_language"][code]["mAP"]
                first = cell(score["mAP"], math.nan, "mAP", None, None)
                other = cell(value, score["mAP"], "mAP", None, comparison, tests)
                row = {"code": code, "name": language_name(code), "first": first, "other": other}
                rows.append(row)
            tables.append(
                {
                    "scenario": scenario,
                    "name": run.name,
                    "rows": rows,
                    "counts": _count_outcomes([r["other"]["outcome"] for r in rows]),
                    "tests": tests,
                }
            )
    return tables


def _count_outcomes(outcomes: list[str]) -> str:
    """Say in how many languages a run is better, worse, or not detectably different."""
    parts = [f"{x} in {outcomes.count(x)}" for x in ("better", "worse", SAME) if x in outcomes]
    return f"{', '.join(parts)} of {len(outcomes)} languages" if parts else ""
