"""Runs of a comparison: their results and how they were tested."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mixling.evaluation.result import EvaluationResult
from mixling.evaluation.significance import Comparison
from mixling.reports.changes import judge, mark

if TYPE_CHECKING:
    import pandas as pd

TaskComparison = dict[str, dict[str, Comparison]]
"""`{scenario: {measure: comparison}}` of one task."""


@dataclass(frozen=True, repr=False)
class ReportRun:
    """One or more results (seeds) under one name.

    Args:
        name: Name in tables.
        results: Results, one a seed.
        tested: Comparison with the first run for each task; empty for the first run itself.
        by_language: The same for each query language: `{task: {"multilingual ar": {"mAP": …}, …}}`.
    """

    name: str
    results: list[EvaluationResult]
    tested: dict[str, TaskComparison]
    by_language: dict[str, TaskComparison]

    def __repr__(self) -> str:
        return f"ReportRun(name={self.name!r}, seeds={len(self.results)})"

    @property
    def result(self) -> EvaluationResult:
        """Result of the first seed."""
        return self.results[0]

    def comparison(self, task: str, scenario: str, measure: str) -> Comparison | None:
        """Return the comparison of one figure with the first run, if it was tested."""
        return self.tested.get(task, {}).get(scenario, {}).get(measure)


@dataclass(frozen=True, repr=False)
class ComparisonReport:
    """Several runs, each tested against the first.

    Args:
        runs: The runs.
        tasks: Names of the tasks that all runs share.
    """

    runs: list[ReportRun]
    tasks: list[str]

    def __repr__(self) -> str:
        lines = [f"ComparisonReport: {', '.join(r.name for r in self.runs)} (mAP, Holm)"]
        for run in self.runs[1:]:
            for task in self.tasks:
                parts = [
                    f"{scenario} {measures['mAP'].difference:+.3f}{mark(measures['mAP'], 'mAP')}"
                    for scenario, measures in run.tested[task].items()
                    if "mAP" in measures
                ]
                lines.append(f"  {task}, {run.name}: {', '.join(parts)}")
        return "\n".join(lines)

    def to_pandas(self) -> pd.DataFrame:
        """Return the comparisons as a table.

        Returns:
            A data frame with one row a run, task, scenario and measure, the fields of
            `Comparison`, and its `outcome`: "better", "worse" or "no detectable difference"
            ("higher" or "lower" for a measure that only describes).
        """
        import pandas as pd

        return pd.DataFrame(
            {"run": run.name, "task": task, "scenario": scenario, "measure": measure}
            | vars(comparison)
            | {"outcome": judge(comparison, measure).outcome}
            for run in self.runs[1:]
            for task in self.tasks
            for scenario, measures in run.tested[task].items()
            for measure, comparison in measures.items()
        )
