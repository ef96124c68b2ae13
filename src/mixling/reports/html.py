"""The report: one HTML file without scripts or network, for screens wide and narrow, dark, and for print."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mixling.corpora.files import write_text
from mixling.corpora.languages import is_right_to_left
from mixling.corpora.languages import language_name as language_name
from mixling.corpora.resources import LEVEL_ORDER, is_script_seen, resource_level
from mixling.evaluation.bias.table import ALL
from mixling.evaluation.metrics import METRICS
from mixling.evaluation.result import EvaluationResult
from mixling.evaluation.significance import significance_mark
from mixling.evaluation.tasks import SCENARIOS
from mixling.reports.figures import MOST, bars, heat_map, language_map, share_map
from mixling.reports.narrative import (
    describe_comparison,
    describe_result,
    display_names,
    same_language_share,
)
from mixling.reports.tables import LEGEND, format_cell

if TYPE_CHECKING:
    from mixling.reports.runs import ReportRun


def write_report(
    results: Sequence[EvaluationResult], path: Path, runs: Sequence[ReportRun] | None = None
) -> None:
    """Write the report of one run, or of several side by side (complete or not at all). runs: as `compare` made
    them, for marks."""
    write_text(path, render_report(list(results), runs))


def render_report(results: list[EvaluationResult], runs: Sequence[ReportRun] | None = None) -> str:
    """The report as a string."""
    names = [r.name for r in runs] if runs else display_names(results)
    tasks = [
        t for t in results[0].summary["tasks"] if all(t in r.summary["tasks"] for r in results)
    ]
    # a task with noise is a table in its clean task's section
    tasks = [t for t in tasks if t.partition("~")[0] == t or t.partition("~")[0] not in tasks]
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            title=" against ".join(reversed(names)) if len(names) > 1 else names[0],
            tasks=[_task(results, names, t, runs) for t in tasks],
            names=names,
            several=len(results) > 1,
            facts=[r.summary for r in results],
            legend=LEGEND,
        )
    )


def environment() -> Any:
    """Jinja2 with the templates of this folder."""
    from jinja2 import Environment, FileSystemLoader

    return Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _task(
    results: list[EvaluationResult], names: list[str], task: str, runs: Sequence[ReportRun] | None
) -> dict[str, Any]:
    entries = [r.summary["tasks"][task] for r in results]
    pooled = all("multilingual" in e for e in entries)
    few = len(entries[0]["languages"]) <= MOST
    tested = [{}, *(r.tested.get(task, {}) for r in runs[1:])] if runs else [{} for _ in entries]
    said = describe_result(results[-1], names[-1], task)
    for i in range(1, len(results)):
        said += describe_comparison(tested[i], names[i], names[0]) if tested[i] else []
    return {
        "name": task,
        "finding": said,
        "figures": _figures(entries, names, tested),
        "bias": _bias(entries, tested) if all("bias" in e for e in entries) else [],
        "gaps": _gaps(entries),
        "noise": _noise(results, names, task),
        "each": _each(entries, runs, task) if runs and len(runs) > 1 and few else {},
        "heat": [{"name": n, "svg": heat_map(e)} for n, e in zip(names, entries, strict=True)]
        if few and all("cross-lingual" in e for e in entries)
        else [],
        "bars": bars(entries, names, "mAP", 1.0) if pooled and few else "",
        "distance": bars(entries, names, "rank_distance", None)
        if pooled and few and not math.isnan(entries[0]["multilingual"]["rank_distance"])
        else "",
        "maps": [
            {
                "name": n,
                "svg": language_map(_pool_map(e), f"pool mAP by language, {n}"),
                "levels": _levels(e),
            }
            for n, e in zip(names, entries, strict=True)
        ]
        if pooled and not few
        else [],
        "shares": [
            {"name": n, "svg": share_map(e) if few else "", "own": same_language_share(e)}
            for n, e in zip(names, entries, strict=True)
        ]
        if pooled
        else [],
        "languages": _languages(entries[-1]),
        "languages_of": names[-1],
        "examples": [_example(x) for x in results[-1].examples.get(task, [])],
        "examples_of": names[-1],
        "skipped": entries[-1]["skipped"],
        "left_out": entries[-1].get("left_out", {}),
        "queries": entries[0]["queries"],
        "passages": entries[0]["passages"],
        "data": entries[0].get("data", ""),
    }


def _figures(entries: list[dict], names: list[str], tested: list[dict]) -> list[dict]:
    rows = []
    for setting in SCENARIOS:
        for i, (entry, label) in enumerate(zip(entries, names, strict=True)):
            if setting not in entry:
                continue
            cells = [
                _cell(
                    entry[setting].get(m, math.nan),
                    entries[0][setting].get(m, math.nan) if i else math.nan,
                    m,
                    entry.get("intervals", {})
                    .get(
                        "bias" if m == "rank_distance" and setting == "multilingual" else setting,
                        {},
                    )
                    .get(m),
                    tested[i].get(setting, {}).get(m),
                )
                for m in (*METRICS, "rank_distance")
            ]
            rows.append({"scenario": setting, "name": label, "cells": cells})
    return rows


def _cell(got: float, before: float, measure: str, between: Any, tested: Any) -> dict:
    """A figure with its interval, its difference to the first run and the difference's mark."""
    moved = got - before
    better = ALL[measure].better if measure in ALL else "high"
    digits = 0 if measure in ("rank_distance", "Max@R") else 3
    real = abs(moved) > 0.0005 and better
    return {
        "text": "–" if math.isnan(got) else format_cell(got, measure),
        "between": ""
        if between is None or math.isnan(between[0])
        else f"{between[0]:.{digits}f} to {between[1]:.{digits}f}",
        "moved": ""
        if math.isnan(moved)
        else f"{moved:+.{digits}f}{significance_mark(tested[1]) if tested else ''}",
        "better": bool(real) and (moved > 0) == (better == "high"),
        "worse": bool(real) and (moved > 0) != (better == "high"),
    }


