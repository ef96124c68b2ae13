"""One run of a comparison: its results and how they were tested."""

from __future__ import annotations

from dataclasses import dataclass

from mixling.evaluation.result import Result
from mixling.evaluation.significance import Comparison

Tested = dict[str, dict[str, tuple[Comparison, float]]]


@dataclass(frozen=True)
class Run:
    """One or more results (seeds) under one name. tested: {task: …} against the yardstick, empty for itself;
    by_language: the same for each question language."""

    name: str
    results: list[Result]
    tested: dict[str, Tested]
    by_language: dict[str, Tested]

    @property
    def result(self) -> Result:
        """The first seed's result."""
        return self.results[0]
