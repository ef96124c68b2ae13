"""Ranks passages by vector, in any search order, and fuses rankings.

A store returns the best passages by score. An order that corrects the scores by language needs more
than these: a passage in a language with a low offset stands far down in that list. `DenseSearch`
finds such passages too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixling.searching.fairness import EQUAL, Order, order_passages
from mixling.searching.store import Store

# Up to this many languages, each language is searched by itself; with more, one search covers all.
MAX_SEPARATE_LANGUAGES = 48
# Passages of each ranking that reciprocal rank fusion merges.
FUSION_DEPTH = 50
# Passages that one list of all languages holds for each result.
CANDIDATES_PER_RESULT = 10
# The constant of reciprocal rank fusion (Cormack et al. 2009).
FUSION_K = 60

# A passage: the columns of a store, with `score` and, where an order uses it, `language_offset`.
Row = dict[str, Any]


@dataclass(frozen=True)
class DenseSearch:
    """A search by vector.

    Attributes:
        store: The store.
        means: The shrunk mean vector of each language of the store, `[dim]` each.
        languages: The languages to search.
        depth: How many passages are needed.
        order: The order of the passages; see `order_passages`.
        query_language: Language of the query.
        quotas: At most this many passages of each of these languages.
    """

    store: Store
    means: Mapping[str, np.ndarray]
    languages: Sequence[str]
    depth: int
    order: Order
    query_language: str
    quotas: Mapping[str, int]

    def rank(self, vector: np.ndarray) -> list[Row]:
        """Return passages in their order; the first `depth` of them are exact.

        Args:
            vector: The query, float32 `[dim]`.
        """
        language_filter = self.languages if len(self.languages) < len(self.means) else None
        if self.order == "score" and not self.quotas:
            rows = self.store.nearest(vector, self.depth, language_filter).to_pylist()
            return _sort_by_score(rows)
        offsets = {x: float(vector @ self.means[x]) for x in self.languages}
        if self.order == "round-robin" or self.quotas:
            rows = self._best_of_each_language(vector, self.languages)
        else:
            limit = CANDIDATES_PER_RESULT * self.depth
            rows = self.store.nearest(vector, limit, language_filter).to_pylist()
            if len(rows) == limit:
                rows += self._passages_below(vector, rows, offsets)
        rows = _sort_by_score(rows)
        return [
            {**rows[i], "language_offset": offsets.get(rows[i]["language"], 0.0)}
            for i in self._places(rows, offsets)
        ]

    def _places(self, rows: Sequence[Row], offsets: Mapping[str, float]) -> np.ndarray:
        """Return the places of rows in the order, int64 `[m]`."""
        return order_passages(
            [row["language"] for row in rows],
            np.array([row["score"] for row in rows]),
            offsets,
            self.order,
            self.query_language,
            quotas=self.quotas,
        )

    def _best_of_each_language(self, vector: np.ndarray, languages: Sequence[str]) -> list[Row]:
        """Return the best passages of each language.

        Where there are many languages, one search covers all of them.
        """
        if len(languages) > MAX_SEPARATE_LANGUAGES:
            limit = max(self.depth, FUSION_DEPTH) * 20
            return list(self.store.nearest(vector, limit, languages).to_pylist())
        return [
            row
            for language in languages
            for row in self.store.nearest(vector, self.depth, [language]).to_pylist()
        ]

    def _passages_below(
        self, vector: np.ndarray, rows: Sequence[Row], offsets: Mapping[str, float]
    ) -> list[Row]:
        """Return passages beyond the last row that may still be among the first `depth`.

        Every passage that is not among the rows scores at most as much as the last row. Centered,
        such a passage can reach the first `depth` only where its language's offset is low enough;
        these languages are searched by themselves.

        Args:
            vector: The query, `[dim]`.
            rows: The best passages of all languages together, best first.
            offsets: Offset of each language for the query.
        """
        centered = [row["score"] - offsets.get(row["language"], 0.0) for row in rows]
        first = self._places(rows, offsets)[: self.depth]
        # Within a band of equally good passages the query's language comes first, hence the margin.
        floor = min(centered[i] for i in first) - EQUAL * abs(max(centered))
        low = [x for x in offsets if rows[-1]["score"] - offsets[x] >= floor]
        if not low:
            return []
        ids = {row["id"] for row in rows}
        return [row for row in self._best_of_each_language(vector, low) if row["id"] not in ids]


def fuse_rankings(rankings: Sequence[Sequence[Row]], weights: Sequence[float]) -> list[Row]:
    """Merge rankings by reciprocal rank fusion (Cormack et al. 2009).

    The score of a passage is the sum over the rankings of weight / (60 + rank). Equal scores are
    sorted by id.

    Args:
        rankings: Passages, best first in each ranking.
        weights: The weight of each ranking.
    """
    scores: dict[str, float] = {}
    rows: dict[str, Row] = {}
    for ranking, weight in zip(rankings, weights, strict=True):
        for rank, row in enumerate(ranking, 1):
            scores[row["id"]] = scores.get(row["id"], 0.0) + weight / (FUSION_K + rank)
            rows.setdefault(row["id"], row)
    best = sorted(scores, key=lambda i: (-scores[i], i))
    return [{**rows[i], "score": scores[i]} for i in best]


def _sort_by_score(rows: list[Row]) -> list[Row]:
    """Sort rows best first, equal scores by id."""
    return sorted(rows, key=lambda row: (-row["score"], row["id"]))
