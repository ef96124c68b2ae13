"""Exact ranks of the relevant passages, for all scenarios in one pass over the scores.

The rank of a relevant passage is one plus the number of passages before it, counted over its
language (monolingual and cross-lingual scenarios) and over all languages (multilingual scenario).
Equal scores stand in descending order of their ids, as in trec_eval. Score and place of the id are
packed in one 64-bit key, so that one sort of a row gives the ranks of all its relevant passages and
the first k, ties included. Where there are very many passages, the keys above each relevant one are
counted instead, and the first k are selected. A block of queries is as large as memory allows,
whatever their number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from mixling.errors import MixlingError

if TYPE_CHECKING:
    from mixling.evaluation.tasks import Task


# number of passages up to which a row of keys is sorted
SORTED = 1 << 16
# keys in a block of queries: 8 bytes each, with the scores beside them
KEYS = 1 << 25
# the part of a key that holds the place of an id
PLACE_BITS = np.uint64(0x7FFFFFFF)


class Scorer(Protocol):
    """Scores of queries against all passages, a block of queries at a time."""

    def __call__(self, begin: int, end: int) -> np.ndarray:
        """Score consecutive queries against all passages.

        Args:
            begin: First query.
            end: Query after the last.

        Returns:
            float32 `[end - begin, n_passages]`.
        """

    def at(self, queries: np.ndarray, passages: np.ndarray) -> np.ndarray:
        """Score some queries against some passages.

        Args:
            queries: int64 `[a]`, rows of queries.
            passages: int64 `[b]`, rows of passages.

        Returns:
            float32 `[a, b]`.
        """


@dataclass(frozen=True)
class Ranks:
    """Ranks of a task's relevant passages, 1-based.

    Args:
        within_language: int64 `[n_relevant]`, rank among the passages of the same language.
        multilingual: int64 `[n_relevant]`, rank among all passages.
        top: int64 `[n_queries, k]`, best passages of the multilingual pool.
        top_scores: float32 `[n_queries, k]`, their scores.
        query_threshold: float32 `[n_passages]`, the tenth-highest score of each passage with any
            query (`mixling.evaluation.hubs.reciprocity`); None where it was not computed.
    """

    within_language: np.ndarray
    multilingual: np.ndarray
    top: np.ndarray
    top_scores: np.ndarray
    query_threshold: np.ndarray | None = None


class Ranker(Protocol):
    """A model or baseline that can score a task."""

    name: str
    origin: dict[str, Any]

    def scorer(self, task: Task) -> tuple[Scorer, dict[str, Any]]:
        """Prepare the scores of a task.

        Args:
            task: The task.

        Returns:
            The scorer, and what was counted on the way, for the summary.
        """


class ScoreRows:
    """Base of scorers that compute whole rows only; `at` selects its passages from them."""

    def __call__(self, begin: int, end: int) -> np.ndarray:
        """Score consecutive queries against all passages: float32 `[end - begin, n_passages]`."""
        raise NotImplementedError

    def at(self, queries: np.ndarray, passages: np.ndarray) -> np.ndarray:
        """Score some queries against some passages: float32 `[len(queries), len(passages)]`."""
        return np.stack([self(int(q), int(q) + 1)[0, passages] for q in queries])


class DotScorer:
    """Scores by dot product.

    Args:
        queries: float32 `[n_queries, dim]`.
        passages: float32 `[n_passages, dim]`.
    """

    def __init__(self, queries: np.ndarray, passages: np.ndarray):
        self.queries, self.passages = (
            torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32)) for x in (queries, passages)
        )

    def __call__(self, begin: int, end: int) -> np.ndarray:
        """Score consecutive queries against all passages: float32 `[end - begin, n_passages]`."""
        return np.asarray((self.queries[begin:end] @ self.passages.T).numpy())

    def at(self, queries: np.ndarray, passages: np.ndarray) -> np.ndarray:
        """Score some queries against some passages: float32 `[len(queries), len(passages)]`."""
        return np.asarray((self.queries[queries] @ self.passages[passages].T).numpy())


@dataclass(frozen=True)
class _Layout:
    """Order of a task's passages in a row of keys: by language, so that each language is one slice.

    by_language: row of the task at each position; position: its inverse; edges: where each language
    begins; by_id: rows in the order of their ids; place: place of the id at each position.
    """

    by_language: np.ndarray
    position: np.ndarray
    edges: np.ndarray
    by_id: np.ndarray
    place: np.ndarray

    @classmethod
    def from_passages(cls, language: np.ndarray, ids: list[str]) -> _Layout:
        """Lay out passages by language. Stable, so that a language keeps its passages' order."""
        by_language = np.argsort(language, kind="stable")
        position = np.empty_like(by_language)
        position[by_language] = np.arange(len(ids))
        edges = np.searchsorted(language[by_language], np.arange(language.max() + 2))
        by_id, place = by_ids(ids)
        return cls(by_language, position, edges, by_id, place[by_language])


