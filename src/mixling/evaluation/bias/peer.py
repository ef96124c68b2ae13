"""PEER: probability of equal expected rank (Yang et al. 2024, arXiv:2405.00978).

For each grade, a Kruskal-Wallis test asks whether the ranks of its passages differ by language;
PEER is the weighted mean of the tests' p-values. A relevant passage beyond the cut-off takes the
mean of the ranks after the last. Irrelevant passages count within the cut-off only. A grade counts
1 if it has one language, if none of its passages is retrieved, or if all its ranks are the same.
The values are equal to those of the package peer_measure.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
from scipy.stats import chi2

from mixling.evaluation.bias.pool import BiasMeasure, MultilingualPool


def peer(
    pool: MultilingualPool, k: int = 100, weights: Mapping[int, float] | None = None
) -> np.ndarray:
    """Compute PEER@k of every query.

    Args:
        pool: Ranks in the multilingual pool.
        k: Depth.
        weights: Weight of each grade, with sum 1. By default grade 0 and the grades of the relevant
            passages weigh the same.

    Returns:
        float64 `[n_queries]`, 0 to 1; 1 is fair.
    """
    k = min(k, pool.top.shape[1])
    grades = [0, *np.unique(pool.grade).tolist()]
    weights = weights or {grade: 1 / len(grades) for grade in grades}
    value = np.zeros(pool.n_queries)
    for grade, weight in weights.items():
        value += weight * (_irrelevant(pool, k) if grade == 0 else _relevant(pool, k, grade))
    return value


def _irrelevant(pool: MultilingualPool, k: int) -> np.ndarray:
    """Compute the p-values of the irrelevant passages."""
    row, column = np.nonzero((pool.top_grade[:, :k] == 0) & (pool.top[:, :k] >= 0))
    return _p_value(
        pool, row, pool.top_language[row, column], column + 1.0, np.ones(pool.n_queries, bool)
    )


def _relevant(pool: MultilingualPool, k: int, grade: int) -> np.ndarray:
    """Compute the p-values of the passages of one grade."""
    same_grade = pool.grade == grade
    row, language = pool.query[same_grade], pool.language[same_grade]
    rank = pool.rank[same_grade].astype(float)
    n = np.bincount(row, minlength=pool.n_queries)
    beyond = np.bincount(row, rank > k, pool.n_queries)
    # the mean of the ranks n - beyond + 1 ... n among the passages of this grade, as peer_measure
    # has it
    rank_beyond = (2 * n + beyond + 1) / 2
    rank = np.where(rank > k, rank_beyond[row], rank)
    value = _p_value(pool, row, language, rank, beyond < n)
    return np.where(n > 0, value, 0.0)


def _p_value(
    pool: MultilingualPool,
    row: np.ndarray,
    language: np.ndarray,
    rank: np.ndarray,
    tested: np.ndarray,
) -> np.ndarray:
    """Run the Kruskal-Wallis tests of all queries at once.

    `scipy.stats.kruskal` takes one query a call. Here counts and sums by query and
    language are enough: H = (N - 1) * between / total sum of squares of
    the ranks, which is its form with the correction for ties.
    """
    shape = (pool.n_queries, pool.n_languages)
    cell = row * pool.n_languages + language
    n = np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape)
    total = np.bincount(cell, rank, shape[0] * shape[1]).reshape(shape)
    count = n.sum(1)
    mean = total.sum(1) / np.maximum(count, 1)
    between = (n * (total / np.maximum(n, 1) - mean[:, None]) ** 2).sum(1)
    spread = np.bincount(row, (rank - mean[row]) ** 2, pool.n_queries)
    groups = (n > 0).sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        h = (count - 1) * between / spread
    return np.where(
        tested & (groups >= 2) & (spread > 0), chi2.sf(h, np.maximum(groups - 1, 1)), 1.0
    )


MEASURES = [
    BiasMeasure(
        f"PEER@{k}",
        partial(peer, k=k),
        "0 to 1, 1 is fair",
        "high",
        f"Probability that chance alone explains which language stands where in the first {k}.",
        "Is a p-value: no power with one relevant passage a language, more power with more "
        "passages. Read it beside nDCG.",
        "arXiv:2405.00978",
        "mean over grades of the p-value of a Kruskal-Wallis test of ranks by language",
    )
    for k in (20, 100)
]
