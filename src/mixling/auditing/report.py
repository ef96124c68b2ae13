"""The report of an audit: one HTML file, JSON, and a summary for the terminal."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from mixling.auditing import verdict
from mixling.auditing.pool import UNKNOWN
from mixling.auditing.result import MEASURES, AuditResult
from mixling.corpora.files import write_text
from mixling.corpora.languages import language_name
from mixling.disk import new_folder
from mixling.evaluation.bias.severity import (
    MIN_GAIN,
    MIN_LOSS,
    same_language_bias,
    severity_phrase,
)
from mixling.reports.figures import MAX_MATRIX_LANGUAGES, heat_grid
from mixling.reports.html import template_environment
from mixling.transforms.files import write_transform

QUERY_TYPES = {
    "log": "a log of real queries",
    "title": "titles of passages",
    "first sentence": "first sentences of passages",
    "beginning": "first halves of passages",
    "passage": "passages themselves, since there are no texts or no encoder",
}
RULES = (
    f"Cannot tell: fewer than two languages have {verdict.MIN_PASSAGES} passages in the sample, or "
    f"fewer than {verdict.MIN_GROUPS} texts are known items.",
    f"Nothing to do: the known-item loss is below {MIN_LOSS} with its whole 95 % interval.",
    f"A candidate repairs if it gains {MIN_GAIN} or more of mean reciprocal rank in the "
    "pool, the interval of its gain is above zero, and the ranks within a language do not fall by "
    f"more than {verdict.MAX_HARM} (lower end of the interval).",
    "A transform would repair: a transform repairs, and the search order does not, or the "
    "transform gains more than it by an interval above zero. Of the transforms that are not behind "
    "the best by an interval above zero, one with the fewest steps is advised.",
    "Order at query time: otherwise, if the search order repairs. It changes no vector.",
    f"If none repairs: nothing to do if every gain is below {MIN_GAIN} with its whole "
    "interval, or none is above zero; otherwise cannot tell.",
)


def write_audit(result: AuditResult, folder: Path) -> None:
    """Write audit.json, audit.html and the transform, each completely or not at all.

    The transform that the verdict advises is in `transform/`, as `mixling repair --transform` and
    `mixling proxy --transform` read it.

    Args:
        result: The result.
        folder: The folder; it is made if it does not exist.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = json.dumps(result.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)
    write_text(folder / "audit.json", content)
    write_text(folder / "audit.html", render_audit(result))
    target = folder / "transform"
    if target.exists():  # of an earlier audit
        shutil.rmtree(target)
    if result.transform is not None:
        with new_folder(target) as temporary:
            write_transform(result.transform, temporary)


def render_audit(result: AuditResult) -> str:
    """Return the report as HTML."""
    shown = [x for x in result.languages if x in result.compared][:MAX_MATRIX_LANGUAGES]
    rows = [x for x in shown if x in result.top_shares]
    return (
        template_environment()
        .get_template("audit.html.j2")
        .render(
            r=result,
            query_type=QUERY_TYPES[result.query_type],
            numbers=_three_numbers(result),
            bias=describe_bias(result),
            shares=_share_map(result, rows, shown) if rows else "",
            offsets=_offset_map(result, rows, shown) if rows else "",
            hidden=len(result.compared) - len(shown),
            languages=_language_rows(result),
            hubs=result.hubs,
            measures=MEASURES,
            rules=RULES,
            number=_number,
        )
    )


def _number(value: float | None) -> str:
    return "not measured" if value is None or value != value else f"{value:.3f}"


def describe_bias(result: AuditResult) -> str:
    """Return how strong the language bias is, in a sentence.

    It is "" where the bias was not measured, or the verdict is that the audit cannot tell.

    The words and their thresholds are those of the reports of results
    (`mixling.evaluation.bias.severity`).
    """
    intrusion = result.measures["intrusion@10"]
    excess = result.measures["same_language_excess@10"]
    if intrusion is None or excess is None or result.verdict.decision == verdict.UNKNOWN:
        return ""
    return (
        f"{severity_phrase(same_language_bias(intrusion, excess))}: {100 * intrusion:.0f} % of the "
        "first ten are wrong passages in the query's language, before an answer in another "
        "language."
    )


