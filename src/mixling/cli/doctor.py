"""The command `mixling doctor`."""

from __future__ import annotations

import typer


def run() -> None:
    """Describe this machine, and list missing packages with the command that installs them."""
    from mixling.health import doctor

    for line in doctor():
        typer.echo(line)
