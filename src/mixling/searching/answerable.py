"""Tells whether a search has probably found nothing that answers.

A search always finds something. Its best passage is judged by its *standard score*: its score less
the mean score of its language, in standard deviations of such scores over the passages of the
store. The deviation is computed for each query from a sample of the store's vectors, so the measure
needs no judgments, and models whose scores lie close together are treated as those whose scores do
not.

Search orders shrink the mean of a small language towards that of all passages
(`mixling.searching.fairness.shrunk`). Here this would leave a part of the language bias in the
scores of a small language, so each of its passages would seem to answer. The language's own mean
follows its own passages instead, which is known and taken into account: of n passages with scores
of deviation s, a score less the mean of all n has the deviation s * sqrt(1 - 1/n).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from mixling.corpora.languages import base_language
from mixling.searching.fairness import NO_LANGUAGE, shrunk
from mixling.searching.hits import SearchHit
from mixling.searching.store import Store

# Below this, nothing answers, probably; chosen on MLQA's held-out part (studies/nothing_found.py).
MIN_STANDARD_SCORE = 3.0
SAMPLE = 1024  # passages from which the deviation is computed
MIN_PASSAGES = 100  # with fewer, the answers themselves would be much of the sample
MIN_OWN = 5  # passages of a language from which its own mean is used; else the shrunk one


class LanguageCenter(NamedTuple):
    """What the scores of a language's passages are compared with.

    Args:
        mean: Mean vector, `[dim]`.
        scale: Factor of a score less the mean's score, by which all languages have one deviation.
    """

    mean: np.ndarray
    scale: float


def language_centers(
    means: Mapping[str, Sequence[float] | np.ndarray], counts: Mapping[str, int]
) -> dict[str, LanguageCenter]:
    """Return the center of each language.

    Args:
        means: Mean vector of the passages of each language, `[dim]` each.
        counts: Passages of each language; a store may not keep them.

    Returns:
        The language's own mean, scaled by (1 - 1/n)^(-1/2); the shrunk mean, not scaled, for a
        language of fewer than `MIN_OWN` passages and for tags that name no language.
    """
    centers = {}
    for language, mean in shrunk(means, counts).items():
        n = counts.get(language, 0)
        if n < MIN_OWN or base_language(language) in NO_LANGUAGE:
            centers[language] = LanguageCenter(mean, 1.0)
        else:
            own = np.array(means[language], np.float32)
            centers[language] = LanguageCenter(own, (1 - 1 / n) ** -0.5)
    return centers


def center(
    languages: Sequence[str], vectors: np.ndarray, centers: Mapping[str, LanguageCenter]
) -> np.ndarray:
    """Return vectors of passages less the means of their languages, scaled, float32 `[n, dim]`."""
    means = np.stack([centers[x].mean for x in languages])
    scales = np.array([centers[x].scale for x in languages], np.float32)
    return np.asarray((vectors - means) * scales[:, None], np.float32)


def sample_table(store: Any, n: int) -> tuple[list[str], np.ndarray]:
    """Return the languages and vectors of n passages of a LanceDB store, evenly from all of it."""
    total = store.table.count_rows()
    offsets = np.unique(np.linspace(0, total - 1, min(n, total)).astype(np.int64)).tolist()
    rows = store.table.take_offsets(offsets).select(["language", "vector"]).to_arrow()
    vectors = rows["vector"].combine_chunks()
    return rows["language"].to_pylist(), vectors.flatten().to_numpy().reshape(len(rows), -1)


def centered_sample(store: Store, centers: Mapping[str, LanguageCenter]) -> np.ndarray | None:
    """Return vectors of passages less the means of their languages, scaled, float32 `[n, dim]`.

    Args:
        store: The store.
        centers: The center of each language.

    Returns:
        The vectors; None where the store has too few passages.
    """
    if store.count() < MIN_PASSAGES:
        return None
    languages, vectors = store.sample(SAMPLE)
    known = np.array([x in centers for x in languages])
    return center([x for x in languages if x in centers], vectors[known], centers)


def score_spread(sample: np.ndarray, vector: np.ndarray) -> float:
    """Return the standard deviation of the centered scores of a sample for a query.

    Args:
        sample: What `centered_sample` returns, `[n, dim]`.
        vector: The query's vector, `[dim]`.
    """
    return max(float((sample @ vector).std()), 1e-12)


def standard_scores(
    hits: Sequence[SearchHit],
    vector: np.ndarray,
    centers: Mapping[str, LanguageCenter],
    sample: np.ndarray | None,
) -> list[SearchHit]:
    """Set the standard score of hits whose scores are dot products with the query's vector.

    Args:
        hits: The hits.
        vector: The query's vector, `[dim]`.
        centers: The center of each language.
        sample: What `centered_sample` returns; None leaves the hits as they are.
    """
    if sample is None or not hits:
        return list(hits)
    spread = score_spread(sample, vector)
    judged = []
    for hit in hits:
        known = centers.get(hit.language)
        content = hit.score if known is None else hit.score - float(vector @ known.mean)
        scale = 1.0 if known is None else known.scale
        judged.append(replace(hit, standard_score=content * scale / spread))
    return judged


def has_good_answer(hits: Sequence[SearchHit]) -> bool | None:
    """Return whether a search has found a passage that stands out from the others of its store.

    Args:
        hits: What the search returned.

    Returns:
        Whether a standard score reaches `MIN_STANDARD_SCORE`; None where no hit has one: a search
        by full text or by both, or a store of fewer than 100 passages. Nothing found is no answer.

    Example:
        >>> has_good_answer([])
        False
    """
    known = [hit.standard_score for hit in hits if hit.standard_score is not None]
    if hits and not known:
        return None
    return max(known, default=-np.inf) >= MIN_STANDARD_SCORE