def _three_numbers(result: AuditResult) -> list[dict[str, str]]:
    """Return the three headline figures, each with its meaning."""
    m = result.measures
    known = result.known_items[0] if result.known_items else None
    share, excess = m["same_language_share@10"], m["same_language_excess@10"]
    numbers = [
        {
            "value": "–" if known is None else f"{known.loss:.3f}",
            "meaning": "mean reciprocal rank is lost where all languages are searched together",
            "between": ""
            if known is None
            else f"{known.alone:.3f} alone, {known.pooled:.3f} pooled",
        }
    ]
    if share is not None and excess is not None:
        numbers.append(
            {
                "value": f"{100 * share:.0f} %",
                "meaning": "of the first ten are in the query's language",
                "between": f"its share of the sample is {100 * (share - excess):.0f} %",
            }
        )
    v = result.verdict
    if v.candidate is not None:
        between, value = f"{v.gain_low:+.3f} to {v.gain_high:+.3f}", f"{v.gain:+.3f}"
        name = next(t.name for t in result.trials if t.candidate == v.candidate)
        meaning = f"of that rank comes back by {name}"
    else:
        value, between = "–", ""
        meaning = "no repair is advised"
    return [*numbers, {"value": value, "meaning": meaning, "between": between}]


def _share_map(result: AuditResult, rows: list[str], columns: list[str]) -> str:
    """Draw the languages of the first ten; the last row is the collection."""
    values = {(a, b): result.top_shares[a].get(b, 0.0) for a in rows for b in columns}
    total = sum(result.languages.values())
    values.update({("all", b): result.languages[b] / total for b in columns})
    return heat_grid(
        [*rows, "all"],
        columns,
        values,
        lambda v: f"{100 * v:.0f}",
        max(values.values()) or 1.0,
        "share of languages in the first ten, per cent; last row: in the collection",
    )


def _offset_map(result: AuditResult, rows: list[str], columns: list[str]) -> str:
    """Draw the language offsets, the lowest lightest."""
    offsets = {
        (a, b): result.language_offsets[a][b]
        for a in rows
        if a in result.language_offsets
        for b in columns
    }
    lowest = min(offsets.values(), default=0.0)
    return heat_grid(
        [x for x in rows if x in result.language_offsets],
        columns,
        {pair: value - lowest for pair, value in offsets.items()},
        lambda v: f"{1000 * (v + lowest):.0f}",
        max((v - lowest for v in offsets.values()), default=1.0) or 1.0,
        "language offset by query and passage language, in thousandths",
    )


def _language_rows(result: AuditResult) -> list[dict[str, Any]]:
    total = sum(result.languages.values())
    return [
        {
            "code": code,
            "name": "unknown" if code == UNKNOWN else language_name(code),
            "passages": n,
            "share": n / total,
            "unanswering": result.unanswering.get(code),
        }
        for code, n in result.languages.items()
    ]


def print_audit(result: AuditResult, console: Console | None = None) -> None:
    """Print the verdict, the languages, the known items and the candidates."""
    console = console or Console(emoji=False)

    def say(text: str = "") -> None:
        console.print(text, soft_wrap=True, markup=False, highlight=False)

    v, m = result.verdict, result.measures
    say(f"{v.decision[0].upper()}{v.decision[1:]}. {v.reason}")
    bias = describe_bias(result)
    if bias:
        say(bias)
    say()
    shares = ", ".join(
        f"{code} {100 * n / result.passages:.1f} %"
        for code, n in list(result.languages.items())[:8]
    )
    rest = f" and {len(result.languages) - 8} more" if len(result.languages) > 8 else ""
    say(f"{result.passages:,} passages: {shares}{rest}")
    say(
        f"{result.queries:,} queries ({QUERY_TYPES[result.query_type]}), {result.pool:,} passages "
        "searched"
    )
    share, excess = m["same_language_share@10"], m["same_language_excess@10"]
    if share is not None and excess is not None:
        say(
            f"{100 * share:.0f} % of the first ten are in the query's language, which has "
            f"{100 * (share - excess):.0f} % of the sample."
        )
    if result.known_items:
        table = Table(show_edge=False)
        for name in ("known item", "answer in", "alone", "in the pool", "loss"):
            table.add_column(name, justify="left" if name[0] in "k" else "right")
        for x in result.known_items:
            figures = [f"{value:.3f}" for value in (x.alone, x.pooled, x.loss)]
            table.add_row(x.name, x.scope, *figures)
        console.print(table)
    if result.trials:
        table = Table(show_edge=False)
        for name in ("candidate", "in the pool", "gain", "interval", "alone"):
            table.add_column(name, justify="left" if name == "candidate" else "right")
        for t in result.trials:
            interval = f"{t.gain_low:+.3f} to {t.gain_high:+.3f}"
            table.add_row(t.name, f"{t.pooled:.3f}", f"{t.gain:+.3f}", interval, f"{t.alone:.3f}")
        console.print(table)
    for note in result.notes:
        say(f"note: {note}")
