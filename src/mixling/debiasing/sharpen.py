"""Sharpening the spectrum, the opposite of whitening: directions in which texts differ more are stretched.

y = x W^T S^p,  S: covariance of x W^T over unlabelled texts, p = .05; the matrix is scaled to W's norm
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mixling.debiasing.maps import Affine
from mixling.debiasing.stock import Stock, everything

# chosen on development data: docs/decisions.md
POWER = 0.05


def sharpen(first: Affine, stocks: Sequence[Stock], power: float = POWER) -> Affine:
    """`first`, then the stretch."""
    vectors, _ = everything(stocks)
    x = first.apply(vectors).astype(np.float64)
    value, direction = np.linalg.eigh(np.cov(x.T, bias=True))
    value = np.maximum(value, 0)
    stretch = (direction * value**power) @ direction.T
    matrix = stretch @ first.matrix
    scale = float(np.linalg.norm(first.matrix)) / max(float(np.linalg.norm(matrix)), 1e-12)
    return Affine(
        (scale * matrix).astype(np.float32),
        (scale * (stretch @ first.bias)).astype(np.float32),
        {**first.made, "sharpen": power},
    )
