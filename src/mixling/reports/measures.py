"""A report's tables of measures: five that matter first, all others in groups."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mixling.evaluation.bias.table import ALL
from mixling.evaluation.metrics import METRICS
from mixling.evaluation.result import EvaluationResult
from mixling.evaluation.significance import Comparison
from mixling.evaluation.tasks import SCENARIOS
from mixling.reports.changes import judge, mark, number_of_tests
from mixling.reports.tables import format_cell

if TYPE_CHECKING:
    from mixling.reports.runs import TaskComparison

Entry = dict[str, Any]
# scenario and measure of the five measures that stand outside, with the definitions of scores
HEADLINE = (
    ("monolingual", "mAP"),
    ("cross-lingual", "mAP"),
    ("multilingual", "mAP"),
    ("multilingual", "intrusion@10"),
    ("multilingual", "rank_distance"),
)
SCENARIO_MEANINGS = {
    "monolingual": "Mean average precision where query and passages are in one language; mean over "
    "languages.",
    "cross-lingual": "Mean average precision where the passages are in one other language; mean "
    "over pairs of languages.",
    "multilingual": "Mean average precision where passages of all languages stand in one pool; "
    "mean over query languages.",
}
GROUPS = {
    "Preference for the query's language": (
        "intrusion@10",
        "LPR",
        "same_language_preference",
        "same_language_share@10_over_relevant",
        "same_language_share@10_over_pool",
        "Lang-nDCG@10",
    ),
    "Right answers in other languages": (
        "TLR@10",
        "TLR@20",
        "Complete@20",
        "Complete@100",
        "rank_distance",
        "relative_rank_distance",
        "Max@R",
    ),
    "The first answer": (
        "first_right_same_language",
        "first_right_other_language",
        "first_wrong_same_language",
        "first_wrong_other_language",
    ),
    "Exposure of languages": ("exposure@10", "PEER@20", "PEER@100"),
    "Consistency over translations": ("MRC@20",),
}
GAPS = {
    "monolingual_less_cross_lingual": "Monolingual mAP minus cross-lingual mAP.",
    "monolingual_less_multilingual": "Monolingual mAP minus multilingual mAP.",
    "best_less_worst_language": "Multilingual mAP of the best query language minus the worst's.",
    "spread_of_languages": "Standard deviation of multilingual mAP over query languages.",
}


def cell(
    value: float,
    first: float,
    measure: str,
    interval: Sequence[float] | None,
    comparison: Comparison | None,
    tests: int = 1,
) -> dict[str, Any]:
    """Format a figure with its interval, its difference to the first run, and the outcome.

    Args:
        value: The figure.
        first: The first run's figure; NaN for the first run itself.
        measure: Name of the measure.
        interval: 95 % interval of the figure.
        comparison: Comparison with the first run, if it was tested.
        tests: Number of comparisons over which p-values were adjusted.

    Returns:
        `text`, `interval`, `difference` with its mark, and `outcome` and `reason` of the
        comparison. Only what was tested is called better or worse.
    """
    difference = value - first
    digits = 0 if measure in ("rank_distance", "Max@R") else 3
    change = None if comparison is None else judge(comparison, measure, tests)
    return {
        "text": "–" if math.isnan(value) else format_cell(value, measure),
        "interval": ""
        if interval is None or math.isnan(interval[0])
        else f"{interval[0]:.{digits}f} to {interval[1]:.{digits}f}",
        "difference": ""
        if math.isnan(difference)
        else f"{difference:+.{digits}f}{mark(comparison, measure)}",
        "between": ""
        if comparison is None or math.isnan(comparison.low)
        else f"{comparison.low:+.{digits}f} to {comparison.high:+.{digits}f}",
        "outcome": "" if change is None else change.outcome,
        "reason": "" if change is None else change.reason,
    }


def headline_rows(entries: list[Entry], tested: list[TaskComparison]) -> list[dict[str, Any]]:
    """Make the rows of the five headline measures, each with its definition.

    Args:
        entries: A task's entry of each run's summary.
        tested: Comparisons of each run.

    Returns:
        `name`, `meaning`, `range` and `cells` of each measure that a run has.
    """
    rows = []
    for scenario, measure in HEADLINE:
        cells = _cells(entries, tested, scenario, measure)
        if cells is None:
            continue
        is_bias = measure in ALL
        rows.append(
            {
                "name": measure if is_bias else f"{scenario} {measure}",
                "meaning": ALL[measure].meaning if is_bias else SCENARIO_MEANINGS[scenario],
                "range": ALL[measure].range if is_bias else "0 to 1",
                "better": ALL[measure].better if is_bias else "high",
                "cells": cells,
            }
        )
    return rows


def score_rows(
    entries: list[Entry], names: list[str], tested: list[TaskComparison]
) -> list[dict[str, Any]]:
    """Make the rows of the table of scores: one a scenario and run."""
    rows = []
    for scenario in SCENARIOS:
        columns = [_cells(entries, tested, scenario, m) for m in (*METRICS, "rank_distance")]
        for i, (entry, name) in enumerate(zip(entries, names, strict=True)):
            if scenario in entry:
                cells = [{"text": "–"} if c is None else c[i] for c in columns]
                rows.append({"scenario": scenario, "name": name, "cells": cells})
    return rows


def _cells(
    entries: list[Entry], tested: list[TaskComparison], scenario: str, measure: str
) -> list[dict[str, Any]] | None:
    """Make the cells of a measure, one a run; None where no run has it."""
    is_bias = measure in ALL and scenario == "multilingual"
    part = "bias" if is_bias else scenario
    values = [float(e.get(part, {}).get(measure, math.nan)) for e in entries]
    if all(math.isnan(v) for v in values):
        return None
    return [
        cell(
            value,
            values[0] if i else math.nan,
            measure,
            entry.get("intervals", {}).get(part, {}).get(measure),
            tested[i].get(scenario, {}).get(measure),
            number_of_tests(tested[i]),
        )
        for i, (value, entry) in enumerate(zip(values, entries, strict=True))
    ]


def bias_groups(entries: list[Entry], tested: list[TaskComparison]) -> list[dict[str, Any]]:
    """Make the groups of measures of bias.

    Args:
        entries: A task's entry of each run's summary.
        tested: Comparisons of each run.

    Returns:
        `title` and `rows` of each group that has a figure; a row has `name`, `measure` and `cells`.
    """
    groups = []
    for title, names in GROUPS.items():
        rows = [
            {"name": name, "measure": ALL[name], "cells": cells}
            for name in names
            if (cells := _cells(entries, tested, "multilingual", name)) is not None
        ]
        if rows:
            groups.append({"title": title, "rows": rows})
    return groups


def gap_rows(entries: list[Entry]) -> list[dict[str, Any]]:
    """Make the rows of gaps between scenarios and languages."""
    rows = []
    for name, meaning in GAPS.items():
        values = [e.get("gaps", {}).get(name) for e in entries]
        if any(v is not None for v in values):
            texts = ["–" if v is None else f"{v:.3f}" for v in values]
            rows.append({"name": name, "meaning": meaning, "values": texts})
    return rows


def noise_rows(
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
