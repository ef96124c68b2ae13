"""`mixling leaderboard`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def run(
    folder: Annotated[
        Path, typer.Argument(help="A folder with results of `mixling evaluate --out` in it.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The page to write.")] = Path(
        "leaderboard.html"
    ),
) -> None:
    """All results of a folder in one page, a table a task."""
    from mixling.reports.leaderboard import leaderboard

    typer.echo(f"{leaderboard(folder, out)}")
