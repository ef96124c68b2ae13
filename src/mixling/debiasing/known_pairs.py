"""Trains a transform on a collection's own known items: titles or first sentences and their texts.

Hybrid batches (arXiv:2408.10536) need texts in several languages with one meaning. A collection has
them where its translations are known, or found by its vectors (`mixling.auditing.translations`).
The loss and the batches are those of `TrainedTransform`, without bitext; it starts from the vectors
as they are, and is pulled back to them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixling.corpora.corpus import CorpusBuilder
from mixling.debiasing.embedded_corpus import EmbeddedCorpus
from mixling.debiasing.trained import TrainedTransform
from mixling.errors import MixlingError
from mixling.transforms.transforms import AffineTransform, normalize

MIN_KNOWN = 100  # known items without which nothing is learned that holds for others
MIN_GROUPS = 32  # of a language, for batches of so many; the transform serves other languages too
# chosen on a sixteenth of LibreOffice's help with multilingual-e5-small (docs/guides/collection.md)
METHOD = TrainedTransform(
    rank=1, sharpen=False, steps=1200, pull=0.05, temperature=0.08, alpha=0.5, bitext=0.0
)


@dataclass(frozen=True)
class KnownPairs:
    """Queries that were made of passages, and the groups that say which passages answer them.

    Args:
        queries: float32 `[m, dim]`, of length one.
        languages: str `[m]`.
        groups: int64 `[m]`.
        passage_groups: int64 `[n]`, one for each passage of the collection; translations of a
            passage share its group.
    """

    queries: np.ndarray
    languages: np.ndarray
    groups: np.ndarray
    passage_groups: np.ndarray

    def across_languages(self, passage_languages: np.ndarray) -> int:
        """Return how many of the queries have an answer in another language too."""
        codes, number = np.unique(
            np.concatenate([self.languages, passage_languages]), return_inverse=True
        )
        held = np.unique(self.passage_groups * len(codes) + number[len(self.languages) :])
        count = np.bincount(held // len(codes), minlength=max(self.groups, default=0) + 1)
        own = np.isin(self.groups * len(codes) + number[: len(self.languages)], held)
        return int((count[self.groups] - own > 0).sum())


def fit_known_pairs(
    pairs: KnownPairs, passages: np.ndarray, languages: np.ndarray
) -> AffineTransform:
    """Train a transform on known pairs.

    Args:
        pairs: The queries.
        passages: float32 `[n, dim]`, of length one.
        languages: str `[n]`.

    Returns:
        The transform.

    Raises:
        MixlingError: There are too few known items with answers in several languages.
    """
    across = pairs.across_languages(languages)
    if across < MIN_KNOWN:
        raise MixlingError(
            f"the step trained needs {MIN_KNOWN} titles or first sentences whose text has a "
            f"translation in the collection, and there are {across:,}. Leave the step out."
        )
    used = [x for x in np.unique(languages) if _asked_and_answered(pairs, languages, x)]
    if len(used) < 2:
        raise MixlingError(
            f"the step trained needs two languages with {MIN_GROUPS} titles or first sentences "
            "each. Leave the step out."
        )
    builder = CorpusBuilder("known pairs")
    asked = set(pairs.groups[np.isin(pairs.languages, used)].tolist())
    for i, (language, group) in enumerate(zip(pairs.languages, pairs.groups, strict=True)):
        if language in used:
            builder.add_query(f"q{i}", f"query {i}", str(language), str(group))
    asked_for = np.isin(languages, used) & np.isin(pairs.passage_groups, sorted(asked))
    rows = np.flatnonzero(asked_for).tolist()
    for i in rows:
        group = str(pairs.passage_groups[i])
        row = builder.add_passage(f"p{i}", f"passage {i}", str(languages[i]), group)
        builder.add_link(group, row)
    corpus = builder.build()
    linked = np.array(rows)[corpus.links["passage"].to_numpy()]
    embedded = EmbeddedCorpus(
        corpus,
        normalize(pairs.queries[np.isin(pairs.languages, used)]).astype(np.float32),
        normalize(passages[linked]).astype(np.float32),
    )
    transform = METHOD.fit([embedded])
    return AffineTransform(
        transform.matrix, transform.bias, {**transform.metadata, "known_items": len(asked)}
    )


def _asked_and_answered(pairs: KnownPairs, languages: np.ndarray, code: str) -> bool:
    """Return whether enough texts of a language are asked for in it."""
    asked = pairs.groups[pairs.languages == code]
    return len(np.intersect1d(asked, pairs.passage_groups[languages == code])) >= MIN_GROUPS
