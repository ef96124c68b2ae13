"""The command `mixling leaderboard`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def run(
    folder: Annotated[
        Path, typer.Argument(help="A folder that holds results of `mixling evaluate --out`.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The page to write.")] = Path(
        "leaderboard.html"
    ),
) -> None:
    """Write all results of a folder to one HTML page, with a table for each task."""
    from mixling.reports.leaderboard import leaderboard

    typer.echo(f"{leaderboard(folder, out).path}")
