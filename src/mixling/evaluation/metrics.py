"""Measures of one ranking, from the ranks of its relevant candidates alone.

All take `rank`, int64 [n], 1-based, and `query`, int64 [n], which query each belongs to (0 … queries - 1,
ascending); all return float64 [queries]. Binary relevance; equal to trec_eval's measures.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def average_precision(rank: np.ndarray, query: np.ndarray, queries: int) -> np.ndarray:
    """Mean over the relevant of (relevant up to it / its rank): trec_eval's `map`."""
    order = np.lexsort((rank, query))
    rank, query = rank[order], query[order]
    nth = np.arange(len(rank)) - np.searchsorted(query, query) + 1
    return _mean(nth / rank, query, queries)


def recall(k: int) -> Callable[[np.ndarray, np.ndarray, int], np.ndarray]:
    """Share of the relevant among the first k: `recall_k`."""
    return lambda rank, query, queries: _mean((rank <= k).astype(float), query, queries)


def ndcg(k: int) -> Callable[[np.ndarray, np.ndarray, int], np.ndarray]:
    """Discounted gain of the first k against the best possible: `ndcg_cut_k`."""
    ideal = np.cumsum(1 / np.log2(np.arange(k) + 2))

    def measure(rank: np.ndarray, query: np.ndarray, queries: int) -> np.ndarray:
        gain = np.bincount(query, np.where(rank <= k, 1 / np.log2(rank + 1.0), 0), queries)
        return gain / ideal[np.clip(np.bincount(query, minlength=queries), 1, k) - 1]

    return measure


def reciprocal_rank(k: int) -> Callable[[np.ndarray, np.ndarray, int], np.ndarray]:
    """1 / rank of the first relevant, 0 beyond k: `recip_rank` of a run cut at k."""

    def measure(rank: np.ndarray, query: np.ndarray, queries: int) -> np.ndarray:
        best = np.full(queries, np.inf)
        np.minimum.at(best, query, rank.astype(float))
        return np.where(best <= k, 1 / best, 0.0)

    return measure


def rank_distance(rank: np.ndarray, query: np.ndarray, queries: int) -> np.ndarray:
    """Largest minus smallest rank of a query's relevant candidates (arXiv:2408.10536, section 4.1).

    NaN for a query with fewer than two. Grows with the pool: compare only on one pool.
    """
    low, high = np.full(queries, np.inf), np.full(queries, -np.inf)
    np.minimum.at(low, query, rank.astype(float))
    np.maximum.at(high, query, rank.astype(float))
    return np.where(np.bincount(query, minlength=queries) >= 2, high - low, np.nan)


def _mean(value: np.ndarray, query: np.ndarray, queries: int) -> np.ndarray:
    return np.bincount(query, value, queries) / np.maximum(np.bincount(query, minlength=queries), 1)


METRICS = {
    "mAP": average_precision,
    "R@1": recall(1),
    "R@10": recall(10),
    "nDCG@10": ndcg(10),
    "MRR@10": reciprocal_rank(10),
}
