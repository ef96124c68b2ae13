"""The command `mixling locate-answers`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mixling.cli.options import PrecisionOption, Trust, retriever_with_options, with_model_options


@with_model_options
def run(
    model: Annotated[str, typer.Argument(help="The model: a folder or a hub name.")],
    source: Annotated[str, typer.Argument(help="A named source, or a folder of your own.")],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help="The folder to write. The same command continues a call that was cut off.",
        ),
    ],
    split: Annotated[
        str | None, typer.Option(help="The split; default: train, else the first.")
    ] = None,
    path: Annotated[Path | None, typer.Option(help="The folder of a named source.")] = None,
    language: Annotated[
        list[str] | None, typer.Option(help="Use only this language; may be repeated.")
    ] = None,
    negatives: Annotated[
        int,
        typer.Option(
            min=0,
            help="The greatest number of hard negatives for each query: other sentences of its "
            "passages.",
        ),
    ] = 4,
    max_relative_score: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="The greatest score of a hard negative, relative to the score of the answer.",
        ),
    ] = 0.7,
    margin: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="The least lead of the best sentence's score over the second. Links with a "
            "smaller lead are dropped.",
        ),
    ] = 0.15,
    precision: PrecisionOption = "auto",
    trust_remote_code: Trust = False,
    *,
    model_options: dict[str, Any],
) -> None:
    """Cut passages into sentences, locate the one that answers, and write a folder for training."""
    from mixling.preparation.locate_answers import locate_answers

    report = locate_answers(
        retriever_with_options(model, model_options, trust_remote_code),
        source,
        out,
        split=split,
        path=path,
        languages=language,
        negatives=negatives,
        max_relative_score=max_relative_score,
        margin=margin,
        precision=precision,
        trust_remote_code=trust_remote_code,
    )
    agreement = ""
    if report.agreement is not None:
        agreement = f" (of {report.known_answers:,} known places it finds {report.agreement:.1%})"
    typer.echo(
        f"{report.links:,} answers in {report.sentences:,} sentences, {report.located_answers:,} "
        "of "
        f"them located by the model{agreement}, {report.unsure_answers:,} left out as unsure; "
        f"{report.negatives_mined:,} negatives of {report.queries_with_negatives:,} queries: {out}"
    )
