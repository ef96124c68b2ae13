"""What several commands share: options, and text of documents for the terminal."""

from __future__ import annotations

import re
from typing import Annotated

import typer

Trust = Annotated[
    bool,
    typer.Option(
        "--trust-remote-code",
        help="Run Python code that the model's files bring; without it such a model is refused.",
    ),
]


def printable(text: str) -> str:
    """Text of a document without control characters, which would steer the terminal."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", text)
