"""Make the short tables and charts of README, of the landing page and of docs/results/.

Every figure is read from a committed result, and a chart shows the rows of a table beside it.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Sequence
from typing import Any

from docs import answers, trials
from docs.pictures import STUDIES, carded, head
from mixling.corpora.languages import language_name as language_name

SCENARIOS = trials.SCENARIOS
DISTANCE = "rank distance"
Row = dict[str, Any]  # a label, and figures by column
NAMES = {
    "none": "zero-shot",
    "transform": "the shipped transform",
    "recipe": "balanced recipe",
    "hybrid(0.5)": "hybrid",
    "e5-small": "zero-shot",
    "bm25": "BM25",
    "balanced transform": "the shipped transform",
    "x-y (XLCO)": "x-y",
    "MIMO, itself as teacher": "MIMO, own teacher",
}


def figures(rows: Sequence[Row], columns: Sequence[str] = SCENARIOS, digits: int = 3) -> list[Row]:
    """Return rows with figures as text; rank distances have no decimals."""
    return [
        {
            k: v
            if isinstance(v, str)
            else ""
            if v is None
            else f"{v:.0f}"
            if "distance" in k
            else f"{v:.{digits}f}"
            for k, v in row.items()
            if isinstance(v, str) or k in (*columns, DISTANCE)
        }
        for row in rows
    ]


def means(name: str, entry: dict[str, Any]) -> Row:
    """Return the row of a task's entry in a study."""
    row: Row = {"model": NAMES.get(name, name)}
    for scenario in SCENARIOS:
        row[scenario] = entry[scenario]["mAP"] if scenario in entry else None
    return {**row, DISTANCE: entry["multilingual"].get("rank_distance")}


def headline() -> list[Row]:
    """Return README's four rows: zero-shot, transform, recipe, and the paper's figures."""
    runs = {r["variant"]: r["tasks"]["xquad-r"] for r in trials.study_result("recipe")["runs"]}
    names = {
        "none": "multilingual-e5-small, zero-shot",
        "transform": "with the shipped transform, no training",
        "recipe": "trained by `--recipe balanced`",
    }
    rows = [{**means(variant, runs[variant]), "model": name} for variant, name in names.items()]
    cited = trials.study_result("published")["rows"][0]
    columns = (*SCENARIOS, DISTANCE)
    name = f"*cited*: {cited['model']}, {cited['source']}"
    return figures([*rows, {"model": name, **{k: cited[k] for k in columns}}])


def batches() -> list[Row]:
    """Return the batch types of the first study."""
    return [
        {
            "model": NAMES.get(r["variant"], r["variant"]),
            **{s: r[f"{s}.mAP"] for s in SCENARIOS},
            DISTANCE: r["multilingual.rank_distance"],
        }
        for r in trials.study_result("xquad-strategies")["table"]
        if r["task"] == "xquad-r"
    ]


def transforms() -> list[Row]:
    """Return transforms without training of the encoder."""
    shown = ("none", "SHIFT, alpha 0.6", "centering", "LSAR, rank 10", "trained transform")
    rows = {
        r["transform"]: r["tasks"]["xquad-r"]
        for r in trials.study_result("debias")["rows"]
        if r["part"] == "methods" and "xquad-r" in r["tasks"]
    }
    return [
        {
            "model": NAMES.get(name, name),
            **{s: rows[name][s] for s in SCENARIOS},
            DISTANCE: rows[name]["rank_distance"],
        }
        for name in shown
    ]


def recipe(task: str) -> list[Row]:
    """Return the balanced recipe on one test."""
    runs = trials.study_result("recipe")["runs"]
    shown = ("none", "transform", "recipe")
    return [means(r["variant"], r["tasks"][task]) for r in runs if r["variant"] in shown]


def recipe_tasks() -> list[Row]:
    """Return multilingual and monolingual mAP of the balanced recipe on every test."""
    runs = {r["variant"]: r["tasks"] for r in trials.study_result("recipe")["runs"]}
    rows = []
    for task in runs["none"]:
        row: Row = {"task": f"`{task}`"}
        for scenario in ("monolingual", "multilingual"):
            for variant in ("none", "transform", "recipe"):
                entry = runs[variant][task].get(scenario)
                row[f"{scenario}, {NAMES[variant]}"] = f"{entry['mAP']:.3f}" if entry else ""
        rows.append(row)
    return rows


