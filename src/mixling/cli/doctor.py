"""`mixling doctor`."""

from __future__ import annotations

import typer


def run() -> None:
    """What this machine has, what is missing, and the line that installs it."""
    from mixling.health import doctor

    for line in doctor():
        typer.echo(line)
