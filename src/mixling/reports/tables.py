"""Comparisons as Markdown, LaTeX and CSV: one row a run, or one a figure."""

from __future__ import annotations

import csv as csv_module
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mixling.evaluation.rows import TESTED, TESTED_MULTILINGUAL
from mixling.evaluation.significance import Comparison
from mixling.evaluation.tasks import SCENARIOS
from mixling.reports.changes import PRECISION_EFFECT, judge, mark, precision_warning

if TYPE_CHECKING:
    from mixling.reports.runs import ReportRun

LEGEND = (
    "* p < .05, ** p < .01, *** p < .001 against the first run: permutation of translation groups, "
    f"Holm. ≈: smaller than {PRECISION_EFFECT}, which the number format alone can change."
)
# columns of Markdown and LaTeX tables; CSV has all
MAIN_COLUMNS = {
    ("monolingual", "mAP"),
    ("cross-lingual", "mAP"),
    ("multilingual", "mAP"),
    ("multilingual", "nDCG@10"),
    ("multilingual", "rank_distance"),
    ("multilingual", "TLR@20"),
    ("multilingual", "intrusion@10"),
    ("multilingual", "LPR"),
}
CSV_COLUMNS = (
    "task",
    "run",
    "scenario",
    "measure",
    "value",
    "difference",
    "low",
    "high",
    "p",
    "p_holm",
    "p_seeds",
    "low_seeds",
    "high_seeds",
    "effect",
    "groups",
    "outcome",
)


@dataclass(frozen=True)
class TableCell:
    """One figure of one run.

    Args:
        run: The run.
        scenario: Its scenario.
        measure: Its measure.
        value: The figure.
        comparison: Its comparison with the first run, if it was tested.
    """

    run: ReportRun
    scenario: str
    measure: str
    value: float
    comparison: Comparison | None

    @property
    def mark(self) -> str:
        """Stars of the comparison, or "≈" where the difference is too small to mark."""
        return mark(self.comparison, self.measure)


def run_value(run: ReportRun, task: str, scenario: str, measure: str) -> float:
    """Compute the mean of a figure over a run's seeds.

    Args:
        run: The run.
        task: Name of the task.
        scenario: The scenario; measures of bias belong to the multilingual one.
        measure: Name of the measure.

    Returns:
        The mean; NaN where the task cannot have it.
    """
    values = []
    for result in run.results:
        entry = result.summary["tasks"][task]
        value = entry.get(scenario, {}).get(measure)
        if value is None and scenario == "multilingual":
            value = entry.get("bias", {}).get(measure)
        values.append(math.nan if value is None else float(value))
    return sum(values) / len(values)


def table_cells(runs: list[ReportRun], task: str) -> Iterator[TableCell]:
    """Yield all figures of a task.

    Args:
        runs: The runs.
        task: Name of the task.

    Yields:
        One cell a run, scenario and measure.
    """
    for run in runs:
        for scenario in SCENARIOS:
            for measure in (*TESTED, *(TESTED_MULTILINGUAL if scenario == "multilingual" else ())):
                value = run_value(run, task, scenario, measure)
                if not math.isnan(value):
                    comparison = run.comparison(task, scenario, measure)
                    yield TableCell(run, scenario, measure, value, comparison)


def format_cell(value: float, measure: str) -> str:
    """Format a figure as the field writes it.

    Args:
        value: The figure.
        measure: Name of its measure.

    Returns:
        The figure with three decimals, ranks with one.
    """
    return f"{value:.1f}" if measure in ("rank_distance", "Max@R") else f"{value:.3f}"


def _main_table(
    runs: list[ReportRun], task: str
) -> tuple[list[tuple[str, str]], dict[str, dict[tuple[str, str], str]]]:
    """Return the main columns that a task has, and the text of each run's cells."""
    rows: dict[str, dict[tuple[str, str], str]] = {}
    columns: list[tuple[str, str]] = []
    for cell in table_cells(runs, task):
        column = (cell.scenario, cell.measure)
        if column in MAIN_COLUMNS:
            text = format_cell(cell.value, cell.measure) + cell.mark
            rows.setdefault(cell.run.name, {})[column] = text
            if column not in columns:
                columns.append(column)
    return columns, rows


