"""Strategies: which languages meet in a batch.

A strategy is a list of kinds with their shares of the batches; a kind says which (question language,
passage language) pairs a batch may take from one translation group, and whether all pairs of the batch
share one language. Sources: arXiv:2004.05484 (x-x, x-x-mono, x-y), arXiv:2408.10536 (hybrid).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mixling.corpora.languages import language_tag
from mixling.errors import MixlingError


@dataclass(frozen=True)
class BatchType:
    """name: "mono" or "cross"; one_language: the whole batch in one language; only: that language."""

    name: str
    share: float
    one_language: bool = False
    language: str | None = None


def x_x(**_: object) -> list[BatchType]:
    """Every pair in one language, languages mixed over the batch."""
    return [BatchType("mono", 1.0)]


def x_x_mono(**_: object) -> list[BatchType]:
    """A batch has one language, for questions and passages."""
    return [BatchType("mono", 1.0, one_language=True)]


def x_y(**_: object) -> list[BatchType]:
    """Question and passage of every pair in two languages, languages mixed over the batch."""
    return [BatchType("cross", 1.0)]


def hybrid(alpha: float = 0.5, **_: object) -> list[BatchType]:
    """x-x-mono for a share alpha of the batches, x-y for the rest (arXiv:2408.10536, alpha = 0.5)."""
    if not 0 <= alpha <= 1:
        raise MixlingError(
            f"batches.alpha is {alpha}; expected a share from 0 (all x-y) to 1 (all x-x-mono)"
        )
    kinds = [BatchType("mono", alpha, one_language=True), BatchType("cross", 1 - alpha)]
    return [k for k in kinds if k.share > 0]


def single(language: str | None = None, **_: object) -> list[BatchType]:
    """Everything in one language."""
    if language is None:
        raise MixlingError("strategy 'single' needs its language: write batches.language = \"en\"")
    return [BatchType("mono", 1.0, one_language=True, language=language_tag(language))]


STRATEGIES: dict[str, Callable[..., list[BatchType]]] = {
    "x-x": x_x,
    "x-x-mono": x_x_mono,
    "x-y": x_y,
    "hybrid": hybrid,
    "single": single,
}
