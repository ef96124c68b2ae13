"""LEACE, least-squares concept erasure (Belrose et al. 2023, arXiv:2306.03819), the concept being the language.

    x' = x - W^+ P W (x - mu),  W = Cov(x)^(-1/2),  P: projection onto the columns of W Cov(x, z), z one-hot

After it no linear classifier tells the language better than a constant does; of all affine maps with that
property it moves vectors least.
"""

from __future__ import annotations

import numpy as np

from mixling.debiasing.embedded_corpus import EmbeddedCorpus, all_vectors
from mixling.debiasing.transforms import AffineTransform


def fit_leace(stock: EmbeddedCorpus) -> AffineTransform:
    """One affine map."""
    vectors, of = all_vectors([stock])
    matrix, bias = erase(vectors.astype(np.float64), np.unique(of, return_inverse=True)[1])
    return AffineTransform(matrix.astype(np.float32), bias.astype(np.float32), {"method": "leace"})


def erase(x: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Matrix [d, d] and bias [d] for x: float64 [n, d] and label: int64 [n]."""
    mean = x.mean(0)
    centered = x - mean
    one_hot = np.eye(label.max() + 1)[label]
    cross = centered.T @ (one_hot - one_hot.mean(0)) / len(x)
    value, direction = np.linalg.eigh(centered.T @ centered / len(x))
    kept = value > value.max() * 1e-12
    root = np.sqrt(value[kept])
    d = direction[:, kept]
    whiten, back = (d / root) @ d.T, (d * root) @ d.T
    u, s, _ = np.linalg.svd(whiten @ cross, full_matrices=False)
    u = u[:, s > s.max() * 1e-10]
    taken = back @ u @ u.T @ whiten
    return np.eye(x.shape[1]) - taken, taken @ mean
