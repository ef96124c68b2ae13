"""Centering: subtract the mean of each language, in each role.

    x' = x - mu_{role, l}

With `keep_mean` the mean over languages is added again.
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
from mixling.transforms.transforms import LanguageTransform


@dataclass(frozen=True)
class Centering(DebiasingMethod):
    """Subtract the mean vector of each language, for queries and passages apart.

    Args:
        keep_mean: Whether to add the mean over languages again.
    """

    name = "centering"
    keep_mean: bool = False

    def fit(self, corpora: Sequence[EmbeddedCorpus]) -> LanguageTransform:
        """Fit one offset for each language and role.

        Args:
            corpora: Texts as vectors, one corpus for each source.

        Returns:
            The transform by language.
        """
        languages, mean = language_means(texts_in_all_languages(corpora))
        offset = mean - np.nanmean(mean, axis=1, keepdims=True) if self.keep_mean else mean
        offset = np.nan_to_num(offset).astype(np.float32)
        empty = np.zeros((len(languages), 0, offset.shape[2]), np.float32)
        metadata = {"method": self.name, "keep_mean": self.keep_mean}
        return LanguageTransform(tuple(languages), offset, empty, metadata=metadata)
