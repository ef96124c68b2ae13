"""`mixling index`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mixling.cli.options import Trust


def run(
    model: Annotated[str, typer.Argument(help="Model folder or hub name.")],
    documents: Annotated[
        Path,
        typer.Argument(
            help=".jsonl or .parquet with a column `text`, a BEIR folder, or a folder of text, Markdown, HTML, PDF."
        ),
    ],
    store: Annotated[
        str,
        typer.Option(
            "--store",
            "-s",
            help="The store: a folder, or milvus://host:port/name. A cut-off call goes on.",
        ),
    ],
    language: Annotated[
        str | None, typer.Option(help="Of documents that do not say theirs; else it is identified.")
    ] = None,
    languages: Annotated[
        list[str] | None,
        typer.Option(help="It is identified among these; may be repeated, or en,sw."),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(min=8, help="Tokens of a passage; default: 200, or what the model takes."),
    ] = None,
    overlap: Annotated[
        int | None,
        typer.Option(
            min=0, help="Tokens of sentences repeated of the one before; default: a fifth."
        ),
    ] = None,
    precision: Annotated[str, typer.Option(help="fp32, bf16 or auto.")] = "auto",
    vectors: Annotated[
        Path | None,
        typer.Option(
            help="Made of the same file by `mixling encode`: each document is one passage, and nothing is encoded."
        ),
    ] = None,
    keep_gone: Annotated[
        bool, typer.Option("--keep-gone", help="Leave documents that the source no longer has.")
    ] = False,
    trust_remote_code: Trust = False,
) -> None:
    """Put documents into a store; what is there and unchanged is not encoded again."""
    from mixling.corpora.values import TITLES
    from mixling.searching.documents import SUFFIXES, named
    from mixling.searching.index import index

    among = [x for part in languages or [] for x in part.split(",")] or None
    made = index(
        model,
        documents,
        store,
        language=language,
        languages=among,
        size=size,
        overlap=overlap,
        precision=precision,
        keep_gone=keep_gone,
        vectors=vectors,
        trust_remote_code=trust_remote_code,
    )
    for line in made["skipped"][:20]:
        typer.echo(f"skipped: {line}")
    if made["left_out"]:
        typer.echo(f"left out: {named(made['left_out'])} ({', '.join(SUFFIXES)} are read)")
    typer.echo(
        f"{made['documents']:,} documents ({made['unchanged']:,} unchanged, {made['gone']:,} gone, "
        f"{len(made['skipped']):,} skipped, {sum(made['left_out'].values()):,} left out), {made['passages']:,} passages in {len(made['languages'])} languages: {store}"
    )
    if made.get("passages_titled"):
        typer.echo(
            f"read with their titles ({TITLES}): {made['passages_titled']:,} of the new passages"
        )
