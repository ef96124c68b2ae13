"""Comparing results: several runs side by side, each tested against the first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mixling.errors import MixlingError, check_at_least, choose
from mixling.evaluation.result import EvaluationResult
from mixling.evaluation.rows import task_comparison, task_rows
from mixling.evaluation.significance import PERMUTATIONS
from mixling.reports.narrative import display_names
from mixling.reports.runs import ComparisonReport, ReportRun


def compare(
    folders: Sequence[str | Path],
    out: str | Path | None = None,
    permutations: int = PERMUTATIONS,
) -> ComparisonReport:
    """Load results, test each against the first, and write the comparison.

    The test is a permutation test over translation groups with Holm's correction over all cells of
    a task; see `mixling.evaluation.significance`.

    Args:
        folders: Folders that `mixling evaluate --out` wrote. `NAME=FOLDER` names a run; folders
            with the same name are its seeds.
        out: File to write, ending in .html, .md, .tex or .csv; None writes none.
        permutations: Number of permutations of each test.

    Returns:
        The runs, with their tests.

    Raises:
        MixlingError: There is no folder, a folder has no result, or the results share no task or
            were measured on different data.

    Example:
        >>> import mixling
        >>> report = mixling.compare(["before=runs/a", "after=runs/b"], "comparison.html")
        >>> report.runs[1].comparison("xquad-r", "multilingual", "mAP").difference
        0.126
    """
    if not folders:
        raise MixlingError(
            "there are no results to compare. Name the folders that `mixling evaluate --out` wrote."
        )
    check_at_least(1, permutations=permutations)
    if out is not None:
        choose(Path(out).suffix, (".html", ".md", ".tex", ".csv"), "form of --out")
    results_by_name = _load_results(folders)
    tasks = _shared_tasks([r for seeds in results_by_name.values() for r in seeds], folders)
    names = _run_names(results_by_name)
    sides = list(results_by_name.values())
    runs = [ReportRun(names[0], sides[0], {}, {})]
    for name, seeds in zip(names[1:], sides[1:], strict=True):
        tested, by_language = {}, {}
        for task in tasks:
            first, second = (
                [task_rows(r.scores, task) for r in side] for side in (sides[0], seeds)
            )
            tested[task] = task_comparison(first, second, permutations=permutations)
            by_language[task] = task_comparison(
                first, second, by_language=True, permutations=permutations
            )
        runs.append(ReportRun(name, seeds, tested, by_language))
    report = ComparisonReport(runs, tasks)
    if out is not None:
        _write_comparison(report, Path(out))
    return report


def _load_results(folders: Sequence[str | Path]) -> dict[str, list[EvaluationResult]]:
    """Load the results of each run; `#0`, `#1` … name those without a name."""
    results: dict[str, list[EvaluationResult]] = {}
    for number, argument in enumerate(map(str, folders)):
        name, equals, folder = argument.partition("=")
        # a path may contain "=" itself
        if not equals or Path(argument).exists():
            name, folder = "", argument
        results.setdefault(name or f"#{number}", []).append(EvaluationResult.load(folder))
    return results


def _run_names(results: dict[str, list[EvaluationResult]]) -> list[str]:
    """Name the runs as the caller does, otherwise by their models."""
    labels = display_names([seeds[0] for seeds in results.values()])
    given = {name for name in results if not name.startswith("#")}
    return [
        name if name in given else label if label not in given else f"{label} ({i})"
        for i, (name, label) in enumerate(zip(results, labels, strict=True), 1)
    ]


def _shared_tasks(results: list[EvaluationResult], folders: Sequence[str | Path]) -> list[str]:
    """List the tasks that all results have; their data must be the same."""
    shared = [
        t for t in results[0].summary["tasks"] if all(t in r.summary["tasks"] for r in results)
    ]
    if not shared:
        raise MixlingError(
            "the results share no task: "
            + "; ".join(
                f"{f} has {', '.join(r.summary['tasks'])}"
                for f, r in zip(folders, results, strict=True)
            )
            + ". Measure the same task with all of them."
        )
    for task in shared:
        if len({r.summary["tasks"][task].get("data") for r in results}) > 1:
            raise MixlingError(
                f"task '{task}' was measured on different data, because the hashes of its data "
                "differ. Measure again on the same data."
            )
    return shared


def _write_comparison(report: ComparisonReport, path: Path) -> None:
    """Write a comparison in the form that the file's suffix names."""
    from mixling.corpora.files import write_text
    from mixling.reports import tables
    from mixling.reports.html import write_report

    if path.suffix == ".html":
        write_report([r.result for r in report.runs], path, report.runs)
        return
    form = {".md": tables.markdown, ".tex": tables.latex, ".csv": tables.csv}[path.suffix]
    write_text(path, form(report.runs, report.tasks))
