"""What debiasing makes: one affine map for all texts, or one for each language; and how both are applied.

    Affine       y = x W^T + b                                    no language is needed
    ByLanguage   y = z - C_l C_l^T z,  z = x - m_{role, l}        the text's language is needed

Vectors are brought to length one before and after.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mixling.corpora.languages import language_tag
from mixling.errors import MixlingError


def normalize(vectors: np.ndarray) -> np.ndarray:
    """Rows brought to length one."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def _finite(made: dict, *parts: np.ndarray) -> None:
    """Raises MixlingError where a map, fitted or read, holds NaN or infinity."""
    if not all(np.isfinite(x).all() for x in parts):
        raise MixlingError(
            f"the map ({made.get('method', 'of no known method')}) holds NaN or infinity: fit it on more texts a language, or, for "
            "method map, with a lower rate or a higher temperature"
        )


@dataclass(frozen=True)
class AffineTransform:
    """matrix: float32 [d, d]; bias: float32 [d]; made: method and settings."""

    matrix: np.ndarray
    bias: np.ndarray
    settings: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        _finite(self.settings, self.matrix, self.bias)

    def transform(
        self, vectors: np.ndarray, languages: Sequence[str] | None = None, role: str = "passage"
    ) -> np.ndarray:
        """float32 [n, d], rows of length one."""
        return normalize(vectors @ self.matrix.T + self.bias).astype(np.float32)


@dataclass(frozen=True)
class LanguageTransform:
    """languages: [l]; offset: float32 [2 (query, passage), l, d]; basis: float32 [l, r, d], directions removed
    (r may be 0). raw: on vectors as the encoder pools them, not yet of length one. A text in a language that is
    not here stays as it is."""

    languages: tuple[str, ...]
    offset: np.ndarray
    basis: np.ndarray
    raw: bool = False
    settings: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        _finite(self.settings, self.offset, self.basis)

    def transform(
        self, vectors: np.ndarray, languages: Sequence[str] | None, role: str = "passage"
    ) -> np.ndarray:
        """float32 [n, d], rows of length one."""
        if languages is None:
            raise ValueError("languages are needed")
        return normalize(self.transform_raw(vectors, languages, role)).astype(np.float32)

    def transform_raw(self, vectors: np.ndarray, languages: Sequence[str], role: str) -> np.ndarray:
        """The map alone, lengths as they come."""
        vectors = np.array(vectors, np.float32)
        known = {language_tag(x): i for i, x in enumerate(self.languages)}
        code = np.array([known.get(language_tag(x), -1) for x in languages])
        for i in np.unique(code[code >= 0]):
            rows = np.flatnonzero(code == i)
            z = vectors[rows] - self.offset[0 if role == "query" else 1, i]
            vectors[rows] = z - (z @ self.basis[i].T) @ self.basis[i]
        return vectors
