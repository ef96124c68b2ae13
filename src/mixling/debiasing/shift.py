"""SHIFT (arXiv:2606.18801): documents are moved towards a source language, questions are not touched.

    z' = z - alpha V_l,  V_l = mean over parallel texts of f(text in l) - f(its counterpart in the source language)

On vectors as the encoder pools them; length one comes afterwards. Published: alpha .6 for mE5-large, from a grid
of .1 … 1; fitted on mMARCO's passages.
"""

from __future__ import annotations

import numpy as np

from mixling.debiasing.embedded_corpus import EmbeddedCorpus
from mixling.debiasing.transforms import LanguageTransform
from mixling.errors import MixlingError


def fit_shift(stock: EmbeddedCorpus, alpha: float = 0.6, source: str = "en") -> LanguageTransform:
    """A vector for each language but the source. stock: parallel texts, vectors as pooled."""
    languages = stock.languages()
    if source not in languages:
        raise MixlingError(
            f"SHIFT moves documents to '{source}', which the fitted text lacks; give --source"
        )
    of = stock.passage_language()
    group = np.array(stock.corpus.links["group"].to_pylist())
    home = {g: i for i, g in enumerate(group) if of[i] == source}
    size = stock.passages.shape[1]
    offset = np.zeros((2, len(languages), size), np.float32)
    for number, code in enumerate(languages):
        rows = [i for i in np.flatnonzero(of == code) if group[i] in home]
        if code == source:
            continue
        if not rows:
            raise MixlingError(
                f"SHIFT needs parallel texts, and none is in '{code}' and '{source}'"
            )
        there = stock.passages[[home[group[i]] for i in rows]]
        offset[1, number] = alpha * (stock.passages[rows] - there).mean(0, dtype=np.float64)
    none = np.zeros((len(languages), 0, size), np.float32)
    made = {"method": "shift", "alpha": alpha, "source": source}
    return LanguageTransform(tuple(languages), offset, none, raw=True, settings=made)