def _bias(entries: list[dict], tested: list[dict]) -> list[dict]:
    rows = []
    for name, measure in ALL.items():
        values = [e["bias"].get(name, math.nan) for e in entries]
        if all(math.isnan(v) for v in values):
            continue
        cells = [
            _cell(
                v,
                values[0] if i else math.nan,
                name,
                e.get("intervals", {}).get("bias", {}).get(name),
                tested[i].get("multilingual", {}).get(name),
            )
            for i, (v, e) in enumerate(zip(values, entries, strict=True))
        ]
        rows.append({"name": name, "measure": measure, "cells": cells})
    return rows


GAPS = {
    "monolingual_less_cross_lingual": "mAP in the own language less mAP across two.",
    "monolingual_less_multilingual": "mAP in the own language less mAP in the pool.",
    "best_less_worst_language": "Pool mAP of the best question language less the worst's.",
    "spread_of_languages": "Standard deviation of pool mAP over question languages.",
}


def _gaps(entries: list[dict]) -> list[dict]:
    rows = []
    for name, says in GAPS.items():
        values = [e.get("gaps", {}).get(name) for e in entries]
        if any(v is not None for v in values):
            rows.append(
                {
                    "name": name,
                    "says": says,
                    "values": ["–" if v is None else f"{v:.3f}" for v in values],
                }
            )
    return rows


def _noise(results: list[EvaluationResult], names: list[str], task: str) -> list[dict]:
    """Rows of mAP under noise: kind, setting, run, clean, then each rate's score and ratio, slope."""
    rows = []
    for result, name in zip(results, names, strict=True):
        for kind, settings in result.summary.get("noise", {}).get(task, {}).items():
            for setting, v in settings.items():
                scores = ", ".join(
                    f"{float(r):.0%} {v['scores'][r]:.3f} ({v['ratio'][r]:.0%})"
                    for r in v["scores"]
                )
                slope = f"{v['slope']:+.3f}"
                rows.append(
                    {
                        "kind": kind,
                        "scenario": setting,
                        "name": name,
                        "clean": f"{v['clean']:.3f}",
                        "scores": scores,
                        "slope": slope,
                    }
                )
    return rows


