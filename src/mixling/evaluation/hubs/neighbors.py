"""The first k passages of each query, which every measure of hubs reads, and a measure's fields.

N(p), the k-occurrence of a passage p, is the number of queries that have p among their first k. It
is what studies of hubs count (Radovanovic, Nanopoulos and Ivanovic 2010), there among the points of
one set. Here queries find and passages are found. Some passages are found more often than others by
chance too. Queries that draw k of n passages at random give every N(p) a binomial distribution of
as many draws as there are queries, with probability k / n: each measure has its value under it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

K = 10


@dataclass(frozen=True)
class Neighbors:
    """The first k passages of each query.

    Args:
        top: int64 `[n_queries, k]`, rows of the passages, best first; -1 after the last of a list
            that is shorter.
        n_passages: Number of passages.
        mutual: bool `[n_queries, k]`, whether the passage has the query among its own k nearest
            queries; None where the scores of queries cannot be compared.
    """

    top: np.ndarray
    n_passages: int
    mutual: np.ndarray | None = None

    @property
    def n_queries(self) -> int:
        """Number of queries."""
        return len(self.top)

    @cached_property
    def found(self) -> np.ndarray:
        """Whether there is a passage at each place, bool `[n_queries, k]`."""
        return np.asarray(self.top >= 0)

    @cached_property
    def occurrence(self) -> np.ndarray:
        """The k-occurrence N(p) of each passage, int64 `[n_passages]`."""
        return np.bincount(self.top[self.found], minlength=self.n_passages)

    @property
    def probability(self) -> float:
        """Probability that a query finds a given passage if it draws passages at random."""
        return float(self.found.sum()) / max(self.n_queries * self.n_passages, 1)

    def rows(self, mask: np.ndarray) -> Neighbors:
        """Return what some of the queries find.

        Args:
            mask: bool `[n_queries]`.
        """
        mutual = None if self.mutual is None else self.mutual[mask]
        return Neighbors(self.top[mask], self.n_passages, mutual)


@dataclass(frozen=True)
class HubMeasure:
    """Description and functions of one measure.

    Args:
        name: Name in results and reports.
        compute: Takes what the queries find; returns the figure, NaN where it is undefined.
        at_random: Takes the same; returns what random result lists would give, NaN where that is
            not known.
        range: Range of its values, in words.
        better: Which direction is better.
        meaning: One sentence for a search engineer.
        caveat: When the measure misleads.
        source: Where the measure comes from.
        formula: Formula, with N(p) the number of queries that have p among their first k.
    """

    name: str
    compute: Callable[[Neighbors], float]
    at_random: Callable[[Neighbors], float]
    range: str
    better: Literal["high", "low"]
    meaning: str
    caveat: str
    source: str
    formula: str
