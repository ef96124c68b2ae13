"""Confidence intervals and significance tests with translation groups as units.

Translations of one query are not independent: eleven of them are one observation, not eleven. A
group therefore moves as a whole, in the test and in the resampling. The randomization test follows
Smucker, Allan and Carterette (2007); taking translation groups as its units is Mixling's choice.

A figure is a macro mean: the mean of the means of its cells. A cell is a query language, or an
ordered pair of languages. With v_gc the sum of the scores of group g in cell c, and n_gc their
number:

    figure       = mean over c of (sum_g v_gc / sum_g n_gc)
    contribution = D_g = mean over c of (v_gc / n_c), of group g to a difference; they add up to it
    permutation  : T = sum_g s_g D_g with s_g = +-1; p = (1 + |{T: |T| >= |T_0|}|) / (1 + B), or
    exactly
                   over all 2^G patterns of signs where these are no more
    bootstrap    : groups are drawn with replacement, and the figure is computed anew in each
    resample

`seed_test` has the test for trainings with several seeds.

P-values of a family of comparisons are adjusted by Holm's method (1979).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mixling.evaluation.seed_test import pooled_variance, seed_test

PERMUTATIONS, RESAMPLES = 10_000, 1_000


@dataclass(frozen=True)
class GroupSums:
    """Scores summed by translation group and cell.

    Args:
        total: float64 `[n_groups, n_cells]`, sums of scores.
        count: int64 `[n_groups, n_cells]`, their numbers.
    """

    total: np.ndarray
    count: np.ndarray

    def mean(self) -> float:
        """Compute the macro mean."""
        n = self.count.sum(0)
        return float(np.mean(self.total.sum(0)[n > 0] / n[n > 0]))


@dataclass(frozen=True)
class Comparison:
    """Comparison of two runs on one measure.

    Args:
        first: Figure of the first run.
        second: Figure of the second run.
        difference: Second minus first.
        low: Lower end of the difference's 95 % interval.
        high: Upper end.
        p: Two-sided p-value of the permutation test over translation groups.
        effect: Mean divided by standard deviation of the groups' contributions.
        groups: Number of translation groups.
        p_seeds: p-value that counts the variance over seeds as well, if both runs have several.
        low_seeds: Lower end of the 95 % interval that counts it.
        high_seeds: Upper end.
        p_holm: `p` adjusted over the comparisons of a task.
    """

    first: float
    second: float
    difference: float
    low: float
    high: float
    p: float
    effect: float
    groups: int
    p_seeds: float | None = None
    low_seeds: float | None = None
    high_seeds: float | None = None
    p_holm: float | None = None

    @property
    def mark(self) -> str:
        """Stars of the adjusted p-value."""
        return "" if self.p_holm is None else significance_mark(self.p_holm)


def group_sums(
    values: np.ndarray, group: np.ndarray, cell: np.ndarray, groups: np.ndarray | None = None
) -> GroupSums:
    """Sum scores by translation group and cell.

    Args:
        values: float64 `[n]`, scores; NaN is left out.
        group: `[n]`, label of each score's translation group.
        cell: `[n]`, label of each score's cell.
        groups: Sorted labels of all groups, by default those that have a score.

    Returns:
        The sums.
    """
    mask = ~np.isnan(values)
    values, group, cell = values[mask], group[mask], cell[mask]
    groups = np.unique(group) if groups is None else groups
    row = np.searchsorted(groups, group)
    cells, column = np.unique(cell, return_inverse=True)
    shape = (len(groups), len(cells))
    key = row * shape[1] + column
    return GroupSums(
        np.bincount(key, values, shape[0] * shape[1]).reshape(shape),
        np.bincount(key, minlength=shape[0] * shape[1]).reshape(shape),
    )


def interval(
    sums: GroupSums, resamples: int = RESAMPLES, confidence: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Compute the percentile bootstrap interval of a figure.

    Args:
        sums: Sums of its scores.
        resamples: Number of resamples.
        confidence: Confidence level, 0 to 1.
        seed: Seed of the resampling.

    Returns:
        Both ends; NaN for fewer than two groups.
    """
    return intervals([sums], resamples, confidence, seed)[0]


def intervals(
    sums: Sequence[GroupSums],
    resamples: int = RESAMPLES,
    confidence: float = 0.95,
    seed: int = 0,
) -> list[tuple[float, float]]:
    """Compute the intervals of several figures over the same groups from one resampling.

    Args:
        sums: Sums of each figure's scores.
        resamples: Number of resamples.
        confidence: Confidence level, 0 to 1.
        seed: Seed of the resampling.

    Returns:
        Both ends of each interval; NaN for fewer than two groups.
    """
    tail = (1 - confidence) / 2
    return [
        (_quantile(figures, tail), _quantile(figures, 1 - tail))
        for figures in resampled_figures(sums, resamples, seed)
    ]