def _each(entries: list[dict], runs: Sequence[ReportRun], task: str) -> dict[str, list[dict]]:
    """mAP by question language of every run, with its difference to the first and the mark of the test."""
    found: dict[str, list[dict]] = {}
    for setting in ("monolingual", "multilingual"):
        if any(setting not in e for e in entries):
            continue
        for code in entries[0][setting]["by_language"]:
            values = [e[setting]["by_language"][code]["mAP"] for e in entries]
            cells = [
                _cell(
                    v,
                    values[0] if i else math.nan,
                    "mAP",
                    None,
                    run.by_language.get(task, {}).get(f"{setting} {code}", {}).get("mAP"),
                )
                for i, (v, run) in enumerate(zip(values, runs, strict=True))
            ]
            found.setdefault(setting, []).append(
                {"code": code, "name": language_name(code), "cells": cells}
            )
    return found


def _pool_map(entry: dict) -> dict[str, float]:
    return {c: v["mAP"] for c, v in entry["multilingual"]["by_language"].items()}


def _levels(entry: dict) -> list[dict]:
    """Mean pool mAP by how much text encoders have seen, and by whether they know the script."""
    value = _pool_map(entry)
    rows = []
    for band in LEVEL_ORDER:
        for known in (True, False):
            mine = [
                v
                for c, v in value.items()
                if resource_level(c) == band and is_script_seen(c) == known
            ]
            if mine:
                rows.append(
                    {
                        "level": band,
                        "script": "seen" if known else "not seen",
                        "languages": len(mine),
                        "mean": f"{sum(mine) / len(mine):.3f}",
                        "worst": f"{min(mine):.3f}",
                        "best": f"{max(mine):.3f}",
                    }
                )
    return rows


COLUMNS = (
    "own mAP",
    "multilingual mAP",
    "rank distance",
    "TLR@20",
    "intrusion@10",
    "LPR",
    "own share of ten",
    "pieces a word",
    "unknown",
    "cut off",
)


def _languages(entry: dict) -> dict[str, Any]:
    """The drill-down: a row a language, for questions asked in it, with the tokenizer's figures."""
    rows = []
    for code in entry["languages"]:
        pool = entry.get("multilingual", {}).get("by_language", {}).get(code, {})
        bias = entry.get("bias", {}).get("by_language", {}).get(code, {})
        cover = entry.get("coverage", {}).get(code, {})
        share = entry.get("multilingual", {}).get("top10_share", {}).get(code, {}).get(code)
        values = [
            entry.get("monolingual", {}).get("by_language", {}).get(code, {}).get("mAP"),
            pool.get("mAP"),
            pool.get("rank_distance"),
            bias.get("TLR@20"),
            bias.get("intrusion@10"),
            bias.get("LPR"),
            share,
            cover.get("fertility"),
            cover.get("unknown"),
            cover.get("truncated"),
        ]
        if any(v is not None for v in values):
            rows.append({"code": code, "name": language_name(code), "values": values})
    kept = [
        i
        for i in range(len(COLUMNS))
        if any(r["values"][i] is not None and not math.isnan(r["values"][i]) for r in rows)
    ]
    for row in rows:
        row["values"] = [_text(row["values"][i], COLUMNS[i]) for i in kept]
    return {"columns": [COLUMNS[i] for i in kept], "rows": rows}


def _text(value: float | None, column: str) -> str:
    if value is None or math.isnan(value):
        return "–"
    if column == "rank distance":
        return f"{value:.0f}"
    if column in ("unknown", "cut off", "own share of ten"):
        return f"{100 * value:.1f} %"
    return f"{value:.2f}" if column == "pieces a word" else f"{value:.3f}"


def _example(row: dict) -> dict:
    def text(words: str, code: str) -> dict:
        return {
            "text": words,
            "language": code,
            "name": language_name(code),
            "dir": "rtl" if is_right_to_left(code) else "ltr",
        }

    return {
        "question": text(row["question"], row["query_language"]),
        "first_is_right": row["first_is_right"],
        "first": [{**text(words, code), "right": right} for words, code, right in row["first"]],
        "right": text(*row["right"]),
        "ranks": row["right_ranks"],
    }
