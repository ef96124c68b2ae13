"""What every measure of bias reads: the ranks of one pool, and what a measure says of itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class MultilingualPool:
    """Ranks of a pool.

    query, rank, candidate, grade: int64 [n], one row a relevant candidate, sorted by query; own: bool [n], it is
    in the query's language. query_language: int64 [q]; candidate_language: int64 [c]; top: int64 [q, k], first k
    candidates of each query. languages: how many there are.
    """

    query: np.ndarray
    rank: np.ndarray
    passage: np.ndarray
    grade: np.ndarray
    query_language: np.ndarray
    passage_language: np.ndarray
    top: np.ndarray
    n_languages: int

    @property
    def n_queries(self) -> int:
        """How many queries there are."""
        return len(self.query_language)

    @property
    def size(self) -> int:
        """How many candidates there are."""
        return len(self.passage_language)

    @cached_property
    def language(self) -> np.ndarray:
        """int64 [n]: language of each relevant candidate."""
        return self.passage_language[self.passage]

    @cached_property
    def same_language(self) -> np.ndarray:
        """bool [n]: the relevant candidate is in its query's language."""
        return self.language == self.query_language[self.query]

    @cached_property
    def top_language(self) -> np.ndarray:
        """int64 [q, k]: languages of the first k."""
        return self.passage_language[self.top]

    @cached_property
    def top_same_language(self) -> np.ndarray:
        """bool [q, k]: which of the first k are in the query's language."""
        return self.top_language == self.query_language[:, None]

    @cached_property
    def top_grade(self) -> np.ndarray:
        """int64 [q, k]: grades of the first k, 0 where irrelevant."""
        grades = np.zeros(self.top.shape, np.int64)
        seen = self.rank <= self.top.shape[1]
        grades[self.query[seen], self.rank[seen] - 1] = self.grade[seen]
        return grades

    def count(self, rows: np.ndarray | None = None) -> np.ndarray:
        """int64 [q]: relevant candidates of each query, of some rows only if given (bool [n])."""
        return np.bincount(
            self.query if rows is None else self.query[rows], minlength=self.n_queries
        )

    def best(self, rows: np.ndarray) -> np.ndarray:
        """float64 [q]: smallest rank among some rows (bool [n]), infinite where there is none."""
        low = np.full(self.n_queries, np.inf)
        np.minimum.at(low, self.query[rows], self.rank[rows].astype(float))
        return low

    def worst(self, rows: np.ndarray | None = None) -> np.ndarray:
        """float64 [q]: largest rank among some rows (default: all), minus infinite where there is none."""
        high = np.full(self.n_queries, -np.inf)
        some = slice(None) if rows is None else rows
        np.maximum.at(high, self.query[some], self.rank[some].astype(float))
        return high


@dataclass(frozen=True)
class BiasMeasure:
    """One measure. of(pool) -> float64 [queries], NaN where it is not defined.

    better: "high", "low" or "" (neither is: it describes). says: one sentence for a search engineer.
    """

    name: str
    compute: Callable[[MultilingualPool], np.ndarray]
    range: str
    better: str
    meaning: str
    misleads: str
    source: str


def nan_where_not(condition: np.ndarray, values: np.ndarray | float) -> np.ndarray:
    """Values where a condition holds, NaN elsewhere."""
    return np.where(condition, values, np.nan)