def trained_on() -> list[Row]:
    """Return the trials that led to the recipe, on held-out sentences."""
    shown = {
        "untrained": (1, "zero-shot"),
        "paragraphs": (0.4, "paragraphs alone"),
        "sentences": (0.4, "sentences alone"),
        "sentences, 2 negatives": (0.4, "sentences and hard negatives"),
        "both, 2 negatives, 200 steps, lr 5e-5": (0.4, "both and hard negatives, 200 steps"),
        "both, 2 negatives, 800 steps, lr 5e-5": (0.2, "the same, 800 steps"),
        "both, 2 negatives, x-y, 800 steps, lr 5e-5": (0.2, "the same, `x-y` batches"),
        "both, 2 negatives, 800 steps, x-y and hybrid averaged": (0.2, "the last two averaged"),
    }
    rows = {}
    for r in trials.study_result("located")["rows"]:
        if shown.get(r["trial"], (None,))[0] == r["share"] and not r.get("after"):
            rows[r["trial"]] = {
                "model": shown[r["trial"]][1].replace("`", ""),
                **r["located-sentences"],
            }
    return [rows[name] for name in shown]


def rivals(task: str = "xquad-r") -> list[Row]:
    """Return methods on equal data."""
    shown = (
        "none",
        "SHIFT",
        "LSAR",
        "trained transform",
        "x-x",
        "x-x-mono",
        "x-y (XLCO)",
        "hybrid",
        "MIMO, itself as teacher",
        "LaKDA",
        "JSD",
        "CLEAR",
        "OPTICAL",
        "hybrid + bitext",
    )
    runs = {r["variant"]: r["tasks"][task] for r in trials.study_result("rivals")["runs"]}
    return [means(name, runs[name]) for name in shown]


def terms() -> list[Row]:
    """Return terms beside hybrid batches."""
    return [
        {
            "model": NAMES.get(r["variant"], r["variant"]),
            **{s: r[f"{s}.mAP"] for s in SCENARIOS},
            DISTANCE: r["multilingual.rank_distance"],
        }
        for r in trials.study_result("terms")["table"]
        if r["task"] == "xquad-r"
    ]


def low_resource() -> list[Row]:
    """Return multilingual mAP out of domain."""
    shown = (
        "none",
        "mDPR's way, German",
        "x-x-mono",
        "x-y",
        "hybrid",
        "LSAR",
        "balanced transform",
        "balanced recipe, 800 steps",
    )
    tasks = {"afriqa": "AfriQA", "sib-200": "SIB-200", "tydi": "TyDi", "xquad-r": "XQuAD-R"}
    table = trials.study_result("low-resource")["table"]
    rows = []
    for name in shown:
        row: Row = {"model": NAMES.get(name, name)}
        for r in table:
            if r["variant"] == name:
                row[tasks[re.split("[@:]", r["task"])[0]]] = r["multilingual.mAP"]
        rows.append(row)
    return rows


def bias() -> list[Row]:
    """Return five measures of bias on XQuAD-R."""
    shown = ("intrusion@10", "rank_distance", "LPR", "MRC@20", "PEER@100")
    rows = {r["model"]: r["bias"] for r in _instrument("xquad-r")}
    columns = {"bm25": "BM25", "e5-small": "e5-small, zero-shot", "hybrid": "after hybrid batches"}
    return [
        {
            "measure": f"[{name}](../reference/metrics.md#{name.lower().replace('@', '')})",
            **{
                title: f"{rows[model][name]:.0f}" if "distance" in name else f"{value:.3f}"
                for model, title in columns.items()
                if (value := rows[model].get(name)) is not None
            },
        }
        for name in shown
    ]


def benchmarks() -> list[Row]:
    """Return multilingual mAP of e5-small and of BM25 on every benchmark."""
    rows = []
    for task in ("xquad-r", "mlqa-r", "xquad-paragraphs", "afriqa", "afriqa-human", "tydi"):
        entries = {r["model"]: r for r in _instrument(task)}
        row: Row = {"task": f"`{task}`"}
        for scenario in ("monolingual", "multilingual"):
            for model, title in (("bm25", "BM25"), ("e5-small", "e5-small")):
                entry = entries[model].get(scenario)
                row[f"{scenario}, {title}"] = f"{entry['mAP']:.3f}" if entry else ""
        rows.append(row)
    return rows


