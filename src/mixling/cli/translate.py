"""The command `mixling translate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mixling.cli.options import Trust


def run(
    source: Annotated[str, typer.Argument(help="A named source, or a folder of your own.")],
    to: Annotated[
        list[str], typer.Option("--to", help="A language to translate into; may be repeated.")
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help="The folder to write. The same command continues a call that was cut off.",
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            help="The translation model, a folder or hub name: NLLB, M2M-100, mBART-50, opus-mt."
        ),
    ] = None,
    command: Annotated[
        str | None,
        typer.Option(
            help="A program that translates one text per line, for instance 'trans -b "
            "{source}:{target}'."
        ),
    ] = None,
    pivot: Annotated[
        str, typer.Option(help="The language to translate from, where a text has it.")
    ] = "en",
    split: Annotated[
        str | None, typer.Option(help="The split; default: train, else the first.")
    ] = None,
    path: Annotated[Path | None, typer.Option(help="The folder of a named source.")] = None,
    ratio: Annotated[
        float,
        typer.Option(
            min=1, help="Drop translations that are this many times longer or shorter than usual."
        ),
    ] = 2.5,
    similarity: Annotated[
        str | None, typer.Option(help="A retriever that checks whether two texts mean the same.")
    ] = None,
    margin: Annotated[
        float, typer.Option(min=0, help="The least margin score of --similarity.")
    ] = 1.0,
    beams: Annotated[
        int, typer.Option(min=1, help="Number of beams of the model; 1 is fastest.")
    ] = 4,
    trust_remote_code: Trust = False,
) -> None:
    """Fill in missing languages by machine translation; suspect translations are dropped."""
    from mixling.preparation.translate import translate

    report = translate(
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
    typer.echo(f"{report.accepted:,} of {report.texts:,} translations accepted: {out}")
    for outcome, count in report.counts.items():
        typer.echo(f"  {outcome} {count:,}")
