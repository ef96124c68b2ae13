"""LSAR, low-rank subtraction (after Xie et al. 2022): remove the span of the language means.

    M = [mu_{query, l} - mean_l mu_query ; mu_{passage, l} - mean_l mu_passage]  over languages l
      = U S V^T
    x' = x - V_r V_r^T x

One projection serves all languages, so a text's language need not be known. The default rank is
the number of languages minus one, which the means of one role span, and at most a twenty-fourth of
the vector's size: with more languages the last directions carry more meaning than language.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mixling.debiasing.embedded_corpus import (
    EmbeddedCorpus,
    language_means,
    texts_in_all_languages,
)
from mixling.debiasing.method import DebiasingMethod
from mixling.debiasing.sharpen import sharpen_spectrum
from mixling.errors import MixlingError
from mixling.transforms.transforms import AffineTransform


def language_variation(corpus: EmbeddedCorpus) -> tuple[np.ndarray, np.ndarray, int]:
    """Compute the directions in which the means of languages differ.

    Args:
        corpus: Texts as vectors.

    Returns:
        Directions, float64 `[k, dim]`, their singular values, float64 `[k]` in falling order, and
        the number of languages.

    Raises:
        MixlingError: The texts are in fewer than two languages.
    """
    languages, mean = language_means(corpus)
    if len(languages) < 2:
        raise MixlingError(
            "debiasing compares languages, and the texts are in fewer than two. Add a source or "
            "languages."
        )
    centered = mean - np.nanmean(mean, axis=1, keepdims=True)
    rows = centered.reshape(-1, centered.shape[2])
    _, value, direction = np.linalg.svd(rows[~np.isnan(rows).any(1)], full_matrices=False)
    return direction, value, len(languages)


def default_rank(size: int, languages: int) -> int:
    """Return how many directions to remove.

    It was chosen on development data (docs/development/decisions.md).

    Args:
        size: Size of a vector.
        languages: Number of languages.

    Returns:
        `languages - 1`, at most a twenty-fourth of `size` and at least 1.
    """
    return max(1, min(languages - 1, size // 24))


@dataclass(frozen=True)
class Lsar(DebiasingMethod):
    """Remove the directions in which the means of languages differ.

    Args:
        rank: Directions to remove. Default: `default_rank`.
        sharpen: Whether to stretch the spectrum afterwards, or the power of the stretch.
    """

    name = "lsar"
    rank: int | None = None
    sharpen: bool | float = False

    def fit(self, corpora: Sequence[EmbeddedCorpus]) -> AffineTransform:
        """Fit one projection.

        Args:
            corpora: Texts as vectors, one corpus for each source.

        Returns:
            The projection, with its spectrum stretched where `sharpen` says so.
        """
        direction, _, languages = language_variation(texts_in_all_languages(corpora))
        size = direction.shape[1]
        v = direction[: default_rank(size, languages) if self.rank is None else self.rank]
        projection = AffineTransform(
            (np.eye(size) - v.T @ v).astype(np.float32),
            np.zeros(size, np.float32),
            {"method": self.name, "rank": len(v), "languages": languages},
        )
        return sharpen_spectrum(projection, corpora, self.sharpen)