def noise() -> list[Row]:
    """Return the share of clean mAP that is left with noise."""
    names = {
        "typos": "a typo in one letter of ten",
        "diacritics": "no diacritics",
        "romanize": "romanized",
        "switch": "a fifth of the known words in English",
    }
    rows = []
    for noise_type, scenarios in trials.study_result("noise")["noise"]["xquad-r"].items():
        rates = scenarios["multilingual"]["ratio"]
        rate = "0.1" if noise_type == "typos" else list(rates)[-1]
        row: Row = {"queries": names[noise_type]}
        for scenario in SCENARIOS:
            row[scenario] = f"{scenarios[scenario]['ratio'][rate]:.0%}"
        rows.append(row)
    return rows


def _instrument(task: str) -> list[Row]:
    rows = trials.study_result("instrument")["rows"]
    return [r for r in rows if r["task"] == task]


def dots(rows: Sequence[Row], columns: Sequence[str], title: str, label: str = "mAP") -> str:
    """Draw a row for each model with a dot for each column, on one axis.

    Args:
        rows: Figures of each model.
        columns: The columns; at most four.
        title: Text for screen readers.
        label: Name of the axis.
    """
    left = 24 + 7 * max(len(r["model"]) for r in rows)
    right, step, top = left + 290, 26, 62
    values = [r[c] for r in rows for c in columns if r.get(c) is not None]
    low, high = int(min(values) * 10) / 10, min(int(max(values) * 10 + 1) / 10, 1.0)
    bottom = top + step * len(rows)
    width = right + 16
    parts = [head(width, bottom + 34, title)]
    at = width - sum(32 + 7 * len(column) for column in columns)
    for i, column in enumerate(columns):
        parts.append(_mark(i, at + 6, 16))
        parts.append(f'<text x="{at + 18}" y="20" class="axis">{html.escape(column)}</text>')
        at += 32 + 7 * len(column)

    def place(value: float) -> float:
        return left + (value - low) / (high - low) * (right - left)

    for n in range(round(low * 10), round(high * 10) + 1):
        x = place(n / 10)
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="40" y2="{bottom - 8}" class="line"/>')
        parts.append(
            f'<text x="{x:.1f}" y="{bottom + 10}" class="axis" text-anchor="middle">'
            f"{n / 10:.1f}</text>"
        )
    for i, row in enumerate(rows):
        y = top + step * i
        name = html.escape(row["model"])
        parts.append(f'<text x="{left - 14}" y="{y + 4}" class="axis" text-anchor="end">')
        parts[-1] += f"{name}</text>"
        drawn = [(k, row[c]) for k, c in enumerate(columns) if row.get(c) is not None]
        ends = [place(v) for _, v in drawn]
        parts.append(
            f'<line x1="{min(ends):.1f}" x2="{max(ends):.1f}" y1="{y}" y2="{y}" class="line" '
            'style="stroke-width:3"/>'
        )
        for k, value in drawn:
            text = f"{name}, {html.escape(columns[k])}: {value:.3f}"
            parts.append(f"<g><title>{text}</title>{_mark(k, place(value), y)}</g>")
    parts.append(
        f'<text x="{right}" y="{bottom + 30}" class="pale" style="font-size:12px" '
        f'text-anchor="end">{label}</text>'
    )
    return carded("\n".join([*parts, "</svg>"])) + "\n"


def _mark(column: int, x: float, y: float) -> str:
    """Draw the mark of a column: told apart by form as well as by color."""
    return (
        f'<circle cx="{x:.1f}" cy="{y}" r="5.5" class="wrong"/>',
        f'<rect x="{x - 5:.1f}" y="{y - 5}" width="10" height="10" class="asked"/>',
        f'<circle cx="{x:.1f}" cy="{y}" r="6.5" class="right"/>',
        f'<path d="M{x:.1f} {y - 7}l7 7l-7 7l-7 -7z" class="pale"/>',
    )[column]


