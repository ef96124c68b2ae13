"""Sharpen the spectrum: stretch the directions in which texts differ more (opposite of whitening).

    y = x W^T S^p,  S: covariance of x W^T over unlabeled texts, p = 0.05

The matrix keeps the norm of W.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mixling.debiasing.embedded_corpus import EmbeddedCorpus, all_vectors
from mixling.transforms.transforms import AffineTransform

POWER = 0.05  # chosen on development data: docs/development/decisions.md


def sharpen_spectrum(
    transform: AffineTransform, corpora: Sequence[EmbeddedCorpus], power: bool | float = True
) -> AffineTransform:
    """Stretch the spectrum of the vectors that a transform gives.

    Args:
        transform: The transform that comes first.
        corpora: Texts as vectors. Queries and passages are used where there are any, else
            sentences and their translations.
        power: The power p; True means 0.05, and False or 0 returns `transform` as it is.

    Returns:
        Both transforms as one.
    """
    if not power:
        return transform
    exponent = POWER if power is True else float(power)
    vectors, _ = all_vectors([c for c in corpora if not c.bitext] or corpora)
    x = transform.transform(vectors).astype(np.float64)
    value, direction = np.linalg.eigh(np.cov(x.T, bias=True))
    value = np.maximum(value, 0)  # rounding gives tiny negative ones
    stretch = (direction * value**exponent) @ direction.T
    matrix = stretch @ transform.matrix
    scale = float(np.linalg.norm(transform.matrix)) / max(float(np.linalg.norm(matrix)), 1e-12)
    return AffineTransform(
        (scale * matrix).astype(np.float32),
        (scale * (stretch @ transform.bias)).astype(np.float32),
        {**transform.metadata, "sharpen": exponent},
    )
