"""The command `mixling demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def run(
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="The folder for the audits, the model and the report."),
    ] = Path("demo"),
    minutes: Annotated[float, typer.Option(min=0.1, help="Minutes for the training.")] = 3.0,
) -> None:
    """Audit a real encoder, train it with hybrid batches, audit it again, answer a query."""
    from mixling.studies.demo import demo

    demo(out, minutes, say=typer.echo)
