"""The report: one HTML file without scripts or network, for screens and for print."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mixling.corpora.files import write_text
from mixling.corpora.languages import is_right_to_left, language_name
from mixling.evaluation.bias.table import ALL
from mixling.evaluation.metrics import METRICS
from mixling.evaluation.result import EvaluationResult
from mixling.evaluation.significance import Comparison
from mixling.evaluation.tasks import SCENARIOS
from mixling.reports.by_language import (
    language_rows,
    multilingual_map,
    resource_level_rows,
)
from mixling.reports.figures import MAX_MATRIX_LANGUAGES, bars, heat_map, language_map, share_map
from mixling.reports.narrative import (
    describe_comparison,
    describe_result,
    display_names,
    same_language_share,
)
from mixling.reports.tables import LEGEND, format_cell

if TYPE_CHECKING:
    from jinja2 import Environment

    from mixling.reports.runs import ReportRun, TaskComparison

Entry = dict[str, Any]
GAPS = {
    "monolingual_less_cross_lingual": "Monolingual mAP minus cross-lingual mAP.",
    "monolingual_less_multilingual": "Monolingual mAP minus multilingual mAP.",
    "best_less_worst_language": "Multilingual mAP of the best query language minus the worst's.",
    "spread_of_languages": "Standard deviation of multilingual mAP over query languages.",
}
# a smaller difference is shown without a color
MIN_DIFFERENCE = 0.0005


def write_report(
    results: Sequence[EvaluationResult], path: Path, runs: Sequence[ReportRun] | None = None
) -> None:
    """Write the report of one run, or of several side by side.

    Args:
        results: One result a run.
        path: The file to write (completely or not at all).
        runs: The runs as `compare` made them, for marks of significance.
    """
    write_text(path, render_report(list(results), runs))


def render_report(
    results: Sequence[EvaluationResult], runs: Sequence[ReportRun] | None = None
) -> str:
    """Render the report.

    Args:
        results: One result a run.
        runs: The runs as `compare` made them, for marks of significance.

    Returns:
        The HTML.
    """
    results = list(results)
    names = [r.name for r in runs] if runs else display_names(results)
    tasks = [
        t for t in results[0].summary["tasks"] if all(t in r.summary["tasks"] for r in results)
    ]
    # a task with noise is a table in its clean task's section
    tasks = [t for t in tasks if t.partition("~")[0] == t or t.partition("~")[0] not in tasks]
    return (
        template_environment()
        .get_template("report.html.j2")
        .render(
            title=" against ".join(reversed(names)) if len(names) > 1 else names[0],
            tasks=[_task_section(results, names, t, runs) for t in tasks],
            names=names,
            several=len(results) > 1,
            facts=[r.summary for r in results],
            legend=LEGEND,
        )
    )


def template_environment() -> Environment:
    """Return Jinja2 with the templates of this folder."""
    from jinja2 import Environment, FileSystemLoader

    return Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _task_section(
    results: list[EvaluationResult],
    names: list[str],
    task: str,
    runs: Sequence[ReportRun] | None,
) -> dict[str, Any]:
    """Prepare everything that the template shows of a task."""
    entries: list[Entry] = [r.summary["tasks"][task] for r in results]
    tested: list[TaskComparison] = [r.tested.get(task, {}) for r in runs] if runs else []
    tested = tested or [{} for _ in entries]
    sentences = describe_result(results[-1], names[-1], task)
    for i in range(1, len(results)):
        sentences += describe_comparison(tested[i], names[i], names[0]) if tested[i] else []
    return {
        "name": task,
        "finding": sentences,
        "figures": _score_rows(entries, names, tested),
        "bias": _bias_rows(entries, tested) if all("bias" in e for e in entries) else [],
        "gaps": _gap_rows(entries),
        "noise": _noise_rows(results, names, task),
        "each": _by_language_rows(entries, runs, task),
        **_charts(entries, names),
        "languages": language_rows(entries[-1]),
        "examples": [_example(x) for x in results[-1].examples.get(task, [])],
        "last_name": names[-1],
        "skipped": entries[-1]["skipped"],
        "left_out": entries[-1].get("left_out", {}),
        # what lists of a search system cannot tell
        "notes": entries[-1].get("notes", []) if "lists" in entries[-1] else [],
        "queries": entries[0]["queries"],
        "passages": entries[0]["passages"],
        "data": entries[0].get("data", ""),
    }


def _charts(entries: list[Entry], names: list[str]) -> dict[str, Any]:
    """Draw the charts of a task: matrices and bars of few languages, maps of many."""
    named = list(zip(names, entries, strict=True))
    few = len(entries[0]["languages"]) <= MAX_MATRIX_LANGUAGES
    charts: dict[str, Any] = {"heat": [], "bars": "", "distance": "", "maps": [], "shares": []}
    if few and all("cross-lingual" in e for e in entries):
        charts["heat"] = [{"name": name, "svg": heat_map(e)} for name, e in named]
    if any("multilingual" not in e for e in entries):
        return charts
    charts["shares"] = [
        {"name": name, "svg": share_map(e) if few else "", "share": same_language_share(e)}
        for name, e in named
    ]
    if not few:
        charts["maps"] = [
            {
                "name": name,
                "svg": language_map(multilingual_map(e), f"multilingual mAP by language, {name}"),
                "levels": resource_level_rows(e),
            }
            for name, e in named
        ]
        return charts
    charts["bars"] = bars(entries, names, "mAP", 1.0)
    if not math.isnan(entries[0]["multilingual"]["rank_distance"]):
        charts["distance"] = bars(entries, names, "rank_distance", None)
    return charts


def _score_rows(
    entries: list[Entry], names: list[str], tested: list[TaskComparison]
) -> list[dict[str, Any]]:
    """Make the rows of the table of scores: one a scenario and run."""
    rows = []
    for scenario in SCENARIOS:
        for i, (entry, name) in enumerate(zip(entries, names, strict=True)):
            if scenario not in entry:
                continue
            cells = []
            for measure in (*METRICS, "rank_distance"):
                first = entries[0][scenario].get(measure, math.nan) if i else math.nan
                # the interval of the rank distance stands with the measures of bias
                is_bias = measure == "rank_distance" and scenario == "multilingual"
                intervals = entry.get("intervals", {}).get("bias" if is_bias else scenario, {})
                cells.append(
                    _cell(
                        entry[scenario].get(measure, math.nan),
                        first,
                        measure,
                        intervals.get(measure),
                        tested[i].get(scenario, {}).get(measure),
                    )
                )
            rows.append({"scenario": scenario, "name": name, "cells": cells})
    return rows


def _cell(
    value: float,
    first: float,
    measure: str,
    interval: Sequence[float] | None,
    comparison: Comparison | None,
) -> dict[str, Any]:
    """Format a figure with its interval, its difference to the first run, and its mark."""
    difference = value - first
    better = ALL[measure].better if measure in ALL else "high"
    digits = 0 if measure in ("rank_distance", "Max@R") else 3
    has_interval = interval is not None and not math.isnan(interval[0])
    colored = abs(difference) > MIN_DIFFERENCE and bool(better)
    mark = "" if comparison is None else comparison.mark
    return {
        "text": "–" if math.isnan(value) else format_cell(value, measure),
        "interval": f"{interval[0]:.{digits}f} to {interval[1]:.{digits}f}"
        if interval is not None and has_interval
        else "",
        "difference": "" if math.isnan(difference) else f"{difference:+.{digits}f}{mark}",
        "better": colored and (difference > 0) == (better == "high"),
        "worse": colored and (difference > 0) != (better == "high"),
    }


def _bias_rows(entries: list[Entry], tested: list[TaskComparison]) -> list[dict[str, Any]]:
    """Make the rows of the table of measures of bias."""
    rows = []
    for name, measure in ALL.items():
        values = [e["bias"].get(name, math.nan) for e in entries]
        if all(math.isnan(v) for v in values):
            continue
        cells = [
            _cell(
                value,
                values[0] if i else math.nan,
                name,
                entry.get("intervals", {}).get("bias", {}).get(name),
                tested[i].get("multilingual", {}).get(name),
            )
            for i, (value, entry) in enumerate(zip(values, entries, strict=True))
        ]
        rows.append({"name": name, "measure": measure, "cells": cells})
    return rows


def _gap_rows(entries: list[Entry]) -> list[dict[str, Any]]:
    """Make the rows of gaps between scenarios and languages."""
    rows = []
    for name, meaning in GAPS.items():
        values = [e.get("gaps", {}).get(name) for e in entries]
        if any(v is not None for v in values):
            texts = ["–" if v is None else f"{v:.3f}" for v in values]
            rows.append({"name": name, "meaning": meaning, "values": texts})
    return rows


def _noise_rows(
    results: list[EvaluationResult], names: list[str], task: str
) -> list[dict[str, str]]:
    """Make the rows of mAP under noise: type, scenario, run, clean, each rate's score, slope."""
    rows = []
    for result, name in zip(results, names, strict=True):
        for noise_type, scenarios in result.summary.get("noise", {}).get(task, {}).items():
            for scenario, v in scenarios.items():
                scores = ", ".join(
                    f"{float(r):.0%} {v['scores'][r]:.3f} ({v['ratio'][r]:.0%})"
                    for r in v["scores"]
                )
                rows.append(
                    {
                        "noise_type": noise_type,
                        "scenario": scenario,
                        "name": name,
                        "clean": f"{v['clean']:.3f}",
                        "scores": scores,
                        "slope": f"{v['slope']:+.3f}",
                    }
                )
    return rows


