"""Ranks passages by vector, in any search order.

A store returns the best passages by score. An order that corrects the scores by language needs more
than these: a passage in a language with a low offset stands far down in that list. `rank_by_vector`
finds such passages too. `mixling.searching.fusion` ranks by full text, and by both.
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
# Full text and fusion read this many passages of each language, or as many as are needed.
FUSION_DEPTH = 50
# Passages that one list of all languages holds for each result.
CANDIDATES_PER_RESULT = 10

# A passage: the columns of a store, with `score` and, where an order uses it, `language_offset`.
Row = dict[str, Any]


@dataclass(frozen=True)
class PassageSearch:
    """The query of a search, independent of the ranking.

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

    @property
    def language_filter(self) -> Sequence[str] | None:
        """The languages to search; None for all of the store."""
        return self.languages if len(self.languages) < len(self.means) else None

    def order_rows(self, rows: Sequence[Row], offsets: Mapping[str, float]) -> np.ndarray:
        """Return the places of rows in the order, int64 `[m]`.

        Args:
            rows: Passages, best first within each language.
            offsets: The language offsets of their scores.
        """
        return order_passages(
            [row["language"] for row in rows],
            np.array([row["score"] for row in rows]),
            offsets,
            self.order,
            self.query_language,
            quotas=self.quotas,
        )


def rank_by_vector(search: PassageSearch, vector: np.ndarray) -> list[Row]:
    """Rank passages by vector; the first `search.depth` of them are exact.

    Args:
        search: What is searched.
        vector: The query, float32 `[dim]`.
    """
    if search.order == "score" and not search.quotas:
        rows = search.store.nearest(vector, search.depth, search.language_filter).to_pylist()
        return sort_by_score(rows)
    offsets = vector_offsets(search, vector)
    if search.order == "round-robin" or search.quotas:
        rows = nearest_by_language(search, vector, search.languages)
    else:
        limit = CANDIDATES_PER_RESULT * search.depth
        rows = search.store.nearest(vector, limit, search.language_filter).to_pylist()
        if len(rows) == limit:
            rows += _passages_below(search, vector, rows, offsets)
    rows = sort_by_score(rows)
    return [
        {**rows[i], "language_offset": offsets.get(rows[i]["language"], 0.0)}
        for i in search.order_rows(rows, offsets)
    ]


def vector_offsets(search: PassageSearch, vector: np.ndarray) -> dict[str, float]:
    """Return the language offset of each language for a query, float32 `[dim]`."""
    return {x: float(vector @ search.means[x]) for x in search.languages}


def nearest_by_language(
    search: PassageSearch, vector: np.ndarray, languages: Sequence[str]
) -> list[Row]:
    """Find the best `search.depth` passages of each language by vector.

    Where there are many languages, one search covers all of them.
    """
    if len(languages) > MAX_SEPARATE_LANGUAGES:
        limit = max(search.depth, FUSION_DEPTH) * 20
        return list(search.store.nearest(vector, limit, languages).to_pylist())
    return [
        row
        for language in languages
        for row in search.store.nearest(vector, search.depth, [language]).to_pylist()
    ]


def _passages_below(
    search: PassageSearch,
    vector: np.ndarray,
    rows: Sequence[Row],
    offsets: Mapping[str, float],
) -> list[Row]:
    """Return passages beyond the last row that may still be among the first `search.depth`.

    Every passage that is not among the rows scores at most as much as the last row. Centered, such
    a passage can reach the first `depth` only where its language's offset is low enough; these
    languages are searched by themselves.

    Args:
        search: What is searched.
        vector: The query, `[dim]`.
        rows: The best passages of all languages together, best first.
        offsets: Offset of each language for the query.
    """
    centered = [row["score"] - offsets.get(row["language"], 0.0) for row in rows]
    first = search.order_rows(rows, offsets)[: search.depth]
    # Within a band of equally good passages the query's language comes first, hence the margin.
    floor = min(centered[i] for i in first) - EQUAL * abs(max(centered))
    low = [x for x in offsets if rows[-1]["score"] - offsets[x] >= floor]
    if not low:
        return []
    ids = {row["id"] for row in rows}
    return [row for row in nearest_by_language(search, vector, low) if row["id"] not in ids]


def sort_by_score(rows: Sequence[Row]) -> list[Row]:
    """Sort rows best first, equal scores by id."""
    return sorted(rows, key=lambda row: (-row["score"], row["id"]))
