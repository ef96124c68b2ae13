"""`mixling export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mixling.cli.options import Trust


def run(
    what: Annotated[str, typer.Argument(help="A model (folder or hub name), or a store.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Of a model a folder, of a store a .parquet file.")
    ],
    openvino: Annotated[
        bool, typer.Option("--openvino", help="A model in OpenVINO's form too.")
    ] = False,
    trust_remote_code: Trust = False,
) -> None:
    """A model as ONNX for other servers, pooling and map inside; a store as Parquet, which `mixling index` takes back."""
    from mixling.searching.export import export

    made = export(
        what,
        out,
        openvino=openvino,
        trust_remote_code=trust_remote_code,
    )
    if "passages" in made:
        typer.echo(f"{made['passages']:,} passages: {out}")
        return
    for form, difference in made.items():
        typer.echo(f"{form}: vectors differ by {difference:.1e} at most")
    typer.echo(f"{out}: the model, and onnx/model.onnx")