def compute_ranks(
    score: Callable[[int, int], np.ndarray],
    n_queries: int,
    passage_language: np.ndarray,
    relevant: np.ndarray,
    passage_ids: list[str],
    depth: int = 10,
    excluded: np.ndarray | None = None,
    block_size: int = 256,
    progress: Callable[[int, int], None] | None = None,
) -> Ranks:
    """Rank every relevant pair.

    Args:
        score: Called with the first query and the query after the last; returns their scores,
            float32 `[end - begin, n_passages]`.
        n_queries: Number of queries.
        passage_language: int64 `[n_passages]`, language code of each passage.
        relevant: int64 `[n_relevant, 2]`, pairs of (query, passage), sorted by query.
        passage_ids: Id of each passage; ids order equal scores.
        depth: Number of best passages to return.
        excluded: int64 `[n_queries]`, passage left out of a query's ranking, -1 for none.
        block_size: Maximum number of queries a block.
        progress: Called with the number of ranked queries and the number of all.

    Returns:
        The ranks.

    Raises:
        MixlingError: A score is NaN.
    """
    n_passages = len(passage_ids)
    layout = _Layout.from_passages(passage_language, passage_ids)
    first = np.searchsorted(relevant[:, 0], np.arange(n_queries + 1))
    block_size = max(1, min(block_size, KEYS // n_passages))
    depth = min(depth, n_passages - (excluded is not None and bool((excluded >= 0).any())))
    within_language, multilingual = np.zeros((2, len(relevant)), np.int64)
    top = np.zeros((n_queries, depth), np.int64)
    top_scores = np.zeros((n_queries, depth), np.float32)
    cores = max(1, min(8, torch.get_num_threads()))
    with ThreadPoolExecutor(cores) as threads:
        for begin in range(0, n_queries, block_size):
            end = min(begin + block_size, n_queries)
            scores = score(begin, end)
            _check_scores(scores, begin, passage_ids)
            keys = sort_keys(scores[:, layout.by_language], layout.place)
            if excluded is not None:
                # 0 is below every key of a score
                row = np.flatnonzero(excluded[begin:end] >= 0)
                keys[row, layout.position[excluded[begin:end][row]]] = 0
            rows = slice(first[begin], first[end])
            query, passage = relevant[rows, 0] - begin, relevant[rows, 1]
            pair_keys = keys[query, layout.position[passage]]
            within_language[rows] = _rank_within_language(
                keys, query, pair_keys, passage_language[passage], layout.edges
            )
            multilingual[rows], best_keys = _rank_in_pool(
                keys, query, pair_keys, depth, threads, cores
            )
            best = layout.by_id[(best_keys[:, ::-1] & PLACE_BITS).astype(np.int64)]
            top[begin:end] = best
            top_scores[begin:end] = np.take_along_axis(scores, best, 1)
            if progress is not None:
                progress(end, n_queries)
    return Ranks(within_language, multilingual, top, top_scores)


def _check_scores(scores: np.ndarray, begin: int, ids: list[str]) -> None:
    """Raise MixlingError where a score is NaN."""
    # one pass and no copy: the maximum is NaN where any score is
    if scores.size and np.isnan(scores.max()):
        row, column = np.argwhere(np.isnan(scores))[0]
        raise MixlingError(
            f"the score of query {begin + row + 1} and passage '{ids[column]}' is NaN, so the "
            "passages cannot be ranked. Give finite scores."
        )


def _rank_within_language(
    keys: np.ndarray,
    query: np.ndarray,
    pair_keys: np.ndarray,
    language: np.ndarray,
    edges: np.ndarray,
) -> np.ndarray:
    """Rank relevant passages among the passages of their language: int64 `[n]`.

    keys: uint64 `[n_queries, n_passages]` by language; query, pair_keys, language: `[n]`, query,
        key and
    language of each relevant passage.
    """
    ranks = np.zeros(len(query), np.int64)
    for code in np.unique(language):
        pairs = np.flatnonzero(language == code)
        # keys are below 2^63, so signed integers, which torch compares, order them the same
        segment = torch.from_numpy(keys[:, edges[code] : edges[code + 1]].view(np.int64))
        relevant_keys = torch.from_numpy(pair_keys[pairs].view(np.int64))
        rows = torch.from_numpy(query[pairs])
        ranks[pairs] = (segment[rows] > relevant_keys[:, None]).sum(1).numpy() + 1
    return ranks


def _rank_in_pool(
    keys: np.ndarray,
    query: np.ndarray,
    pair_keys: np.ndarray,
    depth: int,
    threads: ThreadPoolExecutor,
    cores: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Rank relevant passages among all, int64 `[n]`, and find each query's largest keys, ascending.

    Sorts `keys` in place where there are few passages. Neither a sort nor a comparison holds the
    interpreter's lock, so threads share the rows.
    """
    n_passages = keys.shape[1]
    if n_passages <= SORTED:
        list(threads.map(lambda part: part.sort(axis=1), np.array_split(keys, cores)))
        ranks = np.empty(len(query), np.int64)
        edges = np.searchsorted(query, np.arange(len(keys) + 1))
        for row, (begin, end) in enumerate(pairwise(edges)):
            ranks[begin:end] = n_passages - np.searchsorted(keys[row], pair_keys[begin:end])
        return ranks, keys[:, n_passages - depth :]
    above = threads.map(partial(_count_above, keys), query, pair_keys)
    ranks = np.fromiter(above, np.int64) + 1
    return ranks, np.stack(list(threads.map(partial(_largest, k=depth), keys)))


def _count_above(keys: np.ndarray, row: int, key: np.uint64) -> int:
    """Count the keys of a row that are larger than one of them."""
    return int(np.count_nonzero(keys[row] > key))


def _largest(row: np.ndarray, k: int) -> np.ndarray:
    """Return the k largest of a row, ascending."""
    return np.sort(np.partition(row, len(row) - k)[len(row) - k :])


def by_ids(ids: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Sort rows by their ids.

    Args:
        ids: Id of each row.

    Returns:
        Rows in the order of their ids, int64 `[n]`, and each row's place among them, uint64 `[n]`.
    """
    order = np.argsort(np.array(ids), kind="stable")
    place = np.empty(len(order), np.uint64)
    place[order] = np.arange(len(order), dtype=np.uint64)
    return order, place


def best_first(scores: np.ndarray, place: np.ndarray, k: int) -> np.ndarray:
    """Find the k best of each row, by falling score; equal scores stand by falling place.

    Args:
        scores: float32 `[n, m]`.
        place: uint64 `[m]`, place of each column's id.
        k: Number of columns to return, at most m.

    Returns:
        int64 `[n, k]`, columns.
    """
    keys = sort_keys(scores, place)
    top = np.argpartition(keys, keys.shape[1] - k, axis=1)[:, keys.shape[1] - k :]
    order = np.argsort(np.take_along_axis(keys, top, 1), axis=1)[:, ::-1]
    return np.asarray(np.take_along_axis(top, order, 1))


def sort_keys(scores: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Make integer keys that sort as (score, place) does.

    The bits of a non-negative float sort as integers; those of a negative one sort in reverse.
    Setting the sign bit of the former and inverting the latter makes both monotone. The place has
    the lower 31 bits (fewer than 2^31 passages), so that keys stay below 2^63 and compare the same
    as signed integers.

    Args:
        scores: float32 `[n, m]`, without NaN.
        place: uint64 `[m]`, place of each column's id.

    Returns:
        uint64 `[n, m]`.
    """
    # adding 0 turns -0 into 0, which is equal to it
    bits = (scores.astype(np.float32) + np.float32(0)).view(np.uint32)
    negative = bits >> np.uint32(31) == 1
    monotone = np.where(negative, ~bits, bits | np.uint32(1 << 31))
    return np.asarray((monotone.astype(np.uint64) << np.uint64(31)) | place)
