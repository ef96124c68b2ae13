"""Charts as SVG strings: heat maps, bars, and the map of many languages."""

from __future__ import annotations

import html
import math
from collections.abc import Callable
from typing import Any

from mixling.corpora.languages import language_name, language_script
from mixling.corpora.resources import LEVEL_ORDER, resource_level
from mixling.reports.colors import THEMES, mix, text_color

# more languages than this are drawn as a map of tiles, not as a matrix or as bars
MAX_MATRIX_LANGUAGES = 24


def heat_color(value: float) -> tuple[str, str]:
    """Return the background and text colors of a cell.

    Args:
        value: 0 to 1, light to dark.

    Returns:
        Both colors in CSS.
    """
    rgb = mix(*THEMES["light"], min(max(value, 0.0), 1.0))
    return f"rgb{rgb}".replace(" ", ""), text_color(rgb)


def _short_decimal(value: float) -> str:
    """Format a figure from 0 to 1 in as few characters as a cell has: `.83`."""
    return f"{value:.2f}".removeprefix("0")


def _text(x: float, y: float, content: str, css: str, anchor: str, attributes: str = "") -> str:
    """Draw a text; the content is escaped."""
    return (
        f'<text class="{css}" x="{x}" y="{y}" text-anchor="{anchor}"{attributes}>'
        f"{html.escape(content)}</text>"
    )


def heat_grid(
    rows: list[str],
    columns: list[str],
    values: dict[tuple[str, str], float],
    form: Callable[[float], str],
    maximum: float,
    label: str,
) -> str:
    """Draw a matrix of query languages (rows) and passage languages (columns).

    Args:
        rows: Query languages.
        columns: Passage languages.
        values: Figure of each (query, passage) language pair; a missing one is left blank.
        form: Formats a figure.
        maximum: The figure that is darkest.
        label: Description for screen readers.

    Returns:
        The SVG.
    """
    size, left, head = 40, 52, 40
    width, height = left + size * len(columns) + 4, head + size * len(rows) + 4
    parts = [
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{html.escape(label)}" '
        f'style="max-width:{width}px">'
    ]
    for j, column in enumerate(columns):
        parts.append(_text(left + size * j + size / 2, head - 8, column, "axis", "middle"))
    middle = left + size * len(columns) / 2
    parts.append(_text(middle, 11, "passages in", "axis small", "middle"))
    for i, row in enumerate(rows):
        y = head + size * i
        parts.append(_text(left - 8, y + size / 2 + 4, row, "axis", "end"))
        for j, column in enumerate(columns):
            if (row, column) in values:
                value = values[row, column]
                title = (
                    f"query {language_name(row)}, passages {language_name(column)}: {form(value)}"
                )
                colors = heat_color(value / maximum if maximum else 0)
                same = ' class="same-language"' if row == column else ""
                x = left + size * j
                parts.append(_grid_cell(x, y, size, form(value), title, colors, same))
    parts.append("</svg>")
    return "".join(parts)


def _grid_cell(
    x: int, y: int, size: int, text: str, title: str, colors: tuple[str, str], attribute: str
) -> str:
    """Draw one cell of a matrix."""
    background, foreground = colors
    return (
        f'<g><title>{html.escape(title)}</title><rect x="{x}" y="{y}" width="{size - 2}" '
        f'height="{size - 2}" rx="3" fill="{background}"{attribute}/>'
        f'<text x="{x + size / 2 - 1}" y="{y + size / 2 + 4}" text-anchor="middle" '
        f'fill="{foreground}" font-size="12">{text}</text></g>'
    )


