"""docs/results.html: what was found, as pictures and tables on one page that needs nothing else
(`python -m docs.figures`).

Every part names the command that made its figures and the committed file that they are read from.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, FileSystemLoader

from docs import trials
from mixling.corpora.languages import language_name as language_name
from mixling.reports.figures import bars, language_map
from mixling.reports.html import template_environment

ROOT = Path(__file__).parent.parent
SHOWN = (
    "none",
    "mDPR's way, German",
    "hybrid",
    "balanced recipe, 800 steps",
)  # as many as bars have colours
Point = tuple[str, float, float]  # name, monolingual, multilingual


def scatter(
    points: list[Point],
    label: str,
    monolingual: float | None = None,
    paths: Sequence[Sequence[int]] = (),
) -> str:
    """Pool against monolingual language, points numbered from 1. monolingual.

    The untrained model's monolingual language, as a line; paths: points joined.
    """
    wide, tall, left, top = 520, 400, 52, 12
    right, low = wide - 16, tall - 42
    (x0, x1, x_ticks), (y0, y1, y_ticks) = (
        span([p[1] for p in points] + [monolingual] * (monolingual is not None)),
        span([p[2] for p in points]),
    )

    def at(x_value: float, y_value: float) -> tuple[float, float]:
        return left + (x_value - x0) / (x1 - x0) * (right - left), low - (y_value - y0) / (
            y1 - y0
        ) * (low - top)

    out = [
        f'<svg viewBox="0 0 {wide} {tall}" role="img" aria-label="{html.escape(label)}" '
        f'style="max-width:{wide}px">'
    ]
    for y_value in y_ticks:
        y = at(x0, y_value)[1]
        out.append(f'<line class="rule" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        out.append(
            f'<text class="axis small" x="{left - 6}" y="{y + 4:.1f}" '
            f'text-anchor="end">{y_value:.3f}</text>'
        )
    for x_value in x_ticks:
        out.append(
            f'<text class="axis small" x="{at(x_value, y0)[0]:.1f}" y="{low + 16}" '
            f'text-anchor="middle">{x_value:.3f}</text>'
        )
    out.append(
        f'<text class="axis small" x="{(left + right) / 2}" y="{tall - 6}" '
        'text-anchor="middle">monolingual mAP</text>'
    )
    out.append(f'<text class="axis small" x="{left + 6}" y="{top + 10}">multilingual mAP</text>')
    if monolingual is not None:
        x = at(monolingual, y0)[0]
        out.append(
            f'<path class="beat" d="M{x:.1f} {top}V{low}"><title>zero-shot, monolingual '
            f"{monolingual:.4f}</title></path>"
        )
    for path in paths:
        line = "L".join(f"{x:.1f} {y:.1f}" for x, y in (at(*points[i][1:]) for i in path))
        out.append(f'<path class="path" d="M{line}"/>')
    for i, (name, x_value, y_value) in enumerate(points, 1):
        x, y = at(x_value, y_value)
        out.append(
            f"<g><title>{html.escape(name)}: monolingual {x_value:.4f}, multilingual "
            f'{y_value:.4f}</title><circle class="run1" cx="{x:.1f}" cy="{y:.1f}" r="9"/><text '
            f'class="in" x="{x:.1f}" y="{y + 4:.1f}" text-anchor="middle">{i}</text></g>'
        )
    return "".join([*out, "</svg>"])


def span(values: list[float]) -> tuple[float, float, list[float]]:
    """Ends of an axis and its ticks, at steps of 1, 2 or 5."""
    edge = max(0.08 * (max(values) - min(values)), 0.002)
    low, high = min(values) - edge, max(values) + edge
    step = next(
        s for s in (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2) if (high - low) / s <= 6
    )
    first = math.ceil(low / step)
    return low, high, [k * step for k in range(first, math.floor(high / step) + 1)]


def curve(task: str) -> dict[str, Any]:
    """The development trials on one task, all at one share of the base (but the anchored one, far
    below): the picture, and what its numbers are.
    """
    rows = trials.study_result("located")["rows"]
    untrained = next(r for r in rows if r["trial"] == "untrained")[task]
    rows = [r for r in rows if r["share"] == 0.4 and not r.get("after")]
    below = [f"{r[task]['multilingual']:.3f}" for r in rows if "anchored" in r["trial"]]
    rows = [r for r in rows if "anchored" not in r["trial"]]
    maps = [
        r
        for r in trials.study_result("balanced")["rows"]
        if r["trial"] == "untrained, map" and not r["after"]
    ]
    rows = [r for r in maps if task in r] + rows
    names = [r["trial"].replace("untrained, map", "the transform alone") for r in rows]
    points = [
        (n, r[task]["monolingual"], r[task]["multilingual"])
        for n, r in zip(names, rows, strict=True)
    ]
    ways = (
        ("{} steps, lr 5e-5", "200", "400", "800"),
        ("x-y, {} steps, lr 5e-5", "200", "800"),
        ("128 a batch, {} steps, lr 1e-4", "50", "200"),
        ("{} steps, lr 5e-4, LoRA", "200", "800"),
    )
    longer = [
        [names.index("both, 2 negatives, " + way.format(n)) for n in steps] for way, *steps in ways
    ]
    return {
        "svg": scatter(
            points, f"multilingual against monolingual on {task}", untrained["monolingual"], longer
        ),
        "key": [
            {"name": n, "monolingual": f"{o:.4f}", "multilingual": f"{p:.4f}"} for n, o, p in points
        ],
        "untrained": f"{untrained['multilingual']:.3f}",
        "below": ", ".join(below),
    }


def tests() -> dict[str, Any]:
    """XQuAD-R, each way once, with what it was measured by."""
    points: list[tuple[str, dict[str, Any]]] = []
    rows = trials.study_result("debias")["rows"]
    maps = {
        r["map"]: r["tasks"]["xquad-r"]
        for r in rows
        if r["part"] == "methods" and "xquad-r" in r["tasks"]
    }
    points += [
        (n, maps[n])
        for n in ("none", "SHIFT, alpha 0.6", "LSAR, rank 10", "trained map")
        if n in maps
    ]
    for line in trials.study_result("xquad-strategies")["table"]:
        if line["variant"] != "none":
            points.append(
                (
                    f"{line['variant']}, 150 steps",
                    {s: line[f"{s}.mAP"] for s in trials.SCENARIOS},
                )
            )
    for run in trials.study_result("recipe")["runs"]:
        if run["variant"] == "recipe":
            mine = run["tasks"]["xquad-r"]
            points.append(("--recipe balanced", {s: mine[s]["mAP"] for s in trials.SCENARIOS}))
    shown = [(n, p["monolingual"], p["multilingual"]) for n, p in points]
    return {
        "svg": scatter(
            shown, "multilingual against monolingual on XQuAD-R", maps["none"]["monolingual"]
        ),
        "key": [{"name": n, **{s: f"{p[s]:.4f}" for s in trials.SCENARIOS}} for n, p in points],
    }


def low_resource() -> dict[str, Any]:
    """What carries out of the domain."""
    runs = {
        r["variant"]: r["tasks"]["afriqa"]
        for r in trials.study_result("low-resource")["runs"]
        if r["seed"] == 0
    }
    return {
        "scores": trials.low_resource(),
        "contrasts": trials.contrasts(),
        "bands": trials.contrasts(bands=True),
        "robustness": trials.robustness(),
        "bars": bars([runs[n] for n in SHOWN], list(SHOWN), "mAP", 1.0),
        "names": SHOWN,
        "languages": ", ".join(
            f"{c} {language_name(c)}" for c in runs[SHOWN[0]]["multilingual"]["by_language"]
        ),
    }


def wide() -> str:
    """Draw multilingual mAP of 205 languages, zero-shot."""
    rows = trials.study_result("instrument")["rows"]
    entry = next(r for r in rows if (r["task"], r["model"]) == ("sib-200", "e5-small"))
    return language_map(
        entry["multilingual by language"], "SIB-200, multilingual mAP by query language"
    )


def page() -> str:
    """The page."""
    templates = template_environment()
    templates.loader = ChoiceLoader([FileSystemLoader(Path(__file__).parent), templates.loader])
    return templates.get_template("results.html.j2").render(
        curves={t: curve(t) for t in ("mlqa-held-out", "located-sentences")},
        tests=tests(),
        rivals=trials.rivals(),
        rivals_mlqa=trials.rivals("mlqa-r"),
        low=low_resource(),
        wide=wide(),
    )
