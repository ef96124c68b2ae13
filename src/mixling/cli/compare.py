"""The command `mixling compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def run(
    results: Annotated[
        list[str],
        typer.Argument(
            help="Folders that `mixling evaluate --out` wrote; the others are compared with the "
            "first. NAME=FOLDER names a run; folders with the same name are its seeds."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Write the comparison: .html, .md, .tex or .csv."),
    ] = None,
    permutations: Annotated[
        int, typer.Option(help="The number of permutations of each test.")
    ] = 10_000,
) -> None:
    """Compare results with the first one: differences, confidence intervals and tests."""
    from mixling.reports.compare import compare
    from mixling.reports.terminal import print_comparison

    print_comparison(compare(results, out, permutations))
    if out is not None:
        typer.echo(f"{out}")
