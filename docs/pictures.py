"""Pictures of docs/explanation/language-bias.md.

`python -m docs.pictures` ranks the sample's passages for one query by e5-small, keeps the scores in
language-offsets.json and draws both; `python -m docs.figures` draws them again from that file.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np

IMAGES = Path(__file__).parent / "images"
STUDIES = Path(__file__).parent.parent / "studies"
QUERY = "bridges.2.2"
QUERY_LANGUAGE = "sw"
ROLES = {"query": "asked", "passage": "right"}
# classes and their colors, light and dark; a picture has a background card, so that it can be
# read on any page
COLORS = {
    "card": ("#ffffff", "#18212b"),
    "axis": ("#16212e", "#e6edf4"),
    "pale": ("#5b6b7b", "#9fb0c2"),
    "right": ("#0d4779", "#6cb2ef"),
    "wrong": ("#9fb4c8", "#4d6276"),
    "on": ("#ffffff", "#10161d"),
    "run0": ("#9fb3c8", "#5d7288"),
    "run1": ("#0d4779", "#6cb2ef"),
    "asked": ("#c2410c", "#fb923c"),
}
STROKES = {
    "line": ("#d6dde4", "#33424f"),
    "arrow": ("#5b6b7b", "#9fb0c2"),
    "aim": ("#c2410c", "#fb923c"),
}


def carded(svg: str) -> str:
    """Return a drawing with the colors of its classes on a card, light or dark as the reader has
    it.

    Args:
        svg: The drawing; it begins with <svg, and has a viewBox.
    """
    schemes = []
    for n in (0, 1):
        fills = "".join(f".{name}{{fill:{pair[n]}}}" for name, pair in COLORS.items())
        schemes.append(
            fills + "".join(f".{name}{{stroke:{pair[n]}}}" for name, pair in STROKES.items())
        )
    x, y, width, height = map(float, re.findall(r'viewBox="([^"]+)"', svg)[0].split())
    margin = 12
    opening, _, rest = svg.partition(">")
    opening = opening.replace(
        re.findall(r'viewBox="[^"]+"', opening)[0],
        f'viewBox="{x - margin:g} {y - margin:g} {width + 2 * margin:g} {height + 2 * margin:g}"',
    )
    style = (
        f"<style>text{{font-family:system-ui,sans-serif}}.axis{{font-size:13px}}.line{{stroke-width:1}}.aim{{stroke-width:3}}"
        f"{schemes[0]}@media (prefers-color-scheme:dark){{{schemes[1]}}}</style>"
    )
    size = f'width="{width + 2 * margin:g}" height="{height + 2 * margin:g}"'
    card = f'<rect class="card" x="{x - margin:g}" y="{y - margin:g}" {size} rx="10"/>'
    return f"{opening}>{style}{card}{rest}"


def score_passages() -> dict:
    """Return scores of all passages for one query, by language: [[score, relevant or not], …]."""
    from mixling.evaluation.benchmarks import load_task
    from mixling.models.retriever import Retriever

    task, retriever = load_task("sample"), Retriever()
    query = next(
        i
        for i, (g, x) in enumerate(zip(task.query_group, task.query_language, strict=True))
        if g.startswith(QUERY) and task.languages[x] == QUERY_LANGUAGE
    )
    relevant = set(task.relevant[task.relevant[:, 0] == query, 1].tolist())
    scores = (
        retriever.encode(task.passages, "passage", precision="fp32")
        @ retriever.encode([task.queries[query]], "query", precision="fp32")[0]
    )
    rows: dict[str, list] = {}
    for i, (score, x) in enumerate(zip(scores.tolist(), task.passage_language, strict=True)):
        rows.setdefault(task.languages[x], []).append([round(score, 4), i in relevant])
    return {
        "query": task.queries[query],
        "query_language": QUERY_LANGUAGE,
        "model": retriever.name,
        "scores": rows,
    }


def language_offsets(result: dict) -> str:
    """Draw a row of dots for each language; relevant passages are filled and labeled by rank."""
    rows = sorted(result["scores"].items(), key=lambda r: (r[0] != result["query_language"], r[0]))
    scores = sorted((s for _, row in rows for s, _ in row), reverse=True)
    low, high = scores[-1] - 0.005, scores[0] + 0.005
    height = 46 + 28 * len(rows)
    x = lambda s: 70 + (s - low) / (high - low) * 560  # noqa: E731
    title = (
        "Scores of one Swahili query for all passages of the sample by language "
        f"({result['model'].rpartition('/')[2]})"
    )
    parts = [
        head(660, height, title),
        '<text x="70" y="20" class="pale" font-size="12">score →, a row for each language; '
        "blue: relevant, with its multilingual rank</text>",
    ]
    for n, (language, row) in enumerate(rows):
        y = 46 + 28 * n
        weight = ' font-weight="700"' if language == result["query_language"] else ""
        parts.append(f'<text x="20" y="{y + 4}" class="axis"{weight}>{language}</text>')
        parts.append(f'<line x1="70" x2="630" y1="{y}" y2="{y}" class="line"/>')
        for score, is_relevant in sorted(row, key=lambda r: r[1]):
            verdict = "right" if is_relevant else "wrong"
            parts.append(
                f'<circle cx="{x(score):.1f}" cy="{y}" r="{6 if is_relevant else 4.5}" '
                f'class="{verdict}"/>'
            )
            if is_relevant:
                parts.append(
                    f'<text x="{x(score) + 9:.1f}" y="{y - 5}" class="right" '
                    f'font-size="11">{scores.index(score) + 1}</text>'
                )
    return "\n".join([*parts, "</svg>"]) + "\n"


def scenarios() -> str:
    """Draw the passages that a query is ranked against in each of the three scenarios."""
    parts = [
        head(
            660,
            190,
            "Monolingual, cross-lingual, multilingual: a query, and the passages that it is ranked "
            "against",
        )
    ]
    for n, (name, query, passages) in enumerate(
        (
            ("monolingual", "sw", ["sw"] * 4),
            ("cross-lingual", "sw", ["de"] * 4),
            ("multilingual", "sw", ["sw", "de", "ar", "zh", "sw", "de", "ar", "zh"]),
        )
    ):
        left = 20 + 190 * n + (20 if n == 2 else 0)
        parts.append(
            f'<text x="{left}" y="24" class="axis" style="font-size:14px" '
            f'font-weight="700">{name}</text>'
        )
        parts.append(_box(left, 80, query, "axis"))
        parts.append(
            f'<path d="M{left + 48} 94 h28 m-7 -6 l7 6 l-7 6" fill="none" class="arrow" '
            'stroke-width="2"/>'
        )
        for i, language in enumerate(passages):
            column, row = divmod(i, 4)
            parts.append(
                _box(
                    left + 84 + 50 * column,
                    40 + 34 * row,
                    language,
                    "right" if language == query else "pale",
                )
            )
    return "\n".join([*parts, "</svg>"]) + "\n"


def geometry(entry: dict) -> str:
    """Draw passages and queries of each language as they are, and under two centerings."""
    panels = (
        ("as they are", "as they are"),
        ("less the mean of passages", "all less means of passages"),
        ("less the mean of the role", "each role less its own means"),
    )
    points = np.array([xy for key, _ in panels for r in ROLES for xy in entry[key][r]])
    low, high = points.min(0), points.max(0)
    scale = 190 / (high - low).max()
    parts = [head(660, 258, "Vectors of a real collection in the plane of their means")]
    for n, (key, name) in enumerate(panels):
        left = 20 + 215 * n
        parts.append(f'<text x="{left}" y="20" class="axis">{name}</text>')
        parts.append(
            f'<rect x="{left}" y="32" width="195" height="195" rx="6" fill="none" class="line"/>'
        )
        languages = np.array(entry[key]["languages"])
        for role, color in ROLES.items():
            places = (np.array(entry[key][role]) - low) * scale
            x, y = left + 2.5 + places[:, 0], 34.5 + places[:, 1]
            parts += [
                f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2" class="{color}" opacity=".45"/>'
                for a, b in zip(x, y, strict=True)
            ]
            labels: list[tuple[float, float]] = []
            for code in np.unique(languages) if n == 0 else ():
                at = (x[languages == code].mean(), y[languages == code].mean() + 4)
                if all(np.hypot(at[0] - u, 1.6 * (at[1] - v)) > 20 for u, v in labels):
                    labels.append(at)
                    parts.append(
                        f'<text x="{at[0]:.1f}" y="{at[1]:.1f}" class="{color}" font-size="12" '
                        f'font-weight="700" text-anchor="middle">{code}</text>'
                    )
    for i, (role, color) in enumerate(ROLES.items()):
        parts.append(f'<circle cx="{26 + 90 * i}" cy="246" r="4" class="{color}"/>')
        word = {"query": "queries", "passage": "passages"}[role]
        parts.append(f'<text x="{36 + 90 * i}" y="250" class="axis">{word}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _box(x: int, y: int, text: str, color: str) -> str:
    return (
        f'<rect x="{x}" y="{y}" width="42" height="28" rx="4" class="{color}"/>'
        f'<text x="{x + 21}" y="{y + 19}" class="on" font-size="13" '
        f'text-anchor="middle">{text}</text>'
    )


def head(width: int, height: int, title: str) -> str:
    """Return the beginning of a drawing, with its text for screen readers."""
    box = f'viewBox="0 0 {width} {height}" width="{width}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {box} role="img"><title>{title}</title>'


def pictures() -> dict[str, str]:
    """Return the SVG of each file, by its path below docs/."""
    scores = json.loads((IMAGES / "language-offsets.json").read_text())
    fits = json.loads((STUDIES / "collection-fit.json").read_text())
    return {
        "images/geometry.svg": carded(
            geometry(fits["multilingual-e5-small--help-test"]["geometry"])
        ),
        "images/scenarios.svg": carded(scenarios()),
        "images/language-offsets.svg": carded(language_offsets(scores)),
    }


if __name__ == "__main__":
    (IMAGES / "language-offsets.json").write_text(
        json.dumps(score_passages(), indent=1, ensure_ascii=False) + "\n"
    )
    for name, svg in pictures().items():
        (IMAGES.parent / name).write_text(svg)
