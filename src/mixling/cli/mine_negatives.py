"""`mixling mine-negatives`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mixling.cli.options import Trust
from mixling.models.precision import Precision


def run(
    model: Annotated[str, typer.Argument(help="Model folder or hub name, or bm25.")],
    source: Annotated[str, typer.Argument(help="A named source or a folder of your own.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The folder to write; a cut-off call goes on.")
    ],
    split: Annotated[str | None, typer.Option(help="Which split; default: the first.")] = None,
    path: Annotated[Path | None, typer.Option(help="Where a named source lies.")] = None,
    language: Annotated[list[str] | None, typer.Option(help="Only these; may be repeated.")] = None,
    negatives: Annotated[int, typer.Option(min=1, help="At most so many a question.")] = 8,
    keep: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="How near a negative may come to the right answer's score."
        ),
    ] = 0.95,
    window: Annotated[
        int, typer.Option(min=0, help="Characters of a passage round its answer; 0: all of it.")
    ] = 600,
    intruders: Annotated[
        bool,
        typer.Option(
            help="First those in the question's language that stand before foreign answers."
        ),
    ] = True,
    precision: Annotated[
        Precision, typer.Option(help="fp32, bf16, or auto: bf16 where the device has it.")
    ] = "auto",
    trust_remote_code: Trust = False,
) -> None:
    """Find hard negatives across languages and write the source with them: a folder that training reads."""
    from mixling.preparation.mine_negatives import mine_negatives

    report = mine_negatives(
        model,
        source,
        out,
        split=split,
        path=path,
        languages=language,
        negatives=negatives,
        max_relative_score=keep,
        window=window or None,
        intruders=intruders,
        precision=precision,
        trust_remote_code=trust_remote_code,
    )
    typer.echo(
        f"{report.negatives_mined:,} negatives of {report.queries_with_negatives:,} questions (of {report.queries:,}), "
        f"{report.intruder_share:.1%} of them intruders: {out}"
    )
