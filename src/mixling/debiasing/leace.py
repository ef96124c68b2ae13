"""LEACE, least-squares concept erasure (Belrose et al. 2023, arXiv:2306.03819), of the language.

    x' = x - W^+ P W (x - mu),  W = Cov(x)^(-1/2)
    P: projection onto the columns of W Cov(x, z),  z: the language, one-hot

After it no linear classifier tells the language better than a constant does. Of all affine
transforms with that property it moves vectors least.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mixling.debiasing.embedded_corpus import EmbeddedCorpus, all_vectors, texts_in_all_languages
from mixling.debiasing.method import DebiasingMethod
from mixling.debiasing.sharpen import sharpen_spectrum
from mixling.transforms.transforms import AffineTransform


@dataclass(frozen=True)
class Leace(DebiasingMethod):
    """Erase the language, so that no linear classifier finds it.

    Args:
        sharpen: Whether to stretch the spectrum afterwards, or the power of the stretch.
    """

    name = "leace"
    sharpen: bool | float = False

    def fit(self, corpora: Sequence[EmbeddedCorpus]) -> AffineTransform:
        """Fit one affine transform.

        Args:
            corpora: Texts as vectors, one corpus for each source.

        Returns:
            The transform, with its spectrum stretched where `sharpen` says so.
        """
        vectors, language = all_vectors([texts_in_all_languages(corpora)])
        label = np.unique(language, return_inverse=True)[1]
        matrix, bias = erase_concept(vectors.astype(np.float64), label)
        erasure = AffineTransform(
            matrix.astype(np.float32), bias.astype(np.float32), {"method": self.name}
        )
        return sharpen_spectrum(erasure, corpora, self.sharpen)


def erase_concept(x: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute the affine transform that erases a concept.

    Args:
        x: float64 `[n, dim]`.
        label: int64 `[n]`, the concept of each row.

    Returns:
        Matrix, float64 `[dim, dim]`, and bias, float64 `[dim]`.
    """
    mean = x.mean(0)
    centered = x - mean
    one_hot = np.eye(label.max() + 1)[label]
    cross = centered.T @ (one_hot - one_hot.mean(0)) / len(x)
    value, direction = np.linalg.eigh(centered.T @ centered / len(x))
    positive = value > value.max() * 1e-12
    root = np.sqrt(value[positive])
    d = direction[:, positive]
    # W = Cov^(-1/2) and its pseudo-inverse, on the directions in which the texts differ at all
    whiten, unwhiten = (d / root) @ d.T, (d * root) @ d.T
    u, s, _ = np.linalg.svd(whiten @ cross, full_matrices=False)
    u = u[:, s > s.max() * 1e-10]
    removed = unwhiten @ u @ u.T @ whiten
    return np.eye(x.shape[1]) - removed, removed @ mean
