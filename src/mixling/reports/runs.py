"""One run of a comparison: its results and how they were tested."""

from __future__ import annotations

from dataclasses import dataclass

from mixling.evaluation.result import EvaluationResult
from mixling.evaluation.significance import Comparison

Tested = dict[str, dict[str, tuple[Comparison, float]]]


@dataclass(frozen=True)
class ReportRun:
    """One or more results (seeds) under one name. tested: {task: …} against the yardstick, empty for itself;
    by_language: the same for each question language."""

    name: str
    results: list[EvaluationResult]
    tested: dict[str, Tested]
    by_language: dict[str, Tested]

    @property
    def result(self) -> EvaluationResult:
        """The first seed's result."""
        return self.results[0]
