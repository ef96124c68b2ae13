"""Exact ranks of the relevant candidates, at full depth, for all settings in one pass over the scores.

The rank of a relevant candidate is one plus the number of candidates that score higher: counted over its own
language (monolingual and cross-lingual settings) and over all (pool). Equal scores stand in descending order
of their ids, as trec_eval has it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch


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


def ranks(
    queries: np.ndarray,
    candidates: np.ndarray,
    language: np.ndarray,
    relevant: np.ndarray,
    ids: list[str],
    depth: int = 10,
    block: int = 256,
    progress: Callable[[int, int], None] | None = None,
) -> Ranks:
    """Rank every relevant pair. queries, candidates: float32 [n, d], compared by dot product; language: int64
    [n candidates]; relevant: int64 [n, 2] sorted by query; ids: of candidates, to settle ties."""
    by_language = np.argsort(language, kind="stable")
    position = np.empty_like(by_language)
    position[by_language] = np.arange(len(by_language))
    edges = np.searchsorted(language[by_language], np.arange(language.max() + 2))
    place = np.empty(len(ids), np.int64)
    place[np.argsort(np.array(ids))[::-1]] = np.arange(len(ids))
    tie = torch.from_numpy(place[by_language])
    sorted_candidates = torch.from_numpy(np.ascontiguousarray(candidates[by_language]))
    first = np.searchsorted(relevant[:, 0], np.arange(len(queries) + 1))
    within, pool = np.zeros((2, len(relevant)), np.int64)
    depth = min(depth, len(candidates))
    top, top_scores = np.zeros((len(queries), depth), np.int64), np.zeros((len(queries), depth), np.float32)
    for begin in range(0, len(queries), block):
        end = min(begin + block, len(queries))
        scores = torch.from_numpy(queries[begin:end]) @ sorted_candidates.T
        pairs = relevant[first[begin] : first[end]]
        counts = first[begin + 1 : end + 1] - first[begin:end]
        slot = np.arange(len(pairs)) - np.repeat(first[begin:end] - first[begin], counts)
        for turn in range(int(counts.max(initial=0))):
            which = np.flatnonzero(slot == turn)
            row = torch.from_numpy(pairs[which, 0] - begin)
            mine = torch.from_numpy(position[pairs[which, 1]])
            part = scores if len(which) == end - begin else scores[row]
            own = part.gather(1, mine[:, None])
            over = part > own
            equal = (part == own).sum(1) > 1
            for i in torch.nonzero(equal).ravel().tolist():
                over[i] |= (part[i] == own[i]) & (tie < tie[mine[i]])
            pool[first[begin] + which] = over.sum(1).numpy() + 1
            of = language[pairs[which, 1]]
            for code in np.unique(of):
                some = np.flatnonzero(of == code)
                counted = over[some, edges[code] : edges[code + 1]].sum(1)
                within[first[begin] + which[some]] = counted.numpy() + 1
        best, where = torch.topk(scores, depth, dim=1)
        top[begin:end] = by_language[where.numpy()]
        top_scores[begin:end] = best.numpy()
        if progress is not None:
            progress(end, len(queries))
    return Ranks(within, pool, top, top_scores)
