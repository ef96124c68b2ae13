"""Sentence pairs of a language with the pivot or a related language, and their batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mixling.corpora.catalog import load
from mixling.corpora.corpus import Corpus
from mixling.corpora.files import read_array, write_array
from mixling.models.retriever import Retriever
from mixling.preparation.similarity import margin_scores
from mixling.progress import Progress


@dataclass(frozen=True)
class SentencePair:
    """Two sentences that say the same.

    Attributes:
        language: Language of `text`, to which the model is adapted.
        other_language: Language of `other`.
        text: A sentence.
        other: Its translation.
        pivot: Whether `other` is in the pivot language, whose vectors are distilled.
    """

    language: str
    other_language: str
    text: str
    other: str
    pivot: bool


def load_bitext(name: str) -> Corpus:
    """Load bitext by name: a folder, a source, or a source with its split (`tico-19:train`).

    The default split is train.
    """
    if Path(name).is_dir():
        return load(name)
    source, _, split = name.partition(":")
    return load(source, split or None, for_training=True)


def sentence_pairs(
    corpus: Corpus, languages: Sequence[str], related: dict[str, str], pivot: str
) -> list[SentencePair]:
    """List the sentence pairs of a corpus' translation groups.

    Args:
        corpus: Queries and passages of one group say the same.
        languages: Each is paired with the pivot, and with its related language.
        related: Related language of a language.
        pivot: The pivot language.
    """
    groups: dict[str, dict[str, str]] = {}
    for table in (corpus.queries, corpus.passages):
        columns = (table[c].to_pylist() for c in ("group", "language", "text"))
        for group, language, text in zip(*columns, strict=True):
            groups.setdefault(group, {}).setdefault(language, text)
    return [
        SentencePair(language, other, texts[language], texts[other], other == pivot)
        for _, texts in sorted(groups.items())
        for language in languages
        for other in dict.fromkeys((pivot, related.get(language, pivot)))
        if language in texts
        and other in texts
        and other != language
        and texts[language] != texts[other]
    ]


def above_margin(
    retriever: Retriever, pairs: list[SentencePair], min_margin: float, path: Path
) -> list[SentencePair]:
    """Drop sentence pairs whose margin score is below `min_margin`.

    Args:
        retriever: Encodes the sentences.
        pairs: The pairs. Each pair of languages is scored by itself.
        min_margin: The smallest score, see `mixling.preparation.similarity`.
        path: Where the scores are kept (.npy). If it exists, it is read.
    """
    if not path.exists():
        scores = np.zeros(len(pairs), np.float32)
        language_pairs = sorted({(p.language, p.other_language) for p in pairs})
        with Progress("margins") as progress:
            for n, languages in enumerate(language_pairs, 1):
                rows = [
                    i for i, p in enumerate(pairs) if (p.language, p.other_language) == languages
                ]
                texts = [pairs[i].text for i in rows]
                scores[rows] = margin_scores(retriever, texts, [pairs[i].other for i in rows])
                progress(n, len(language_pairs))
        write_array(path, scores)
    return [p for p, score in zip(pairs, read_array(path), strict=True) if score >= min_margin]


def pair_batch(
    by_language: Sequence[Sequence[SentencePair]], step: int, size: int, seed: int
) -> list[SentencePair]:
    """Return the sentence pairs of a step.

    Languages take turns. The pairs of a language come in a new order each time all of them were
    seen.

    Args:
        by_language: The pairs of each language.
        step: Number of the step.
        size: Pairs a step.
        seed: Seed of the orders.
    """
    batch, n_languages = [], len(by_language)
    for i in range(step * size, (step + 1) * size):
        # draw i is the visit-th draw of its language, which has epochs of its own
        language, visit = i % n_languages, i // n_languages
        pairs = by_language[language]
        epoch, position = divmod(visit, len(pairs))
        order = np.random.default_rng((seed, language, epoch)).permutation(len(pairs))
        batch.append(pairs[order[position]])
    return batch
