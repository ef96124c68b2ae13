"""Measures the results of queries: languages of the first ten, hubs, scores, language offsets.

A hub is a passage that is among the first ten of very many queries. `mixling.evaluation.hubs` has
the measures and their formulas.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixling.auditing.known_items import BLOCK, K
from mixling.evaluation.hubs.neighbors import Neighbors
from mixling.evaluation.hubs.skew import hub_skew, hub_skew_at_random
from mixling.evaluation.hubs.unanswering import (
    unanswering_share,
    unanswering_share_at_random,
)


@dataclass(frozen=True)
class Found:
    """The results of queries in a pool.

    Args:
        top: int64 `[q, k]`, rows of the pool, best first.
        deviation: Standard deviation of the scores of all queries and passages.
    """

    top: np.ndarray
    deviation: float


def search(queries: np.ndarray, passages: np.ndarray, excluded: np.ndarray, k: int = K) -> Found:
    """Find the first k passages of each query, in blocks of queries.

    Args:
        queries: float32 `[q, dim]`.
        passages: float32 `[n, dim]`.
        excluded: int64 `[q]`, a row that a query does not find; -1 for none.
        k: How many.
    """
    k = min(k, len(passages) - 1) or 1
    top = np.zeros((len(queries), k), np.int64)
    total = squares = 0.0
    for begin in range(0, len(queries), BLOCK):
        block = slice(begin, begin + BLOCK)
        scores = queries[block] @ passages.T
        total += float(scores.sum(dtype=np.float64))
        squares += float(np.square(scores, dtype=np.float64).sum())
        row = excluded[block]
        scores[np.flatnonzero(row >= 0), row[row >= 0]] = -np.inf
        best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        order = np.argsort(-np.take_along_axis(scores, best, 1), axis=1, kind="stable")
        top[block] = np.take_along_axis(best, order, 1)
    n = max(len(queries) * len(passages), 1)
    return Found(top, float(np.sqrt(max(squares / n - (total / n) ** 2, 0.0))))


def mean_scores(
    queries: np.ndarray,
    query_languages: np.ndarray,
    means: dict[str, np.ndarray],
    codes: list[str],
) -> dict[str, dict[str, float]]:
    """Return the mean score by query and passage language.

    The mean of the scores is the score of the means, so that it costs nothing to take all passages
    of the collection.

    Args:
        queries: float32 `[q, dim]`.
        query_languages: str `[q]`.
        means: Mean vector of the passages of each language, `[dim]`.
        codes: Passage languages; without any there are no scores.
    """
    if not codes:
        return {}
    return {
        a: {b: float(queries[query_languages == a].mean(0) @ means[b]) for b in codes}
        for a in np.unique(query_languages).tolist()
    }


def language_offsets(scores: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Subtract from each query language's mean scores their mean over passage languages."""
    centered = {}
    for a, row in scores.items():
        mean = float(np.mean(list(row.values())))
        centered[a] = {b: value - mean for b, value in row.items()}
    return centered


def same_language_advantage(scores: dict[str, dict[str, float]]) -> float:
    """Return the mean score of same-language passages less that of others, over query languages.

    NaN where no query language has passages in its own and in another language.
    """
    values = [
        row[a] - float(np.mean([value for b, value in row.items() if b != a]))
        for a, row in scores.items()
        if a in row and len(row) > 1
    ]
    return float(np.mean(values)) if values else float("nan")


def top_shares(
    found: Found, query_languages: np.ndarray, languages: np.ndarray
) -> dict[str, dict[str, float]]:
    """Return the share of each passage language among the first ten, by query language."""
    codes, language = np.unique(languages, return_inverse=True)
    shares = {}
    for a in np.unique(query_languages).tolist():
        counted = np.bincount(language[found.top[query_languages == a]].ravel(), None, len(codes))
        shares[a] = dict(zip(codes.tolist(), (counted / counted.sum()).tolist(), strict=True))
    return shares


@dataclass(frozen=True)
class Hubs:
    """How evenly the first ten are spread over the passages.

    Args:
        skew: Skewness of the k-occurrence.
        skew_at_random: The skewness that random result lists would have.
        unanswering: Share of passages that are among nobody's first ten.
        unanswering_at_random: The share that random result lists would have.
        top: Rows of the passages that most queries have among their first ten, and the share of
            the queries that do.
        unanswering_by_language: The share of such passages of each language.
    """

    skew: float
    skew_at_random: float
    unanswering: float
    unanswering_at_random: float
    top: list[tuple[int, float]]
    unanswering_by_language: dict[str, float]


def count_hubs(found: Found, languages: np.ndarray, shown: int = 10) -> Hubs:
    """Count in how many first tens each passage is.

    Args:
        found: What queries find.
        languages: Languages of the pool, str `[n]`.
        shown: How many of the largest hubs are named.
    """
    neighbors = Neighbors(found.top, len(languages))
    occurrence, queries = neighbors.occurrence, neighbors.n_queries
    never = occurrence == 0
    order = np.argsort(-occurrence, kind="stable")[:shown]
    return Hubs(
        hub_skew(neighbors),
        hub_skew_at_random(neighbors),
        unanswering_share(neighbors),
        unanswering_share_at_random(neighbors),
        [(int(i), float(occurrence[i] / queries)) for i in order if occurrence[i] > 1],
        {code: float(never[languages == code].mean()) for code in np.unique(languages).tolist()},
    )
