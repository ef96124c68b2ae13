"""Exact ranks of the relevant candidates, at full depth, for all settings in one pass over the scores.

The rank of a relevant candidate is one plus the number of candidates that stand before it: counted over its
own language (monolingual and cross-lingual settings) and over all (pool). Equal scores stand in descending
order of their ids, as trec_eval has it: score and place of the id are one 64-bit key, so that one sort of a
row gives the ranks of all its relevant candidates and the first k, ties and all. Where there are very many candidates
the keys above each relevant one are counted instead, and the first k picked out. A block of queries is as large as
memory allows, whatever their number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from mixling.errors import MixlingError

if TYPE_CHECKING:
    from mixling.evaluation.tasks import Task


# candidates up to which a row is sorted, and keys of a block (8 bytes each, and the scores beside them)
SORTED = 1 << 16
KEYS = 1 << 25


class Scorer(Protocol):
    """Scores of queries against all candidates, a block of queries at a time."""

    def __call__(self, begin: int, end: int) -> np.ndarray:
        """float32 [end - begin, candidates]."""

    def at(self, queries: np.ndarray, candidates: np.ndarray) -> np.ndarray:
        """float32 [len(queries), len(candidates)]: of some of both."""


@dataclass(frozen=True)
class Ranks:
    """Ranks, 1-based.

    within: int64 [n relevant], among candidates of the same language; pool: int64 [n relevant], among all;
    top: int64 [n queries, k], the best candidates of the pool; top_scores: float32, theirs.
    """

    within: np.ndarray
    pool: np.ndarray
    top: np.ndarray
    top_scores: np.ndarray


class Ranker(Protocol):
    """Anything that can score a task."""

    name: str
    origin: dict[str, Any]

    def scorer(self, one: Task) -> tuple[Scorer, dict[str, Any]]:
        """Scores of the task, and what was counted on the way."""


class ScoreRows:
    """A scorer that can only make whole rows: `at` takes its candidates from them."""

    def __call__(self, begin: int, end: int) -> np.ndarray:
        raise NotImplementedError

    def at(self, queries: np.ndarray, candidates: np.ndarray) -> np.ndarray:
        return np.stack([self(int(q), int(q) + 1)[0, candidates] for q in queries])


class DotScorer:
    """Scores by dot product. queries, candidates: float32 [n, d]."""

    def __init__(self, queries: np.ndarray, candidates: np.ndarray):
        self.queries, self.candidates = (
            torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32))
            for x in (queries, candidates)
        )

    def __call__(self, begin: int, end: int) -> np.ndarray:
        return (self.queries[begin:end] @ self.candidates.T).numpy()

    def at(self, queries: np.ndarray, candidates: np.ndarray) -> np.ndarray:
        return (self.queries[queries] @ self.candidates[candidates].T).numpy()


def compute_ranks(
    score: Callable[[int, int], np.ndarray],
    queries: int,
    language: np.ndarray,
    relevant: np.ndarray,
    ids: list[str],
    depth: int = 10,
    excluded: np.ndarray | None = None,
    block: int = 256,
    progress: Callable[[int, int], None] | None = None,
) -> Ranks:
    """Rank every relevant pair.

    score(begin, end): float32 [end - begin, n candidates], scores of those queries. queries: how many there
    are; language: int64 [n candidates]; relevant: int64 [n, 2] sorted by query; ids: of candidates, to settle
    ties; excluded: int64 [queries], a candidate left out of a query's ranking (-1: none).
    """
    n = len(ids)
    by_language = np.argsort(language, kind="stable")
    position = np.empty_like(by_language)
    position[by_language] = np.arange(n)
    edges = np.searchsorted(language[by_language], np.arange(language.max() + 2))
    by_id, place = by_ids(ids)
    place = place[by_language]
    first = np.searchsorted(relevant[:, 0], np.arange(queries + 1))
    block = max(1, min(block, KEYS // n))
    within, pool = np.zeros((2, len(relevant)), np.int64)
    depth = min(depth, n - (excluded is not None and bool((excluded >= 0).any())))
    cores = max(1, min(8, torch.get_num_threads()))
    threads = ThreadPoolExecutor(cores)
    top, top_scores = np.zeros((queries, depth), np.int64), np.zeros((queries, depth), np.float32)
    for begin in range(0, queries, block):
        end = min(begin + block, queries)
        scores = score(begin, end)
        if scores.size and np.isnan(scores.max()):
            row, column = np.argwhere(np.isnan(scores))[0]
            raise MixlingError(
                f"the score of query {begin + row + 1} and passage '{ids[column]}' is NaN, so they cannot be ranked"
            )
        keys = sort_keys(scores[:, by_language], place)
        if excluded is not None:
            row = np.flatnonzero(excluded[begin:end] >= 0)
            keys[row, position[excluded[begin:end][row]]] = 0
        pairs = relevant[first[begin] : first[end]]
        own = keys[pairs[:, 0] - begin, position[pairs[:, 1]]]
        of = language[pairs[:, 1]]
        for code in np.unique(of):
            some = np.flatnonzero(of == code)
            segment = torch.from_numpy(keys[:, edges[code] : edges[code + 1]].view(np.int64))
            mine = torch.from_numpy(own[some].view(np.int64))
            rows = torch.from_numpy(pairs[some, 0] - begin)
            within[first[begin] + some] = (segment[rows] > mine[:, None]).sum(1).numpy() + 1
        # neither a sort nor a comparison holds the lock, so threads share the rows
        if n <= SORTED:
            list(threads.map(lambda part: part.sort(axis=1), np.array_split(keys, cores)))
            for i in range(end - begin):
                a, b = int(first[begin + i]), int(first[begin + i + 1])
                pool[a:b] = n - np.searchsorted(keys[i], own[a - first[begin] : b - first[begin]])
        else:
            above = threads.map(partial(_above, keys), pairs[:, 0] - begin, own)
            pool[first[begin] : first[end]] = np.fromiter(above, np.int64) + 1
            keys = np.stack(list(threads.map(partial(_largest, k=depth), keys)))
        best = by_id[
            (keys[:, keys.shape[1] - depth :][:, ::-1] & np.uint64(0x7FFFFFFF)).astype(np.int64)
        ]
        top[begin:end] = best
        top_scores[begin:end] = np.take_along_axis(scores, best, 1)
        if progress is not None:
            progress(end, queries)
    threads.shutdown()
    return Ranks(within, pool, top, top_scores)


def _above(keys: np.ndarray, row: int, own: np.uint64) -> int:
    return int(np.count_nonzero(keys[row] > own))


def _largest(row: np.ndarray, k: int) -> np.ndarray:
    """The k largest of a row, rising."""
    return np.sort(np.partition(row, len(row) - k)[len(row) - k :])


def by_ids(ids: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Rows in the order of their ids, int64 [n], and each row's place among them, uint64 [n]."""
    order = np.argsort(np.array(ids), kind="stable")
    place = np.empty(len(order), np.uint64)
    place[order] = np.arange(len(order), dtype=np.uint64)
    return order, place


def best_first(scores: np.ndarray, place: np.ndarray, k: int) -> np.ndarray:
    """The k best of each row, int64 [n, k]: by falling score, and equal ones by falling place of their id."""
    keys = sort_keys(scores, place)
    top = np.argpartition(keys, keys.shape[1] - k, axis=1)[:, keys.shape[1] - k :]
    order = np.argsort(np.take_along_axis(keys, top, 1), axis=1)[:, ::-1]
    return np.take_along_axis(top, order, 1)


def sort_keys(scores: np.ndarray, place: np.ndarray) -> np.ndarray:
    """uint64 keys below 2^63 that order as (score, place) do: the score's bits made monotone, then the place.

    The place has 31 bits (fewer than 2^31 candidates), so that keys compare the same as signed integers.
    """
    bits = (scores.astype(np.float32) + np.float32(0)).view(np.uint32)
    negative = bits >> np.uint32(31) == 1
    monotone = np.where(negative, ~bits, bits | np.uint32(1 << 31))
    return (monotone.astype(np.uint64) << np.uint64(31)) | place
