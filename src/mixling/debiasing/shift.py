"""SHIFT (arXiv:2606.18801): move documents towards a source language; queries stay.

    z' = z - alpha V_l,  V_l = mean over parallel texts of f(text in l) - f(its counterpart in the
    source language)

It applies to vectors as the encoder pools them, before normalization. Published: alpha 0.6 for
mE5-large, from a grid of 0.1 to 1, fitted on mMARCO's passages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mixling.corpora.languages import language_tag
from mixling.debiasing.embedded_corpus import EmbeddedCorpus, texts_in_all_languages
from mixling.debiasing.method import DebiasingMethod
from mixling.errors import MixlingError
from mixling.transforms.transforms import LanguageTransform


@dataclass(frozen=True)
class Shift(DebiasingMethod):
    """Move passages towards a source language.

    Args:
        alpha: How far passages move, from 0 to 2; at 1 the means coincide.
        source: The language that they move to.
    """

    name = "shift"
    needs_translation_groups = True
    raw = True
    alpha: float = 0.6
    source: str = "en"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.alpha <= 2:
            raise MixlingError(
                f"alpha is {self.alpha}. Expected a number from 0 to 2 (0.6 in the publication)."
            )
        object.__setattr__(self, "source", language_tag(self.source))

    def fit(self, corpora: Sequence[EmbeddedCorpus]) -> LanguageTransform:
        """Fit one offset for each language but the source.

        Args:
            corpora: Parallel texts, their vectors as the encoder pools them.

        Returns:
            The transform by language, for vectors before normalization.

        Raises:
            MixlingError: No text is in the source language, or a language has no text with a
                counterpart in it.
        """
        corpus = texts_in_all_languages(corpora)
        languages = corpus.languages()
        if self.source not in languages:
            raise MixlingError(
                f"SHIFT moves documents to '{self.source}', but the texts have no such language. "
                "Give another one with --source."
            )
        language = corpus.passage_language()
        group = np.array(corpus.corpus.links["group"].to_pylist())
        source_row = {g: i for i, g in enumerate(group) if language[i] == self.source}
        size = corpus.passages.shape[1]
        offset = np.zeros((2, len(languages), size), np.float32)
        for number, code in enumerate(languages):
            rows = [i for i in np.flatnonzero(language == code) if group[i] in source_row]
            if code == self.source:
                continue
            if not rows:
                raise MixlingError(
                    f"SHIFT needs parallel texts, and there are none in '{code}' and "
                    f"'{self.source}'. Add a source with these translations."
                )
            counterparts = corpus.passages[[source_row[group[i]] for i in rows]]
            difference = (corpus.passages[rows] - counterparts).mean(0, dtype=np.float64)
            offset[1, number] = self.alpha * difference
        basis = np.zeros((len(languages), 0, size), np.float32)
        metadata = {"method": self.name, "alpha": self.alpha, "source": self.source}
        return LanguageTransform(tuple(languages), offset, basis, raw=True, metadata=metadata)
