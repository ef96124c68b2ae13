"""A chain of transforms, each applied to the vectors of the one before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from mixling.errors import MixlingError
from mixling.transforms.hub_correction import HubCorrection
from mixling.transforms.transforms import AffineTransform, LanguageTransform

Part = AffineTransform | LanguageTransform | HubCorrection


def parts_of(transform: Part | ChainedTransform) -> tuple[Part, ...]:
    """Return the transforms of a chain, or the one that is given."""
    return transform.parts if isinstance(transform, ChainedTransform) else (transform,)


@dataclass(frozen=True)
class ChainedTransform:
    """Transforms one after the other. Vectors have length one between them.

    Args:
        parts: The transforms, one or more.
        metadata: How the chain was fitted.

    Raises:
        MixlingError: There is none, or one gives vectors of another size than the next takes.
    """

    parts: tuple[Part, ...]
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.parts:
            raise MixlingError("the chain of transforms is empty. Expected one transform or more.")
        for first, second in pairwise(self.parts):
            if first.output_dimensions != second.dimensions:
                raise MixlingError(
                    f"{first!r} gives vectors of {first.output_dimensions} numbers, but the next "
                    f"transform of the chain, {second!r}, takes {second.dimensions}. Chain "
                    "transforms of matching sizes."
                )

    @property
    def dimensions(self) -> int:
        """Size of the vectors."""
        return self.parts[0].dimensions

    @property
    def output_dimensions(self) -> int:
        """Size of the transformed vectors."""
        return self.parts[-1].output_dimensions

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that its parts tell apart."""
        return tuple(dict.fromkeys(x for part in self.parts for x in part.languages))

    @property
    def by_role(self) -> bool:
        """Whether queries and passages are treated differently."""
        return any(part.by_role for part in self.parts)

    def tensors(self) -> dict[str, np.ndarray]:
        """Return the arrays of its parts, named by the part's number."""
        return {
            f"{i}.{k}": v for i, part in enumerate(self.parts) for k, v in part.tensors().items()
        }

    def transform(
        self, vectors: np.ndarray, languages: Sequence[str] | None = None, role: str = "passage"
    ) -> np.ndarray:
        """Transform vectors.

        Args:
            vectors: float `[n, dim]`.
            languages: The language of each vector's text, where a part needs it.
            role: "query" or "passage".

        Returns:
            float32 `[n, output_dimensions]`, rows of length one.

        Raises:
            ValueError: A part needs languages, and there are none.
        """
        for part in self.parts:
            vectors = part.transform(vectors, languages, role)
        return vectors
