"""`mixling locate-answers`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mixling.cli.options import Trust
from mixling.models.precision import Precision


def run(
    model: Annotated[str, typer.Argument(help="Model folder or hub name.")],
    source: Annotated[str, typer.Argument(help="A named source or a folder of your own.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The folder to write; a cut-off call goes on.")
    ],
    split: Annotated[str | None, typer.Option(help="Which split; default: the first.")] = None,
    path: Annotated[Path | None, typer.Option(help="Where a named source lies.")] = None,
    language: Annotated[list[str] | None, typer.Option(help="Only these; may be repeated.")] = None,
    negatives: Annotated[
        int, typer.Option(min=0, help="At most so many other sentences of its passages a question.")
    ] = 4,
    keep: Annotated[
        float,
        typer.Option(min=0, max=1, help="How near one of them may come to the answer's score."),
    ] = 0.7,
    margin: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="How far before the second sentence the first must be; else the link is dropped.",
        ),
    ] = 0.15,
    precision: Annotated[
        Precision, typer.Option(help="fp32, bf16, or auto: bf16 where the device has it.")
    ] = "auto",
    trust_remote_code: Trust = False,
) -> None:
    """Cut passages into sentences, find the one that answers, and write the source so: a folder that training reads."""
    from mixling.preparation.locate_answers import locate_answers

    report = locate_answers(
        model,
        source,
        out,
        split=split,
        path=path,
        languages=language,
        negatives=negatives,
        max_relative_score=keep,
        margin=margin,
        precision=precision,
        trust_remote_code=trust_remote_code,
    )
    known = (
        ""
        if report.agreement is None
        else f" (of {report.known_answers:,} known places it finds {report.agreement:.1%})"
    )
    typer.echo(
        f"{report.links:,} answers in {report.sentences:,} sentences, {report.located_answers:,} of them located by the model{known}, "
        f"{report.unsure_answers:,} left out as unsure; "
        f"{report.negatives_mined:,} negatives of {report.queries_with_negatives:,} questions: {out}"
    )