def markdown(runs: list[ReportRun], tasks: list[str]) -> str:
    """Write a comparison as Markdown, one table a task.

    Args:
        runs: The runs.
        tasks: Names of the tasks.

    Returns:
        The text.
    """
    lines = []
    for task in tasks:
        columns, rows = _main_table(runs, task)
        lines.append(f"**{task}**\n")
        lines.append("| run | " + " | ".join(f"{s} {m}" for s, m in columns) + " |")
        lines.append("|---|" + "---|" * len(columns))
        lines += [
            f"| {n.replace('|', '&#124;')} | " + " | ".join(r.get(c, "") for c in columns) + " |"
            for n, r in rows.items()
        ]
        lines.append("")
    return "\n".join([*lines, LEGEND, *(f"\n{x}" for x in _notes(runs)), ""])


def _notes(runs: list[ReportRun]) -> list[str]:
    """Return the warning of different number formats, if there is one."""
    warning = runs_warning(runs)
    return [warning] if warning else []


def runs_warning(runs: list[ReportRun]) -> str:
    """Warn where the runs were computed in different number formats; "" where not."""
    results = [(r.summary, run.name) for run in runs for r in run.results]
    return precision_warning([s for s, _ in results], [n for _, n in results])


def latex(runs: list[ReportRun], tasks: list[str]) -> str:
    """Write a comparison as LaTeX, one tabular a task, for booktabs.

    Args:
        runs: The runs.
        tasks: Names of the tasks.

    Returns:
        The text.
    """
    lines = []
    notes = _notes(runs)
    for task in tasks:
        columns, rows = _main_table(runs, task)
        lines += [f"% {note}" for note in (*notes, f"{task}. {LEGEND}")]
        lines.append(r"\begin{tabular}{l" + "r" * len(columns) + "}")
        lines.append(r"\toprule")
        lines.append(" & ".join(["run", *(_tex(f"{s} {m}") for s, m in columns)]) + r" \\")
        lines.append(r"\midrule")
        for name, row in rows.items():
            texts = (row.get(c, "") for c in columns)
            cells = (
                t.rstrip("*≈")
                + (rf"$^{{{'*' * t.count('*')}}}$" if "*" in t else "")
                + (r"$^{\approx}$" if "≈" in t else "")
                for t in texts
            )
            lines.append(" & ".join([_tex(name), *cells]) + r" \\")
        lines += [r"\bottomrule", r"\end{tabular}", ""]
    return "\n".join(lines)


def _tex(text: str) -> str:
    """Escape LaTeX's special characters."""
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    special |= {x: "\\" + x for x in "_%&#${}"}
    return "".join(special.get(x, x) for x in text)


def csv(runs: list[ReportRun], tasks: list[str]) -> str:
    """Write everything that was tested as CSV, one figure a line.

    The scenario `multilingual ar` has the queries in Arabic alone.

    Args:
        runs: The runs.
        tasks: Names of the tasks.

    Returns:
        The text.
    """
    out = io.StringIO()
    writer = csv_module.writer(out, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for task in tasks:
        for cell in table_cells(runs, task):
            row = [task, cell.run.name, cell.scenario, cell.measure, f"{cell.value:.6f}"]
            if cell.comparison is None:
                row += [""] * 11
            else:
                row += _csv_comparison(cell.comparison, cell.measure)
            writer.writerow(row)
        for run in runs[1:]:
            for scenario, measures in run.by_language.get(task, {}).items():
                for measure, comparison in measures.items():
                    row = [task, run.name, scenario, measure, f"{comparison.second:.6f}"]
                    # seeds are tested over all languages only
                    one_language = replace(
                        comparison, p_seeds=None, low_seeds=None, high_seeds=None
                    )
                    writer.writerow(row + _csv_comparison(one_language, measure))
    return out.getvalue()


def _csv_comparison(comparison: Comparison, measure: str) -> list[str]:
    """Format the fields of a comparison."""
    c = comparison
    return [
        *(f"{x:.6f}" for x in (c.difference, c.low, c.high)),
        f"{c.p:.5f}",
        "" if c.p_holm is None else f"{c.p_holm:.5f}",
        "" if c.p_seeds is None else f"{c.p_seeds:.5f}",
        *("" if x is None else f"{x:.6f}" for x in (c.low_seeds, c.high_seeds)),
        f"{c.effect:.4f}",
        str(c.groups),
        judge(c, measure).outcome,
    ]
