"""Draw the pictures of docs/explanation/: a real plan of batches, the strip, translation groups."""

from __future__ import annotations

import mixling
from docs.pictures import carded, head
from mixling.batches.translation_groups import translation_groups

PAIRS = 6
BATCHES = 6


def batch_plan() -> str:
    """Draw the first batches of a hybrid plan on the sample set."""
    schedule = mixling.Schedule([translation_groups(mixling.load("sample"))], size=PAIRS)
    height = 44 + 44 * BATCHES
    parts = [head(720, height, "The first batches of a hybrid plan, with each pair's languages")]
    parts.append('<text x="0" y="18" class="pale" style="font-size:13px">query → passage</text>')
    for step in range(BATCHES):
        batch = schedule.describe(step)
        y = 36 + 44 * step
        color = {"mono": "right", "cross": "asked"}[batch["kind"]]
        name = {"mono": "one language", "cross": "two languages"}[batch["kind"]]
        parts.append(f'<text x="0" y="{y + 20}" class="axis">{step + 1}: {name}</text>')
        for i, (query, passage, _) in enumerate(batch["pairs"]):
            x = 150 + 95 * i
            parts.append(f'<rect x="{x}" y="{y}" width="86" height="32" rx="5" class="{color}"/>')
            parts.append(
                f'<text x="{x + 43}" y="{y + 21}" class="on" style="font-size:14px" '
                f'text-anchor="middle">{query} → {passage}</text>'
            )
    return carded("\n".join([*parts, "</svg>"])) + "\n"


def strip() -> str:
    """Draw places in rows, conflict groups in them, and a batch that reads a column."""
    rows, columns = 4, 8
    groups = (3, 2, 4, 1, 3, 2, 5, 2, 1, 4, 3, 2)  # sizes of conflict groups along the strip
    colors = ("right", "wrong", "pale")
    of_place = [n for n, size in enumerate(groups) for _ in range(size)]
    parts = [head(720, 236, "A strip of translation groups in rows; a batch reads down a column")]
    for row in range(rows):
        parts.append(f'<text x="0" y="{58 + 46 * row}" class="axis">row {row + 1}</text>')
        for column in range(columns):
            group = of_place[row * columns + column]
            x, y = 80 + 76 * column, 38 + 46 * row
            parts.append(
                f'<rect x="{x}" y="{y}" width="70" height="32" rx="4" class="{colors[group % 3]}"/>'
            )
            parts.append(
                f'<text x="{x + 35}" y="{y + 21}" class="on" style="font-size:13px" '
                f'text-anchor="middle">{"ABCDEFGHIJKL"[group]}</text>'
            )
    parts.append(
        f'<rect x="226" y="30" width="82" height="{46 * rows + 4}" rx="8" fill="none" class="aim"/>'
    )
    parts.append('<text x="267" y="20" class="asked" text-anchor="middle">one batch</text>')
    return carded("\n".join([*parts, "</svg>"])) + "\n"


def groups() -> str:
    """Draw translation groups that are resampled as one."""
    codes = ("ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh")
    parts = [head(720, 214, "Three questions in eleven languages: each is one observation")]
    for n, (name, color, note) in enumerate(
        (
            ("question 1", "right", "drawn twice"),
            ("question 2", "wrong", "not drawn"),
            ("question 3", "right", "drawn once"),
        )
    ):
        y = 34 + 62 * n
        parts.append(f'<text x="0" y="{y + 20}" class="axis">{name}</text>')
        parts.append(
            f'<rect x="96" y="{y - 7}" width="516" height="44" rx="8" fill="none" class="arrow" '
            'stroke-width="2"/>'
        )
        for i, code in enumerate(codes):
            x = 104 + 46 * i
            parts.append(f'<rect x="{x}" y="{y}" width="40" height="30" rx="4" class="{color}"/>')
            parts.append(
                f'<text x="{x + 20}" y="{y + 20}" class="on" style="font-size:13px" '
                f'text-anchor="middle">{code}</text>'
            )
        parts.append(f'<text x="624" y="{y + 20}" class="axis">{note}</text>')
    parts.append(
        '<text x="0" y="14" class="pale" style="font-size:13px">one resample of the bootstrap: a '
        "question comes with all of its translations, or not at all</text>"
    )
    return carded("\n".join([*parts, "</svg>"])) + "\n"


def pictures() -> dict[str, str]:
    """Return the SVG of each file, by its path below docs/."""
    return {
        "images/hybrid-batches.svg": batch_plan(),
        "images/schedule.svg": strip(),
        "images/significance.svg": groups(),
    }
