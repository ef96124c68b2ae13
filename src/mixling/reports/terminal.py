"""Results as tables in the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from mixling.evaluation.metrics import METRICS
from mixling.evaluation.result import Result
from mixling.evaluation.tasks import SETTINGS
from mixling.reports.words import display_names, finding


def show(results: Sequence[Result], console: Console | None = None) -> None:
    """Print the finding and the figures of each task; with several runs, differences to the first."""
    console = console or Console()
    results = list(results)
    names = display_names(results)
    for task in results[0].summary["tasks"]:
        if any(task not in r.summary["tasks"] for r in results):
            continue
        first = results[0].summary["tasks"][task]
        for name, result in zip(names, results, strict=True):
            table = Table(title=f"{task}: {name}", title_justify="left", show_edge=False)
            table.add_column("setting", no_wrap=True)
            for m in (*METRICS, "distance"):
                table.add_column(m, justify="right")
            entry = result.summary["tasks"][task]
            for setting in SETTINGS:
                if setting in entry:
                    cells = [
                        _cell(entry[setting][m], first[setting][m], result is not results[0]) for m in METRICS
                    ]
                    far = entry[setting].get("rank_distance", math.nan)
                    table.add_row(setting, *cells, "" if math.isnan(far) else f"{far:.1f}")
            console.print(table)
        for sentence in finding(results, names, task):
            console.print(sentence, soft_wrap=True, highlight=False)
        for what, count in results[-1].summary["tasks"][task]["skipped"].items():
            console.print(f"[dim]skipped: {count} {what}[/dim]", highlight=False)
        console.print()


def _cell(value: float, before: float, compare: bool) -> str:
    if not compare:
        return f"{value:.4f}"
    colour = "green" if value > before else "red" if value < before else "dim"
    return f"{value:.4f} [{colour}]{value - before:+.4f}[/{colour}]"
