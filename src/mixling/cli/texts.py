"""The command `mixling texts`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def run(
    task: Annotated[
        str,
        typer.Argument(help="The name of a task, a folder of your own, or FOLDER:SPLIT."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file of JSON lines to write.")],
    fit: Annotated[
        bool,
        typer.Option(
            "--fit",
            help="TASK is a source that `mixling debias --fit` reads; the rows have its groups.",
        ),
    ] = False,
    context: Annotated[
        bool, typer.Option("--context", help="Write each sentence together with its paragraph.")
    ] = False,
    language: Annotated[
        str | None,
        typer.Option("--language", help="The language of rows without a `language` field."),
    ] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Skip bad rows.")] = False,
) -> None:
    """Write the texts of a task with their ids, to encode or index them elsewhere.

    Each line is an object with id, role (query or passage), language, title and text. The ids are
    those that `evaluate --vectors` and `evaluate --run` understand.
    """
    from mixling.text_export import texts

    counts = texts(task, out, fit=fit, context=context, language=language, skip_bad=skip_bad)
    typer.echo(f"{counts.get('query', 0):,} queries, {counts.get('passage', 0):,} passages: {out}")
