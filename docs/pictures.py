"""Pictures of docs/concepts.md. `python -m docs.pictures` asks e5-small one question of the sample (ours, CC0), keeps the scores in
levels.json and draws both; `python -m docs.figures` draws them again from what is kept."""

from __future__ import annotations

import json
import re
from pathlib import Path

HERE = Path(__file__).parent
QUESTION = "bridges.2.2"
ASKED = "sw"
# classes and their colours, light and dark; a picture stands on a card of its own, so that it can be read on any page
COLOURS = {
    "card": ("#ffffff", "#18212b"),
    "axis": ("#16212e", "#e6edf4"),
    "pale": ("#5b6b7b", "#9fb0c2"),
    "right": ("#0d4779", "#6cb2ef"),
    "wrong": ("#9fb4c8", "#4d6276"),
    "on": ("#ffffff", "#10161d"),
    "run0": ("#9fb3c8", "#5d7288"),
    "run1": ("#0d4779", "#6cb2ef"),
}
STROKES = {
    "line": ("#d6dde4", "#33424f"),
    "arrow": ("#5b6b7b", "#9fb0c2"),
    "aim": ("#c2410c", "#fb923c"),
}


def carded(svg: str) -> str:
    """A drawing with the colours of its classes, on a card, light or dark as the reader has it. svg: it begins with <svg, and
    has a viewBox."""
    ways = []
    for n in (0, 1):
        fills = "".join(f".{name}{{fill:{pair[n]}}}" for name, pair in COLOURS.items())
        ways.append(
            fills + "".join(f".{name}{{stroke:{pair[n]}}}" for name, pair in STROKES.items())
        )
    x, y, width, height = map(float, re.search(r'viewBox="([^"]+)"', svg)[1].split())
    edge = 12
    head, _, rest = svg.partition(">")
    head = head.replace(
        re.search(r'viewBox="[^"]+"', head)[0],
        f'viewBox="{x - edge:g} {y - edge:g} {width + 2 * edge:g} {height + 2 * edge:g}"',
    )
    style = (
        f"<style>text{{font-family:system-ui,sans-serif}}.axis{{font-size:13px}}.line{{stroke-width:1}}.aim{{stroke-width:3}}"
        f"{ways[0]}@media (prefers-color-scheme:dark){{{ways[1]}}}</style>"
    )
    card = f'<rect class="card" x="{x - edge:g}" y="{y - edge:g}" width="{width + 2 * edge:g}" height="{height + 2 * edge:g}" rx="10"/>'
    return f"{head}>{style}{card}{rest}"


def ask() -> dict:
    """Scores of all passages for one question, by language: [[score, right or not], …]."""
    from mixling.evaluation.benchmarks import load_task
    from mixling.models.retriever import Retriever

    one, retriever = load_task("sample"), Retriever()
    asked = next(
        i
        for i, (g, x) in enumerate(zip(one.query_group, one.query_language, strict=True))
        if g.startswith(QUESTION) and one.languages[x] == ASKED
    )
    right = set(one.relevant[one.relevant[:, 0] == asked, 1].tolist())
    scores = (
        retriever.encode(one.passages, "passage", precision="fp32")
        @ retriever.encode([one.queries[asked]], "query", precision="fp32")[0]
    )
    rows: dict[str, list] = {}
    for i, (score, x) in enumerate(zip(scores.tolist(), one.passage_language, strict=True)):
        rows.setdefault(one.languages[x], []).append([round(score, 4), i in right])
    return {
        "question": one.queries[asked],
        "asked in": ASKED,
        "model": retriever.name,
        "scores": rows,
    }


def levels(found: dict) -> str:
    """A row of dots a language, right answers filled and labelled by their rank."""
    rows = sorted(found["scores"].items(), key=lambda r: (r[0] != found["asked in"], r[0]))
    every = sorted((s for _, row in rows for s, _ in row), reverse=True)
    low, high = every[-1] - 0.005, every[0] + 0.005
    height = 46 + 28 * len(rows)
    x = lambda s: 70 + (s - low) / (high - low) * 560  # noqa: E731
    said = f"Scores of one Swahili question for all passages of the sample, a row a language ({found['model'].rpartition('/')[2]})"
    parts = [_head(660, height, said), '<text x="70" y="20" class="pale" font-size="12">score →, a row a language; '
             'blue: the answer, with its rank in the pool</text>']  # fmt: skip
    for n, (language, row) in enumerate(rows):
        y = 46 + 28 * n
        weight = ' font-weight="700"' if language == found["asked in"] else ""
        parts.append(f'<text x="20" y="{y + 4}" class="axis"{weight}>{language}</text>')
        parts.append(f'<line x1="70" x2="630" y1="{y}" y2="{y}" class="line"/>')
        for score, right in sorted(row, key=lambda r: r[1]):
            kind = "right" if right else "wrong"
            parts.append(
                f'<circle cx="{x(score):.1f}" cy="{y}" r="{6 if right else 4.5}" class="{kind}"/>'
            )
            if right:
                parts.append(
                    f'<text x="{x(score) + 9:.1f}" y="{y - 5}" class="right" font-size="11">{every.index(score) + 1}</text>'
                )
    return "\n".join([*parts, "</svg>"]) + "\n"


def settings() -> str:
    """What is asked of what in the three settings."""
    parts = [
        _head(
            660,
            190,
            "Monolingual, cross-lingual and pool: one question, and the candidates that it is ranked against",
        )
    ]
    for n, (name, asked, candidates) in enumerate(
        (
            ("monolingual", "sw", ["sw"] * 4),
            ("cross-lingual", "sw", ["de"] * 4),
            ("multilingual", "sw", ["sw", "de", "ar", "zh", "sw", "de", "ar", "zh"]),
        )
    ):
        left = 20 + 190 * n + (20 if n == 2 else 0)
        parts.append(
            f'<text x="{left}" y="24" class="axis" style="font-size:14px" font-weight="700">{name}</text>'
        )
        parts.append(_box(left, 80, asked, "axis"))
        parts.append(
            f'<path d="M{left + 48} 94 h28 m-7 -6 l7 6 l-7 6" fill="none" class="arrow" stroke-width="2"/>'
        )
        for i, language in enumerate(candidates):
            across, down = divmod(i, 4)
            parts.append(
                _box(
                    left + 84 + 50 * across,
                    40 + 34 * down,
                    language,
                    "right" if language == asked else "pale",
                )
            )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _box(x: int, y: int, text: str, colour: str) -> str:
    return (
        f'<rect x="{x}" y="{y}" width="42" height="28" rx="4" class="{colour}"/>'
        f'<text x="{x + 21}" y="{y + 19}" class="on" font-size="13" text-anchor="middle">{text}</text>'
    )


def _head(width: int, height: int, said: str) -> str:
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img"><title>{said}</title>'


def pictures() -> dict[str, str]:
    """File -> SVG."""
    found = json.loads((HERE / "levels.json").read_text())
    return {"settings.svg": carded(settings()), "levels.svg": carded(levels(found))}


if __name__ == "__main__":
    (HERE / "levels.json").write_text(json.dumps(ask(), indent=1, ensure_ascii=False) + "\n")
    for name, svg in pictures().items():
        (HERE / name).write_text(svg)
