"""Measures of one ranking, from the ranks of its relevant candidates alone.

All take `rank`, int64 [n], 1-based, `query`, int64 [n], which query each belongs to (0 … queries - 1,
ascending), and `gain`, float64 [n], the grade of each (None: 1), which nDCG alone reads; all return float64
[queries]. Equal to trec_eval's measures.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Array = np.ndarray
Metric = Callable[..., Array]


def average_precision(
    rank: np.ndarray, query: np.ndarray, queries: int, gain: np.ndarray | None = None
) -> np.ndarray:
    """Mean over the relevant of (relevant up to it / its rank): trec_eval's `map`."""
    order = np.lexsort((rank, query))
    rank, query = rank[order], query[order]
    nth = np.arange(len(rank)) - np.searchsorted(query, query) + 1
    return _mean(nth / rank, query, queries)


def recall(k: int) -> Metric:
    """Share of the relevant among the first k: `recall_k`."""

    def measure(rank: Array, query: Array, queries: int, gain: Array | None = None) -> Array:
        return _mean((rank <= k).astype(float), query, queries)

    return measure


def ndcg(k: int) -> Metric:
    """Discounted gain of the first k against the best possible: `ndcg_cut_k`."""

    def measure(rank: Array, query: Array, queries: int, gain: Array | None = None) -> Array:
        gain = np.ones(len(rank)) if gain is None else gain.astype(float)
        got = np.bincount(query, np.where(rank <= k, gain / np.log2(rank + 1.0), 0), queries)
        order = np.lexsort((-gain, query))
        nth = np.arange(len(rank)) - np.searchsorted(query, query)
        best = np.bincount(query, np.where(nth < k, gain[order] / np.log2(nth + 2.0), 0), queries)
        return got / np.maximum(best, 1e-12)

    return measure


def reciprocal_rank(k: int) -> Metric:
    """1 / rank of the first relevant, 0 beyond k: `recip_rank` of a run cut at k."""

    def measure(rank: Array, query: Array, queries: int, gain: Array | None = None) -> Array:
        best = np.full(queries, np.inf)
        np.minimum.at(best, query, rank.astype(float))
        return np.where(best <= k, 1 / best, 0.0)

    return measure


def _mean(value: np.ndarray, query: np.ndarray, queries: int) -> np.ndarray:
    return np.bincount(query, value, queries) / np.maximum(np.bincount(query, minlength=queries), 1)


METRICS = {
    "mAP": average_precision,
    "R@1": recall(1),
    "R@10": recall(10),
    "nDCG@10": ndcg(10),
    "MRR@10": reciprocal_rank(10),
}
# shown beside the measures of bias, where a benchmark is reported so
MULTILINGUAL_METRICS = {"nDCG@20": ndcg(20), "R@20": recall(20), "R@100": recall(100)}
