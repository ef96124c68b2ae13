"""The command `mixling train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mixling.cli.options import Trust

if TYPE_CHECKING:
    from mixling.training.config import Config


def run(
    config: Annotated[Path | None, typer.Argument(help="The configuration (TOML).")] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="The folder of the run. The same command continues a run that was cut off.",
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="Recipe for everything that the configuration does not set: balanced or "
            "low-resource. With a recipe, no configuration is needed."
        ),
    ] = None,
    variant: Annotated[
        str | None,
        typer.Option(
            help="Train this variant of a study; CONFIG is the study's file. `mixling study` "
            "then uses the run."
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="With --variant: its seed; default: the first.")
    ] = None,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain", help="Print every configuration key with its default and meaning."
        ),
    ] = False,
    trust_remote_code: Trust = False,
) -> None:
    """Train a retriever, and write it as an ordinary sentence-transformers folder."""
    from mixling.errors import MixlingError

    if explain:
        from mixling.training.explain import explain as explain_config

        typer.echo(explain_config())
        return
    training: Config | Path | None = config
    if variant is not None and config is not None:
        from mixling.studies.plan import variant_run

        training, folder = variant_run(config, variant, seed)
        out = out or folder
    elif variant is not None or seed is not None:
        raise MixlingError(
            "--variant and --seed select a run of a study, and no study is given. Write: "
            "mixling train STUDY.toml --variant NAME"
        )
    if (config is None and recipe is None) or out is None:
        raise MixlingError(
            "a training needs a configuration and a folder. Write: mixling train CONFIG.toml "
            "--out DIR (--explain lists the keys), or: mixling train --recipe balanced --out DIR"
        )
    from mixling.training.processes import rank_and_world_size
    from mixling.training.train import train

    model = train(training, out, recipe=recipe, trust_remote_code=trust_remote_code)
    if rank_and_world_size()[0] == 0:
        typer.echo(f"{model}")
