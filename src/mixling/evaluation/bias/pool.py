"""Ranks in the multilingual pool, which every measure of bias reads, and a measure's fields."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class MultilingualPool:
    """Ranks of the relevant passages among the passages of all languages.

    Args:
        query: int64 `[n]`, query of each relevant passage, ascending.
        rank: int64 `[n]`, 1-based rank of each relevant passage; float64 with infinity for a
            passage that the list of a search system lacks.
        passage: int64 `[n]`, row of each relevant passage.
        grade: int64 `[n]`, grade of each relevant passage.
        query_language: int64 `[n_queries]`, language code of each query.
        passage_language: int64 `[n_passages]`, language code of each passage.
        top: int64 `[n_queries, k]`, first k passages of each query, -1 after the last of a list
            that is shorter.
        n_languages: Number of languages.
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
        """Number of queries."""
        return len(self.query_language)

    @property
    def size(self) -> int:
        """Number of passages."""
        return len(self.passage_language)

    @cached_property
    def language(self) -> np.ndarray:
        """Language of each relevant passage, int64 `[n]`."""
        return np.asarray(self.passage_language[self.passage])

    @cached_property
    def same_language(self) -> np.ndarray:
        """Whether each relevant passage is in its query's language, bool `[n]`."""
        return np.asarray(self.language == self.query_language[self.query])

    @cached_property
    def top_language(self) -> np.ndarray:
        """Languages of the first k, int64 `[n_queries, k]`, -1 after the last passage."""
        return np.where(self.top >= 0, self.passage_language[self.top], -1)

    @cached_property
    def top_same_language(self) -> np.ndarray:
        """Whether each of the first k is in the query's language, bool `[n_queries, k]`."""
        return np.asarray(self.top_language == self.query_language[:, None])

    @cached_property
    def top_grade(self) -> np.ndarray:
        """Grades of the first k, 0 where irrelevant, int64 `[n_queries, k]`."""
        grades = np.zeros(self.top.shape, np.int64)
        in_top = self.rank <= self.top.shape[1]
        grades[self.query[in_top], self.rank[in_top].astype(np.int64) - 1] = self.grade[in_top]
        return grades

    def count(self, mask: np.ndarray | None = None) -> np.ndarray:
        """Count the relevant passages of each query.

        Args:
            mask: bool `[n]`, relevant passages to count. By default all count.

        Returns:
            int64 `[n_queries]`.
        """
        query = self.query if mask is None else self.query[mask]
        return np.bincount(query, minlength=self.n_queries)

    def best(self, mask: np.ndarray) -> np.ndarray:
        """Find the smallest rank of each query's relevant passages.

        Args:
            mask: bool `[n]`, relevant passages to look at.

        Returns:
            float64 `[n_queries]`, infinite for queries without one.
        """
        lowest = np.full(self.n_queries, np.inf)
        np.minimum.at(lowest, self.query[mask], self.rank[mask].astype(float))
        return lowest

    def worst(self, mask: np.ndarray | None = None) -> np.ndarray:
        """Find the largest rank of each query's relevant passages.

        Args:
            mask: bool `[n]`, relevant passages to look at. By default all.

        Returns:
            float64 `[n_queries]`, minus infinite for queries without one.
        """
        highest = np.full(self.n_queries, -np.inf)
        rows = slice(None) if mask is None else mask
        np.maximum.at(highest, self.query[rows], self.rank[rows].astype(float))
        return highest


@dataclass(frozen=True)
class BiasMeasure:
    """Description and function of one measure.

    Args:
        name: Name in results and reports.
        compute: Takes the pool; returns float64 `[n_queries]`, NaN where the measure is undefined.
        range: Range of its values, in words.
        better: Which direction is better; "" where the measure only describes.
        meaning: One sentence for a search engineer.
        caveat: When the measure misleads, in one sentence.
        source: Where the measure comes from.
        formula: Formula for one query q. R(q) are its relevant passages, R_other(q) those in
            other languages than its own, the top k its first k passages.
    """

    name: str
    compute: Callable[[MultilingualPool], np.ndarray]
    range: str
    better: Literal["high", "low", ""]
    meaning: str
    caveat: str
    source: str
    formula: str


def nan_where_not(condition: np.ndarray, values: np.ndarray | float) -> np.ndarray:
    """Replace values by NaN where a condition does not hold.

    Args:
        condition: bool `[n]`.
        values: `[n]` or one number.

    Returns:
        float64 `[n]`.
    """
    return np.where(condition, values, np.nan)
