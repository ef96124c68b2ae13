"""How near two texts that should say the same are, against what else is near: the margin of bitext mining.

    margin(a, b) = cos(a, b) / (mean cosine of a with its k nearest b's / 2 + of b with its k nearest a's / 2)

(Artetxe and Schwenk 2019, arXiv:1811.01136.) 1 says that they are no nearer than their neighbours are; a plain cosine
says little, since an encoder's cosines may all lie between .7 and 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mixling.models.retriever import Retriever


def margin_scores(
    retriever: Retriever, first: Sequence[str], second: Sequence[str], neighbors: int = 4
) -> np.ndarray:
    """The margin of each pair of texts, float32 [n]; neighbours are looked for among these texts, at most 4,096 of them
    at a time. Less than three texts have no neighbours to speak of: their margin is 1."""
    if len(first) < 3:
        return np.ones(len(first), np.float32)
    a, b = (retriever.encode(list(x), "query", precision="fp32") for x in (first, second))
    a, b = (x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12) for x in (a, b))
    found = [
        ratio_margins(a[i : i + 4096], b[i : i + 4096], neighbors) for i in range(0, len(a), 4096)
    ]
    return np.concatenate(found)


def ratio_margins(a: np.ndarray, b: np.ndarray, neighbors: int = 4) -> np.ndarray:
    """The margin of each pair of unit vectors, float32 [n] from [n, d] both."""
    scores = a @ b.T
    own = scores.diagonal().copy()
    k = min(neighbors, len(a) - 1)
    if k < 1:
        return np.ones(len(a), np.float32)
    np.fill_diagonal(scores, -np.inf)
    near = [np.partition(s, -k, axis=1)[:, -k:].mean(1) for s in (scores, scores.T)]
    return (own / np.maximum((near[0] + near[1]) / 2, 1e-6)).astype(np.float32)
