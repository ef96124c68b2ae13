"""The debiasing methods by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from mixling.debiasing.centering import Centering
from mixling.debiasing.leace import Leace
from mixling.debiasing.lir import Lir
from mixling.debiasing.lsar import Lsar
from mixling.debiasing.method import DebiasingMethod
from mixling.debiasing.scores import Scores
from mixling.debiasing.shift import Shift
from mixling.debiasing.trained import TrainedTransform
from mixling.errors import MixlingError, choose

METHODS: dict[str, type[DebiasingMethod]] = {
    "centering": Centering,
    "lir": Lir,
    "lsar": Lsar,
    "leace": Leace,
    "shift": Shift,
    "trained": TrainedTransform,
    "scores": Scores,
}
"""Every method. To add one, add its class here."""

Option = str | int | float | bool | None
"""A value of a method's option, as a command line or a TOML file gives it."""


def create_method(
    method: str | DebiasingMethod, options: Mapping[str, Option] | None = None
) -> DebiasingMethod:
    """Return a method from its name and options.

    Args:
        method: A name of `METHODS`; a method is returned as it is.
        options: Values of the method's fields; None leaves a field at its default.

    Returns:
        The method.

    Raises:
        MixlingError: The name is unknown, the method has no such option, or a value is out of
            range.

    Example:
        >>> create_method("lsar", {"rank": 3})
        Lsar(rank=3, sharpen=False)
    """
    if isinstance(method, DebiasingMethod):
        return method
    cls = METHODS[choose(method, METHODS, "method")]
    values = {k: v for k, v in (options or {}).items() if v is not None}
    names = [f.name for f in fields(cls)]
    for name in values:
        if name not in names:
            raise MixlingError(
                f"method '{method}' has no option '{name}'. Its options are: "
                f"{', '.join(sorted(names)) or 'none'}"
            )
    return cls(**values)
