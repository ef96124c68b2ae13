"""`mixling export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mixling.cli.options import Trust


def run(
    source: Annotated[str, typer.Argument(help="A model (folder or hub name), or a store.")],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="The folder of a model, or the .parquet file of a store."),
    ],
    openvino: Annotated[
        bool, typer.Option("--openvino", help="Write a model in OpenVINO's format too.")
    ] = False,
    trust_remote_code: Trust = False,
) -> None:
    """Write a model as ONNX for other servers, or a store as Parquet for `mixling index`."""
    from mixling.searching.export import export

    report = export(
        source,
        out,
        openvino=openvino,
        trust_remote_code=trust_remote_code,
    )
    if report.passages is not None:
        typer.echo(f"{report.passages:,} passages: {out}")
        return
    for name, difference in report.differences.items():
        typer.echo(f"{name}: the vectors of the exported model differ by {difference:.1e} at most.")
    typer.echo(f"{out} holds the model, with onnx/model.onnx.")
