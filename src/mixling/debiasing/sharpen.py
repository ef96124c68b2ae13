"""Sharpening the spectrum, the opposite of whitening: directions in which texts differ more are stretched.

y = x W^T S^p,  S: covariance of x W^T over unlabelled texts, p = .05; the matrix is scaled to W's norm
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mixling.debiasing.embedded_corpus import EmbeddedCorpus, all_vectors
from mixling.debiasing.transforms import AffineTransform

# chosen on development data: docs/decisions.md
POWER = 0.05


def sharpen_spectrum(
    first: AffineTransform, stocks: Sequence[EmbeddedCorpus], power: float = POWER
) -> AffineTransform:
    """`first`, then the stretch."""
    vectors, _ = all_vectors(stocks)
    x = first.transform(vectors).astype(np.float64)
    value, direction = np.linalg.eigh(np.cov(x.T, bias=True))
    value = np.maximum(value, 0)
    stretch = (direction * value**power) @ direction.T
    matrix = stretch @ first.matrix
    scale = float(np.linalg.norm(first.matrix)) / max(float(np.linalg.norm(matrix)), 1e-12)
    return AffineTransform(
        (scale * matrix).astype(np.float32),
        (scale * (stretch @ first.bias)).astype(np.float32),
        {**first.settings, "sharpen": power},
    )
