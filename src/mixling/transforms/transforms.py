"""The results of debiasing methods: affine transforms, one or by language, and scales of scores.

    AffineTransform      y = x W^T + b                                  needs no language
    LanguageTransform    y = z - C_l^T C_l z,  z = x - m_{role, l}      needs the text's language

Vectors have length one before and after. A ScoreCalibration leaves them as they are. Hub correction
and chains of transforms are in `hub_correction.py` and `chain.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mixling.corpora.languages import language_tag
from mixling.errors import MixlingError


def normalize(vectors: np.ndarray) -> np.ndarray:
    """Scale rows to length one.

    Args:
        vectors: float `[n, dim]`.

    Returns:
        float `[n, dim]`; a row of zeros stays zero.
    """
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, 1e-12))


def check_finite(metadata: dict[str, Any], *arrays: np.ndarray) -> None:
    """Refuse a transform, fitted or read, whose arrays hold NaN or infinity.

    Args:
        metadata: How it was fitted.
        *arrays: Its arrays.

    Raises:
        MixlingError: One does.
    """
    if not all(np.isfinite(x).all() for x in arrays):
        method = metadata.get("method", "of no known method")
        raise MixlingError(
            f"the transform ({method}) holds NaN or infinity. Fit it on more texts of each "
            "language, or, for method trained, with a lower rate or a higher temperature."
        )


@dataclass(frozen=True)
class AffineTransform:
    """One affine transform for the vectors of all texts: `y = x matrix^T + bias`, then length one.

    Args:
        matrix: float32 `[dim, dim]`.
        bias: float32 `[dim]`.
        metadata: How the transform was fitted: the method, its options and what it found.

    Raises:
        MixlingError: An array holds NaN or infinity.

    Example:
        >>> identity = AffineTransform(np.eye(2, dtype=np.float32), np.zeros(2, np.float32))
        >>> identity.transform(np.array([[3.0, 4.0]]))
        array([[0.6, 0.8]], dtype=float32)
    """

    matrix: np.ndarray
    bias: np.ndarray
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_finite(self.metadata, self.matrix, self.bias)

    def __repr__(self) -> str:
        return f"AffineTransform(dim={len(self.bias)}, metadata={self.metadata})"

    @property
    def dimensions(self) -> int:
        """Size of the vectors."""
        return len(self.bias)

    @property
    def output_dimensions(self) -> int:
        """Size of the transformed vectors."""
        return len(self.bias)

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that it tells apart: none."""
        return ()

    @property
    def by_role(self) -> bool:
        """Whether queries and passages are treated differently."""
        return False

    def tensors(self) -> dict[str, np.ndarray]:
        """Return its arrays by name."""
        return {"matrix": self.matrix, "bias": self.bias}

    def transform(
        self, vectors: np.ndarray, languages: Sequence[str] | None = None, role: str = "passage"
    ) -> np.ndarray:
        """Transform vectors.

        Args:
            vectors: float `[n, dim]`.
            languages: Not used; every text gets the same transform.
            role: Not used.

        Returns:
            float32 `[n, dim]`, rows of length one.
        """
        return normalize(vectors @ self.matrix.T + self.bias).astype(np.float32)


@dataclass(frozen=True)
class LanguageTransform:
    """A transform for each language: subtract an offset, then remove some directions.

    From a text in a language that the transform does not know the offset of its role is subtracted;
    without such offsets it stays as it is.

    Args:
        languages: Language tags, `l` of them; none for a transform by role alone.
        offset: float32 `[2, l, dim]`, subtracted from queries (0) and passages (1).
        basis: float32 `[l, r, dim]`, orthonormal directions to remove; `r` may be 0.
        raw: Whether it applies to vectors as the encoder pools them, before normalization.
        role_offset: float32 `[2, dim]`, for languages that it does not know; None for no offset.
        metadata: How the transform was fitted: the method, its options and what it found.

    Raises:
        MixlingError: An array holds NaN or infinity.
    """

    languages: tuple[str, ...]
    offset: np.ndarray
    basis: np.ndarray
    raw: bool = False
    metadata: dict[str, Any] = field(default_factory=dict)
    role_offset: np.ndarray | None = None

    def __post_init__(self) -> None:
        check_finite(self.metadata, *self.tensors().values())

    def __repr__(self) -> str:
        return (
            f"LanguageTransform(languages={self.languages}, dim={self.dimensions}, "
            f"metadata={self.metadata})"
        )

    @property
    def dimensions(self) -> int:
        """Size of the vectors."""
        return int(self.offset.shape[2])

    @property
    def output_dimensions(self) -> int:
        """Size of the transformed vectors."""
        return self.dimensions

    @property
    def by_role(self) -> bool:
        """Whether queries and passages are treated differently."""
        pairs = [self.offset] if self.role_offset is None else [self.offset, self.role_offset]
        return not all(np.array_equal(queries, passages) for queries, passages in pairs)

    def tensors(self) -> dict[str, np.ndarray]:
        """Return its arrays by name."""
        arrays = {"offset": self.offset, "basis": self.basis}
        return arrays if self.role_offset is None else {**arrays, "role_offset": self.role_offset}

    def transform(
        self, vectors: np.ndarray, languages: Sequence[str] | None, role: str = "passage"
    ) -> np.ndarray:
        """Transform vectors.

        Args:
            vectors: float `[n, dim]`.
            languages: The language of each vector's text; "" where it is not known. Not needed by
                a transform by role alone.
            role: "query" or "passage".

        Returns:
            float32 `[n, dim]`, rows of length one.

        Raises:
            ValueError: `languages` is None and needed.
        """
        if languages is None:
            if self.languages:
                raise ValueError(
                    "the transform depends on the language of each text, and no languages are given"
                )
            languages = [""] * len(vectors)
        return normalize(self.transform_raw(vectors, languages, role)).astype(np.float32)

    def transform_raw(self, vectors: np.ndarray, languages: Sequence[str], role: str) -> np.ndarray:
        """Transform vectors without normalizing them.

        Args:
            vectors: float `[n, dim]`.
            languages: The language of each vector's text.
            role: "query" or "passage".

        Returns:
            float32 `[n, dim]`.
        """
        vectors = np.array(vectors, np.float32)
        number = {language_tag(x): i for i, x in enumerate(self.languages)}
        code = np.array([number.get(language_tag(x), -1) if x else -1 for x in languages], int)
        side = 0 if role == "query" else 1
        if self.role_offset is not None:
            vectors[code < 0] -= self.role_offset[side]
        for i in np.unique(code[code >= 0]):
            rows = np.flatnonzero(code == i)
            z = vectors[rows] - self.offset[side, i]
            vectors[rows] = z - (z @ self.basis[i].T) @ self.basis[i]
        return vectors


@dataclass(frozen=True)
class ScoreCalibration:
    """Mean and standard deviation of the scores of each pair of languages.

    Args:
        pairs: `[mean, deviation]` by "query language-passage language", for instance "ar-en".
        all: Means of both over all pairs, for a pair that `pairs` lacks.
    """

    pairs: dict[str, list[float]]
    all: list[float]

    def to_dict(self) -> dict[str, Any]:
        """Return the content of scores.json, which `mixling.Retriever` reads as `calibration`."""
        return {"pairs": self.pairs, "all": self.all}
