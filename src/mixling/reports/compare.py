"""Several runs side by side, each tested against the first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mixling.errors import MixlingError, choose
from mixling.evaluation.result import EvaluationResult
from mixling.evaluation.rows import task_comparison, task_rows
from mixling.reports.narrative import display_names
from mixling.reports.runs import ReportRun


def compare(
    folders: Sequence[str | Path], out: str | Path | None = None, permutations: int = 10_000
) -> list[ReportRun]:
    """Load results, test each against the first, and (if `out` is given) write the comparison.

    folders: what `mixling evaluate --out` wrote; `NAME=FOLDER` names a run, and folders of one name are its seeds.
    out: a file that ends in .html, .md, .tex or .csv. The test is a permutation over translation groups, Holm over
    all cells of a task; see `mixling.evaluation.significance`. Raises MixlingError.
    """
    if not folders:
        raise MixlingError(
            "nothing to compare: name the folders that `mixling evaluate --out` wrote"
        )
    if out is not None:
        choose(Path(out).suffix, (".html", ".md", ".tex", ".csv"), "form of --out")
    named: dict[str, list[EvaluationResult]] = {}
    for number, given in enumerate(map(str, folders)):
        name, equals, folder = given.partition("=")
        # a path may hold "=" itself
        if not equals or Path(given).exists():
            name, folder = "", given
        named.setdefault(name or f"#{number}", []).append(EvaluationResult.load(folder))
    results = [r for seeds in named.values() for r in seeds]
    shared = _shared(results, folders)
    labels = display_names([s[0] for s in named.values()])
    # a name that was given stays; a model's own steps aside
    given_names = {n for n in named if not n.startswith("#")}
    names = [
        n if n in given_names else label if label not in given_names else f"{label} ({i})"
        for i, (n, label) in enumerate(zip(named, labels, strict=True), 1)
    ]
    sides = list(named.values())
    runs = [ReportRun(names[0], sides[0], {}, {})]
    for name, seeds in zip(names[1:], sides[1:], strict=True):
        tested, by_language = {}, {}
        for task in shared:
            first, second = (
                [task_rows(r.scores, task) for r in side] for side in (sides[0], seeds)
            )
            tested[task] = task_comparison(first, second, permutations=permutations)
            by_language[task] = task_comparison(first, second, True, permutations=permutations)
        runs.append(ReportRun(name, seeds, tested, by_language))
    if out is not None:
        _write(runs, shared, Path(out))
    return runs


def _shared(results: list[EvaluationResult], folders: Sequence[str | Path]) -> list[str]:
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
        )
    for task in shared:
        if len({r.summary["tasks"][task].get("data") for r in results}) > 1:
            raise MixlingError(
                f"task '{task}' was measured on different data (their hashes differ); evaluate again on one set"
            )
    return shared


def _write(runs: list[ReportRun], tasks: list[str], path: Path) -> None:
    from mixling.corpora.files import write_text
    from mixling.reports import tables
    from mixling.reports.html import write_report

    if path.suffix == ".html":
        write_report([r.result for r in runs], path, runs)
        return
    form = {".md": tables.markdown, ".tex": tables.latex, ".csv": tables.csv}[path.suffix]
    write_text(path, form(runs, tasks))
