"""What can go wrong for a user, said once: where, what was found, what was expected, how to mend it.

The command line prints a `MixlingError` without a traceback and exits with status 2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


class MixlingError(Exception):
    """A mistake in what the user gave; the message is complete as it stands."""


class BadRow(MixlingError):
    """A row of a data file that cannot be used."""

    def __init__(
        self, file: str | Path, line: int | str, field: str, found: Any, expected: str, fix: str
    ):
        shown = repr(found)
        if len(shown) > 80:
            shown = shown[:77] + "..."
        self.file, self.line, self.field = str(file), line, field
        super().__init__(
            f"{file}:{line}: field '{field}': found {shown}, expected {expected}; {fix}"
        )


class NotFinite(MixlingError):
    """A vector holds NaN or infinity."""


class Skipped:
    """Collects bad rows where the user asked to go on (`--skip-bad`), else raises the first one.

    left_out: files of a folder that are of no kind that is read, counted by suffix; they never raise.
    """

    def __init__(self, skip_bad: bool = False):
        self.skip_bad = skip_bad
        self.rows: list[BadRow] = []
        self.left_out: dict[str, int] = {}

    def __call__(self, row: BadRow) -> None:
        if not self.skip_bad:
            raise row
        self.rows.append(row)

    def leave_out(self, what: str, number: int = 1) -> None:
        """Count files that are not read: `what` is their suffix, or says what they are."""
        self.left_out[what] = self.left_out.get(what, 0) + number


def check_finite_vectors(vectors: np.ndarray, name: Callable[[int], str], whose: str) -> np.ndarray:
    """The vectors, [n, d], if all their numbers are finite; else an error that names the first text whose are not.

    name(row): the text's id, place or first characters; whose: the model or file that the vectors come from.
    """
    import numpy as np

    wrong = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(wrong):
        row = int(wrong[0])
        found = "NaN" if np.isnan(vectors[row]).any() else "infinity"
        raise NotFinite(
            f"{whose}: the vector of {name(row)} holds {found} ({len(wrong):,} of {len(vectors):,} vectors here do), so nothing "
            "can be compared with it; take a model whose weights are whole, precision fp32, or make the vectors again"
        )
    return vectors


def check_finite_numbers(**values: float | None) -> None:
    """Raises MixlingError where an option is NaN or infinite."""
    for name, value in values.items():
        if value is not None and not math.isfinite(value):
            raise MixlingError(f"{name} is {value}; expected a finite number")


def choose(name: str, options: Iterable[str], what: str) -> str:
    """`name` if it is one of `options`, else an error that lists them and the nearest one."""
    import difflib

    known = list(options)
    if name in known:
        return name
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    raise MixlingError(f"unknown {what} '{name}'.{hint} Known: {', '.join(known)}")