def _by_language_rows(
    entries: list[Entry], runs: Sequence[ReportRun] | None, task: str
) -> dict[str, list[dict[str, Any]]]:
    """Make the rows of each run's mAP by query language, for several runs and few languages."""
    rows: dict[str, list[dict[str, Any]]] = {}
    if runs is None or len(runs) < 2 or len(entries[0]["languages"]) > MAX_MATRIX_LANGUAGES:
        return rows
    for scenario in ("monolingual", "multilingual"):
        if any(scenario not in e for e in entries):
            continue
        for code in entries[0][scenario]["by_language"]:
            values = [e[scenario]["by_language"][code]["mAP"] for e in entries]
            cells = []
            for i, (value, run) in enumerate(zip(values, runs, strict=True)):
                comparison = run.by_language.get(task, {}).get(f"{scenario} {code}", {}).get("mAP")
                first = values[0] if i else math.nan
                cells.append(_cell(value, first, "mAP", None, comparison))
            row = {"code": code, "name": language_name(code), "cells": cells}
            rows.setdefault(scenario, []).append(row)
    return rows


def _example(row: dict[str, Any]) -> dict[str, Any]:
    """Prepare an example query for the template."""

    def text(content: str, code: str) -> dict[str, Any]:
        return {
            "text": content,
            "language": code,
            "name": language_name(code),
            "dir": "rtl" if is_right_to_left(code) else "ltr",
        }

    return {
        "query": text(row["query"], row["query_language"]),
        "first_is_right": row["first_is_right"],
        "first": [{**text(content, code), "right": right} for content, code, right in row["first"]],
        "right": text(*row["right"]),
        "ranks": row["right_ranks"],
    }
