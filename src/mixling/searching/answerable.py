"""Tells whether a search has probably found nothing that answers.

A search always finds something. Its best passage is judged by its *standard score*: its score less
its language offset, in standard deviations of such scores over the passages of the store. The
deviation is computed for each query from a sample of the store's vectors, so the measure needs
no judgments, and models whose scores lie close together are treated as those whose scores do not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mixling.searching.hits import SearchHit
from mixling.searching.store import Store

# Below this, nothing answers, probably; chosen on MLQA's held-out part (studies/nothing_found.py).
MIN_STANDARD_SCORE = 3.0
SAMPLE = 1024  # passages from which the deviation is computed
MIN_PASSAGES = 100  # with fewer, the answers themselves would be much of the sample


def sample_table(store: Any, n: int) -> tuple[list[str], np.ndarray]:
    """Return the languages and vectors of n passages of a LanceDB store, evenly from all of it."""
    total = store.table.count_rows()
    offsets = np.unique(np.linspace(0, total - 1, min(n, total)).astype(np.int64)).tolist()
    rows = store.table.take_offsets(offsets).select(["language", "vector"]).to_arrow()
    vectors = rows["vector"].combine_chunks()
    return rows["language"].to_pylist(), vectors.flatten().to_numpy().reshape(len(rows), -1)


def centered_sample(store: Store, means: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """Return vectors of passages less the means of their languages, float32 `[n, dim]`.

    Args:
        store: The store.
        means: The shrunk mean vector of each language, `[dim]` each.

    Returns:
        The vectors; None where the store has too few passages.
    """
    if store.count() < MIN_PASSAGES:
        return None
    languages, vectors = store.sample(SAMPLE)
    known = np.array([x in means for x in languages])
    kept = [x for x in languages if x in means]
    return np.asarray(vectors[known] - np.stack([means[x] for x in kept]), np.float32)


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
    means: Mapping[str, np.ndarray],
    sample: np.ndarray | None,
) -> list[SearchHit]:
    """Set the standard score of hits whose scores are dot products with the query's vector.

    Args:
        hits: The hits.
        vector: The query's vector, `[dim]`.
        means: The shrunk mean vector of each language, `[dim]` each.
        sample: What `centered_sample` returns; None leaves the hits as they are.
    """
    if sample is None or not hits:
        return list(hits)
    spread = score_spread(sample, vector)
    offsets = {x: float(vector @ means[x]) for x in {hit.language for hit in hits} if x in means}
    return [
        replace(hit, standard_score=(hit.score - offsets.get(hit.language, 0.0)) / spread)
        for hit in hits
    ]


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
