"""docs/results.html: what was found, as pictures and tables on one page that needs nothing else (`python -m docs.figures`).

Every part names the command that made its figures and the committed file that they are read from; a part whose file is not there
is left out.
"""

from __future__ import annotations

import html
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

import mixling.reports
from docs import methods
from mixling.corpora.languages import name as language_name
from mixling.reports.figures import bars, language_map

ROOT = Path(__file__).parent.parent
LOW, INSIDE = "low-resource", "xquad-r@ar,de,zh"
SHOWN = ("none", "mDPR's way, German", "hybrid", "balanced recipe")  # as many as bars have colours
Point = tuple[str, float, float]  # what it is, own language, pool


def there(name: str) -> dict[str, Any] | None:
    """A committed result, or None."""
    path = ROOT / name
    return json.loads(path.read_text()) if path.exists() else None


def scatter(points: list[Point], label: str, own: float | None = None, path: Sequence[int] = ()) -> str:
    """Pool against own language, points numbered from 1. own: the untrained model's own language, as a line; path: points joined."""
    wide, tall, left, top = 520, 340, 52, 12
    right, low = wide - 16, tall - 42
    (x0, x1, across), (y0, y1, up) = span([p[1] for p in points] + [own] * (own is not None)), span([p[2] for p in points])

    def at(mine: float, pool: float) -> tuple[float, float]:
        return left + (mine - x0) / (x1 - x0) * (right - left), low - (pool - y0) / (y1 - y0) * (low - top)

    out = [f'<svg viewBox="0 0 {wide} {tall}" role="img" aria-label="{html.escape(label)}" style="max-width:{wide}px">']
    for pool in up:
        y = at(x0, pool)[1]
        out.append(f'<line class="rule" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        out.append(f'<text class="axis small" x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{pool:.3f}</text>')
    for mine in across:
        out.append(f'<text class="axis small" x="{at(mine, y0)[0]:.1f}" y="{low + 16}" text-anchor="middle">{mine:.3f}</text>')
    out.append(f'<text class="axis small" x="{(left + right) / 2}" y="{tall - 6}" text-anchor="middle">own language, mAP</text>')
    out.append(f'<text class="axis small" x="{left + 6}" y="{top + 10}">pool, mAP</text>')
    if own is not None:
        x = at(own, y0)[0]
        out.append(f'<path class="beat" d="M{x:.1f} {top}V{low}"><title>untrained, own language {own:.4f}</title></path>')
    if path:
        line = "L".join(f"{x:.1f} {y:.1f}" for x, y in (at(*points[i][1:]) for i in path))
        out.append(f'<path class="path" d="M{line}"/>')
    for i, (name, mine, pool) in enumerate(points, 1):
        x, y = at(mine, pool)
        out.append(
            f'<g><title>{html.escape(name)}: own {mine:.4f}, pool {pool:.4f}</title><circle class="run1" cx="{x:.1f}" cy="{y:.1f}" r="9"/>'
            f'<text class="in" x="{x:.1f}" y="{y + 4:.1f}" text-anchor="middle">{i}</text></g>'
        )
    return "".join([*out, "</svg>"])


def span(values: list[float]) -> tuple[float, float, list[float]]:
    """Ends of an axis and its ticks, at steps of 1, 2 or 5."""
    edge = max(0.08 * (max(values) - min(values)), 0.002)
    low, high = min(values) - edge, max(values) + edge
    step = next(s for s in (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2) if (high - low) / s <= 6)
    first = math.ceil(low / step)
    return low, high, [k * step for k in range(first, math.floor(high / step) + 1)]


def curve(task: str) -> dict[str, Any]:
    """The development trials on one task: the picture, and what its numbers are."""
    rows = there("studies/located.json")["rows"]
    untrained = next(r for r in rows if r["trial"] == "untrained")[task]
    rows = [r for r in rows if r["trial"] != "untrained" or r.get("after")]
    maps = [r for r in there("studies/balanced.json")["rows"] if r["trial"] == "untrained, map" and not r["after"]]
    rows = [r for r in maps if task in r] + rows

    def named(r: dict) -> str:
        said = r["trial"].replace("untrained, map", "the map alone") + (f", then {r['after']}" if r.get("after") else "")
        return said + ("" if r["share"] in (0.4, 1.0) else f", share {r['share']:g}")

    points = [(named(r), r[task]["monolingual"], r[task]["pool"]) for r in rows]
    longer = [i for i, r in enumerate(rows) if "both" in r["trial"] and r["share"] == 0.4 and not r.get("after")]
    return {
        "svg": scatter(points, f"pool against own language on {task}", untrained["monolingual"], longer),
        "key": [{"name": n, "own": f"{o:.4f}", "pool": f"{p:.4f}"} for n, o, p in points],
        "untrained": f"{untrained['pool']:.3f}",
    }


def tests() -> dict[str, Any]:
    """XQuAD-R, each way once, with what it was measured by."""
    points: list[tuple[str, dict[str, Any]]] = []
    rows = there("studies/debias.json")["rows"]
    maps = {r["map"]: r["tasks"]["xquad-r"] for r in rows if r["part"] == "methods" and "xquad-r" in r["tasks"]}
    points += [(n, maps[n]) for n in ("none", "SHIFT, alpha 0.6", "LSAR, rank 10", "trained map") if n in maps]
    for line in there("studies/xquad-strategies.json")["table"]:
        if line["variant"] != "none":
            points.append((f"{line['variant']}, 150 steps", {s: line[f"{s}.mAP"] for s in ("monolingual", "cross-lingual", "pool")}))
    for run in there("studies/recipe.json")["runs"]:
        if run["variant"] == "recipe":
            mine = run["tasks"]["xquad-r"]
            points.append(("--recipe balanced", {s: mine[s]["mAP"] for s in ("monolingual", "cross-lingual", "pool")}))
    shown = [(n, p["monolingual"], p["pool"]) for n, p in points]
    return {
        "svg": scatter(shown, "pool against own language on XQuAD-R", maps["none"]["monolingual"]),
        "key": [
            {"name": n, "own": f"{p['monolingual']:.4f}", "cross": f"{p['cross-lingual']:.4f}", "pool": f"{p['pool']:.4f}"}
            for n, p in points
        ],
    }


def rivals() -> dict[str, Any] | None:
    """Hybrid batches against their rivals."""
    return {"rows": methods.against("rivals", "xquad-r")} if there("studies/rivals.json") else None


def low_resource() -> dict[str, Any] | None:
    """What carries out of the domain."""
    study = there(f"studies/{LOW}.json")
    if not (study and there("studies/robustness.json")):
        return None
    runs = {r["variant"]: r["tasks"]["afriqa"] for r in study["runs"] if r["seed"] == 0}
    shown = [n for n in SHOWN if n in runs]
    return {
        "scores": methods.low_resource(),
        "contrasts": methods.contrasts(),
        "bands": methods.contrasts(bands=True),
        "robustness": methods.robustness(),
        "bars": bars([runs[n] for n in shown], list(shown), "mAP", 1.0),
        "names": shown,
        "languages": ", ".join(f"{c} {language_name(c)}" for c in runs[shown[0]]["pool"]["by_language"]),
    }


def wide() -> str | None:
    """205 languages in one pool, untrained."""
    rows = (there("studies/instrument.json") or {"rows": []})["rows"]
    mine = next((r for r in rows if (r["task"], r["model"]) == ("sib-200", "e5-small")), None)
    return language_map(mine["pool by language"], "SIB-200, pool mAP by question language") if mine else None


def page() -> str:
    """The page."""
    folders = [str(Path(__file__).parent), str(Path(mixling.reports.__file__).parent)]
    environment = Environment(loader=FileSystemLoader(folders), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template("results.html.j2").render(
        curves={t: curve(t) for t in ("mlqa-held-out", "located-sentences")},
        tests=tests(),
        rivals=rivals(),
        low=low_resource(),
        wide=wide(),
    )
