"""Transforms the vectors that another framework's embeddings return, as lists of numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mixling.debiasing.apply import apply_transform
from mixling.debiasing.files import load_transform
from mixling.transforms.files import VectorTransform


def read_transform(
    transform: str | VectorTransform,
) -> VectorTransform:
    """Return a transform that is given by its name, its folder or itself."""
    return load_transform(transform) if isinstance(transform, str) else transform


def transform_lists(
    transform: VectorTransform,
    vectors: Sequence[Sequence[float]],
    texts: Sequence[str],
    role: str,
) -> list[list[float]]:
    """Transform the vectors of texts.

    Args:
        transform: The transform.
        vectors: `[n_texts, dim]`; none for no texts.
        texts: The texts.
        role: "query" or "passage".

    Returns:
        `[n_texts, dim]`.

    Raises:
        MixlingError: The vectors do not fit the transform.
    """
    if not len(vectors):
        return []
    array = np.array(vectors, np.float32)
    transformed: list[list[float]] = apply_transform(transform, array, texts, role).tolist()
    return transformed
