"""Apply a transform to the vectors that an encoder returns, whatever their norm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mixling.corpora.files import replace_surrogates
from mixling.errors import MixlingError, check_finite_vectors
from mixling.models.identify import identify_languages
from mixling.transforms.files import VectorTransform

UNIT_TOLERANCE = 0.01  # vectors that came as rounded numbers are not exactly of length one


def apply_transform(
    transform: VectorTransform,
    vectors: np.ndarray,
    texts: Sequence[str] | None = None,
    role: str = "passage",
) -> np.ndarray:
    """Transform vectors as their encoder returned them.

    Its direction is transformed. A vector of length one has length one afterwards, and any other
    vector keeps its length.

    Args:
        transform: The transform.
        vectors: float32 `[n, dim]`.
        texts: The texts of the vectors. A transform by language identifies their languages among
            those that it knows; other transforms do not read them.
        role: "query" or "passage".

    Returns:
        float32 `[n, dim]`.

    Raises:
        MixlingError: The vectors have another size than the transform or are not finite, or a
            transform by language gets no texts or cannot identify languages.

    Example:
        >>> half_turn = AffineTransform(-np.eye(2, dtype=np.float32), np.zeros(2, np.float32))
        >>> apply_transform(half_turn, np.array([[1, 0], [0, 5]], np.float32))
        array([[-1., -0.],
               [-0., -5.]], dtype=float32)
    """
    if vectors.ndim != 2 or vectors.shape[1] != transform.dimensions:
        raise MixlingError(
            f"the vectors have {vectors.shape[-1]:,} numbers, but the transform is for "
            f"{transform.dimensions:,}. It was fitted for another model, or for another number "
            "of `dimensions`. Use vectors of the model that the transform was fitted for."
        )
    check_finite_vectors(vectors, lambda i: f"text {i}", "the encoder")
    languages = None
    if transform.languages:
        if texts is None:
            raise MixlingError(
                "the transform depends on the language of each text, but token ids were given, "
                "which do not tell it. Give the texts."
            )
        readable = [replace_surrogates(text) for text in texts]
        languages = identify_languages(readable, transform.languages)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    transformed = transform.transform(vectors / np.maximum(length, 1e-12), languages, role)
    length[np.abs(length - 1) <= UNIT_TOLERANCE] = 1
    return np.asarray(transformed * length, np.float32)
