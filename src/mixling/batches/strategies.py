"""Strategies: which languages meet in a batch.

A strategy is a list of batch types with their shares of the batches. A batch type says which pairs
of query language and passage language a batch may take from one translation group, and whether all
pairs of the batch share one language. Sources: arXiv:2004.05484 (x-x, x-x-mono, x-y),
arXiv:2408.10536 (hybrid).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from mixling.corpora.languages import language_tag
from mixling.errors import MixlingError

# these strings stand in the hash of a plan: another spelling is another schedule
BatchTypeName = Literal["mono", "cross"]


@dataclass(frozen=True)
class BatchType:
    """A type of batch.

    Args:
        name: "mono": query and passage of a pair in one language; "cross": in two languages.
        share: Its share of the batches.
        one_language: Whether the whole batch is in one language.
        language: That language (BCP-47) if it is fixed, else None.
    """

    name: BatchTypeName
    share: float
    one_language: bool = False
    language: str | None = None


def x_x(**_: object) -> list[BatchType]:
    """Put query and passage of every pair in one language, mixed over the batch."""
    return [BatchType("mono", 1.0)]


def x_x_mono(**_: object) -> list[BatchType]:
    """Put a whole batch, queries and passages, in one language."""
    return [BatchType("mono", 1.0, one_language=True)]


def x_y(**_: object) -> list[BatchType]:
    """Put query and passage of every pair in two languages, mixed over the batch."""
    return [BatchType("cross", 1.0)]


def hybrid(alpha: float = 0.5, **_: object) -> list[BatchType]:
    """Use x-x-mono for a share of the batches and x-y for the rest (arXiv:2408.10536).

    Args:
        alpha: The share of x-x-mono; the paper has 0.5.

    Raises:
        MixlingError: `alpha` is no share from 0 to 1.
    """
    if not 0 <= alpha <= 1:
        raise MixlingError(
            f"batches.alpha is {alpha}. Expected a share from 0 (all batches x-y) to 1 (all "
            "batches x-x-mono)."
        )
    batch_types = [BatchType("mono", alpha, one_language=True), BatchType("cross", 1 - alpha)]
    return [t for t in batch_types if t.share > 0]


def single(language: str | None = None, **_: object) -> list[BatchType]:
    """Put all batches in one language.

    Args:
        language: The language (BCP-47).

    Raises:
        MixlingError: No language is given.
    """
    if language is None:
        raise MixlingError(
            "batches.strategy is 'single', which needs a language. Write for example "
            'batches.language = "en"'
        )
    return [BatchType("mono", 1.0, one_language=True, language=language_tag(language))]


STRATEGIES: dict[str, Callable[..., list[BatchType]]] = {
    "x-x": x_x,
    "x-x-mono": x_x_mono,
    "x-y": x_y,
    "hybrid": hybrid,
    "single": single,
}
