"""Results as tables in the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mixling.evaluation.bias.table import ALL
from mixling.evaluation.metrics import METRICS
from mixling.evaluation.result import EvaluationResult
from mixling.evaluation.significance import significance_mark
from mixling.evaluation.tasks import SCENARIOS
from mixling.reports.narrative import describe_comparison, describe_result, display_names
from mixling.reports.tables import LEGEND, format_cell, value

if TYPE_CHECKING:
    from mixling.reports.runs import ReportRun

BIAS = (
    "rank_distance",
    "TLR@20",
    "intrusion@10",
    "LPR",
    "Lang-nDCG@10",
    "MRC@20",
    "PEER@100",
    "Complete@20",
)

# headings that fit a terminal of eighty columns
SHORT = {"monolingual": "own", "cross-lingual": "cross", "multilingual": "multilingual"}
MEASURE = {"rank_distance": "distance", "intrusion@10": "intr@10"}


def print_results(
    results: Sequence[EvaluationResult], console: Console | None = None, bias: bool = True
) -> None:
    """Print the finding and the figures of each task, with 95 % intervals of mAP."""
    console = console or Console(emoji=False)
    for result, name in zip(results, display_names(list(results)), strict=True):
        noise = result.summary.get("noise", {})
        for task, entry in result.summary["tasks"].items():
            if task.partition("~")[0] in noise and "~" in task:
                continue
            table = Table(
                title=Text(f"{task}: {name}", "table.title"), title_justify="left", show_edge=False
            )
            table.add_column("scenario", no_wrap=True)
            for m in (*METRICS, "mAP, 95 %"):
                table.add_column(m, justify="right")
            for setting in SCENARIOS:
                if setting in entry:
                    low, high = (
                        entry.get("intervals", {}).get(setting, {}).get("mAP", (math.nan, math.nan))
                    )
                    table.add_row(
                        setting,
                        *(f"{entry[setting][m]:.4f}" for m in METRICS),
                        _between(low, high, 3),
                    )
            console.print(table)
            if bias and "bias" in entry:
                console.print(_bias(entry))
            for kind, settings in noise.get(task, {}).items():
                for setting, v in settings.items():
                    scores = ", ".join(f"{float(r):.0%} {v['scores'][r]:.3f}" for r in v["scores"])
                    console.print(
                        f"{kind}, {setting}: clean {v['clean']:.3f}; {scores}; slope {v['slope']:+.3f}",
                        highlight=False,
                    )
            for sentence in describe_result(result, name, task):
                console.print(sentence, soft_wrap=True, markup=False, highlight=False)
            for setting, reason in entry.get("left_out", {}).items():
                console.print(f"[dim]no {setting}: {reason}[/dim]", soft_wrap=True, highlight=False)
            titles = entry.get("titles", {})
            if titles.get("passages"):
                console.print(
                    f"[dim]read with their titles ({titles['form']}): {titles['passages']} of {entry['passages']} "
                    "candidates[/dim]",
                    highlight=False,
                )
            for line in entry.get("bad_rows", [])[:20]:
                console.print(f"skipped: {line}", markup=False, highlight=False, soft_wrap=True)
            for what, count in entry["skipped"].items():
                console.print(f"[dim]skipped: {count} {what}[/dim]", highlight=False)
            console.print()


def _between(low: float, high: float, digits: int) -> str:
    return "" if math.isnan(low) else f"{low:.{digits}f} … {high:.{digits}f}"


def _bias(entry: dict) -> Table:
    table = Table(show_edge=False, show_header=False)
    for justify in ("left", "right", "right", "left"):
        table.add_column(justify=justify)
    for name in BIAS:
        got = entry["bias"].get(name, math.nan)
        if math.isnan(got):
            continue
        low, high = entry.get("intervals", {}).get("bias", {}).get(name, (math.nan, math.nan))
        digits = 1 if name == "rank_distance" else 3
        table.add_row(
            name,
            f"{got:.{digits}f}",
            _between(low, high, digits),
            f"[dim]{ALL[name].meaning}[/dim]",
        )
    return table


def print_comparison(runs: Sequence[ReportRun], console: Console | None = None) -> None:
    """Print every run's figures with marks against the first, and a sentence of reading."""
    console = console or Console(emoji=False)
    tasks = [
        t
        for t in runs[0].result.summary["tasks"]
        if all(t in r.result.summary["tasks"] for r in runs)
    ]
    # what fits eighty columns; the files have more
    columns = [*((s, "mAP") for s in SCENARIOS)]
    columns += [("multilingual", m) for m in ("rank_distance", "TLR@20", "intrusion@10")]
    for task in tasks:
        there = [c for c in columns if not math.isnan(value(runs[0], task, *c))]
        table = Table(title=Text(task, "table.title"), title_justify="left", show_edge=False)
        table.add_column("run", overflow="fold", min_width=12)
        for setting, measure in there:
            table.add_column(
                f"{SHORT[setting]}\n{MEASURE.get(measure, measure)}", justify="right", no_wrap=True
            )
        for run in runs:
            row = []
            for setting, measure in there:
                got = value(run, task, setting, measure)
                text = f"{got:.0f}" if measure == "rank_distance" else format_cell(got, measure)
                tested = run.tested.get(task, {}).get(setting, {}).get(measure)
                row.append(text if tested is None else f"{text}{significance_mark(tested[1]):3}")
            seeds = f" x{len(run.results)}" if len(run.results) > 1 else ""
            table.add_row(Text(run.name + seeds), *row)
        console.print(table)
        for run in runs[1:]:
            for sentence in describe_comparison(run.tested[task], run.name, runs[0].name):
                console.print(sentence, soft_wrap=True, markup=False, highlight=False)
        console.print()
    if any(len(r.results) > 1 for r in runs):
        console.print("[dim]x2, x3 …: mean of so many seeds[/dim]", highlight=False)
    if len(runs) > 1:
        console.print(f"[dim]{LEGEND}[/dim]", highlight=False)
