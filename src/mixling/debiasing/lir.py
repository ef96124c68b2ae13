"""LIR, language information removal (Yang, Yang, Cer and Darve 2021, arXiv:2109.04727).

x' = x - C_l C_l^T x
C_l: the first r right singular vectors of the texts of language l, uncentered
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mixling.debiasing.embedded_corpus import EmbeddedCorpus, all_vectors, texts_in_all_languages
from mixling.debiasing.method import DebiasingMethod
from mixling.transforms.transforms import LanguageTransform


@dataclass(frozen=True)
class Lir(DebiasingMethod):
    """Remove the first singular directions of each language.

    Args:
        rank: Directions to remove from each language.
    """

    name = "lir"
    rank: int = 1

    def fit(self, corpora: Sequence[EmbeddedCorpus]) -> LanguageTransform:
        """Fit one subspace for each language.

        Args:
            corpora: Texts as vectors, one corpus for each source.

        Returns:
            The transform by language.
        """
        corpus = texts_in_all_languages(corpora)
        vectors, language = all_vectors([corpus])
        languages = corpus.languages()
        size = vectors.shape[1]
        basis = np.zeros((len(languages), self.rank, size), np.float32)
        for i, code in enumerate(languages):
            x = vectors[language == code].astype(np.float64)
            # the right singular vectors of x are the eigenvectors of x^T x, which is small
            value, direction = np.linalg.eigh(x.T @ x)
            basis[i] = direction[:, np.argsort(-value)[: self.rank]].T
        offset = np.zeros((2, len(languages), size), np.float32)
        metadata = {"method": self.name, "rank": self.rank}
        return LanguageTransform(tuple(languages), offset, basis, metadata=metadata)
