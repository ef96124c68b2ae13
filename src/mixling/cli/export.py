"""`mixling export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def run(
    what: Annotated[str, typer.Argument(help="A model (folder or hub name), or a store.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Of a model a folder, of a store a .parquet file.")
    ],
    openvino: Annotated[bool, typer.Option("--openvino", help="A model in OpenVINO's form too.")] = False,
) -> None:
    """A model as ONNX for other servers, pooling and map inside; a store as Parquet, which `mixling index` takes back."""
    if what.startswith("milvus://") or (Path(what) / "mixling.json").exists():
        from mixling.searching.parquet import unload

        typer.echo(f"{unload(what, out):,} passages: {out}")
        return
    from mixling.models.onnx import export

    for form, difference in export(what, out, openvino=openvino).items():
        typer.echo(f"{form}: vectors differ by {difference:.1e} at most")
    typer.echo(f"{out}: the model, and onnx/model.onnx")
