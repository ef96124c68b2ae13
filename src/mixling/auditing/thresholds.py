"""Thresholds of an audit, such as "intrusion@10 > 0.2", for a build that should fail."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mixling.errors import MixlingError, choose

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_FORM = re.compile(r"\s*([^\s<>=]+)\s*(>=|<=|>|<)\s*([^\s<>=]+)\s*")


@dataclass(frozen=True)
class Threshold:
    """A condition under which a build fails.

    Args:
        measure: Name of a measure.
        comparison: One of `OPERATORS`.
        value: The number that it is compared with.
    """

    measure: str
    comparison: str
    value: float

    def __str__(self) -> str:
        return f"{self.measure} {self.comparison} {self.value:g}"

    def holds(self, measures: Mapping[str, float | None]) -> bool:
        """Return whether the build fails.

        Args:
            measures: The measures of an audit; None where one could not be computed.

        Raises:
            MixlingError: The measure could not be computed.
        """
        value = measures[self.measure]
        if value is None:
            raise MixlingError(
                f"--fail-if '{self}': {self.measure} could not be computed on this collection "
                "(the report says what was missing). Take one of: "
                + ", ".join(x for x, found in measures.items() if found is not None)
            )
        return OPERATORS[self.comparison](value, self.value)


def parse_threshold(text: str, measures: list[str]) -> Threshold:
    """Parse a threshold: measure, operator, number.

    Args:
        text: For instance "intrusion@10 > 0.2".
        measures: The names of all measures.

    Raises:
        MixlingError: The text has another form, or there is no such measure.
    """
    parts = _FORM.fullmatch(text)
    try:
        if parts is None:
            raise ValueError
        value = float(parts[3])
        if not math.isfinite(value):
            raise ValueError
    except ValueError:
        raise MixlingError(
            f"--fail-if {text!r}: expected MEASURE OPERATOR NUMBER, where OPERATOR is one of "
            f'{" ".join(OPERATORS)}. Write for example "intrusion@10 > 0.2"'
        ) from None
    return Threshold(choose(parts[1], measures, "measure of --fail-if"), parts[2], value)
