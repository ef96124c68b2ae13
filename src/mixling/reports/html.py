"""The report: one HTML file without scripts or network, for screens wide and narrow, dark, and for print."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mixling.corpora.files import write_text
from mixling.corpora.languages import name as language_name
from mixling.corpora.languages import right_to_left
from mixling.evaluation.metrics import METRICS
from mixling.evaluation.result import Result
from mixling.reports.words import display_names, finding, own_share


def write_report(results: Sequence[Result], path: Path) -> None:
    """Write the report of one run, or of several side by side (complete or not at all)."""
    write_text(path, render(list(results)))


def render(results: list[Result]) -> str:
    """The report as a string."""
    from jinja2 import Environment, FileSystemLoader

    names = display_names(results)
    tasks = [t for t in results[0].summary["tasks"] if all(t in r.summary["tasks"] for r in results)]
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("report.html.j2").render(
        title=" against ".join(reversed(names)) if len(names) > 1 else names[0],
        tasks=[_task(results, names, t) for t in tasks],
        names=names,
        several=len(results) > 1,
        facts=[r.summary for r in results],
        language_name=language_name,
    )


def _task(results: list[Result], names: list[str], task: str) -> dict[str, Any]:
    entries = [r.summary["tasks"][task] for r in results]
    pooled = all("pool" in e for e in entries)
    return {
        "name": task,
        "finding": finding(results, names, task),
        "figures": _figures(entries, names),
        "heat": [{"name": n, "svg": heat_map(e)} for n, e in zip(names, entries, strict=True)]
        if all("cross-lingual" in e for e in entries)
        else [],
        "bars": bars(entries, names, "mAP", 1.0) if pooled else "",
        "distance": bars(entries, names, "rank_distance", None)
        if pooled and not math.isnan(entries[0]["pool"]["rank_distance"])
        else "",
        "shares": [
            {"name": n, "svg": share_map(e), "own": own_share(e)} for n, e in zip(names, entries, strict=True)
        ]
        if pooled
        else [],
        "examples": [_example(x) for x in results[-1].examples.get(task, [])],
        "examples_of": names[-1],
        "skipped": entries[-1]["skipped"],
        "queries": entries[0]["queries"],
        "candidates": entries[0]["candidates"],
        "data": entries[0].get("data", ""),
    }


def _figures(entries: list[dict], names: list[str]) -> list[dict]:
    rows = []
    for setting in ("monolingual", "cross-lingual", "pool"):
        for i, (entry, label) in enumerate(zip(entries, names, strict=True)):
            if setting not in entry:
                continue
            cells = []
            for metric in (*METRICS, "rank_distance"):
                value, before = (
                    entry[setting].get(metric, math.nan),
                    entries[0][setting].get(metric, math.nan),
                )
                digits = 0 if metric == "rank_distance" else 3
                moved = value - before
                better = moved < 0 if metric == "rank_distance" else moved > 0
                cells.append(
                    {
                        "text": "–" if math.isnan(value) else f"{value:.{digits}f}",
                        "moved": f"{moved:+.{digits}f}" if i and not math.isnan(moved) else "",
                        "better": better and abs(moved) > 0.0005,
                        "worse": not better and abs(moved) > 0.0005,
                    }
                )
            rows.append({"setting": setting, "name": label, "cells": cells})
    return rows


def _example(row: dict) -> dict:
    def shown(text: str, code: str) -> dict:
        return {
            "text": text,
            "language": code,
            "name": language_name(code),
            "dir": "rtl" if right_to_left(code) else "ltr",
        }

    return {
        "question": shown(row["question"], row["question_language"]),
        "first_is_right": row["first_is_right"],
        "first": [{**shown(text, code), "right": right} for text, code, right in row["first"]],
        "right": shown(*row["right"]),
        "ranks": row["right_ranks"],
    }


def _ink(value: float) -> tuple[str, str]:
    """Background and text of a heat map's cell, 0 … 1."""
    v = min(max(value, 0.0), 1.0)
    low, high = (244, 247, 251), (13, 71, 121)
    rgb = tuple(round(a + (b - a) * v) for a, b in zip(low, high, strict=True))
    return f"rgb{rgb}".replace(" ", ""), "#fff" if v > 0.5 else "#123"


