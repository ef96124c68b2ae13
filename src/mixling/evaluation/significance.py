"""Intervals and tests, with translation groups as units.

Translations of one question are not independent: eleven of them are one observation, not eleven. So a group
moves as a whole, in the test and in the resampling (Smucker, Allan and Carterette 2007 for the test by
randomisation; units are ours, after invariant 10 of docs/design.md).

A figure is a macro mean: of the means of its cells (a question language, or an ordered pair of languages).
With v_gc the sum of group g's scores in cell c, and n_gc their number,

    figure = mean over c of (sum_g v_gc / sum_g n_gc)
    contribution of g to a difference: D_g = mean over c of (v_gc / n_c), summing to the difference
    permutation: T = sum_g s_g D_g, s_g = +-1; p = (1 + |{T: |T| >= |T_0|}|) / (1 + B), or exactly over all 2^G
    bootstrap: groups drawn with replacement, the figure computed anew in each resample

Holm (1979) over the cells of a comparison.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np

PERMUTATIONS, RESAMPLES = 10_000, 1_000


@dataclass(frozen=True)
class GroupSums:
    """Scores by group and cell. total: float64 [groups, cells], sums; count: int64 [groups, cells]."""

    total: np.ndarray
    count: np.ndarray

    def mean(self) -> float:
        """The macro mean."""
        n = self.count.sum(0)
        return float(np.mean(self.total.sum(0)[n > 0] / n[n > 0]))


@dataclass(frozen=True)
class Comparison:
    """difference: second less first; low, high: its 95 % interval; p: two-sided; effect: mean over standard
    deviation of the groups' contributions; groups: how many units; p_seeds: of the seeds as units, if several."""

    first: float
    second: float
    difference: float
    low: float
    high: float
    p: float
    effect: float
    groups: int
    p_seeds: float | None = None


def group_sums(
    values: np.ndarray, group: np.ndarray, cell: np.ndarray, groups: np.ndarray | None = None
) -> GroupSums:
    """Scores put together. values: float64 [n], NaN left out; group, cell: labels [n]; groups: labels of all
    groups, sorted (None: those that have a score)."""
    kept = ~np.isnan(values)
    values, group, cell = values[kept], group[kept], cell[kept]
    groups = np.unique(group) if groups is None else groups
    g = np.searchsorted(groups, group)
    cells, c = np.unique(cell, return_inverse=True)
    shape = (len(groups), len(cells))
    key = g * shape[1] + c
    return GroupSums(
        np.bincount(key, values, shape[0] * shape[1]).reshape(shape),
        np.bincount(key, minlength=shape[0] * shape[1]).reshape(shape),
    )


