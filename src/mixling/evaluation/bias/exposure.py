"""Exposure of languages against a target (after AWRF, attention-weighted rank fairness).

exposure_L(q) = sum over ranks r <= k with a candidate in L of 1 / log2(r + 1), divided by the sum over all r
exposure@k(q) = 1 - 1/2 sum_L |exposure_L(q) - target_L(q)|,  target: L's share among the relevant of q
"""

import numpy as np

from mixling.evaluation.bias.pool import BiasMeasure, MultilingualPool, nan_where_not


def exposure(pool: MultilingualPool, k: int = 10) -> np.ndarray:
    """0 to 1, 1 = each language gets what it holds of the right answers."""
    k = min(k, pool.top.shape[1])
    weight = 1 / np.log2(np.arange(k) + 2)
    cell = np.arange(pool.n_queries)[:, None] * pool.n_languages + pool.top_language[:, :k]
    shape = (pool.n_queries, pool.n_languages)
    got = np.bincount(
        cell.ravel(),
        np.broadcast_to(weight / weight.sum(), cell.shape).ravel(),
        shape[0] * shape[1],
    ).reshape(shape)
    held = np.bincount(pool.query * pool.n_languages + pool.language, minlength=shape[0] * shape[1])
    target = held.reshape(shape) / np.maximum(pool.count(), 1)[:, None]
    return nan_where_not(pool.count() > 0, 1 - np.abs(got - target).sum(1) / 2)


MEASURES = [
    BiasMeasure(
        "exposure@10",
        exposure,
        "0 to 1, 1 is fair",
        "high",
        "How near the languages of the first ten come to those of the right answers, early places counting more.",
        "Needs a target: here each language's share among the right answers.",
        "after AWRF",
    )
]
