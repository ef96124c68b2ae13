"""Rewrite README's table and picture from the committed study: `python docs/figures.py`.

A test holds README to what this writes, so no figure there is typed by hand.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from mixling.reports.html import bars
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
    return json.loads((ROOT / "studies" / "xquad-strategies.json").read_text())


def readme(text: str) -> str:
    """README with its table renewed."""
    pattern = r"(<!-- study -->).*?(<!-- /study -->)"
    return re.sub(pattern, lambda m: f"{m[1]}\n{table()}\n{m[2]}", text, flags=re.DOTALL)


if __name__ == "__main__":
    path = ROOT / "README.md"
    path.write_text(readme(path.read_text()))
    (ROOT / "docs" / "pool.svg").write_text(picture())
