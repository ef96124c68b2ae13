"""The command `mixling mine-negatives`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mixling.cli.options import PrecisionOption, Trust, retriever_with_options, with_model_options


@with_model_options
def run(
    model: Annotated[str, typer.Argument(help="The model: a folder or a hub name, or bm25.")],
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
        int, typer.Option(min=1, help="The greatest number of negatives for each query.")
    ] = 8,
    max_relative_score: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="The greatest score of a negative, relative to the score of the relevant passage.",
        ),
    ] = 0.95,
    window: Annotated[
        int,
        typer.Option(
            min=0,
            help="Number of characters of a passage around its answer; 0 means the whole passage.",
        ),
    ] = 600,
    intruders: Annotated[
        bool,
        typer.Option(
            help="Take first the passages in the query's language that rank before relevant "
            "passages in other languages."
        ),
    ] = True,
    precision: PrecisionOption = "auto",
    trust_remote_code: Trust = False,
    *,
    model_options: dict[str, Any],
) -> None:
    """Find hard negatives in all languages, and write a folder for training."""
    from mixling.errors import MixlingError
    from mixling.preparation.mine_negatives import mine_negatives

    if model == "bm25" and model_options:
        raise MixlingError(
            "bm25 is not an encoder, so options that say how a model is used do not apply. "
            "Leave them out."
        )
    report = mine_negatives(
        retriever_with_options(model, model_options, trust_remote_code),
        source,
        out,
        split=split,
        path=path,
        languages=language,
        negatives=negatives,
        max_relative_score=max_relative_score,
        window=window or None,
        intruders=intruders,
        precision=precision,
        trust_remote_code=trust_remote_code,
    )
    typer.echo(
        f"{report.negatives_mined:,} negatives of {report.queries_with_negatives:,} queries "
        f"(of {report.queries:,}), {report.intruder_share:.1%} of them intruders: {out}"
    )
