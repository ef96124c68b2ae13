"""`mixling adapt-language`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mixling.cli.options import Trust


def run(
    model: Annotated[str, typer.Argument(help="Model folder or hub name.")],
    bitext: Annotated[
        list[str],
        typer.Option("--bitext", help="Source (tico-19:train) or folder; may be repeated."),
    ],
    languages: Annotated[
        list[str], typer.Option("--languages", "-l", help="To adapt to; may be repeated, or am,km.")
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The run's folder; a cut-off call goes on.")
    ],
    related: Annotated[
        list[str] | None,
        typer.Option(
            help="A language that the model knows for the other side: am=ar; may be repeated."
        ),
    ] = None,
    pivot: Annotated[
        str, typer.Option(help="The other side otherwise; its vectors are distilled.")
    ] = "en",
    vocabulary: Annotated[
        int, typer.Option(min=0, help="At most so many new pieces a language.")
    ] = 1000,
    objective: Annotated[
        list[str] | None,
        typer.Option(
            help="mlm, tlm, distil; may be repeated; default: distil, which keeps a retriever one."
        ),
    ] = None,
    margin: Annotated[
        float | None, typer.Option(help="Drop pairs that are less near than this; 1 is a start.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1)] = 300,
    batch: Annotated[int, typer.Option(min=1, help="Pairs a step.")] = 32,
    lr: Annotated[float, typer.Option(help="Peak learning rate.")] = 5e-5,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    precision: Annotated[str, typer.Option(help="fp32, bf16 or auto.")] = "auto",
    trust_remote_code: Trust = False,
) -> None:
    """Teach an encoder a language from bitext: new pieces, masked and translation modeling, distillation."""
    from mixling.errors import MixlingError
    from mixling.training.adapt_language import adapt_language

    beside = dict(x.partition("=")[::2] for x in related or [])
    if not all(beside.values()):
        raise MixlingError("--related: write LANGUAGE=RELATED, for instance am=ar")
    made = adapt_language(
        model,
        bitext,
        [x for part in languages for x in part.split(",")],
        out,
        related=beside,
        pivot=pivot,
        vocabulary=vocabulary,
        objectives=objective or ("distil",),
        margin=margin,
        steps=steps,
        batch=batch,
        lr=lr,
        seed=seed,
        precision=precision,
        trust_remote_code=trust_remote_code,
    )
    typer.echo(f"{made['new_pieces']} new pieces; pieces a word, before and after:")
    for language, before in made["coverage"]["before"].items():
        after = made["coverage"]["after"][language]
        kept = f"{made['kept'][language]:,} of {made['pairs'][language]:,} pairs"
        typer.echo(f"  {language} {before['fertility']:.2f} {after['fertility']:.2f} ({kept})")
    typer.echo(f"{out / 'model'}")
