"""Mean rank correlation over translations of a question: MRC@k (LaKDA; measured so by MIMO, arXiv:2605.31171).

For two questions that are translations: Spearman's correlation of the two questions' scores over the union of
their two top k; MRC of a question is its mean over its translations.
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
    most: int = 12,
) -> np.ndarray:
    """float64 [queries], -1 to 1; NaN where a question has no translation.

    top: int64 [queries, >= k]; group: translation group of each query; score_at(queries [a], candidates [b]) ->
    float32 [a, b]; most: larger groups are thinned to so many, evenly.
    """
    k = min(k, top.shape[1])
    value = np.full(len(top), np.nan)
    names, number = np.unique(np.array(group), return_inverse=True)
    order = np.argsort(number, kind="stable")
    edges = np.searchsorted(number[order], np.arange(len(names) + 1))
    for a, b in pairwise(edges):
        rows = order[a:b]
        if len(rows) > most:
            rows = rows[np.linspace(0, len(rows) - 1, most).astype(int)]
        if len(rows) < 2:
            continue
        union, place = np.unique(top[rows, :k], return_inverse=True)
        place = place.reshape(len(rows), k)
        scores = score_at(rows, union)
        found = np.full((len(rows), len(rows)), np.nan)
        for i in range(len(rows)):
            for j in range(i):
                both = np.union1d(place[i], place[j])
                found[i, j] = found[j, i] = _spearman(scores[i, both], scores[j, both])
        value[rows] = np.nanmean(found, axis=1)
    return value


def _spearman(a: np.ndarray, b: np.ndarray) -> float:
    x, y = rankdata(a), rankdata(b)
    x, y = x - x.mean(), y - y.mean()
    size = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / size) if size > 0 else 0.0
