"""The command `mixling doctor`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mixling.cli.options import Trust, with_model_options


@with_model_options
def run(
    model: Annotated[
        str | None,
        typer.Argument(
            help="Model folder or hub name. Show how this model is used, instead of the machine."
        ),
    ] = None,
    trust_remote_code: Trust = False,
    *,
    model_options: dict[str, Any],
) -> None:
    """Describe this machine and list missing packages, or show how a model is used and why."""
    from mixling.errors import MixlingError
    from mixling.health import doctor

    if model is not None:
        from mixling.models.encoders import load_encoder

        retriever = load_encoder(model, trust_remote_code=trust_remote_code, **model_options)
        typer.echo(f"{retriever.name}: {retriever.settings.line()}")
        return
    if model_options:
        raise MixlingError(
            "options that say how a model is used need a model. Name it: mixling doctor MODEL …"
        )
    for line in doctor():
        typer.echo(line)
