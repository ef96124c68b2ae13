"""A comparison as Markdown, LaTeX and CSV: one row a run, setting and measure's value with its mark."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mixling.evaluation.rows import TESTED, TESTED_MULTILINGUAL
from mixling.evaluation.significance import significance_mark
from mixling.evaluation.tasks import SCENARIOS

if TYPE_CHECKING:
    from mixling.reports.runs import ReportRun

LEGEND = "* p < .05, ** p < .01, *** p < .001 against the first run: permutation of translation groups, Holm."


def value(run: ReportRun, task: str, setting: str, measure: str) -> float:
    """Mean over a run's seeds; NaN where the task cannot have it."""
    found = []
    for r in run.results:
        entry = r.summary["tasks"][task]
        got = entry.get(setting, {}).get(measure)
        if got is None and setting == "multilingual":
            got = entry.get("bias", {}).get(measure)
        found.append(math.nan if got is None else got)
    return sum(found) / len(found)


def table_cells(
    runs: list[ReportRun], task: str
) -> Iterator[tuple[ReportRun, str, str, float, str]]:
    """(run, setting, measure, value, mark) of all that a task has."""
    for run in runs:
        for setting in SCENARIOS:
            for measure in (*TESTED, *(TESTED_MULTILINGUAL if setting == "multilingual" else ())):
                got = value(run, task, setting, measure)
                if math.isnan(got):
                    continue
                tested = run.tested.get(task, {}).get(setting, {}).get(measure)
                yield (
                    run,
                    setting,
                    measure,
                    got,
                    "" if tested is None else significance_mark(tested[1]),
                )


def format_cell(got: float, measure: str) -> str:
    """A figure as the field writes it: three digits, ranks with one."""
    return f"{got:.1f}" if measure in ("rank_distance", "Max@R") else f"{got:.3f}"


def _grid(
    runs: list[ReportRun], task: str
) -> tuple[list[tuple[str, str]], dict[str, dict[tuple[str, str], str]]]:
    rows: dict[str, dict[tuple[str, str], str]] = {}
    columns: list[tuple[str, str]] = []
    main = {
        ("monolingual", "mAP"),
        ("cross-lingual", "mAP"),
        ("multilingual", "mAP"),
        ("multilingual", "nDCG@10"),
    }
    wanted = main | {
        ("multilingual", m) for m in ("rank_distance", "TLR@20", "intrusion@10", "LPR")
    }
    for run, setting, measure, got, stars in table_cells(runs, task):
        if (setting, measure) in wanted:
            rows.setdefault(run.name, {})[setting, measure] = format_cell(got, measure) + stars
            if (setting, measure) not in columns:
                columns.append((setting, measure))
    return columns, rows


def markdown(runs: list[ReportRun], tasks: list[str]) -> str:
    """One table a task."""
    out = []
    for task in tasks:
        columns, rows = _grid(runs, task)
        out.append(f"**{task}**\n")
        out.append("| run | " + " | ".join(f"{s} {m}" for s, m in columns) + " |")
        out.append("|---|" + "---|" * len(columns))
        out += [
            f"| {n.replace('|', '&#124;')} | " + " | ".join(r.get(c, "") for c in columns) + " |"
            for n, r in rows.items()
        ]
        out.append("")
    return "\n".join([*out, LEGEND, ""])


def latex(runs: list[ReportRun], tasks: list[str]) -> str:
    """One tabular a task, for booktabs."""
    out = []
    for task in tasks:
        columns, rows = _grid(runs, task)
        out.append(f"% {task}. {LEGEND}")
        out.append(r"\begin{tabular}{l" + "r" * len(columns) + "}")
        out.append(r"\toprule")
        out.append(" & ".join(["run", *(_tex(f"{s} {m}") for s, m in columns)]) + r" \\")
        out.append(r"\midrule")
        for name, row in rows.items():
            values = (row.get(c, "") for c in columns)
            stars = (
                v.rstrip("*") + (rf"$^{{{'*' * v.count('*')}}}$" if "*" in v else "")
                for v in values
            )
            out.append(" & ".join([_tex(name), *stars]) + r" \\")
        out += [r"\bottomrule", r"\end{tabular}", ""]
    return "\n".join(out)


def _tex(text: str) -> str:
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    special |= {x: "\\" + x for x in "_%&#${}"}
    return "".join(special.get(x, x) for x in text)


def csv(runs: list[ReportRun], tasks: list[str]) -> str:
    """Everything that was tested, one figure a line; setting `pool ar`: questions in Arabic alone."""
    import csv as writer

    out = io.StringIO()
    w = writer.writer(out, lineterminator="\n")
    w.writerow(
        [
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
            "effect",
            "groups",
        ]
    )
    for task in tasks:
        for run, setting, measure, got, _ in table_cells(runs, task):
            found = run.tested.get(task, {}).get(setting, {}).get(measure)
            row = [task, run.name, setting, measure, f"{got:.6f}"]
            if found is None:
                row += [""] * 8
            else:
                c, p = found
                seeds = "" if c.p_seeds is None else f"{c.p_seeds:.5f}"
                row += [f"{x:.6f}" for x in (c.difference, c.low, c.high)]
                row += [f"{c.p:.5f}", f"{p:.5f}", seeds, f"{c.effect:.4f}", str(c.groups)]
            w.writerow(row)
        for run in runs[1:]:
            for setting, measures in run.by_language.get(task, {}).items():
                for measure, (c, p) in measures.items():
                    row = [task, run.name, setting, measure]
                    row += [f"{x:.6f}" for x in (c.second, c.difference, c.low, c.high)]
                    row += [f"{c.p:.5f}", f"{p:.5f}", "", f"{c.effect:.4f}", str(c.groups)]
                    w.writerow(row)
    return out.getvalue()
