"""LIR, language information removal (Yang, Yang, Cer and Darve 2021, arXiv:2109.04727).

x' = x - C_l C_l^T x,  C_l: the first r right singular vectors of the texts of language l, not centered
"""

from __future__ import annotations

import numpy as np

from mixling.debiasing.embedded_corpus import EmbeddedCorpus, all_vectors
from mixling.debiasing.transforms import LanguageTransform


def fit_lir(stock: EmbeddedCorpus, rank: int = 1) -> LanguageTransform:
    """A subspace for each language."""
    vectors, of = all_vectors([stock])
    languages = stock.languages()
    size = vectors.shape[1]
    basis = np.zeros((len(languages), rank, size), np.float32)
    for i, code in enumerate(languages):
        mine = vectors[of == code].astype(np.float64)
        value, direction = np.linalg.eigh(mine.T @ mine)
        basis[i] = direction[:, np.argsort(-value)[:rank]].T
    none = np.zeros((2, len(languages), size), np.float32)
    return LanguageTransform(
        tuple(languages), none, basis, settings={"method": "lir", "rank": rank}
    )
