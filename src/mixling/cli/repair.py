"""`mixling repair`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def run(
    address: Annotated[
        str,
        typer.Argument(
            help="qdrant://host:port/collection, qdrant:FOLDER#collection, "
            "postgresql://user@host/db?table=T&column=C, chroma:FOLDER#collection, "
            "chroma://host:port/collection, milvus://host:port/collection, lancedb:FOLDER#table, "
            "Parquet, or a store of mixling index."
        ),
    ],
    transform: Annotated[
        str | None,
        typer.Option(
            "--transform",
            help="balanced (for multilingual-e5-small), a folder that debias or audit wrote, or "
            "auto: fitted on the collection itself, with --model and perhaps --queries.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="--transform auto: the model that made the vectors. A store of `mixling index` "
            "names its model itself.",
        ),
    ] = None,
    queries: Annotated[
        Path | None,
        typer.Option(
            "--queries", help="--transform auto: real queries, one per line or as JSON lines."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Report the effect on a sample, and write nothing.")
    ] = False,
    sample: Annotated[int, typer.Option("--sample", min=1, help="--dry-run: rows.")] = 2000,
    switch: Annotated[
        bool,
        typer.Option(
            "--switch",
            help="Copy the rows that have changed, then replace the original with the copy.",
        ),
    ] = False,
    undo: Annotated[
        bool,
        typer.Option(
            "--undo", help="Put the original back. Before a switch: remove the unused copy."
        ),
    ] = False,
    language_field: Annotated[
        str | None,
        typer.Option(
            "--language-field", help="Field, column or key that holds the language of each row."
        ),
    ] = None,
    identify: Annotated[
        bool, typer.Option("--identify", help="Identify the language of rows without one.")
    ] = False,
    normalize: Annotated[
        bool,
        typer.Option(
            "--normalize",
            help="Scale vectors to length one. Default: each vector keeps its length.",
        ),
    ] = False,
    batch_size: Annotated[
        int | None,
        typer.Option(
            "--batch-size", min=1, help="Number of rows that are read and written at a time."
        ),
    ] = None,
    state: Annotated[
        Path | None, typer.Option("--state", help="Folder that keeps the progress.")
    ] = None,
) -> None:
    """Apply a transform to a copy of the vectors of a database, with a switch and a way back.

    Run it again to go on after an interruption and to catch up with rows written since.
    """
    from mixling.errors import MixlingError
    from mixling.repairing.repair import repair, try_transform
    from mixling.repairing.repair import undo as undo_repair
    from mixling.repairing.stores import is_own_store, model_folder, repair_store, undo_store

    if dry_run + switch + undo > 1:
        raise MixlingError(
            "--dry-run, --switch and --undo exclude each other. Give only one of them."
        )
    own = is_own_store(address)
    if own and (language_field or identify or normalize or batch_size or state):
        raise MixlingError(
            f"{address}: this is a store of `mixling index`, which records languages, vector "
            "lengths and progress itself. Leave out --language-field, --identify, --normalize, "
            "--batch-size and --state."
        )
    if language_field is not None:
        address += f"{'&' if '?' in address else '?'}language={language_field}"
    if undo:
        typer.echo(
            undo_store(address, transform) if own else undo_repair(address, transform, state=state)
        )
        return
    if transform is None:
        raise MixlingError(
            "no transform is given. Name one with --transform: balanced, auto, or a folder that "
            "`mixling debias` wrote."
        )
    if transform != "auto" and (model is not None or queries is not None):
        raise MixlingError(
            "--model and --queries are used by --transform auto only. Leave them out."
        )
    if transform == "auto":
        from mixling.auditing.fit_collection import fit_once

        folder = model_folder(address) if own else None
        fitted, reason = fit_once(address, model, queries, state, folder)
        typer.echo(reason)
        if fitted is None:
            return
        transform = str(fitted)
    identifier = None
    if identify:
        from mixling.models.identify import identify_language

        identifier = lambda text: identify_language(text)[0]  # noqa: E731
    if dry_run:
        result = try_transform(
            address, transform, normalize=normalize, identify=identifier, sample=sample
        )
        typer.echo("\n".join(result.lines()))
        return
    if own:
        written, use = repair_store(address, transform, switch=switch)
        typer.echo(
            f"The copy holds {written.passages:,} passages; {written.written:,} documents were "
            f"written and {written.gone:,} removed."
        )
        typer.echo(use)
        return
    report = repair(
        address,
        transform,
        normalize=normalize,
        identify=identifier,
        switch=switch,
        batch_size=batch_size,
        state=state,
    )
    typer.echo(
        f"The copy holds {report.rows:,} rows; {report.written:,} were written and "
        f"{report.removed:,} removed."
    )
    if report.since:
        typer.echo(
            f"{report.since:+,} rows have changed since the source was read. Run the same "
            "command again."
        )
    typer.echo(report.switched or "The original is in use; --switch replaces it with the copy.")
