"""Errors of users: each message names the place, the value, the expected value and the fix.

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
    """A mistake in the user's input; the message needs no further context.

    Attributes:
        exit_status: Exit status of the command line; 0 where the message is what was asked for.

    Example:
        >>> try:
        ...     mixling.load("no-such-source")
        ... except mixling.MixlingError as error:
        ...     print(error)
    """

    exit_status = 2


class BadRowError(MixlingError):
    """A row of a data file that cannot be used.

    Args:
        file: The file.
        line: The line, or the name of the row.
        field: The field.
        value: What the field holds.
        expected: What it should hold.
        fix: What to do.
    """

    def __init__(
        self, file: str | Path, line: int | str, field: str, value: Any, expected: str, fix: str
    ):
        text = repr(value)
        if len(text) > 80:
            text = text[:77] + "..."
        self.file, self.line, self.field = str(file), line, field
        super().__init__(
            f"{file}:{line}: field '{field}': found {text}, expected {expected}; {fix}"
        )


class NotFiniteError(MixlingError):
    """A vector holds NaN or infinity."""


class BadVectorError(MixlingError):
    """A vector has another size than the others of its collection."""


class Skipped:
    """Collects bad rows where the user asked to go on (`--skip-bad`), else raises the first one.

    Args:
        skip_bad: Whether to go on.

    Attributes:
        rows: The bad rows.
        left_out: Files of a folder whose format is not read, counted by suffix; they never raise.
    """

    def __init__(self, skip_bad: bool = False):
        self.skip_bad = skip_bad
        self.rows: list[BadRowError] = []
        self.left_out: dict[str, int] = {}

    def __call__(self, row: BadRowError) -> None:
        """Collect a bad row, or raise it."""
        if not self.skip_bad:
            raise row
        self.rows.append(row)

    def leave_out(self, label: str, number: int = 1) -> None:
        """Count files that are not read.

        Args:
            label: Their suffix, or a description of them.
            number: How many.
        """
        self.left_out[label] = self.left_out.get(label, 0) + number


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its type if the message is empty."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def not_installed(package: str, extra: str) -> MixlingError:
    """Return the error for a package that is missing.

    Args:
        package: The package.
        extra: The extra of Mixling that installs it.
    """
    return MixlingError(
        f"{package} is not installed. Install it with: pip install 'mixling[{extra}]'"
    )


def check_finite_vectors(
    vectors: np.ndarray, name: Callable[[int], str], source: str
) -> np.ndarray:
    """Return the vectors if all their numbers are finite.

    Args:
        vectors: float `[n, dim]`.
        name: Returns the id, the place or the first characters of the text of a row.
        source: The model or file that the vectors come from.

    Raises:
        NotFiniteError: A number is NaN or infinite; the message names the first such text.
    """
    import numpy as np

    wrong = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(wrong):
        row = int(wrong[0])
        value = "NaN" if np.isnan(vectors[row]).any() else "infinity"
        raise NotFiniteError(
            f"{source}: the vector of {name(row)} holds {value} ({len(wrong):,} of "
            f"{len(vectors):,} vectors of this call hold NaN or infinity), so it cannot be "
            "compared with others. Take a model whose weights are all finite, use precision fp32, "
            "or make the vectors again."
        )
    return vectors


def check_finite_numbers(**values: float | None) -> None:
    """Check that options are finite numbers.

    Args:
        values: The options by name; None is not checked.

    Raises:
        MixlingError: An option is NaN or infinite.
    """
    for name, value in values.items():
        if value is not None and not math.isfinite(value):
            raise MixlingError(f"{name} is {value}. Expected a finite number.")


def check_at_least(minimum: int, **values: float | None) -> None:
    """Check that options are not below a minimum.

    Args:
        minimum: The minimum.
        values: The options by name; None is not checked.

    Raises:
        MixlingError: An option is below the minimum, or NaN.
    """
    for name, value in values.items():
        if value is not None and not value >= minimum:
            raise MixlingError(f"{name} is {value}. Expected {minimum} or more.")


def choose(name: str, options: Iterable[str], label: str) -> str:
    """Return a name if it is one of the options.

    Args:
        name: The name that the user gave.
        options: The names that there are.
        label: What the name is of, for the message: "strategy", "task".

    Raises:
        MixlingError: There is no such name; the message lists all and suggests the nearest one.
    """
    import difflib

    names = list(options)
    if name in names:
        return name
    nearest = difflib.get_close_matches(name, names, n=1)
    hint = f" Did you mean '{nearest[0]}'?" if nearest else ""
    raise MixlingError(f"unknown {label} '{name}'.{hint} Expected one of: {', '.join(names)}")
