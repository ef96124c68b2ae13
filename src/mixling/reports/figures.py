"""Figures as SVG strings: heat maps, bars, the map of many languages."""

from __future__ import annotations

import html
import math
from collections.abc import Callable

from mixling.corpora.languages import language_name, language_script
from mixling.corpora.resources import LEVEL_ORDER, resource_level
from mixling.evaluation.result import split_pair

# more languages than this are drawn as a map of tiles, not as a matrix or as bars
MOST = 24


def heat_color(value: float) -> tuple[str, str]:
    """Background and text of a cell, 0 … 1."""
    v = min(max(value, 0.0), 1.0)
    low, high = (244, 247, 251), (13, 71, 121)
    rgb = tuple(round(a + (b - a) * v) for a, b in zip(low, high, strict=True))
    return f"rgb{rgb}".replace(" ", ""), "#fff" if v > 0.5 else "#123"


def heat_grid(
    rows: list[str],
    columns: list[str],
    value: dict[tuple[str, str], float],
    form: Callable[[float], str],
    top: float,
    label: str,
) -> str:
    """A matrix: rows are questions' languages, columns passages' languages."""
    size, left, head = 40, 52, 40
    width, height = left + size * len(columns) + 4, head + size * len(rows) + 4
    out = [
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{html.escape(label)}" style="max-width:{width}px">'
    ]
    for j, c in enumerate(columns):
        out.append(
            f'<text class="axis" x="{left + size * j + size / 2}" y="{head - 8}" text-anchor="middle">{html.escape(c)}</text>'
        )
    out.append(
        f'<text class="axis small" x="{left + size * len(columns) / 2}" y="11" text-anchor="middle">passages in</text>'
    )
    for i, r in enumerate(rows):
        y = head + size * i
        out.append(
            f'<text class="axis" x="{left - 8}" y="{y + size / 2 + 4}" text-anchor="end">{html.escape(r)}</text>'
        )
        for j, c in enumerate(columns):
            if (r, c) not in value:
                continue
            v = value[r, c]
            back, fore = heat_color(v / top if top else 0)
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
        a, b = split_pair(pair, entry["languages"])
        value[a, b] = v["mAP"]
    rows = [x for x in entry["languages"] if any(a == x for a, _ in value)]
    columns = [x for x in entry["languages"] if any(b == x for _, b in value)]
    return heat_grid(
        rows,
        columns,
        value,
        lambda v: f"{v:.2f}".removeprefix("0"),
        1.0,
        "mAP by question and passage language",
    )


def share_map(entry: dict) -> str:
    """Who answers whom: share of each language in the pool's first ten."""
    shares = entry["multilingual"]["top10_share"]
    rows = list(shares)
    columns = [x for x in entry["languages"] if any(x in s for s in shares.values())]
    value = {(a, b): shares[a].get(b, 0.0) for a in rows for b in columns}
    top = max(value.values(), default=1.0)
    return heat_grid(
        rows,
        columns,
        value,
        lambda v: f"{100 * v:.0f}",
        top,
        "share of languages in the first ten, per cent",
    )


def bars(entries: list[dict], names: list[str], metric: str, top: float | None) -> str:
    """A figure of the pool by question language, one bar a run."""
    codes = list(entries[0]["multilingual"]["by_language"])
    series = [[e["multilingual"]["by_language"][c][metric] for c in codes] for e in entries]
    top = top or max((v for s in series for v in s if not math.isnan(v)), default=1.0) or 1.0
    thick, gap, left, right = (16 if len(entries) == 1 else 14), 10, 52, 460
    step = thick * len(entries) + gap
    height = step * len(codes) + 4
    out = [
        f'<svg viewBox="0 0 {right + 60} {height}" role="img" aria-label="{metric} in the pool by question language" '
        f'style="max-width:{right + 60}px">'
    ]
    for i, code in enumerate(codes):
        y = i * step
        out.append(
            f'<text class="axis" x="{left - 8}" y="{y + thick * len(entries) / 2 + 4}" text-anchor="end">{html.escape(code)}</text>'
        )
        for j, s in enumerate(series):
            if math.isnan(s[i]):
                continue
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


def language_map(value: dict[str, float], label: str) -> str:
    """Many languages at a glance: a tile each, rows by script, in bands of how much text encoders have seen.

    value: 0 … 1 by language; within a row the best come first.
    """
    wide, tall, left, right = 58, 30, 62, 940
    each = (right - left) // wide
    out, y = [], 6
    for band in LEVEL_ORDER:
        mine = [c for c in value if resource_level(c) == band]
        if not mine:
            continue
        mean = sum(value[c] for c in mine) / len(mine)
        out.append(
            f'<text class="axis" x="0" y="{y + 14}" font-weight="600">{band}: {len(mine)} languages, mean {mean:.2f}'
            "</text>"
        )
        y += 22
        scripts = sorted(
            {language_script(c) for c in mine},
            key=lambda s: (-sum(language_script(c) == s for c in mine), s),
        )
        for s in scripts:
            row = sorted((c for c in mine if language_script(c) == s), key=lambda c: -value[c])
            out.append(f'<text class="axis small" x="0" y="{y + 19}">{html.escape(s)}</text>')
            for i, code in enumerate(row):
                x, line = left + wide * (i % each), y + tall * (i // each)
                back, fore = heat_color(value[code])
                title = f"{language_name(code)} ({code}), {s}: {value[code]:.3f}"
                out.append(
                    f'<g><title>{html.escape(title)}</title><rect x="{x}" y="{line}" width="{wide - 3}" '
                    f'height="{tall - 3}" rx="3" fill="{back}"/><text x="{x + 5}" y="{line + 12}" fill="{fore}" '
                    f'font-size="9">{html.escape(code)}</text><text x="{x + wide - 8}" y="{line + 23}" text-anchor="end" '
                    f'fill="{fore}" font-size="12">{f"{value[code]:.2f}".removeprefix("0")}</text></g>'
                )
            y += tall * (-(-len(row) // each))
        y += 12
    return (
        f'<svg viewBox="0 0 {right} {y}" role="img" aria-label="{html.escape(label)}" style="max-width:{right}px;'
        f'min-width:44rem">{"".join(out)}</svg>'
    )
