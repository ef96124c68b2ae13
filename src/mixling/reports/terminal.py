"""Results as tables in the terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mixling.evaluation.bias.table import ALL
from mixling.evaluation.metrics import METRICS
from mixling.evaluation.result import EvaluationResult
from mixling.evaluation.tasks import SCENARIOS
from mixling.reports.changes import judge, mark, number_of_tests
from mixling.reports.narrative import describe_comparison, display_names
from mixling.reports.tables import LEGEND, format_cell, run_value, runs_warning
from mixling.reports.verdict import bias_verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mixling.reports.runs import ComparisonReport, ReportRun

# measures of bias that are shown; the report has all
SHOWN_BIAS = ("intrusion@10", "TLR@20", "rank_distance", "LPR", "MRC@20")
# columns of a comparison that fit in eighty characters; the files have more
COMPARISON_COLUMNS = (
    *((scenario, "mAP") for scenario in SCENARIOS),
    *(("multilingual", m) for m in ("rank_distance", "TLR@20", "intrusion@10")),
)
# headings of these columns
SCENARIO_HEADINGS = {
    "monolingual": "mono-\nlingual",
    "cross-lingual": "cross-\nlingual",
    "multilingual": "multi-\nlingual",
}
MEASURE_HEADINGS = {"rank_distance": "distance", "intrusion@10": "intr@10"}
MAX_BAD_ROWS = 20
# languages that a sentence names; more are counted
MAX_NAMED = 12


def print_results(
    results: Sequence[EvaluationResult], console: Console | None = None, bias: bool = True
) -> None:
    """Print the figures of each task, with 95 % intervals of mAP, and their meaning.

    Args:
        results: The results.
        console: Where to print, by default standard output.
        bias: Print the measures of bias.
    """
    console = console or Console(emoji=False)
    next_step = ""
    for result, name in zip(results, display_names(list(results)), strict=True):
        noise = result.summary.get("noise", {})
        for task, entry in result.summary["tasks"].items():
            if task.partition("~")[0] in noise and "~" in task:
                continue  # a task with noise is shown with its clean task
            verdict = bias_verdict(entry)
            next_step = verdict.next_step
            _say(console, f"{verdict.title} ({name}, {task}). {' '.join(verdict.sentences)}")
            console.print(_score_table(entry, f"{task}: {name}"))
            if bias and "bias" in entry:
                console.print(_bias_table(entry))
            _print_noise(console, noise.get(task, {}))
            _print_notes(console, entry)
            console.print()
    if len(results) > 1:
        next_step = "test the difference of two results with `mixling compare`."
    if next_step:
        _say(console, f"Next: {next_step}")


def _say(console: Console, text: str) -> None:
    """Print a paragraph as it is, without markup."""
    console.print(text, soft_wrap=True, markup=False, highlight=False)


def _score_table(entry: dict[str, Any], title: str) -> Table:
    """Make the table of a task's metrics."""
    table = Table(title=Text(title, "table.title"), title_justify="left", show_edge=False)
    table.add_column("scenario", no_wrap=True)
    for heading in (*METRICS, "mAP, 95 %"):
        table.add_column(heading, justify="right")
    for scenario in SCENARIOS:
        if scenario in entry:
            interval = entry.get("intervals", {}).get(scenario, {}).get("mAP")
            scores = (f"{entry[scenario][m]:.4f}" for m in METRICS)
            table.add_row(scenario, *scores, _format_interval(interval, 3))
    return table


def _format_interval(interval: Sequence[float] | None, digits: int) -> str:
    """Format both ends of an interval, if there is one."""
    if interval is None or math.isnan(interval[0]):
        return ""
    return f"{interval[0]:.{digits}f} … {interval[1]:.{digits}f}"


def _bias_table(entry: dict[str, Any]) -> Table:
    """Make the table of a task's measures of bias."""
    table = Table(show_edge=False, show_header=False)
    for justify in ("left", "right", "right", "left"):
        table.add_column(justify=justify)
    for name in SHOWN_BIAS:
        value = entry["bias"].get(name, math.nan)
        if math.isnan(value):
            continue
        interval = entry.get("intervals", {}).get("bias", {}).get(name)
        digits = 1 if name == "rank_distance" else 3
        table.add_row(
            name,
            f"{value:.{digits}f}",
            _format_interval(interval, digits),
            f"[dim]{ALL[name].meaning}[/dim]",
        )
    return table


