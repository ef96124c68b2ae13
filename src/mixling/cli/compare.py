"""`mixling compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def run(
    results: Annotated[
        list[Path],
        typer.Argument(help="Folders that `mixling evaluate --out` wrote; the first is the yardstick."),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the comparison as an HTML file.")
    ] = None,
) -> None:
    """Show results side by side, with differences to the first."""
    from mixling.reports.compare import compare
    from mixling.reports.terminal import show

    show(compare(results, out))
    if out is not None:
        typer.echo(f"{out}")
