"""Figures from scores per query: which rows make which figure, intervals, comparisons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mixling.errors import MixlingError
from mixling.evaluation.bias.table import ALL
from mixling.evaluation.metrics import METRICS, MULTILINGUAL_METRICS
from mixling.evaluation.significance import (
    PERMUTATIONS,
    RESAMPLES,
    Comparison,
    compare_scores,
    group_sums,
    holm,
    intervals,
)

KEYS = ("scenario", "query", "query_language", "passage_language")
# measures on which two runs are tested in every scenario, and in the multilingual one besides
TESTED = ("mAP", "R@1", "R@10", "nDCG@10")
TESTED_MULTILINGUAL = (
    "nDCG@20",
    "rank_distance",
    "TLR@20",
    "intrusion@10",
    "LPR",
    "Lang-nDCG@10",
    "MRC@20",
)


def task_rows(table: pa.Table, task: str) -> pa.Table:
    """Select the rows of one task.

    Args:
        table: Scores per query.
        task: Name of the task.

    Returns:
        Its rows.
    """
    return table.filter(pc.equal(pc.cast(table["task"], pa.string()), task))


def row_labels(table: pa.Table) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the labels by which scores are put together.

    Args:
        table: Rows of one task.

    Returns:
        Scenario, translation group, and cell (query and passage language) of each row.
    """
    scenario, group, query_language, passage_language = (
        _strings(table, c) for c in ("scenario", "group", "query_language", "passage_language")
    )
    return scenario, group, np.char.add(np.char.add(query_language, "-"), passage_language)


def _strings(table: pa.Table, name: str) -> np.ndarray:
    """Return a column of labels as an array of strings."""
    column = pc.cast(table[name], pa.string()).to_numpy(zero_copy_only=False)
    return np.asarray(column).astype(str)


def _plain_column(table: pa.Table, name: str) -> pa.ChunkedArray:
    """Return a column of labels without dictionaries, which may differ where the values do not."""
    return pa.chunked_array([pc.cast(table[name], pa.string()).combine_chunks()])


def score_column(table: pa.Table, name: str) -> np.ndarray:
    """Return a column of scores.

    Args:
        table: Scores per query.
        name: Name of the measure.

    Returns:
        float64 `[n]`, NaN where there is no score.
    """
    if name not in table.column_names:
        return np.full(len(table), np.nan)
    return np.asarray(table[name].to_numpy(zero_copy_only=False).astype(np.float64))


def task_intervals(
    table: pa.Table, resamples: int = RESAMPLES
) -> dict[str, dict[str, list[float]]]:
    """Compute the 95 % intervals of a task's figures.

    Args:
        table: Rows of the task.
        resamples: Number of bootstrap resamples.

    Returns:
        `{scenario or "bias": {measure: [low, high]}}`.
    """
    scenario, group, cell = row_labels(table)
    groups = np.unique(group)
    result: dict[str, dict[str, list[float]]] = {}
    for name in dict.fromkeys(scenario.tolist()):
        rows = scenario == name
        measures = [*METRICS]
        if name == "multilingual":
            measures += [*MULTILINGUAL_METRICS, *ALL]
        measures = [m for m in measures if not np.isnan(score_column(table, m)[rows]).all()]
        sums = [
            group_sums(score_column(table, m)[rows], group[rows], cell[rows], groups)
            for m in measures
        ]
        for measure, (low, high) in zip(measures, intervals(sums, resamples), strict=True):
            result.setdefault("bias" if measure in ALL else name, {})[measure] = [low, high]
    return result


def task_comparison(
    first: Sequence[pa.Table],
    second: Sequence[pa.Table],
    by_language: bool = False,
    permutations: int = PERMUTATIONS,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, dict[str, Comparison]]:
    """Compare two runs on one task.

    Args:
        first: Rows of the task in the first run, one table a seed.
        second: Rows of the task in the second run, one table a seed.
        by_language: Compare the mAP of each query language, in the monolingual and the multilingual
            scenario, instead of all measures in all scenarios.
        permutations: Number of permutations of each test.
        resamples: Number of bootstrap resamples.
        seed: Seed of both.

    Returns:
        `{scenario: {measure: comparison}}`, or `{"multilingual ar": {"mAP": comparison}, …}` by
        language. `p_holm` of each is adjusted over all comparisons returned.

    Raises:
        MixlingError: The runs were measured on different queries.
    """
    tables = [*first, *second]
    for other in tables[1:]:
        if any(not _plain_column(tables[0], k).equals(_plain_column(other, k)) for k in KEYS):
            raise MixlingError(
                "the runs were measured on different queries. Measure them again on the same data."
            )
    _, group, cell = row_labels(tables[0])
    comparisons: list[tuple[str, str, Comparison]] = []
    for name, measure, rows in _comparison_rows(tables[0], by_language):
        one, two = (
            np.stack([score_column(table, measure)[rows] for table in side])
            for side in (first, second)
        )
        if np.isnan(one).all() or np.isnan(two).all():
            continue
        comparison = compare_scores(
            one, two, group[rows], cell[rows], permutations, resamples, seed
        )
        comparisons.append((name, measure, comparison))
    adjusted = holm([c.p for _, _, c in comparisons])
    result: dict[str, dict[str, Comparison]] = {}
    for (name, measure, comparison), p_holm in zip(comparisons, adjusted, strict=True):
        result.setdefault(name, {})[measure] = replace(comparison, p_holm=p_holm)
    return result


def _comparison_rows(table: pa.Table, by_language: bool) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield the rows on which two runs are compared: name and mask of the rows, and the measure."""
    scenario, query_language = _strings(table, "scenario"), _strings(table, "query_language")
    for name in dict.fromkeys(scenario.tolist()):
        rows = scenario == name
        if not by_language:
            measures = [*TESTED, *(TESTED_MULTILINGUAL if name == "multilingual" else ())]
            yield from ((name, measure, rows) for measure in measures)
        elif name != "cross-lingual":
            for language in np.unique(query_language[rows]):
                yield f"{name} {language}", "mAP", rows & (query_language == language)
