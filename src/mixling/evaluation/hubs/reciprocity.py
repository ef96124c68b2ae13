"""Reciprocity: how often a passage that a query finds has that query among its nearest queries.

    mutual(q, p)   = 1 if fewer than k queries have a higher score with p than q has, else 0
    reciprocity(q) = mean of mutual(q, p) over the first k passages p of q

arXiv:2605.26575 calls a deficit of it the asymmetry of cross-lingual retrieval, between texts and
their translations. Here it is taken between queries and passages, in the multilingual pool. A
passage that is among the first k of N(p) > k queries is mutual with k of them at most, so hubs
lower it by arithmetic alone, whatever else they do.

The scores of all queries with a passage are needed, and never kept: `QueryThresholds` sees them a
block at a time, as they are ranked. Where the lists of a search system have no scores, a passage's
nearest queries are those that rank it highest.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mixling.evaluation.hubs.neighbors import HubMeasure, K, Neighbors

# share of new scores in a block from which whole rows are sorted
DENSE = 0.05


class QueryThresholds:
    """The k-th highest score of each passage with any query, from blocks of scores.

    Args:
        n_passages: Number of passages.
        k: Number of queries.

    Attributes:
        best: float32 `[n_passages, k]`, the highest scores so far, in no order, -inf where there
            are fewer.
        lowest: float32 `[n_passages]`, the least of them: the threshold.
    """

    def __init__(self, n_passages: int, k: int = K):
        self.k = k
        self.best = np.full((n_passages, k), -np.inf, np.float32)
        self.lowest = np.full(n_passages, -np.inf, np.float32)

    def add(self, scores: np.ndarray, excluded: np.ndarray | None = None) -> None:
        """Take the scores of further queries into account.

        Args:
            scores: float32 `[n, n_passages]`, without NaN.
            excluded: int64 `[n]`, a passage that a query does not find, -1 for none.
        """
        scores = scores.astype(np.float32, copy=False)
        higher = scores > self.lowest
        if excluded is not None:
            rows = np.flatnonzero(excluded >= 0)
            higher[rows, excluded[rows]] = False
        if np.count_nonzero(higher) > DENSE * higher.size:
            new = np.where(higher, scores, np.float32(-np.inf)).T
            self._replace(slice(None), np.hstack([self.best, new]))
            return
        # few scores: those of a passage stand together, then in a row of their own
        passage, query = np.nonzero(higher.T)
        if not len(passage):
            return
        passages, first, count = np.unique(passage, return_index=True, return_counts=True)
        row = np.repeat(np.arange(len(passages)), count)
        place = np.arange(len(passage)) - np.repeat(first, count)
        new = np.full((len(passages), int(count.max())), -np.inf, np.float32)
        new[row, place] = scores[query, passage]
        self._replace(passages, np.hstack([self.best[passages], new]))

    def _replace(self, passages: slice | np.ndarray, scores: np.ndarray) -> None:
        """Keep the k highest of each row, which are the scores of some passages."""
        kept = np.partition(scores, scores.shape[1] - self.k, axis=1)[:, -self.k :]
        self.best[passages], self.lowest[passages] = kept, kept[:, 0]


def query_thresholds(
    scores_at: Callable[[np.ndarray, np.ndarray], np.ndarray],
    n_queries: int,
    n_passages: int,
    block_size: int = 256,
) -> np.ndarray:
    """Compute the k-th highest score of each passage with any query.

    Args:
        scores_at: Called with queries `[a]` and passages `[b]`; returns float32 `[a, b]`.
        n_queries: Number of queries.
        n_passages: Number of passages.
        block_size: Number of queries a block.

    Returns:
        float32 `[n_passages]`, -inf for fewer than k queries.
    """
    thresholds = QueryThresholds(n_passages)
    for begin in range(0, n_queries, block_size):
        rows = np.arange(begin, min(begin + block_size, n_queries))
        thresholds.add(scores_at(rows, np.arange(n_passages)))
    return thresholds.lowest


def mutual_neighbors(top: np.ndarray, top_scores: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Mark the passages that have the query among their own k nearest queries.

    Args:
        top: int64 `[n_queries, k]`, rows of the passages of each query.
        top_scores: float32 `[n_queries, k]`, their scores.
        thresholds: float32 `[n_passages]`, the k-th highest score of each passage with any query.

    Returns:
        bool `[n_queries, k]`.
    """
    return np.asarray((top >= 0) & (top_scores >= thresholds[top]))


def reciprocity(neighbors: Neighbors) -> float:
    """Compute the share of mutual neighbors.

    Args:
        neighbors: What the queries find.

    Returns:
        The share, 0 to 1; NaN where scores of queries cannot be compared, or nothing is found.
    """
    if neighbors.mutual is None or not neighbors.found.any():
        return float("nan")
    return float(neighbors.mutual[neighbors.found].mean())


def reciprocity_ceiling(neighbors: Neighbors) -> float:
    """Compute the highest reciprocity that the k-occurrence of the passages allows.

    ceiling = sum over p of min(N(p), k) / sum over p of N(p)

    Args:
        neighbors: What the queries find.

    Returns:
        The ceiling, 0 to 1; NaN where nothing is found.
    """
    occurrence, k = neighbors.occurrence, neighbors.top.shape[1]
    total = occurrence.sum()
    return float(np.minimum(occurrence, k).sum() / total) if total else float("nan")


def reciprocity_by_pair(
    neighbors: Neighbors,
    query_language: np.ndarray,
    passage_language: np.ndarray,
    languages: tuple[str, ...],
) -> dict[str, dict[str, float]]:
    """Compute the share of mutual neighbors for each query and passage language.

    Args:
        neighbors: What the queries find.
        query_language: int64 `[n_queries]`, language code of each query.
        passage_language: int64 `[n_passages]`, language code of each passage.
        languages: Language tags.

    Returns:
        The share for each query language and, in it, each passage language that its queries find.
    """
    if neighbors.mutual is None:
        return {}
    n = len(languages)
    row = np.broadcast_to(query_language[:, None], neighbors.top.shape)[neighbors.found]
    cell = row * n + passage_language[neighbors.top[neighbors.found]]
    places = np.bincount(cell, minlength=n * n).reshape(n, n)
    mutual = neighbors.mutual[neighbors.found].astype(float)
    shares = np.bincount(cell, mutual, n * n).reshape(n, n) / np.maximum(places, 1)
    return {
        languages[a]: {languages[b]: float(shares[a, b]) for b in np.flatnonzero(places[a])}
        for a in np.unique(query_language).tolist()
    }


MEASURE = HubMeasure(
    f"reciprocity@{K}",
    reciprocity,
    lambda _: float("nan"),
    "0 to 1",
    "high",
    "Share of the first ten that have the query among their own ten nearest queries.",
    "Needs scores that compare between queries, which those of BM25 and of rerankers hardly do. "
    "It cannot exceed n / Q for Q queries and n passages, is 1 for ten queries or fewer, and says "
    "nothing of relevance.",
    "after arXiv:2605.26575",
    "share of pairs (q, p in top k of q) with fewer than k queries that score higher with p",
)
