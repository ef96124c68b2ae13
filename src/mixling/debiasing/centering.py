"""Centering: x' = x - mu_{role, l}, and with `keep` the mean over languages put back."""

from __future__ import annotations

import numpy as np

from mixling.debiasing.embedded_corpus import EmbeddedCorpus, language_means
from mixling.debiasing.transforms import LanguageTransform


def fit_centering(stock: EmbeddedCorpus, keep: bool = False) -> LanguageTransform:
    """A vector for each language and role. keep: add the mean over languages again."""
    languages, mean = language_means(stock)
    offset = mean - np.nanmean(mean, axis=1, keepdims=True) if keep else mean
    offset = np.nan_to_num(offset).astype(np.float32)
    none = np.zeros((len(languages), 0, offset.shape[2]), np.float32)
    return LanguageTransform(
        tuple(languages), offset, none, settings={"method": "centering", "keep_mean": keep}
    )
