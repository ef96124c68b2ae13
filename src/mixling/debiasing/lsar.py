"""LSAR, low-rank subtraction (after Xie et al. 2022): the span of the language means is removed from every text.

    M = [mu_{query, l} - mean_l mu_query ; mu_{passage, l} - mean_l mu_passage] over languages l  = U S V^T
    x' = x - V_r V_r^T x

One projection for all languages; a text's language need not be known. Rank: by default as many directions as
languages but one (all that the means of one role span), at most a twenty-fourth of the vector's size: with more
languages the last directions are more of what is said than of the language.
"""

from __future__ import annotations

import numpy as np

from mixling.debiasing.embedded_corpus import EmbeddedCorpus, language_means
from mixling.debiasing.transforms import AffineTransform
from mixling.errors import MixlingError


def language_variation(stock: EmbeddedCorpus) -> tuple[np.ndarray, np.ndarray, int]:
    """Directions between languages, float64 [k, d], their singular values, and how many languages there are."""
    languages, mean = language_means(stock)
    if len(languages) < 2:
        raise MixlingError("debiasing needs texts in two languages at least")
    centered = mean - np.nanmean(mean, axis=1, keepdims=True)
    rows = centered.reshape(-1, centered.shape[2])
    _, value, direction = np.linalg.svd(rows[~np.isnan(rows).any(1)], full_matrices=False)
    return direction, value, len(languages)


def default_rank(size: int, languages: int) -> int:
    """See the file's head; chosen on development data (docs/decisions.md)."""
    return max(1, min(languages - 1, size // 24))


def fit_lsar(stock: EmbeddedCorpus, rank: int | None = None) -> AffineTransform:
    """One projection. rank: directions removed (None: `default_rank`)."""
    direction, _, languages = language_variation(stock)
    size = direction.shape[1]
    v = direction[: default_rank(size, languages) if rank is None else rank]
    return AffineTransform(
        (np.eye(size) - v.T @ v).astype(np.float32),
        np.zeros(size, np.float32),
        {"method": "lsar", "rank": len(v), "languages": languages},
    )
