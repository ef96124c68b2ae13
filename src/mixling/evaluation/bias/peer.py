"""PEER: probability of equal expected rank (Yang et al. 2024, arXiv:2405.00978; equal to the package peer_measure).

For each grade, a Kruskal-Wallis test whether the ranks of its documents differ by language; PEER is the weighted
mean of the tests' p-values. A relevant document beyond the cut-off takes the mean of the ranks after the last;
irrelevant documents count within the cut-off only; a grade with one language, with none retrieved, or whose ranks
are all the same counts 1.
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
    """0 to 1, 1 = fair. weights: of the grades, sum 1; default: equal over 0 and the grades that are there."""
    k = min(k, pool.top.shape[1])
    levels = [0, *np.unique(pool.grade).tolist()]
    weights = weights or {level: 1 / len(levels) for level in levels}
    value = np.zeros(pool.n_queries)
    for level, weight in weights.items():
        value += weight * (_irrelevant(pool, k) if level == 0 else _relevant(pool, k, level))
    return value


def _irrelevant(pool: MultilingualPool, k: int) -> np.ndarray:
    row, column = np.nonzero(pool.top_grade[:, :k] == 0)
    return _p_value(
        pool, row, pool.top_language[row, column], column + 1.0, np.ones(pool.n_queries, bool)
    )


def _relevant(pool: MultilingualPool, k: int, level: int) -> np.ndarray:
    mine = pool.grade == level
    row, rank, language = pool.query[mine], pool.rank[mine].astype(float), pool.language[mine]
    n = np.bincount(row, minlength=pool.n_queries)
    beyond = np.bincount(row, rank > k, pool.n_queries)
    last = (2 * n + beyond + 1) / 2
    rank = np.where(rank > k, last[row], rank)
    value = _p_value(pool, row, language, rank, beyond < n)
    return np.where(n > 0, value, 0.0)


def _p_value(
    pool: MultilingualPool,
    row: np.ndarray,
    language: np.ndarray,
    rank: np.ndarray,
    tested: np.ndarray,
) -> np.ndarray:
    """Kruskal-Wallis of all queries at once, from counts and sums by query and language."""
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
        f"How well chance alone would explain which language stands where in the first {k}.",
        "A p-value: no power with one right answer a language, more with more candidates. Never without nDCG.",
        "arXiv:2405.00978",
    )
    for k in (20, 100)
]
