"""Known items: queries that an audit makes itself, whose answers it therefore knows.

A title asks for its body, a first sentence for the rest of its text, a passage for its
translations. For each pair of a query and an answer there are two ranks: among the passages of the
answer's language alone, and in the pool of all languages. Other answers of the query are left out
of both. With a retriever that treats languages alike, the second rank is hardly worse than the
first: what it loses is the known-item loss.

    loss = mean of 1 / rank alone - mean of 1 / rank in the pool

The mean is taken within each query language, for answers in the same language and in another one
apart, and then over these cells.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mixling.debiasing.known_pairs import KnownPairs
from mixling.evaluation.significance import GroupSums, group_sums

BLOCK = 128  # queries whose scores are in memory at a time
K = 10  # depth of the result lists that are looked at


@dataclass(frozen=True)
class KnownItems:
    """Queries with the passages of the pool that answer them.

    Args:
        name: "title", "first sentence" or "translation".
        vectors: float32 `[q, dim]`.
        languages: str `[q]`.
        groups: int64 `[q]`, number of the group of each query's answers.
        excluded: int64 `[q]`, the row of the pool that is the query itself; -1 for none.
        query: int64 `[t]`, the query of each pair.
        passage: int64 `[t]`, the row of the pool that answers it.
    """

    name: str
    vectors: np.ndarray
    languages: np.ndarray
    groups: np.ndarray
    excluded: np.ndarray
    query: np.ndarray
    passage: np.ndarray


@dataclass(frozen=True)
class Ranks:
    """Ranks of the answers of known items.

    Args:
        alone: float64 `[t]`, from 1, among the passages of the answer's language; a tie counts as
            half a rank.
        pooled: float64 `[t]`, from 1, among the passages of all languages.
        intrusion: float64 `[q]`, share of the first ten that are wrong, in the query's language,
            and before an answer in another language; NaN for queries without such an answer.
    """

    alone: np.ndarray
    pooled: np.ndarray
    intrusion: np.ndarray


def make_items(
    name: str,
    vectors: np.ndarray,
    rows: np.ndarray,
    languages: np.ndarray,
    groups: np.ndarray,
    is_passage: bool,
) -> KnownItems:
    """Connect queries with the passages of their groups.

    Args:
        name: Type of the known items.
        vectors: Vectors of the queries, float32 `[q, dim]`.
        rows: The row of the pool that each query was made of, int64 `[q]`.
        languages: Languages of the pool, str `[n]`.
        groups: Groups of the pool, int64 `[n]`.
        is_passage: Whether the query is the passage itself, which then answers nothing.

    Returns:
        The known items; queries without an answer are left out.
    """
    order = np.argsort(groups, kind="stable")
    ordered = groups[order]
    begin = np.searchsorted(ordered, groups[rows], "left")
    end = np.searchsorted(ordered, groups[rows], "right")
    answers = [order[a:b] for a, b in zip(begin, end, strict=True)]
    if is_passage:
        answers = [
            found[languages[found] != languages[row]]
            for found, row in zip(answers, rows, strict=True)
        ]
    kept = np.flatnonzero([len(x) > 0 for x in answers])
    lists = [answers[i] for i in kept]
    return KnownItems(
        name,
        vectors[kept],
        languages[rows[kept]],
        groups[rows[kept]],
        rows[kept] if is_passage else np.full(len(kept), -1),
        np.repeat(np.arange(len(kept)), [len(x) for x in lists]),
        np.concatenate(lists) if lists else np.zeros(0, np.int64),
    )


def known_pairs(items: KnownItems, pool_groups: np.ndarray) -> KnownPairs | None:
    """Return known items as pairs on which a transform is trained.

    Args:
        items: The known items.
        pool_groups: Groups of the pool's passages, int64 `[n]`.

    Returns:
        The pairs; None for passages that ask for their translations, which stand for no query.
    """
    if items.name == "translation":
        return None
    return KnownPairs(items.vectors, items.languages, items.groups, pool_groups)


def select(items: KnownItems, queries: np.ndarray) -> KnownItems:
    """Return some of the queries.

    Args:
        items: Known items.
        queries: bool `[q]`.
    """
    number = np.cumsum(queries) - 1
    pairs = queries[items.query]
    return KnownItems(
        items.name,
        items.vectors[queries],
        items.languages[queries],
        items.groups[queries],
        items.excluded[queries],
        number[items.query[pairs]],
        items.passage[pairs],
    )


def select_pairs(items: KnownItems, pairs: np.ndarray) -> KnownItems:
    """Return the items with some of their pairs, bool `[t]`."""
    return replace(items, query=items.query[pairs], passage=items.passage[pairs])


def rank(
    items: KnownItems,
    passages: np.ndarray,
    languages: np.ndarray,
    groups: np.ndarray,
    queries: np.ndarray | None = None,
    offsets: np.ndarray | None = None,
) -> Ranks:
    """Rank the answers of known items, in blocks of queries.

    Args:
        items: The known items, `t` pairs.
        passages: Vectors of the pool, float32 `[n, dim]`.
        languages: Languages of the pool, str `[n]`.
        groups: Groups of the pool, int64 `[n]`.
        queries: Vectors that stand for those of the items, float32 `[q, dim]`.
        offsets: Subtracted from the scores: one vector for each passage's language, whose score is
            the language offset, float32 `[l, dim]` in the sorted order of the pool's languages.

    Returns:
        The ranks.
    """
    queries = items.vectors if queries is None else queries
    codes, language = np.unique(languages, return_inverse=True)
    columns = [np.flatnonzero(language == i) for i in range(len(codes))]
    own = np.searchsorted(codes, items.languages)
    own = np.where(codes[np.minimum(own, len(codes) - 1)] == items.languages, own, -1)
    alone, pooled = np.ones(len(items.query)), np.ones(len(items.query))
    intrusion = np.full(len(queries), np.nan)
    for begin in range(0, len(queries), BLOCK):
        block = slice(begin, min(begin + BLOCK, len(queries)))
        scores = queries[block] @ passages.T
        if offsets is not None:
            scores -= (queries[block] @ offsets.T)[:, language]
        first, last = np.searchsorted(items.query, (block.start, block.stop))
        query, target = items.query[first:last] - begin, items.passage[first:last]
        answer = scores[query, target]
        same_group = items.groups[block, None] == groups[None, :]
        scores[same_group] = -np.inf
        excluded = items.excluded[block]
        scores[np.flatnonzero(excluded >= 0), excluded[excluded >= 0]] = -np.inf
        for code, places in enumerate(columns):
            # the column of a language is compared once for all answers of the block
            part = scores[:, places][query]
            above = (part > answer[:, None]).sum(1) + 0.5 * (part == answer[:, None]).sum(1)
            pooled[first:last] += above
            alone[first:last] += np.where(language[target] == code, above, 0)
        intrusion[block] = _intrusion(scores, answer, query, language[target], own[block], language)
    return Ranks(alone, pooled, intrusion)


def _intrusion(
    scores: np.ndarray,
    answer: np.ndarray,
    query: np.ndarray,
    answer_language: np.ndarray,
    query_language: np.ndarray,
    language: np.ndarray,
) -> np.ndarray:
    """Return the intrusion of each query of a block; answers are not among its `scores`."""
    other = answer_language != query_language[query]
    last = np.full(len(scores), np.inf)  # the worst score of an answer in another language
    np.minimum.at(last, query[other], answer[other])
    k = min(K, scores.shape[1])
    top = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    score = np.take_along_axis(scores, top, axis=1)
    # of the first ten with the answers among them: wrong passages and answers that are ahead
    answers_ahead = np.zeros(score.shape, np.int64)
    wrong_ahead = (score[:, :, None] < score[:, None, :]).sum(2)
    for i, value in zip(query, answer, strict=True):
        answers_ahead[i] += value > score[i]
    counted = (
        (language[top] == query_language[:, None])
        & (score > last[:, None])
        & (wrong_ahead + answers_ahead < K)
    )
    return np.where(np.isfinite(last), counted.sum(1) / K, np.nan)


def cells(items: KnownItems, languages: np.ndarray) -> np.ndarray:
    """Return the cell of each pair: the query's language, and whether the answer shares it."""
    query = items.languages[items.query]
    same = query == languages[items.passage]
    return np.char.add(query, np.where(same, "=", "*"))


def pair_sums(items: KnownItems, languages: np.ndarray, values: np.ndarray) -> GroupSums:
    """Sum values of pairs by group and cell, for means and bootstrap intervals.

    Args:
        items: Known items.
        languages: Languages of the pool, str `[n]`.
        values: float64 `[t]`.
    """
    return group_sums(values, items.groups[items.query], cells(items, languages))
