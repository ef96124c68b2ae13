"""Options that several commands share, and the text of documents for the terminal."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from mixling.models.precision import Precision

Trust = Annotated[
    bool,
    typer.Option(
        "--trust-remote-code",
        help="Run Python code that the model brings; without this option such a model is refused.",
    ),
]
PrecisionOption = Annotated[
    Precision, typer.Option(help="fp32, bf16, or auto: bf16 where it is faster.")
]


def printable(text: str) -> str:
    """Return a document's text without control characters, which would steer the terminal."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", text)
