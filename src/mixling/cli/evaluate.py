"""`mixling evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def run(
    model: Annotated[str, typer.Argument(help="A model folder or hub name.")],
    task: Annotated[
        list[str],
        typer.Option("--task", "-t", help="A task's name or a folder of your own; may be repeated."),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for summary.json, scores.parquet, report.html.")
    ] = None,
    context: Annotated[
        bool, typer.Option("--context", help="Candidates are sentences with their paragraph.")
    ] = False,
    precision: Annotated[str, typer.Option(help="fp32 or bf16.")] = "fp32",
    trec: Annotated[bool, typer.Option("--trec", help="Write TREC run and qrels files too.")] = False,
) -> None:
    """Measure a retriever in one language, across languages and in the pool."""
    from mixling.errors import MixlingError
    from mixling.reports.evaluate import evaluate
    from mixling.reports.terminal import show

    if trec and out is None:
        raise MixlingError("--trec writes files: say where with --out DIR")
    result = evaluate(model, task, out, context=context, precision=precision, trec=trec)
    show([result])
    if out is not None:
        typer.echo(f"{out / 'report.html'}")