def _grid(
    rows: list[str],
    columns: list[str],
    value: dict[tuple[str, str], float],
    form: Any,
    top: float,
    label: str,
) -> str:
    """A matrix as SVG: rows are questions' languages, columns passages' languages."""
    size, left, head = 40, 44, 40
    width, height = left + size * len(columns) + 4, head + size * len(rows) + 4
    out = [
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{html.escape(label)}" style="max-width:{width}px">'
    ]
    for j, c in enumerate(columns):
        out.append(
            f'<text class="axis" x="{left + size * j + size / 2}" y="{head - 8}" text-anchor="middle">{c}</text>'
        )
    out.append(
        f'<text class="axis small" x="{left + size * len(columns) / 2}" y="11" text-anchor="middle">passages in</text>'
    )
    for i, r in enumerate(rows):
        y = head + size * i
        out.append(f'<text class="axis" x="{left - 8}" y="{y + size / 2 + 4}" text-anchor="end">{r}</text>')
        for j, c in enumerate(columns):
            if (r, c) not in value:
                continue
            v = value[r, c]
            back, fore = _ink(v / top if top else 0)
            own = ' class="own"' if r == c else ""
            title = f"question {language_name(r)}, passages {language_name(c)}: {form(v)}"
            out.append(
                f'<g><title>{html.escape(title)}</title><rect x="{left + size * j}" y="{y}" width="{size - 2}" '
                f'height="{size - 2}" rx="3" fill="{back}"{own}/>'
                f'<text x="{left + size * j + size / 2 - 1}" y="{y + size / 2 + 4}" text-anchor="middle" '
                f'fill="{fore}" font-size="12">{form(v)}</text></g>'
            )
    out.append("</svg>")
    return "".join(out)


def heat_map(entry: dict) -> str:
    """mAP of each question language against the passages of each language alone."""
    value = {}
    for code, v in entry.get("monolingual", {}).get("by_language", {}).items():
        value[code, code] = v["mAP"]
    for pair, v in entry["cross-lingual"]["by_language"].items():
        a, b = _pair(pair, entry["languages"])
        value[a, b] = v["mAP"]
    rows = [x for x in entry["languages"] if any(a == x for a, _ in value)]
    columns = [x for x in entry["languages"] if any(b == x for _, b in value)]
    return _grid(
        rows,
        columns,
        value,
        lambda v: f"{v:.2f}".removeprefix("0"),
        1.0,
        "mAP by question and passage language",
    )


def _pair(text: str, languages: Sequence[str]) -> tuple[str, str]:
    """`es-419-en` -> (es-419, en): tags may hold hyphens themselves."""
    return next(
        (a, text[len(a) + 1 :])
        for a in languages
        if text.startswith(a + "-") and text[len(a) + 1 :] in languages
    )


def share_map(entry: dict) -> str:
    """Who answers whom: share of each language in the pool's first ten."""
    shares = entry["pool"]["top10_share"]
    rows = list(shares)
    columns = [x for x in entry["languages"] if any(x in s for s in shares.values())]
    value = {(a, b): shares[a].get(b, 0.0) for a in rows for b in columns}
    top = max(value.values(), default=1.0)
    return _grid(
        rows, columns, value, lambda v: f"{100 * v:.0f}", top, "share of languages in the first ten, per cent"
    )


def bars(entries: list[dict], names: list[str], metric: str, top: float | None) -> str:
    """A figure of the pool by question language, one bar a run."""
    codes = list(entries[0]["pool"]["by_language"])
    series = [[e["pool"]["by_language"][c][metric] for c in codes] for e in entries]
    top = top or max(max(s) for s in series) or 1.0
    thick, gap, left, right = (16 if len(entries) == 1 else 14), 10, 40, 460
    step = thick * len(entries) + gap
    height = step * len(codes) + 4
    out = [
        f'<svg viewBox="0 0 {right + 60} {height}" role="img" aria-label="{metric} in the pool by question language" '
        f'style="max-width:{right + 60}px">'
    ]
    for i, code in enumerate(codes):
        y = i * step
        out.append(
            f'<text class="axis" x="{left - 8}" y="{y + thick * len(entries) / 2 + 4}" text-anchor="end">{code}</text>'
        )
        for j, s in enumerate(series):
            length = (right - left) * min(s[i] / top, 1)
            text = f"{s[i]:.3f}" if metric == "mAP" else f"{s[i]:.0f}"
            title = f"{names[j]}, question {language_name(code)}: {text}"
            out.append(
                f'<g><title>{html.escape(title)}</title><rect class="run{min(j, 3)}" x="{left}" y="{y + j * thick}" '
                f'width="{length:.1f}" height="{thick - 2}" rx="2"/><text class="axis" style="font-size:11px" '
                f'x="{left + length + 5:.1f}" y="{y + j * thick + thick - 4}">{text}</text></g>'
            )
    out.append("</svg>")
    return "".join(out)