def _print_noise(console: Console, noise: dict[str, Any]) -> None:
    """Print mAP under each type of noise."""
    for noise_type, scenarios in noise.items():
        for scenario, v in scenarios.items():
            scores = ", ".join(f"{float(r):.0%} {v['scores'][r]:.3f}" for r in v["scores"])
            console.print(
                f"{noise_type}, {scenario}: clean {v['clean']:.3f}; {scores}; slope "
                f"{v['slope']:+.3f}",
                highlight=False,
            )


def _print_notes(console: Console, entry: dict[str, Any]) -> None:
    """Print the notes of a task: parts that are left out, and titles that a model reads."""
    for scenario, reason in entry.get("left_out", {}).items():
        console.print(f"[dim]no {scenario}: {reason}[/dim]", soft_wrap=True, highlight=False)
    titles = entry.get("titles", {})
    if titles.get("passages"):
        console.print(
            f"[dim]read with their titles ({titles['form']}): {titles['passages']} of "
            f"{entry['passages']} passages[/dim]",
            highlight=False,
        )
    for note in entry.get("notes", [])[:MAX_BAD_ROWS]:
        console.print(f"note: {note}", markup=False, highlight=False, soft_wrap=True)
    for line in entry.get("bad_rows", [])[:MAX_BAD_ROWS]:
        console.print(f"skipped: {line}", markup=False, highlight=False, soft_wrap=True)
    for what, count in entry["skipped"].items():
        console.print(f"[dim]skipped: {count} {what}[/dim]", highlight=False)


def print_comparison(report: ComparisonReport, console: Console | None = None) -> None:
    """Print every run's figures with marks against the first, and their meaning.

    Args:
        report: The comparison.
        console: Where to print, by default standard output.
    """
    console = console or Console(emoji=False)
    runs = report.runs
    warning = runs_warning(runs)
    if warning:
        _say(console, f"Warning: {warning}")
    for task in report.tasks:
        for run in runs[1:]:
            entries = (runs[0].result.summary["tasks"][task], run.result.summary["tasks"][task])
            sentences = describe_comparison(run.tested[task], run.name, runs[0].name, entries)
            for sentence in sentences:
                _say(console, sentence)
            for sentence in _language_sentences(run, task):
                _say(console, sentence)
        console.print(_comparison_table(runs, task))
        console.print()
    if any(len(run.results) > 1 for run in runs):
        console.print("[dim]x2, x3 …: mean over this number of seeds[/dim]", highlight=False)
    if len(runs) > 1:
        console.print(f"[dim]{LEGEND}[/dim]", highlight=False)
        _say(console, "Next: `--out comparison.html` shows every language with its interval.")


def _language_sentences(run: ReportRun, task: str) -> list[str]:
    """Name the query languages whose mAP is better or worse, and count the others."""
    tested = run.by_language.get(task, {})
    tests = number_of_tests(tested)
    sentences = []
    for scenario in ("monolingual", "multilingual"):
        outcomes: dict[str, list[str]] = {}
        corrected = 0
        for name, measures in tested.items():
            if name.startswith(f"{scenario} "):
                change = judge(measures["mAP"], "mAP", tests)
                outcomes.setdefault(change.outcome, []).append(name.partition(" ")[2])
                corrected += change.is_corrected
        parts = [
            f"{outcome} in {', '.join(codes) if len(codes) <= MAX_NAMED else len(codes)}"
            for outcome, codes in sorted(outcomes.items())
        ]
        if parts:
            why = (
                f" ({corrected} of them only after the correction for {tests} tests)"
                if corrected
                else ""
            )
            sentences.append(f"By query language, {scenario} mAP: {'; '.join(parts)}{why}.")
    return sentences


def _comparison_table(runs: list[ReportRun], task: str) -> Table:
    """Make the table of a task's figures, one row a run."""
    columns = [c for c in COMPARISON_COLUMNS if not math.isnan(run_value(runs[0], task, *c))]
    table = Table(title=Text(task, "table.title"), title_justify="left", show_edge=False)
    table.add_column("run", overflow="fold", min_width=12)
    for scenario, measure in columns:
        heading = f"{SCENARIO_HEADINGS[scenario]}\n{MEASURE_HEADINGS.get(measure, measure)}"
        table.add_column(heading, justify="right", no_wrap=True)
    for run in runs:
        row = []
        for scenario, measure in columns:
            value = run_value(run, task, scenario, measure)
            text = f"{value:.0f}" if measure == "rank_distance" else format_cell(value, measure)
            comparison = run.comparison(task, scenario, measure)
            row.append(text if comparison is None else f"{text}{mark(comparison, measure):3}")
        seeds = f" x{len(run.results)}" if len(run.results) > 1 else ""
        table.add_row(Text(run.name + seeds), *row)
    return table
