"""Mean rank correlation over translations of a query: MRC@k.

Source: LaKDA (MRL 2024); MIMO (arXiv:2605.31171) uses it.

For two queries that are translations of each other, the correlation is Spearman's, between the two
queries' scores over the union of their two top k. MRC@k of a query is its mean over its
translations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from scipy.stats import rankdata


def mean_rank_correlation(
    top: np.ndarray,
    group: Sequence[str],
    score_at: Callable[[np.ndarray, np.ndarray], np.ndarray],
    k: int = 20,
    maximum: int = 12,
) -> np.ndarray:
    """Compute MRC@k of every query.

    Args:
        top: int64 `[n_queries, >= k]`, best passages of each query.
        group: Translation group of each query.
        score_at: Called with queries `[a]` and passages `[b]`; returns float32 `[a, b]`.
        k: Depth.
        maximum: Number of queries to which larger groups are thinned, evenly.

    Returns:
        float64 `[n_queries]`, -1 to 1; NaN for queries without a translation.
    """
    k = min(k, top.shape[1])
    value = np.full(len(top), np.nan)
    names, number = np.unique(np.array(group), return_inverse=True)
    order = np.argsort(number, kind="stable")
    edges = np.searchsorted(number[order], np.arange(len(names) + 1))
    for begin, end in pairwise(edges):
        rows = order[begin:end]
        if len(rows) > maximum:
            rows = rows[np.linspace(0, len(rows) - 1, maximum).astype(int)]
        if len(rows) < 2:
            continue
        union, place = np.unique(top[rows, :k], return_inverse=True)
        place = place.reshape(len(rows), k)
        # the scores of the whole group are asked for once; pairs read their part of them
        scores = score_at(rows, union)
        correlations = np.full((len(rows), len(rows)), np.nan)
        for i in range(len(rows)):
            for j in range(i):
                both = np.union1d(place[i], place[j])
                correlations[i, j] = correlations[j, i] = _spearman(
                    scores[i, both], scores[j, both]
                )
        value[rows] = np.nanmean(correlations, axis=1)
    return value


def _spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Compute Spearman's correlation; 0 where one side is constant.

    Equal to `scipy.stats.spearmanr`, which takes twice as long on thirty numbers
    because it also computes a p-value, and a benchmark has a hundred thousand such pairs.
    """
    x, y = rankdata(a), rankdata(b)
    x, y = x - x.mean(), y - y.mean()
    norm = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / norm) if norm > 0 else 0.0