def interval(
    scores: GroupSums, resamples: int = RESAMPLES, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap of a figure; NaN for fewer than two groups."""
    return intervals([scores], resamples, level, seed)[0]


def intervals(
    scores: Sequence[GroupSums], resamples: int = RESAMPLES, level: float = 0.95, seed: int = 0
) -> list[tuple[float, float]]:
    """Intervals of several figures over the same groups: one resampling serves all of them."""
    edge = (1 - level) / 2
    return [
        (_quantile(x, edge), _quantile(x, 1 - edge)) for x in resampled(scores, resamples, seed)
    ]


def resampled(
    scores: Sequence[GroupSums], resamples: int = RESAMPLES, seed: int = 0
) -> list[np.ndarray]:
    """Several figures over the same groups in every resample: float64 [resamples] each; NaN for fewer than two groups."""
    groups = len(scores[0].total)
    drawn = [np.full(resamples, np.nan) for _ in scores]
    if groups < 2:
        return drawn
    rng = np.random.default_rng(seed)
    for begin in range(0, resamples, 256):
        size = min(256, resamples - begin)
        weight = rng.multinomial(groups, np.full(groups, 1 / groups), size).astype(np.float64)
        for out, s in zip(drawn, scores, strict=True):
            out[begin : begin + size] = _figures(weight, s)
    return drawn


def _figures(weight: np.ndarray, scores: GroupSums) -> np.ndarray:
    """The macro mean under each weighting of the groups. weight: float64 [n, groups]."""
    total, count = weight @ scores.total, weight @ scores.count
    there = count > 0
    means = np.divide(total, count, out=np.zeros_like(total), where=there)
    cells = there.sum(1)
    return np.where(cells > 0, means.sum(1) / np.maximum(cells, 1), np.nan)


def _quantile(values: np.ndarray, q: float) -> float:
    kept = values[~np.isnan(values)]
    return float(np.quantile(kept, q)) if len(kept) else float("nan")


def contributions(difference: GroupSums) -> np.ndarray:
    """D_g of a difference per query: float64 [groups], their sum is the macro difference."""
    n = difference.count.sum(0)
    return (difference.total[:, n > 0] / n[n > 0]).mean(1)


def permutation_test(d: np.ndarray, permutations: int = PERMUTATIONS, seed: int = 0) -> float:
    """Two-sided p of sum(d) under random signs; all 2^G sign patterns where those are no more. d: float64 [groups]."""
    d = d[d != 0]
    observed = abs(d.sum())
    limit = observed - 1e-12 * max(np.abs(d).sum(), 1e-300)
    if len(d) == 0:
        return 1.0
    if 2 ** min(len(d), 60) <= permutations:
        patterns = np.arange(2 ** len(d))[:, None] >> np.arange(len(d)) & 1
        return float(np.mean(np.abs((2.0 * patterns - 1) @ d) >= limit))
    rng = np.random.default_rng(seed)
    beyond = 0
    for begin in range(0, permutations, 1024):
        size = min(1024, permutations - begin)
        signs = rng.integers(0, 2, (size, len(d)), dtype=np.int8)
        beyond += int((np.abs((2.0 * signs - 1) @ d) >= limit).sum())
    return (1 + beyond) / (1 + permutations)


def compare_scores(
    first: np.ndarray,
    second: np.ndarray,
    group: np.ndarray,
    cell: np.ndarray,
    permutations: int = PERMUTATIONS,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """Two runs on the same queries.

    first, second: float64 [n] or [seeds, n], scores per query; group, cell: labels [n]. With several seeds the
    test is on each query's mean over them; p_seeds (a permutation of the seeds between the runs) is what a claim
    about the method itself needs.
    """
    one, two = (np.atleast_2d(x) for x in (first, second))
    a, b = one.mean(0), two.mean(0)
    kept = ~(np.isnan(a) | np.isnan(b))
    a, b, group, cell = a[kept], b[kept], group[kept], cell[kept]
    difference = group_sums(b - a, group, cell)
    d = contributions(difference)
    low, high = interval(difference, resamples, seed=seed)
    spread = d.std(ddof=1) if len(d) > 1 else 0.0
    by_seed = [
        [group_sums(x[kept], group, cell).mean() for x in side] if len(side) > 1 else []
        for side in (one, two)
    ]
    return Comparison(
        group_sums(a, group, cell).mean(),
        group_sums(b, group, cell).mean(),
        float(d.sum()),
        low,
        high,
        permutation_test(d, permutations, seed),
        float(d.mean() / spread) if spread > 0 else float("nan"),
        len(d),
        _seeds(*by_seed) if all(by_seed) else None,
    )


def _seeds(first: list[float], second: list[float]) -> float:
    """Exact two-sample permutation test on the means of seeds; its least value is 2 / C(m + n, m)."""
    from itertools import combinations

    values = np.array(first + second)
    m = len(first)
    if comb(len(values), m) > 200_000:
        rng = np.random.default_rng(0)
        picks = [rng.permutation(len(values))[:m] for _ in range(20_000)]
    else:
        picks = [np.array(c) for c in combinations(range(len(values)), m)]
    observed = abs(np.mean(second) - np.mean(first))
    total = values.sum()
    gaps = [
        abs((total - values[p].sum()) / (len(values) - m) - values[p].mean()) >= observed - 1e-12
        for p in picks
    ]
    return float(np.mean(gaps))


def holm(p: list[float]) -> list[float]:
    """Adjusted p-values of a family of tests (Holm 1979), in their order."""
    order = np.argsort(p, kind="stable")
    adjusted, so_far = np.empty(len(p)), 0.0
    for place, i in enumerate(order):
        so_far = max(so_far, min(1.0, (len(p) - place) * p[i]))
        adjusted[i] = so_far
    return adjusted.tolist()


def significance_mark(p: float) -> str:
    """Stars of a p-value: *** below .001, ** below .01, * below .05."""
    return "***" if p < 0.001 else "**" if p < 0.01 else "*" if p < 0.05 else ""
