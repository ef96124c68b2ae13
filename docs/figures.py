"""Rewrite the tables of README and docs from committed results: `python docs/figures.py`.

A table stands between `<!-- name -->` and `<!-- /name -->`. A test holds the pages to what this writes, so no figure
in them is typed by hand.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from mixling.reports.figures import bars
from mixling.studies.study import markdown

ROOT = Path(__file__).parent.parent
STYLE = """<style>.axis{fill:#16212e;font-size:13px;font-family:system-ui,sans-serif}.run0{fill:#9fb3c8}.run1{fill:#0d4779}
@media (prefers-color-scheme:dark){.axis{fill:#e6edf4}.run0{fill:#5d7288}.run1{fill:#6cb2ef}}</style>"""


def table() -> str:
    """The study's table as README has it."""
    rows = markdown(results()).splitlines()
    return "\n".join(r for r in rows if r.startswith("|"))


def picture() -> str:
    """Pool mAP by question language, before and after, as a standalone SVG."""
    runs = {r["variant"]: r["tasks"]["xquad-r"] for r in results()["runs"] if r["seed"] == 0}
    drawn = bars([runs["none"], runs["hybrid(0.5)"]], ["none", "hybrid(0.5)"], "mAP", 1.0)
    drawn = re.sub(r' style="max-width:\d+px"', "", drawn).replace(
        "<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1
    )
    return drawn.replace(">", f">{STYLE}", 1) + "\n"


def results() -> dict:
    """The committed results."""
    return measured("studies/xquad-strategies.json")


def measured(name: str) -> dict:
    """A committed result file."""
    return json.loads((ROOT / name).read_text())


def rows_of(rows: list[dict]) -> str:
    """Rows as a Markdown table."""
    lines = [f"| {' | '.join(rows[0])} |", "|" + "---|" * len(rows[0])]
    return "\n".join([*lines, *(f"| {' | '.join(str(v) for v in r.values())} |" for r in rows)])


def tables() -> dict[str, dict[str, str]]:
    """Page -> name -> table."""
    calls = measured("benchmarks/calls.json")
    return {
        "README.md": {"study": table()},
        "docs/decisions.md": {"settings": (ROOT / "studies" / "settings.md").read_text().strip()},
        "docs/performance.md": {
            "encoding": rows_of(calls["encoding"]),
            "training": rows_of(calls["training"]),
        },
    }


def renewed(page: str, text: str) -> str:
    """A page with its tables renewed."""
    for name, new in tables()[page].items():
        pattern = rf"(<!-- {name} -->).*?(<!-- /{name} -->)"
        text = re.sub(pattern, lambda m, new=new: f"{m[1]}\n{new}\n{m[2]}", text, flags=re.DOTALL)
    return text


if __name__ == "__main__":
    for page in tables():
        (ROOT / page).write_text(renewed(page, (ROOT / page).read_text()))
    (ROOT / "docs" / "pool.svg").write_text(picture())