def bars(
    entries: list[dict[str, Any]], names: list[str], metric: str, maximum: float | None
) -> str:
    """Draw a metric of the multilingual scenario by query language, one bar a run.

    Args:
        entries: A task's entry of each run's summary.
        names: Name of each run.
        metric: Name of the metric.
        maximum: The figure of a full bar; None takes the largest.

    Returns:
        The SVG.
    """
    codes = list(entries[0]["multilingual"]["by_language"])
    series = [[e["multilingual"]["by_language"][c][metric] for c in codes] for e in entries]
    largest = max((v for s in series for v in s if not math.isnan(v)), default=1.0)
    maximum = maximum or largest or 1.0
    thickness, gap, left, right = (16 if len(entries) == 1 else 14), 10, 52, 460
    step = thickness * len(entries) + gap
    height = step * len(codes) + 4
    parts = [
        f'<svg viewBox="0 0 {right + 60} {height}" role="img" '
        f'aria-label="multilingual {metric} by query language" style="max-width:{right + 60}px">'
    ]
    for i, code in enumerate(codes):
        y = i * step
        parts.append(_text(left - 8, y + thickness * len(entries) / 2 + 4, code, "axis", "end"))
        for j, values in enumerate(series):
            if math.isnan(values[i]):
                continue
            length = (right - left) * min(values[i] / maximum, 1)
            text = f"{values[i]:.3f}" if metric == "mAP" else f"{values[i]:.0f}"
            title = f"{names[j]}, query {language_name(code)}: {text}"
            parts.append(
                f'<g><title>{html.escape(title)}</title><rect class="run{min(j, 3)}" x="{left}" '
                f'y="{y + j * thickness}" width="{length:.1f}" height="{thickness - 2}" rx="2"/>'
                f'<text class="axis" style="font-size:11px" x="{left + length + 5:.1f}" '
                f'y="{y + j * thickness + thickness - 4}">{text}</text></g>'
            )
    parts.append("</svg>")
    return "".join(parts)


def language_map(values: dict[str, float], label: str) -> str:
    """Draw many languages: one tile each, in bands by resource level, in rows by script.

    Args:
        values: Figure of each language, 0 to 1. Within a row the best come first.
        label: Description for screen readers.

    Returns:
        The SVG.
    """
    width, height, left, right = 58, 30, 62, 940
    per_line = (right - left) // width
    parts, y = [], 6
    for level in LEVEL_ORDER:
        codes = [c for c in values if resource_level(c) == level]
        if not codes:
            continue
        mean = sum(values[c] for c in codes) / len(codes)
        parts.append(
            f'<text class="axis" x="0" y="{y + 14}" font-weight="600">{level}: {len(codes)} '
            f"languages, mean {mean:.2f}</text>"
        )
        y += 22
        by_script: dict[str, list[str]] = {}
        for code in codes:
            by_script.setdefault(language_script(code), []).append(code)
        for script, row in sorted(by_script.items(), key=lambda x: (-len(x[1]), x[0])):
            parts.append(
                f'<text class="axis small" x="0" y="{y + 19}">{html.escape(script)}</text>'
            )
            for i, code in enumerate(sorted(row, key=lambda c: -values[c])):
                x, line = left + width * (i % per_line), y + height * (i // per_line)
                title = f"{language_name(code)} ({code}), {script}: {values[code]:.3f}"
                parts.append(_tile(x, line, width, height, code, values[code], title))
            y += height * -(-len(row) // per_line)
        y += 12
    return (
        f'<svg viewBox="0 0 {right} {y}" role="img" aria-label="{html.escape(label)}" '
        f'style="max-width:{right}px;min-width:44rem">{"".join(parts)}</svg>'
    )


def _tile(x: int, y: int, width: int, height: int, code: str, value: float, title: str) -> str:
    """Draw one language of the map."""
    background, foreground = heat_color(value)
    return (
        f'<g><title>{html.escape(title)}</title><rect x="{x}" y="{y}" width="{width - 3}" '
        f'height="{height - 3}" rx="3" fill="{background}"/><text x="{x + 5}" y="{y + 12}" '
        f'fill="{foreground}" font-size="9">{html.escape(code)}</text>'
        f'<text x="{x + width - 8}" y="{y + 23}" text-anchor="end" fill="{foreground}" '
        f'font-size="12">{_short_decimal(value)}</text></g>'
    )
