"""The report: one HTML file without scripts or network, for screens and for print."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from mixling.corpora.files import write_text
from mixling.evaluation.bias.severity import SCALE
from mixling.evaluation.result import EvaluationResult
from mixling.reports.answers import wrong_answers
from mixling.reports.by_language import (
    compared_languages,
    language_details,
    language_rows,
    multilingual_map,
    resource_level_rows,
)
from mixling.reports.changes import PRECISION_EFFECT, precision_warning
from mixling.reports.figures import MAX_MATRIX_LANGUAGES, bars, language_map
from mixling.reports.heat import answer_bars, heat_css, score_matrix
from mixling.reports.hubs import hub_rows, reciprocity_matrix
from mixling.reports.measures import (
    bias_groups,
    gap_rows,
    headline_rows,
    noise_rows,
    score_rows,
)
from mixling.reports.narrative import describe_comparison, display_names
from mixling.reports.tables import LEGEND, runs_warning
from mixling.reports.verdict import (
    BiasVerdict,
    HeadlineNumber,
    bias_verdict,
    percent,
    same_language_share,
)

if TYPE_CHECKING:
    from jinja2 import Environment

    from mixling.reports.runs import ReportRun, TaskComparison

Entry = dict[str, Any]


def write_report(
    results: Sequence[EvaluationResult], path: Path, runs: Sequence[ReportRun] | None = None
) -> None:
    """Write the report of one run, or of several side by side.

    Args:
        results: One result a run.
        path: The file to write (completely or not at all).
        runs: The runs as `compare` made them, for marks of significance.
    """
    write_text(path, render_report(list(results), runs))


def render_report(
    results: Sequence[EvaluationResult], runs: Sequence[ReportRun] | None = None
) -> str:
    """Render the report.

    Args:
        results: One result a run.
        runs: The runs as `compare` made them, for marks of significance.

    Returns:
        The HTML.
    """
    results = list(results)
    names = [r.name for r in runs] if runs else display_names(results)
    tasks = [
        t for t in results[0].summary["tasks"] if all(t in r.summary["tasks"] for r in results)
    ]
    # a task with noise is a table in its clean task's section
    tasks = [t for t in tasks if t.partition("~")[0] == t or t.partition("~")[0] not in tasks]
    summaries = [r.summary for r in results]
    return (
        template_environment()
        .get_template("report.html.j2")
        .render(
            title=" against ".join(reversed(names)) if len(names) > 1 else names[0],
            tasks=[_task_section(results, names, t, runs) for t in tasks],
            names=names,
            several=len(results) > 1,
            facts=summaries,
            legend=LEGEND,
            scale=SCALE,
            precision_effect=PRECISION_EFFECT,
            warning=runs_warning(list(runs)) if runs else precision_warning(summaries, names),
        )
    )


def template_environment() -> Environment:
    """Return Jinja2 with the templates of this folder."""
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["heat_css"] = heat_css()
    environment.filters["code"] = _code
    return environment


def _code(text: str) -> Markup:
    """Return a sentence as HTML, with text in backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def _task_section(
    results: list[EvaluationResult],
    names: list[str],
    task: str,
    runs: Sequence[ReportRun] | None,
) -> dict[str, Any]:
    """Prepare everything that the template shows of a task."""
    entries: list[Entry] = [r.summary["tasks"][task] for r in results]
    tested: list[TaskComparison] = [r.tested.get(task, {}) for r in runs] if runs else []
    tested = tested or [{} for _ in entries]
    verdicts = [bias_verdict(e) for e in entries]
    several = len(results) > 1
    sentences = list(verdicts[-1].sentences)
    if several:
        sentences = []
        for i in range(1, len(results)):
            pair = (entries[0], entries[i])
            sentences += describe_comparison(tested[i], names[i], names[0], pair)
    examples = results[-1].examples.get(task, [])
    return {
        "name": task,
        "verdict": _comparison_title(verdicts, names) if several else verdicts[-1].title,
        "sentences": sentences,
        "next_step": verdicts[-1].next_step,
        "numbers": _changed_numbers(verdicts, names[0]) if several else verdicts[-1].numbers,
        "verdicts": list(zip(names, verdicts, strict=True)),
        "headline": headline_rows(entries, tested),
        "scores": score_rows(entries, names, tested),
        "groups": bias_groups(entries, tested) if all("bias" in e for e in entries) else [],
        "gaps": gap_rows(entries),
        "hubs": hub_rows(entries),
        "noise": noise_rows(results, names, task),
        "compared": compared_languages(entries, runs, task),
        **_charts(entries, names),
        "languages": language_rows(entries[-1]),
        "details": language_details(entries[-1], examples),
        "wrong": wrong_answers(examples),
        "last_name": names[-1],
        "skipped": entries[-1]["skipped"],
        "left_out": entries[-1].get("left_out", {}),
        # what lists of a search system cannot tell
        "notes": entries[-1].get("notes", []) if "lists" in entries[-1] else [],
        "queries": entries[0]["queries"],
        "passages": entries[0]["passages"],
        "sampled": entries[-1].get("orders", {}).get("queries", entries[-1]["queries"]),
        "data": entries[0].get("data", ""),
    }


def _comparison_title(verdicts: list[BiasVerdict], names: list[str]) -> str:
    """Say how strong the bias of the last run is, and that of the first."""
    first, last = verdicts[0].title, verdicts[-1].title
    return f"{last} with {names[-1]}; {first[0].lower()}{first[1:]} with {names[0]}"


def _changed_numbers(verdicts: list[BiasVerdict], first_name: str) -> list[HeadlineNumber]:
    """Return the last run's three figures, with the first run's beside them."""
    first = {n.meaning: n.value for n in verdicts[0].numbers}
    return [
        HeadlineNumber(
            n.value,
            n.meaning,
            f"{first[n.meaning]} with {first_name}" if n.meaning in first else n.between,
        )
        for n in verdicts[-1].numbers
    ]


def _charts(entries: list[Entry], names: list[str]) -> dict[str, Any]:
    """Prepare the charts of a task: matrices and bars of few languages, maps of many."""
    named = list(zip(names, entries, strict=True))
    few = len(entries[0]["languages"]) <= MAX_MATRIX_LANGUAGES
    charts: dict[str, Any] = {"heat": [], "mutual": [], "bars": "", "maps": [], "answers": []}
    if few and all("cross-lingual" in e for e in entries):
        charts["heat"] = [{"name": name, **score_matrix(e)} for name, e in named]
    if any("multilingual" not in e for e in entries):
        return charts
    if few:
        matrices = [(name, reciprocity_matrix(e)) for name, e in named]
        charts["mutual"] = [{"name": name, **x} for name, x in matrices if x is not None]
        charts["answers"] = [
            {"name": name, "bars": answer_bars(e), "sentence": _share_sentence(e)}
            for name, e in named
        ]
        charts["bars"] = bars(entries, names, "mAP", 1.0)
        return charts
    charts["maps"] = [
        {
            "name": name,
            "svg": language_map(multilingual_map(e), f"multilingual mAP by language, {name}"),
            "levels": resource_level_rows(e),
        }
        for name, e in named
    ]
    return charts


def _share_sentence(entry: Entry) -> str:
    """Say which share of the first ten is in the query's language, and which would be fair."""
    share, fair = same_language_share(entry)
    return (
        f"{percent(share)} of the first ten are in the query's language; a fair share is "
        f"{percent(fair)}."
    )
