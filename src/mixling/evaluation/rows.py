"""Scores per query as figures: which rows of the table make which figure, intervals, comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mixling.errors import MixlingError
from mixling.evaluation.bias.table import ALL
from mixling.evaluation.metrics import METRICS, MULTILINGUAL_METRICS
from mixling.evaluation.significance import Comparison, compare_scores, group_sums, holm, intervals

KEYS = ("scenario", "query", "query_language", "passage_language")
# what two runs are tested on in every setting, and in the pool beside
TESTED = ("mAP", "R@1", "R@10", "nDCG@10")
TESTED_IN_POOL = (
    "nDCG@20",
    "rank_distance",
    "TLR@20",
    "intrusion@10",
    "LPR",
    "Lang-nDCG@10",
    "MRC@20",
)


def task_rows(table: pa.Table, task: str) -> pa.Table:
    """The rows of one task."""
    return table.filter(pc.equal(pc.cast(table["task"], pa.string()), task))


def labels(table: pa.Table) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Setting, group and cell (question and passage language) of each row."""
    setting, group, asked, answered = (
        np.asarray(pc.cast(table[c], pa.string()).to_numpy(zero_copy_only=False)).astype(str)
        for c in ("scenario", "group", "query_language", "passage_language")
    )
    return setting, group, np.char.add(np.char.add(asked, "-"), answered)


def _text(table: pa.Table, name: str) -> pa.ChunkedArray:
    """A column of labels as plain strings: dictionaries may differ where values do not."""
    return pa.chunked_array([pc.cast(table[name], pa.string()).combine_chunks()])


def column(table: pa.Table, name: str) -> np.ndarray:
    """float64 [n], NaN where there is none."""
    if name not in table.column_names:
        return np.full(len(table), np.nan)
    return table[name].to_numpy(zero_copy_only=False).astype(np.float64)


def task_intervals(
    table: pa.Table, resamples: int | None = None
) -> dict[str, dict[str, list[float]]]:
    """95 % intervals of a task's figures: {setting or "bias": {measure: [low, high]}}. table: rows of the task."""
    setting, group, cell = labels(table)
    groups = np.unique(group)
    found: dict[str, dict[str, list[float]]] = {}
    for name in dict.fromkeys(setting.tolist()):
        rows = setting == name
        measures = [
            *METRICS,
            *(MULTILINGUAL_METRICS if name == "multilingual" else ()),
            *(ALL if name == "multilingual" else ()),
        ]
        there = [m for m in measures if not np.isnan(column(table, m)[rows]).all()]
        parts = [group_sums(column(table, m)[rows], group[rows], cell[rows], groups) for m in there]
        more = {} if resamples is None else {"resamples": resamples}
        for m, (low, high) in zip(there, intervals(parts, **more), strict=True):
            found.setdefault("bias" if m in ALL else name, {})[m] = [low, high]
    return found


def task_comparison(
    first: Sequence[pa.Table], second: Sequence[pa.Table], by_language: bool = False, **more: Any
) -> dict[str, dict[str, tuple[Comparison, float]]]:
    """Two runs (each of one or more seeds) on one task: {setting: {measure: (comparison, p after Holm)}}.

    The tables are the task's rows. by_language: {"pool ar": {"mAP": …}} for each question language instead, of mAP in
    the own language and the pool alone. Holm goes over all that is returned.
    """
    tables = [*first, *second]
    for other in tables[1:]:
        if any(not _text(tables[0], k).equals(_text(other, k)) for k in KEYS):
            raise MixlingError(
                "the runs were measured on different questions; evaluate again on one set of data"
            )
    setting, group, cell = labels(tables[0])
    asked = (
        pc.cast(tables[0]["query_language"], pa.string()).to_numpy(zero_copy_only=False).astype(str)
    )
    jobs: list[tuple[str, str, np.ndarray]] = []
    for name in dict.fromkeys(setting.tolist()):
        rows = setting == name
        if by_language:
            if name != "cross-lingual":
                jobs += [
                    (f"{name} {x}", "mAP", rows & (asked == x)) for x in np.unique(asked[rows])
                ]
        else:
            measures = [*TESTED, *(TESTED_IN_POOL if name == "multilingual" else ())]
            jobs += [(name, m, rows) for m in measures]
    found: list[tuple[str, str, Comparison]] = []
    for name, m, rows in jobs:
        one, two = (np.stack([column(t, m)[rows] for t in side]) for side in (first, second))
        if np.isnan(one).all() or np.isnan(two).all():
            continue
        found.append((name, m, compare_scores(one, two, group[rows], cell[rows], **more)))
    adjusted = holm([c.p for _, _, c in found])
    out: dict[str, dict[str, tuple[Comparison, float]]] = {}
    for (name, m, c), p in zip(found, adjusted, strict=True):
        out.setdefault(name, {})[m] = (c, p)
    return out
