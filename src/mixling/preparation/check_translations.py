"""Checks machine translations: their length, their language and their nearness to the original."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mixling.corpora.languages import base_language, language_script
from mixling.models.identify import can_identify, identify_languages
from mixling.models.retriever import Retriever
from mixling.preparation.missing_texts import MissingText, Table
from mixling.preparation.similarity import margin_scores

DropReason = Literal["empty", "copied", "length", "language", "similarity"]


@dataclass(frozen=True)
class CheckedTranslation:
    """A translation and what its checks found.

    Args:
        table: Whether it is a query or a passage.
        row: The row of the original.
        source_language: The language of the original, BCP-47.
        target_language: The language of the translation, BCP-47.
        text: The translation.
        length_ratio: Its length in characters by the original's, relative to the usual ratio of the
            two languages.
        language: The language that was identified; None if the identifier does not know the target.
        margin: The margin of both texts; None if no retriever checks it.
        dropped: Why the translation is dropped; None if it is accepted.
    """

    table: Table
    row: int
    source_language: str
    target_language: str
    text: str
    length_ratio: float
    language: str | None
    margin: float | None
    dropped: DropReason | None


def check_translations(
    missing: Sequence[MissingText],
    translations: Sequence[Sequence[str]],
    languages: Sequence[str],
    ratio: float,
    retriever: Retriever | None,
    min_margin: float,
) -> list[CheckedTranslation]:
    """Check translations; `translate` describes the checks.

    Args:
        missing: The originals.
        translations: The translated sentences of each.
        languages: The languages of the corpus, among which a translation's language is identified.
        ratio: How many times longer or shorter than usual a translation may be.
        retriever: Compares each translation with its original; None: no comparison.
        min_margin: Least margin of the comparison.

    Returns:
        What was found of each translation.
    """
    originals = [" ".join(m.sentences) for m in missing]
    texts = [" ".join(sentences) for sentences in translations]
    pairs = np.array([f"{m.source_language}>{m.target_language}" for m in missing])
    ratios = np.array(
        [len(text) / max(len(original), 1) for original, text in zip(originals, texts, strict=True)]
    )
    identified = _identify_languages(missing, texts, languages)
    usual_ratio: dict[str, float] = {}
    margins = np.full(len(missing), np.nan)
    for pair in set(pairs.tolist()):
        rows = np.flatnonzero((pairs == pair) & (ratios > 0))
        usual_ratio[pair] = float(np.median(ratios[rows])) if len(rows) else 1.0
        if retriever is not None:
            margins[rows] = margin_scores(
                retriever, [originals[i] for i in rows], [texts[i] for i in rows]
            )
    checked = []
    for i, original in enumerate(missing):
        length_ratio = float(ratios[i] / usual_ratio[pairs[i]])
        dropped: DropReason | None = None
        if not all(sentence.strip() for sentence in translations[i]):
            dropped = "empty"
        elif texts[i].casefold() == originals[i].casefold():
            dropped = "copied"
        elif length_ratio > ratio or length_ratio < 1 / ratio:
            dropped = "length"
        elif identified[i] is not None and identified[i] != original.target_language:
            dropped = "language"
        elif margins[i] < min_margin:  # NaN, of a margin that is not computed, passes
            dropped = "similarity"
        checked.append(
            CheckedTranslation(
                table=original.table,
                row=original.row,
                source_language=original.source_language,
                target_language=original.target_language,
                text=texts[i],
                length_ratio=round(length_ratio, 3),
                language=identified[i],
                margin=None if np.isnan(margins[i]) else round(float(margins[i]), 4),
                dropped=dropped,
            )
        )
    return checked


def _identify_languages(
    missing: Sequence[MissingText], texts: Sequence[str], languages: Sequence[str]
) -> list[str | None]:
    """Identify the language of each translation among the corpus' languages and the target.

    None stands for a translation whose target the identifier does not know.
    """
    identified: list[str | None] = [None] * len(missing)
    for target in {m.target_language for m in missing}:
        if not can_identify(target):
            continue
        # Tags of one language in one script (pt and pt-BR) cannot be told apart, so the target
        # stands for both.
        kin = (base_language(target), language_script(target))
        others = (x for x in languages if (base_language(x), language_script(x)) != kin)
        rows = [i for i, m in enumerate(missing) if m.target_language == target]
        codes = identify_languages([texts[i] for i in rows], sorted({target, *others}))
        for i, language in zip(rows, codes, strict=True):
            identified[i] = language
    return identified