def resampled_figures(
    sums: Sequence[GroupSums], resamples: int = RESAMPLES, seed: int = 0
) -> list[np.ndarray]:
    """Compute several figures over the same groups in every bootstrap resample.

    Args:
        sums: Sums of each figure's scores.
        resamples: Number of resamples.
        seed: Seed of the resampling.

    Returns:
        float64 `[resamples]` for each figure; NaN for fewer than two groups.
    """
    n_groups = len(sums[0].total)
    figures = [np.full(resamples, np.nan) for _ in sums]
    if n_groups < 2:
        return figures
    rng = np.random.default_rng(seed)
    for begin in range(0, resamples, 256):
        size = min(256, resamples - begin)
        # how often each group is drawn: drawing with replacement is multinomial
        weight = rng.multinomial(n_groups, np.full(n_groups, 1 / n_groups), size).astype(np.float64)
        for figure, group in zip(figures, sums, strict=True):
            figure[begin : begin + size] = _weighted_means(weight, group)
    return figures


def _weighted_means(weight: np.ndarray, sums: GroupSums) -> np.ndarray:
    """Compute the macro mean under each weighting of the groups, float64 `[n, n_groups]`."""
    total, count = weight @ sums.total, weight @ sums.count
    drawn = count > 0
    means = np.divide(total, count, out=np.zeros_like(total), where=drawn)
    n_cells = drawn.sum(1)
    return np.where(n_cells > 0, means.sum(1) / np.maximum(n_cells, 1), np.nan)


def _quantile(values: np.ndarray, q: float) -> float:
    """Compute a quantile of the values that are not NaN."""
    numbers = values[~np.isnan(values)]
    return float(np.quantile(numbers, q)) if len(numbers) else float("nan")


def contributions(difference: GroupSums) -> np.ndarray:
    """Compute each group's contribution D_g to a difference.

    Args:
        difference: Sums of the differences per query.

    Returns:
        float64 `[n_groups]`; they add up to the macro difference.
    """
    n = difference.count.sum(0)
    return np.asarray((difference.total[:, n > 0] / n[n > 0]).mean(1))


def permutation_test(d: np.ndarray, permutations: int = PERMUTATIONS, seed: int = 0) -> float:
    """Compute the two-sided p-value of sum(d) under random signs.

    Args:
        d: float64 `[n_groups]`, contributions.
        permutations: Number of random patterns of signs. All 2^G patterns are used where these are
            no more.
        seed: Seed of the signs.

    Returns:
        The p-value.
    """
    d = d[d != 0]
    observed = abs(d.sum())
    # sums in another order differ in their last bits
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
    """Compare two runs on the same queries.

    With several seeds the test is on each query's mean over them, so it speaks of these trainings
    alone. `p_seeds` and its interval are what a claim about the method needs.

    Args:
        first: float64 `[n]` or `[n_seeds, n]`, scores of the first run.
        second: The same for the second run.
        group: `[n]`, label of each query's translation group.
        cell: `[n]`, label of each query's cell.
        permutations: Number of permutations.
        resamples: Number of bootstrap resamples.
        seed: Seed of both.

    Returns:
        The comparison.
    """
    first, second = np.atleast_2d(first), np.atleast_2d(second)
    first_mean, second_mean = first.mean(0), second.mean(0)
    mask = ~(np.isnan(first_mean) | np.isnan(second_mean))
    first_mean, second_mean = first_mean[mask], second_mean[mask]
    group, cell = group[mask], cell[mask]
    difference = group_sums(second_mean - first_mean, group, cell)
    d = contributions(difference)
    low, high = interval(difference, resamples, seed=seed)
    deviation = d.std(ddof=1) if len(d) > 1 else 0.0
    seeds = None
    if len(first) > 1 and len(second) > 1:
        one, two = (
            [group_sums(x[mask], group, cell).mean() for x in side] for side in (first, second)
        )
        seeds = seed_test(d, pooled_variance([one, two]), (len(one), len(two)))
    return Comparison(
        group_sums(first_mean, group, cell).mean(),
        group_sums(second_mean, group, cell).mean(),
        float(d.sum()),
        low,
        high,
        permutation_test(d, permutations, seed),
        float(d.mean() / deviation) if deviation > 0 else float("nan"),
        len(d),
        *((None, None, None) if seeds is None else (seeds.p, seeds.low, seeds.high)),
    )


def holm(p: list[float]) -> list[float]:
    """Adjust the p-values of a family of tests by Holm's method (1979).

    The i-th smallest of n is multiplied by n - i + 1, and none is smaller than the one before it.

    Args:
        p: The p-values.

    Returns:
        The adjusted p-values, in the order of `p`.
    """
    order = np.argsort(p, kind="stable")
    adjusted, maximum = np.empty(len(p)), 0.0
    for place, i in enumerate(order):
        maximum = max(maximum, min(1.0, (len(p) - place) * p[i]))
        adjusted[i] = maximum
    return [float(x) for x in adjusted]


def significance_mark(p: float) -> str:
    """Return the stars of a p-value.

    Args:
        p: The p-value.

    Returns:
        `***` below 0.001, `**` below 0.01, `*` below 0.05, otherwise nothing.
    """
    return "***" if p < 0.001 else "**" if p < 0.01 else "*" if p < 0.05 else ""
