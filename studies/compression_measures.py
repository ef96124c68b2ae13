"""What a compression costs in each scenario, and whether other languages pay more.

A compression keeps a share of each figure: after / before. The question is whether the share of
the cross-lingual or multilingual mAP is smaller than that of the monolingual one. With D_g the
contribution of translation group g to the change of a figure (`evaluation.significance`):

    kept        = after / before = 1 + sum_g D_g / before
    difference  = kept(other) - kept(monolingual) = sum_g (D_g,other / before_other
                  - D_g,monolingual / before_monolingual)

so the permutation test over groups tests it as it tests a change. Its interval draws the groups of
all four figures at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from mixling.evaluation.rows import row_labels, score_column
from mixling.evaluation.significance import (
    GroupSums,
    compare_scores,
    contributions,
    group_sums,
    holm,
    intervals,
    permutation_test,
    resampled_figures,
)

# the scenario and the column of each figure
FIGURES = {
    "monolingual": ("monolingual", "mAP"),
    "cross-lingual": ("cross-lingual", "mAP"),
    "multilingual": ("multilingual", "mAP"),
    "rank distance": ("multilingual", "rank_distance"),
}
OTHERS = ("cross-lingual", "multilingual")
# the parts of a row that hold tests: against float32, against monolingual, of the order
TESTS = ("change", "kept, less monolingual", "change by order")
Row = dict[str, Any]


@dataclass(frozen=True)
class Scores:
    """Scores per query of each figure.

    Args:
        values: float64 `[n]` by figure, NaN where there is no score.
        group: Label of the translation group of each score, by figure.
        cell: Label of the languages of each score, by figure.
    """

    values: dict[str, np.ndarray]
    group: dict[str, np.ndarray]
    cell: dict[str, np.ndarray]

    @classmethod
    def from_table(cls, table: pa.Table) -> Scores:
        """Read the scores of one task."""
        scenario, *labels = row_labels(table)
        group, cell = (np.unique(x, return_inverse=True)[1] for x in labels)  # small numbers
        masks = {name: scenario == wanted for name, (wanted, _) in FIGURES.items()}
        values = {n: score_column(table, FIGURES[n][1])[mask] for n, mask in masks.items()}
        return cls(
            values,
            {n: group[mask] for n, mask in masks.items()},
            {n: cell[mask] for n, mask in masks.items()},
        )

    def sums(self, figure: str, values: np.ndarray | None = None) -> GroupSums:
        """Sum the scores of a figure, or others in their place, over the groups of the task."""
        groups = np.unique(np.concatenate(list(self.group.values())))
        chosen = self.values[figure] if values is None else values
        return group_sums(chosen, self.group[figure], self.cell[figure], groups)


def figures(scores: Scores) -> Row:
    """Return the figures and their intervals."""
    sums = {name: scores.sums(name) for name in FIGURES}
    ends = intervals(list(sums.values()))
    return {
        **{name: x.mean() for name, x in sums.items()},
        "intervals": dict(zip(sums, map(list, ends), strict=True)),
    }


def changes(before: Scores, after: Scores) -> Row:
    """Return how each figure changes: the difference, its interval and its p-value."""
    found = {}
    for name in FIGURES:
        compared = compare_scores(
            before.values[name], after.values[name], before.group[name], before.cell[name]
        )
        found[name] = {k: getattr(compared, k) for k in ("difference", "low", "high", "p")}
    return found


def kept(before: Scores, after: Scores) -> tuple[dict[str, float], Row]:
    """Return what share of each mAP stays, and how much less it is than the monolingual share.

    Args:
        before: Scores without the compression.
        after: Scores with it.

    Returns:
        The share by scenario; for the other scenarios the difference to the monolingual share, its
        interval and its p-value.
    """
    names = ("monolingual", *OTHERS)
    sums = [side.sums(name) for side in (before, after) for name in names]
    old, new = np.split(np.array([x.mean() for x in sums]), 2)
    drawn = np.stack(resampled_figures(sums))
    shares = drawn[len(names) :] / drawn[: len(names)]
    by_group = [
        contributions(before.sums(name, after.values[name] - before.values[name])) / figure
        for name, figure in zip(names, old, strict=True)
    ]
    compared = {}
    for i, name in enumerate(OTHERS, 1):
        low, high = np.nanquantile(shares[i] - shares[0], [0.025, 0.975])
        compared[name] = {
            "difference": float(new[i] / old[i] - new[0] / old[0]),
            "low": float(low),
            "high": float(high),
            "p": permutation_test(by_group[i] - by_group[0]),
        }
    return dict(zip(names, (new / old).tolist(), strict=True)), compared


def correct(rows: Iterable[Row], keys: tuple[str, ...]) -> None:
    """Write Holm's p-value beside each p-value.

    A family of tests is a part of `TESTS` in the rows that have equal values of some keys.

    Args:
        rows: Rows of results.
        keys: The keys.
    """
    families: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        for part in TESTS:
            tests = row.get(part, {}).values()
            families.setdefault((part, *(row[k] for k in keys)), []).extend(tests)
    for tests in families.values():
        for test, p in zip(tests, holm([x["p"] for x in tests]), strict=True):
            test["p_holm"] = p
