"""A leaderboard: all results of a folder in one page, a table a task, the best in the pool first."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from mixling.corpora.files import write_text
from mixling.errors import MixlingError
from mixling.evaluation.bias.table import ALL
from mixling.evaluation.result import EvaluationResult
from mixling.reports.html import environment
from mixling.reports.tables import format_cell

COLUMNS = (
    ("monolingual", "mAP"),
    ("cross-lingual", "mAP"),
    ("multilingual", "mAP"),
    ("multilingual", "nDCG@20"),
    ("bias", "rank_distance"),
    ("bias", "TLR@20"),
    ("bias", "intrusion@10"),
    ("bias", "LPR"),
    ("bias", "Lang-nDCG@10"),
)


def leaderboard(folder: str | Path, out: str | Path) -> Path:
    """Write the page of every summary.json below a folder. Raises MixlingError when there is none."""
    folder, out = Path(folder), Path(out)
    found = sorted(p.parent for p in folder.rglob("summary.json"))
    if not found:
        raise MixlingError(
            f"{folder}: no summary.json below it; write results with `mixling evaluate --out`"
        )
    tasks: dict[str, list[dict[str, Any]]] = {}
    about: dict[str, dict[str, Any]] = {}
    for place in found:
        result = EvaluationResult.load(place)
        for name, entry in result.summary["tasks"].items():
            if "~" in name:
                continue
            key = f"{name} · {str(entry.get('data', ''))[:8]}"
            tasks.setdefault(key, []).append(_row(result, entry, place, folder))
            about.setdefault(key, {"name": name, **{k: entry[k] for k in ("queries", "passages")}})
            about[key]["languages"] = len(entry["languages"])
    sections = [
        {**about[k], "data": k.rpartition(" ")[2], **_table(rows)}
        for k, rows in sorted(tasks.items())
    ]
    page = environment().get_template("leaderboard.html.j2")
    write_text(
        out, page.render(sections=sections, columns=COLUMNS, measures=ALL, folder=folder.name)
    )
    return out


def _row(
    result: EvaluationResult, entry: dict[str, Any], place: Path, folder: Path
) -> dict[str, Any]:
    values = [entry.get(setting, {}).get(measure, math.nan) for setting, measure in COLUMNS]
    between = [entry.get("intervals", {}).get(s, {}).get(m) for s, m in COLUMNS]
    made = result.summary.get("origin", {}).get("debiased", {})
    note = f"{made['method']}, fitted on {', '.join(made['fit'])}" if made else ""
    name = result.summary.get("label") or _short(str(result.summary["model"])) or place.name
    where = str(place.relative_to(folder))
    return {
        "name": name,
        "where": "" if where == "." else where,
        "values": values,
        "between": between,
        "note": note,
    }


def _short(model: str) -> str:
    """The last part of a path or hub name that tells models apart: a run's own folder, not its `run/model`."""
    parts = [p for p in model.split("/") if p]
    while len(parts) > 1 and parts[-1] in ("model", "run"):
        parts.pop()
    return parts[-1] if parts else ""


def _table(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Rows by falling pool mAP (own language where there is no pool), the best of each column marked."""

    def order(row: dict[str, Any]) -> float:
        pool, own, cross = row["values"][2], row["values"][0], row["values"][1]
        return -next((v for v in (pool, own, cross) if not math.isnan(v)), 0.0)

    rows = sorted(rows, key=order)
    kept = [i for i in range(len(COLUMNS)) if any(not math.isnan(r["values"][i]) for r in rows)]
    for i in kept:
        measure = COLUMNS[i][1]
        better = ALL[measure].better if measure in ALL else "high"
        values = [r["values"][i] for r in rows if not math.isnan(r["values"][i])]
        best = (max(values) if better == "high" else min(values)) if better and values else math.nan
        for r in rows:
            v, between = r["values"][i], r["between"][i]
            r.setdefault("cells", []).append(
                {
                    "text": "–" if math.isnan(v) else format_cell(v, measure),
                    "best": v == best,
                    "between": ""
                    if between is None or math.isnan(between[0])
                    else f"{format_cell(between[0], measure)} to {format_cell(between[1], measure)}",
                }
            )
    return {"rows": rows, "head": [COLUMNS[i] for i in kept]}
