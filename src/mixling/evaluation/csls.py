"""CSLS of a task whose own queries are the reference queries, without what they give away.

`mixling.transforms.csls` has the formula. References are queries whose answers nobody knows. A
task's queries are no such references as they are, in two ways:

1. A query's own score with a passage would be part of what that passage loses, and so would the
   scores of its translations, which are nearly the same.
2. A passage that answers another query loses by it, as if it were known to be wrong.

So r_Q(p) for a query q leaves out the queries of q's translation group, and those of every group
that p answers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixling.evaluation.ranks import DotScorer
from mixling.evaluation.tasks import Task
from mixling.transforms.csls import csls

NEIGHBORS = 10
# reference scores that are kept at most: 12 bytes each
MAX_SCORES = 1 << 26
# scores in memory at a time
BLOCK_SCORES = 1 << 24


class CslsScorer:
    """CSLS by one number a passage.

    Args:
        scorer: Cosines.
        passage_means: float32 `[n_passages]`, r_Q(p) of each passage.
        k: Number of passages whose mean score is r_P(q).
    """

    def __init__(self, scorer: DotScorer, passage_means: np.ndarray, k: int = NEIGHBORS):
        self.scorer, self.passage_means, self.k = scorer, passage_means, k

    def __call__(self, begin: int, end: int) -> np.ndarray:
        """Score consecutive queries against all passages: float32 `[end - begin, n_passages]`."""
        return csls(self.scorer(begin, end), self.passage_means, self.k)

    def at(self, queries: np.ndarray, passages: np.ndarray) -> np.ndarray:
        """Score some queries against some passages: float32 `[len(queries), len(passages)]`."""
        scores = self.scorer.at(queries, np.arange(len(self.passage_means)))
        return csls(scores, self.passage_means, self.k)[:, passages]


@dataclass(frozen=True)
class OwnReferences:
    """The nearest reference queries of each passage, so many that any group can be left out.

    Args:
        scores: float32 `[n_passages, m]`, falling; -inf after the last.
        groups: int64 `[n_passages, m]`, group of the query behind each score.
        query_group: int64 `[n_queries]`, group of each query.
        k: Number of scores whose mean is r_Q(p).
    """

    scores: np.ndarray
    groups: np.ndarray
    query_group: np.ndarray
    k: int = NEIGHBORS

    def means(self, begin: int, end: int) -> np.ndarray:
        """Compute r_Q(p) for consecutive queries.

        Args:
            begin: First query.
            end: Query after the last.

        Returns:
            float32 `[end - begin, n_passages]`; 0 where a passage has no reference at all.
        """
        groups = self.query_group[begin:end]
        means = np.tile(self._mean(self.scores, None), (len(groups), 1))
        for group in np.unique(groups):
            # of all other passages the k highest scores stay as they are
            near = np.flatnonzero((self.groups[:, : self.k] == group).any(1))
            if len(near):
                mean = self._mean(self.scores[near], self.groups[near] == group)
                means[np.ix_(np.flatnonzero(groups == group), near)] = mean
        return means

    def _mean(self, scores: np.ndarray, without: np.ndarray | None) -> np.ndarray:
        """Compute the mean of the k highest scores of each row, float32 `[n]`."""
        valid = np.isfinite(scores) if without is None else np.isfinite(scores) & ~without
        chosen = valid & (np.cumsum(valid, axis=1) <= self.k)
        total = np.where(chosen, scores, 0).sum(1, dtype=np.float64)
        return np.asarray(total / np.maximum(chosen.sum(1), 1), np.float32)


def own_references(task: Task, scorer: DotScorer, k: int = NEIGHBORS) -> OwnReferences | None:
    """Find the nearest queries of each passage that it does not answer.

    Args:
        task: The task.
        scorer: Its cosines.
        k: Number of scores whose mean is r_Q(p).

    Returns:
        The references; None where they would need too much memory.
    """
    _, group = np.unique(np.array(task.query_group), return_inverse=True)
    queries, passages = scorer.queries.numpy(), scorer.passages.numpy()
    width = min(len(queries), k + int(np.bincount(group).max()))
    if width * len(passages) > MAX_SCORES:
        return None
    best = np.full((len(passages), width), -np.inf, np.float32)
    best_group = np.full((len(passages), width), -1)
    block = max(1, BLOCK_SCORES // len(queries))
    for begin in range(0, len(passages), block):
        scores = passages[begin : begin + block] @ queries.T
        scores[_answered(task, group, begin, begin + len(scores))] = -np.inf
        order = np.argpartition(-scores, width - 1, axis=1)[:, :width]
        found = np.take_along_axis(scores, order, 1)
        falling = np.argsort(-found, axis=1, kind="stable")
        best[begin : begin + block] = np.take_along_axis(found, falling, 1)
        best_group[begin : begin + block] = group[np.take_along_axis(order, falling, 1)]
    return OwnReferences(best, best_group, group, k)


def _answered(task: Task, group: np.ndarray, begin: int, end: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs of a passage and the queries of each group that it answers.

    Rows are counted from `begin`.
    """
    query, passage = task.relevant.T
    if task.excluded is not None:  # a passage that is a query is no reference for itself
        texts = np.flatnonzero(task.excluded >= 0)
        query = np.concatenate([query, texts])
        passage = np.concatenate([passage, task.excluded[texts]])
    inside = (passage >= begin) & (passage < end)
    pairs = np.unique(np.stack([passage[inside] - begin, group[query[inside]]], 1), axis=0)
    members = np.argsort(group, kind="stable")
    first = np.searchsorted(group[members], np.arange(group.max() + 2))
    count = np.diff(first)[pairs[:, 1]]
    step = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    columns = members[np.repeat(first[pairs[:, 1]], count) + step]
    return np.repeat(pairs[:, 0], count), columns


def own_csls(task: Task, scorer: DotScorer, k: int = NEIGHBORS) -> CslsScorer | None:
    """Score a task by CSLS with its own other queries as references.

    Args:
        task: The task.
        scorer: Its cosines.
        k: Number of neighbors on both sides.

    Returns:
        The scorer, for ranking; None where the references would need too much memory.
    """
    references = own_references(task, scorer, k)
    return None if references is None else _OwnCslsScorer(scorer, references)


class _OwnCslsScorer(CslsScorer):
    """CSLS whose number of a passage differs by query."""

    def __init__(self, scorer: DotScorer, references: OwnReferences):
        super().__init__(scorer, np.zeros(len(references.scores)), references.k)
        self.references = references

    def __call__(self, begin: int, end: int) -> np.ndarray:
        """Score consecutive queries against all passages: float32 `[end - begin, n_passages]`."""
        return csls(self.scorer(begin, end), self.references.means(begin, end), self.k)

    def at(self, queries: np.ndarray, passages: np.ndarray) -> np.ndarray:
        """Score some queries against some passages: float32 `[len(queries), len(passages)]`."""
        return np.stack([self(int(q), int(q) + 1)[0, passages] for q in queries])
