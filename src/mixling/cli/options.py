"""Options that several verbs share."""

from __future__ import annotations

from typing import Annotated

import typer

Trust = Annotated[
    bool,
    typer.Option(
        "--trust-remote-code",
        help="Run Python code that the model's files bring; without it such a model is refused.",
    ),
]
