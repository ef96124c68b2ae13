"""Ranks passages by full text, and by vectors and full text together, in any search order.

Full text compares terms. It finds passages in the query's language, and in others where these share
a name, a number or a word with the query. A list of all languages together is a list of the query's
language, and a fusion with it gives back the preference that an order has taken from the vectors.
So each language is searched by itself, and every mode has scores and *language offsets*, with which
the orders do the same:

text: The score is that of full text. The language offset is the mean of the ten best scores of the
    language, where a missing one counts 0: what a passage of that language scores without being
    the answer.
both: The score is the similarity plus s times the score of full text, and the language offset is
    the sum of both offsets in the same way. s makes the best full-text score of the query worth
    half of its best centered similarity. In a language that shares no word with the query, full
    text adds nothing and its offset is 0, so its passages stand as they do by vector.

Reciprocal ranks, also within each language, did worse on development data in a pool of all
languages (docs/results/appendix.md): a rank does not tell a passage that answers from one that
shares a syllable with the query.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from mixling.searching.ranking import (
    CANDIDATES_PER_RESULT,
    MAX_SEPARATE_LANGUAGES,
    PassageSearch,
    Row,
    nearest_by_language,
    sort_by_score,
    vector_offsets,
)

OFFSET_DEPTH = 10  # passages whose mean full-text score is the language offset
# What the best full-text score of a query is worth, in its best centered similarity.
TEXT_SHARE = 0.5


def rank_by_text(search: PassageSearch, text: str) -> list[Row]:
    """Rank passages by full text; the first `search.depth` of them are exact.

    Args:
        search: What is searched.
        text: The query, or the query and its translations.

    Returns:
        The passages that share a term with the query, in their order.
    """
    if search.order == "score" and not search.quotas:
        return _lexical(search, text, search.depth, search.language_filter)
    rows = sort_by_score(found_by_language(search, text))
    offsets = text_offsets(rows)
    return [
        {**rows[i], "language_offset": offsets[rows[i]["language"]]}
        for i in search.order_rows(rows, offsets)
    ]


def rank_by_both(
    search: PassageSearch,
    vector: np.ndarray,
    text: str,
    weights: tuple[float, float] = (1.0, 1.0),
) -> list[Row]:
    """Rank passages by vector and full text.

    Args:
        search: What is searched.
        vector: The query, float32 `[dim]`.
        text: The query, or the query and its translations.
        weights: Weights of similarity and full text.

    Returns:
        The passages in their order.
    """
    found = rows_by_language(found_by_language(search, text))
    nearest = rows_by_language(nearest_by_language(search, vector, search.languages))
    if distant := [x for x in found if x not in nearest]:
        # There are many languages, and the one search of all of them has not reached these.
        more = nearest_by_language(search, vector, distant[:MAX_SEPARATE_LANGUAGES])
        nearest |= rows_by_language(more)
    near_offsets = vector_offsets(search, vector)
    found_offsets = text_offsets(row for rows in found.values() for row in rows)
    centered = [rows[0]["score"] - near_offsets[x] for x, rows in nearest.items()]
    best = max((rows[0]["score"] for rows in found.values()), default=0.0)
    near_weight, found_weight = weights[0], 0.0
    if best > 0:
        found_weight = TEXT_SHARE * weights[1] * abs(max(centered)) / best
    fused: list[Row] = []
    offsets: dict[str, float] = {}
    for language, near in nearest.items():
        part = found.get(language, [])
        fused += fuse_scores(near, part, (near_weight, found_weight), len(part) >= search.depth)
        offsets[language] = near_weight * near_offsets[language]
        offsets[language] += found_weight * found_offsets.get(language, 0.0)
    fused = sort_by_score(fused)
    return [
        {**fused[i], "language_offset": offsets[fused[i]["language"]]}
        for i in search.order_rows(fused, offsets)
    ]


def fuse_scores(
    near: Sequence[Row], found: Sequence[Row], weights: tuple[float, float], is_cut: bool
) -> list[Row]:
    """Add the scores of two lists of one language.

    A passage that the first list lacks has at most the score of its last passage, and counts as
    much. So does one that the second list lacks where that list is cut; otherwise it counts 0.

    Args:
        near: The best passages by vector, best first, at least one.
        found: The best passages by full text, best first.
        weights: The weight of each list.
        is_cut: Whether full text may have found more passages.

    Returns:
        All passages, with the sum of the weighted scores.
    """
    similarity: dict[str, float] = {row["id"]: row["score"] for row in near}
    text_score: dict[str, float] = {row["id"]: row["score"] for row in found}
    least_similar: float = near[-1]["score"]
    least_found: float = found[-1]["score"] if is_cut else 0.0
    return [
        {
            **row,
            "score": weights[0] * similarity.get(key, least_similar)
            + weights[1] * text_score.get(key, least_found),
        }
        for key, row in {row["id"]: row for row in (*found, *near)}.items()
    ]


def found_by_language(search: PassageSearch, text: str) -> list[Row]:
    """Find the best `search.depth` passages of each language by full text.

    One search covers all languages. Those of which it has too few passages are searched by
    themselves, where they are not too many.

    Returns:
        The passages, best first within each language.
    """
    limit = CANDIDATES_PER_RESULT * search.depth
    rows = _lexical(search, text, limit, search.language_filter)
    if len(rows) == limit:
        counts = Counter(row["language"] for row in rows)
        few = [x for x in search.languages if counts[x] < search.depth]
        if len(few) <= MAX_SEPARATE_LANGUAGES:
            rows = [row for row in rows if row["language"] not in few]
            for language in few:
                rows += _lexical(search, text, search.depth, [language])
    return [row for part in rows_by_language(rows).values() for row in part[: search.depth]]


def text_offsets(rows: Iterable[Row]) -> dict[str, float]:
    """Return the language offsets of full text: the mean of the ten best scores of each language.

    A language with fewer passages has zeros for those that are missing.

    Args:
        rows: The passages that were found, best first within each language.
    """
    return {
        language: sum(row["score"] for row in part[:OFFSET_DEPTH]) / OFFSET_DEPTH
        for language, part in rows_by_language(rows).items()
    }


def rows_by_language(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Return the rows of each language, in the order in which they come."""
    parts: dict[str, list[Row]] = {}
    for row in rows:
        parts.setdefault(row["language"], []).append(row)
    return parts


def _lexical(
    search: PassageSearch, text: str, k: int, languages: Sequence[str] | None
) -> list[Row]:
    rows: list[Row] = search.store.lexical(text, k, languages).to_pylist()
    return rows
