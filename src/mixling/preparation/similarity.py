"""The margin of bitext mining: how near two texts are, compared with their nearest neighbors.

    margin(a, b) = cos(a, b) / ((mean_a + mean_b) / 2)

mean_a is the mean cosine of a with its k nearest b's, mean_b that of b with its k nearest a's
(Artetxe and Schwenk 2019, arXiv:1811.01136, eq. 2). A margin of 1 means that the two are no nearer
than their neighbors are. A plain cosine says little, since an encoder's cosines may all lie in 0.7
to 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mixling.models.retriever import Retriever

_CHUNK = 4096  # pairs among which neighbors are looked for


def margin_scores(
    retriever: Retriever, first: Sequence[str], second: Sequence[str], neighbors: int = 4
) -> np.ndarray:
    """Return the margin of each pair of texts.

    Neighbors are looked for among these texts, at most 4,096 pairs at a time. Fewer than three
    pairs have no neighbors to speak of; their margin is 1.

    Args:
        retriever: The encoder.
        first: One text of each pair.
        second: The other text of each pair.
        neighbors: k of the formula.

    Returns:
        float32 `[pairs]`.
    """
    if len(first) < 3:
        return np.ones(len(first), np.float32)
    a, b = (retriever.encode(list(texts), "query") for texts in (first, second))
    a, b = (x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12) for x in (a, b))
    chunks = [
        ratio_margins(a[i : i + _CHUNK], b[i : i + _CHUNK], neighbors)
        for i in range(0, len(a), _CHUNK)
    ]
    return np.concatenate(chunks)


def ratio_margins(a: np.ndarray, b: np.ndarray, neighbors: int = 4) -> np.ndarray:
    """Return the margin of each pair of vectors.

    Args:
        a: Vectors of length one, `[pairs, dim]`.
        b: Vectors of length one, `[pairs, dim]`.
        neighbors: k of the formula; fewer where there are fewer pairs.

    Returns:
        float32 `[pairs]`.
    """
    scores = a @ b.T
    pair_scores = scores.diagonal().copy()
    k = min(neighbors, len(a) - 1)
    if k < 1:
        return np.ones(len(a), np.float32)
    np.fill_diagonal(scores, -np.inf)  # a text's own translation is no neighbor
    near_a, near_b = (np.partition(s, -k, axis=1)[:, -k:].mean(1) for s in (scores, scores.T))
    margins: np.ndarray = pair_scores / np.maximum((near_a + near_b) / 2, 1e-6)
    return margins.astype(np.float32)
