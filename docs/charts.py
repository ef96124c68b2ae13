"""Draw docs/results/charts.html, the results as pictures and tables on one page.

`python -m docs.figures` writes it; the page needs no other file. Each part names the command that
computed its figures and the committed file that they are read from.
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
)  # as many as bars have colors
Point = tuple[str, float, float]  # name, monolingual, multilingual


def scatter(
    points: list[Point],
    label: str,
    monolingual: float | None = None,
    paths: Sequence[Sequence[int]] = (),
) -> str:
    """Draw multilingual against monolingual mAP, points numbered from 1.

    Args:
        points: Name, monolingual and multilingual mAP.
        label: Text for screen readers.
        monolingual: The zero-shot model's monolingual mAP, drawn as a line.
        paths: Points to join.
    """
    width, height, left, top = 520, 400, 52, 12
    right, bottom = width - 16, height - 42
    (x0, x1, x_ticks), (y0, y1, y_ticks) = (
        span([p[1] for p in points] + ([] if monolingual is None else [monolingual])),
        span([p[2] for p in points]),
    )

    def position(x_value: float, y_value: float) -> tuple[float, float]:
        return left + (x_value - x0) / (x1 - x0) * (right - left), bottom - (y_value - y0) / (
            y1 - y0
        ) * (bottom - top)

    parts = [
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{html.escape(label)}" '
        f'style="max-width:{width}px">'
    ]
    for y_value in y_ticks:
        y = position(x0, y_value)[1]
        parts.append(f'<line class="rule" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(
            f'<text class="axis small" x="{left - 6}" y="{y + 4:.1f}" '
            f'text-anchor="end">{y_value:.3f}</text>'
        )
    for x_value in x_ticks:
        parts.append(
            f'<text class="axis small" x="{position(x_value, y0)[0]:.1f}" y="{bottom + 16}" '
            f'text-anchor="middle">{x_value:.3f}</text>'
        )
    parts.append(
        f'<text class="axis small" x="{(left + right) / 2}" y="{height - 6}" '
        'text-anchor="middle">monolingual mAP</text>'
    )
    parts.append(f'<text class="axis small" x="{left + 6}" y="{top + 10}">multilingual mAP</text>')
    if monolingual is not None:
        x = position(monolingual, y0)[0]
        parts.append(
            f'<path class="beat" d="M{x:.1f} {top}V{bottom}"><title>zero-shot, monolingual '
            f"{monolingual:.4f}</title></path>"
        )
    for path in paths:
        line = "L".join(f"{x:.1f} {y:.1f}" for x, y in (position(*points[i][1:]) for i in path))
        parts.append(f'<path class="path" d="M{line}"/>')
    for i, (name, x_value, y_value) in enumerate(points, 1):
        x, y = position(x_value, y_value)
        parts.append(
            f"<g><title>{html.escape(name)}: monolingual {x_value:.4f}, multilingual "
            f'{y_value:.4f}</title><circle class="run1" cx="{x:.1f}" cy="{y:.1f}" r="9"/><text '
            f'class="in" x="{x:.1f}" y="{y + 4:.1f}" text-anchor="middle">{i}</text></g>'
        )
    return "".join([*parts, "</svg>"])


def span(values: list[float]) -> tuple[float, float, list[float]]:
    """Return the ends of an axis and its ticks, at steps of 1, 2 or 5."""
    edge = max(0.08 * (max(values) - min(values)), 0.002)
    low, high = min(values) - edge, max(values) + edge
    step = next(
        s for s in (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2) if (high - low) / s <= 6
    )
    first = math.ceil(low / step)
    return low, high, [k * step for k in range(first, math.floor(high / step) + 1)]


def curve(task: str) -> dict[str, Any]:
    """Return the development trials on one task: the picture, and the names of its numbers.

    All have one share of the base. The anchored trial is far below and only named.
    """
    rows = trials.study_result("located")["rows"]
    untrained = next(r for r in rows if r["trial"] == "untrained")[task]
    rows = [r for r in rows if r["share"] == 0.4 and not r.get("after")]
    anchored = [f"{r[task]['multilingual']:.3f}" for r in rows if "anchored" in r["trial"]]
    rows = [r for r in rows if "anchored" not in r["trial"]]
    transform_rows = [
        r
        for r in trials.study_result("balanced")["rows"]
        if r["trial"] == "untrained, transform" and not r["after"]
    ]
    rows = [r for r in transform_rows if task in r] + rows
    names = [r["trial"].replace("untrained, transform", "the transform alone") for r in rows]
    points = [
        (n, r[task]["monolingual"], r[task]["multilingual"])
        for n, r in zip(names, rows, strict=True)
    ]
    variants = (
        ("{} steps, lr 5e-5", "200", "400", "800"),
        ("x-y, {} steps, lr 5e-5", "200", "800"),
        ("128 a batch, {} steps, lr 1e-4", "50", "200"),
        ("{} steps, lr 5e-4, LoRA", "200", "800"),
    )
    paths = [
        [names.index("both, 2 negatives, " + variant.format(n)) for n in steps]
        for variant, *steps in variants
    ]
    return {
        "svg": scatter(
            points, f"multilingual against monolingual on {task}", untrained["monolingual"], paths
        ),
        "key": [
            {"name": n, "monolingual": f"{o:.4f}", "multilingual": f"{p:.4f}"} for n, o, p in points
        ],
        "untrained": f"{untrained['multilingual']:.3f}",
        "below": ", ".join(anchored),
    }


def tests() -> dict[str, Any]:
    """Return the scores of each method on XQuAD-R."""
    points: list[tuple[str, dict[str, Any]]] = []
    rows = trials.study_result("debias")["rows"]
    transforms = {
        r["transform"]: r["tasks"]["xquad-r"]
        for r in rows
        if r["part"] == "methods" and "xquad-r" in r["tasks"]
    }
    points += [
        (n, transforms[n])
        for n in ("none", "SHIFT, alpha 0.6", "LSAR, rank 10", "trained transform")
        if n in transforms
    ]
    for row in trials.study_result("xquad-strategies")["table"]:
        if row["variant"] != "none":
            points.append(
                (
                    f"{row['variant']}, 150 steps",
                    {s: row[f"{s}.mAP"] for s in trials.SCENARIOS},
                )
            )
    for run in trials.study_result("recipe")["runs"]:
        if run["variant"] == "recipe":
            scores = run["tasks"]["xquad-r"]
            points.append(("--recipe balanced", {s: scores[s]["mAP"] for s in trials.SCENARIOS}))
    coordinates = [(n, p["monolingual"], p["multilingual"]) for n, p in points]
    return {
        "svg": scatter(
            coordinates,
            "multilingual against monolingual on XQuAD-R",
            transforms["none"]["monolingual"],
        ),
        "key": [{"name": n, **{s: f"{p[s]:.4f}" for s in trials.SCENARIOS}} for n, p in points],
    }


def low_resource() -> dict[str, Any]:
    """Return the tables of the low-resource study."""
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
    """Return the page."""
    templates = template_environment()
    assert templates.loader is not None
    templates.loader = ChoiceLoader([FileSystemLoader(Path(__file__).parent), templates.loader])
    return templates.get_template("charts.html.j2").render(
        curves={t: curve(t) for t in ("mlqa-held-out", "located-sentences")},
        tests=tests(),
        rivals=trials.rivals(),
        rivals_mlqa=trials.rivals("mlqa-r"),
        low=low_resource(),
        wide=wide(),
    )
