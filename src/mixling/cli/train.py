"""`mixling train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mixling.cli.options import Trust


def run(
    config: Annotated[Path | None, typer.Argument(help="The configuration (TOML).")] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The run's folder; a cut-off run in it goes on."),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="Settings that stand where the configuration has none, or alone: balanced."
        ),
    ] = None,
    variant: Annotated[
        str | None,
        typer.Option(
            help="CONFIG is a study: train this one of its variants, where `mixling study` looks for it."
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="With --variant: which of its seeds; default: the first.")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Print every setting with its default and meaning.")
    ] = False,
    trust_remote_code: Trust = False,
) -> None:
    """Train a retriever: configuration in, an ordinary sentence-transformers folder out."""
    from mixling.errors import MixlingError

    if explain:
        from mixling.training.explain import explain as text

        typer.echo(text())
        return
    settings: Any = config
    if variant is not None and config is not None:
        from mixling.studies.plan import variant_run

        settings, place = variant_run(config, variant, seed)
        out = out or place
    elif variant is not None or seed is not None:
        raise MixlingError(
            "--variant and --seed are of a study: mixling train STUDY.toml --variant NAME"
        )
    if (config is None and recipe is None) or out is None:
        raise MixlingError(
            "say what to train and where to: mixling train CONFIG.toml --out DIR (--explain lists the settings), or "
            "mixling train --recipe balanced --out DIR"
        )
    from mixling.training.processes import rank_and_world_size
    from mixling.training.train import train

    model = train(settings, out, recipe=recipe, trust_remote_code=trust_remote_code)
    if rank_and_world_size()[0] == 0:
        typer.echo(f"{model}")