def one_query() -> str:
    """Draw the first passages of one query before and after the shipped transform."""
    result = json.loads((STUDIES / "one-query.json").read_text())
    language, per_row = language_name(result["query language"]), 10
    block, width = 158, 480
    height = 72 + 2 * block + 8
    counts = {key: result[key]["right in the first thirty"] for key in ("before", "after")}
    title = (
        f"The first thirty passages of a {language} query: {counts['before']} of "
        f"{result['relevant']} right ones before, {counts['after']} after"
    )
    parts = [
        head(width, height, title),
        f'<text x="0" y="14" class="axis" style="font-size:16px" font-weight="700">One {language} '
        f"query, {result['passages']:,} passages</text>",
        '<text x="0" y="33" class="pale" style="font-size:14px">eleven languages, a right passage '
        "in each</text>",
    ]
    legend = (
        ("right", "right"),
        ("asked", f"wrong, in {language}"),
        ("wrong", "wrong, another language"),
    )
    x = 0
    for color, text in legend:
        parts.append(f'<rect x="{x}" y="45" width="13" height="13" rx="3" class="{color}"/>')
        parts.append(f'<text x="{x + 19}" y="56" class="axis">{text}</text>')
        x += 46 + 7 * len(text)
    for n, (key, name) in enumerate(
        (("before", "multilingual-e5-small"), ("after", "with the transform that ships"))
    ):
        y, entry = 74 + block * n, result[key]
        parts.append(
            f'<text x="0" y="{y + 14}" class="axis" style="font-size:14px" '
            f'font-weight="700">{name}: {counts[key]} of {result["relevant"]}</text>'
        )
        parts.append(
            f'<text x="476" y="{y + 14}" class="pale" style="font-size:13px" text-anchor="end">the '
            f"last one: rank {entry['rank of the last right']:,}</text>"
        )
        for i, (code, is_right) in enumerate(entry["first"]):
            left, top = 48 * (i % per_row), y + 24 + 36 * (i // per_row)
            color = "right" if is_right else "wrong"
            if not is_right and code == result["query language"]:
                color = "asked"
            verdict = "right" if is_right else "wrong"
            parts.append(
                f"<g><title>rank {i + 1}: {language_name(code)}, {verdict}</title>"
                f'<rect x="{left}" y="{top}" width="44" height="30" rx="5" class="{color}"/>'
                f'<text x="{left + 22}" y="{top + 20}" class="on" style="font-size:15px" '
                f'text-anchor="middle">{"✓ " if is_right else ""}{code}</text></g>'
            )
    means = [result[key]["right in the first thirty, mean"] for key in ("before", "after")]
    parts.append(
        f'<text x="0" y="{height - 2}" class="pale" style="font-size:13px">Ranks 1 to 30. Mean of '
        f"{result['queries']:,} {language} queries: {means[0]:.1f} before, {means[1]:.1f} after."
        "</text>"
    )
    return carded("\n".join([*parts, "</svg>"])) + "\n"


def tables() -> dict[str, dict[str, list[Row]]]:
    """Return the short tables of each page."""
    return {
        "README.md": {"headline": headline()},
        "docs/index.md": {"headline": headline()},
        "docs/results/index.md": {"headline": headline()},
        "docs/results/batches.md": {"batches": figures(batches())},
        "docs/results/transforms.md": {"transforms": figures(transforms())},
        "docs/results/bias.md": {"bias, short": bias()},
        "docs/results/benchmarks.md": {"benchmarks": benchmarks()},
        "docs/results/noise.md": {"noise, short": noise()},
        "docs/results/terms.md": {"terms, short": figures(terms())},
        "docs/results/recipe.md": {"recipe, short": recipe_tasks()},
        "docs/results/recipe-search.md": {"trials, short": figures(trained_on())},
        "docs/results/rivals.md": {"rivals, short": figures(rivals())},
    }


def pictures() -> dict[str, str]:
    """Return the SVG of each file, by its path below docs/."""
    text = "monolingual, cross-lingual and multilingual mAP on "
    charts = {
        "batches": dots(batches(), SCENARIOS, f"Batch types: {text}XQuAD-R"),
        "transforms": dots(transforms(), SCENARIOS, f"Transforms: {text}XQuAD-R"),
        "terms": dots(terms(), SCENARIOS, f"Terms of the objective: {text}XQuAD-R"),
        "recipe": dots(recipe("xquad-r"), SCENARIOS, f"The balanced recipe: {text}XQuAD-R"),
        "recipe-search": dots(trained_on(), SCENARIOS, f"Trials: {text}held-out sentences"),
        "rivals": dots(rivals(), SCENARIOS, f"Methods on equal data: {text}XQuAD-R"),
        "low-resource": dots(
            low_resource(),
            ("AfriQA", "SIB-200", "TyDi", "XQuAD-R"),
            "Multilingual mAP out of domain and in domain",
            "multilingual mAP",
        ),
        "search": dots(
            answers.order_scores(),
            ("e5-small", "the shipped transform"),
            "Search orders: multilingual mAP on XQuAD-R",
            "multilingual mAP",
        ),
    }
    return {
        "images/one-query.svg": one_query(),
        **{f"images/results-{name}.svg": svg for name, svg in charts.items()},
    }
