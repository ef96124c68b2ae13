"""Centring: x' = x - mu_{role, l}, and with `keep` the mean over languages put back."""

from __future__ import annotations

import numpy as np

from mixling.debiasing.maps import ByLanguage
from mixling.debiasing.stock import Stock, means


def centring(stock: Stock, keep: bool = False) -> ByLanguage:
    """A vector for each language and role. keep: add the mean over languages again."""
    languages, mean = means(stock)
    offset = mean - np.nanmean(mean, axis=1, keepdims=True) if keep else mean
    offset = np.nan_to_num(offset).astype(np.float32)
    none = np.zeros((len(languages), 0, offset.shape[2]), np.float32)
    return ByLanguage(tuple(languages), offset, none, made={"method": "centring", "keep_mean": keep})
