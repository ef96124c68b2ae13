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
    adapter_rank: Annotated[
        int | None,
        typer.Option(
            "--adapter-rank",
            help="Write what training changed of a model as an adapter (LoRA) of this rank.",
        ),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(
            "--base",
            help="With --adapter-rank: the model that was trained. Default: what the model's "
            "folder names.",
        ),
    ] = None,
    trust_remote_code: Trust = False,
) -> None:
    """Write a model as ONNX or as an adapter, or a store as Parquet for `mixling index`."""
    from mixling.searching.export import export

    report = export(
        source,
        out,
        openvino=openvino,
        adapter_rank=adapter_rank,
        base=base,
        trust_remote_code=trust_remote_code,
    )
    if report.passages is not None:
        typer.echo(f"{report.passages:,} passages: {out}")
        return
    if report.adapter is not None:
        typer.echo(
            f"{out} holds an adapter of {report.adapter.n_bytes / 1e6:.1f} MB with "
            f"{report.adapter.kept:.1%} of what training changed (of its squared norm). The least "
            f"cosine of its vectors with those of the model is {report.adapter.cosine:.4f}."
        )
        return
    for name, difference in report.differences.items():
        typer.echo(f"{name}: the vectors of the exported model differ by {difference:.1e} at most.")
    typer.echo(f"{out} holds the model, with onnx/model.onnx.")
