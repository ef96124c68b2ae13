"""`mixling translate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mixling.cli.options import Trust


def run(
    source: Annotated[str, typer.Argument(help="A named source or a folder of your own.")],
    to: Annotated[list[str], typer.Option("--to", help="Language to fill in; may be repeated.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The folder to write; a cut-off call goes on.")
    ],
    model: Annotated[
        str | None, typer.Option(help="Folder or hub name: NLLB, M2M-100, mBART-50, opus-mt.")
    ] = None,
    command: Annotated[
        str | None,
        typer.Option(
            help="A program that reads a text a line, for instance 'trans -b {source}:{target}'."
        ),
    ] = None,
    pivot: Annotated[str, typer.Option(help="Translate from this where it is there.")] = "en",
    split: Annotated[str | None, typer.Option(help="Which split; default: the first.")] = None,
    path: Annotated[Path | None, typer.Option(help="Where a named source lies.")] = None,
    ratio: Annotated[
        float, typer.Option(min=1, help="Drop what is so many times longer or shorter than usual.")
    ] = 2.5,
    similarity: Annotated[
        str | None, typer.Option(help="A retriever that checks whether both texts say the same.")
    ] = None,
    margin: Annotated[float, typer.Option(min=0, help="Least margin of --similarity.")] = 1.0,
    beams: Annotated[int, typer.Option(min=1, help="Beams of a model; 1 is fastest.")] = 4,
    trust_remote_code: Trust = False,
) -> None:
    """Fill in missing languages by machine translation; what looks wrong is dropped and counted."""
    from mixling.preparation.translate import translate

    made = translate(
        source,
        out,
        to,
        model=model,
        command=command,
        pivot=pivot,
        split=split,
        path=path,
        ratio=ratio,
        similarity=similarity,
        margin=margin,
        beams=beams,
        trust_remote_code=trust_remote_code,
    )
    typer.echo(f"{made['kept']:,} of {made['asked']:,} translations kept: {out}")
    for what, count in made["counts"].items():
        typer.echo(f"  {what} {count:,}")
