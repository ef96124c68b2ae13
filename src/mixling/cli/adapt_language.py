"""The command `mixling adapt-language`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from mixling.cli.options import PrecisionOption, Trust

if TYPE_CHECKING:
    from mixling.training.adapt_language import AdaptationObjective


def run(
    model: Annotated[str, typer.Argument(help="The model: a folder or a hub name.")],
    bitext: Annotated[
        list[str],
        typer.Option(
            "--bitext",
            help="A source of translations (tico-19:train) or a folder; may be repeated.",
        ),
    ],
    languages: Annotated[
        list[str],
        typer.Option(
            "--languages",
            "-l",
            help="The languages to adapt to; may be repeated, or written am,km.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help="The folder of the run. The same command continues a run that was cut off.",
        ),
    ],
    related: Annotated[
        list[str] | None,
        typer.Option(
            help="A language that the model knows well, as the other side of the bitext of a "
            "language: am=ar; may be repeated."
        ),
    ] = None,
    pivot: Annotated[
        str,
        typer.Option(
            help="The other side of all other bitext. Its vectors are the targets of distillation."
        ),
    ] = "en",
    vocabulary: Annotated[
        int, typer.Option(min=0, help="The greatest number of new subwords for each language.")
    ] = 1000,
    objective: Annotated[
        list[str] | None,
        typer.Option(
            help="mlm, tlm or distil; may be repeated. Default: distil, after which a retriever "
            "still is one."
        ),
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option(
            help="Drop pairs of translations whose margin score is lower than this. Start with 1."
        ),
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Training steps.")] = 300,
    batch: Annotated[int, typer.Option(min=1, help="Number of pairs in a step.")] = 32,
    lr: Annotated[float, typer.Option(help="Peak learning rate.")] = 5e-5,
    seed: Annotated[int, typer.Option(min=0, help="The seed of batches and new vectors.")] = 0,
    precision: PrecisionOption = "auto",
    trust_remote_code: Trust = False,
) -> None:
    """Teach an encoder a language from bitext: subwords, masked language modeling, distillation."""
    from mixling.errors import MixlingError
    from mixling.training.adapt_language import adapt_language

    related_languages = {}
    for pair in related or []:
        code, _, known = pair.partition("=")
        if not code or not known:
            raise MixlingError(f"--related {pair}: expected LANGUAGE=RELATED, for instance am=ar.")
        related_languages[code] = known
    report = adapt_language(
        model,
        bitext,
        [x for part in languages for x in part.split(",")],
        out,
        related=related_languages,
        pivot=pivot,
        vocabulary=vocabulary,
        objectives=cast("Sequence[AdaptationObjective]", objective or ("distil",)),
        margin=margin,
        steps=steps,
        batch=batch,
        lr=lr,
        seed=seed,
        precision=precision,
        trust_remote_code=trust_remote_code,
    )
    typer.echo(
        f"{report.new_subwords} new subwords were added. Subwords per word, before and after:"
    )
    for language, before in report.coverage["before"].items():
        after = report.coverage["after"][language]
        kept = f"{report.kept[language]:,} of {report.pairs[language]:,} pairs"
        typer.echo(f"  {language} {before['fertility']:.2f} {after['fertility']:.2f} ({kept})")
    typer.echo(f"{out / 'model'}")
