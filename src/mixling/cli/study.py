"""The command `mixling study`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mixling.cli.options import Trust


def run(
    file: Annotated[Path, typer.Argument(help="The file of the study (TOML).")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The folder of its runs; default: runs/NAME.")
    ] = None,
    keep_models: Annotated[
        bool, typer.Option("--keep-models", help="Keep every trained model.")
    ] = False,
    trust_remote_code: Trust = False,
) -> None:
    """Run a grid of trainings and evaluations, and write its table beside the file.

    A study that was cut off goes on where it was. A variant that fails is named below the table,
    the others go on, and the status is 1; the next call tries it again.
    """
    from mixling.studies.study import study
    from mixling.studies.table import markdown

    result = study(file, out, keep_models=keep_models, trust_remote_code=trust_remote_code)
    typer.echo(markdown(result.to_dict()))
    if result.failed:
        raise typer.Exit(1)
