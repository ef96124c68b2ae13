"""Exposure of languages against a target (after AWRF, attention-weighted rank fairness).

The discount of a rank is that of DCG:

    exposure_L(q) = sum of 1 / log2(r + 1) over ranks r <= k with a passage in L, divided by the sum
                    over all r <= k
    exposure@k(q) = 1 - 1/2 sum_L |exposure_L(q) - target_L(q)|
    target_L(q)   = share of L among the relevant passages of q
"""

import numpy as np

from mixling.evaluation.bias.pool import BiasMeasure, MultilingualPool, nan_where_not


def exposure(pool: MultilingualPool, k: int = 10) -> np.ndarray:
    """Compute how near the languages' exposure comes to its target.

    Args:
        pool: Ranks in the multilingual pool.
        k: Depth.

    Returns:
        float64 `[n_queries]`, 0 to 1; 1 where each language gets its share of the relevant
        passages.
    """
    k = min(k, pool.top.shape[1])
    weight = 1 / np.log2(np.arange(k) + 2)
    # one bin for each query and language
    cell = np.arange(pool.n_queries)[:, None] * pool.n_languages + pool.top_language[:, :k]
    shape = (pool.n_queries, pool.n_languages)
    there = pool.top[:, :k] >= 0
    total = np.maximum((there * weight).sum(1), 1e-12)[:, None]
    exposed = np.bincount(
        cell[there], (there * weight / total)[there], shape[0] * shape[1]
    ).reshape(shape)
    relevant = np.bincount(
        pool.query * pool.n_languages + pool.language, minlength=shape[0] * shape[1]
    )
    target = relevant.reshape(shape) / np.maximum(pool.count(), 1)[:, None]
    return nan_where_not((pool.count() > 0) & there.any(1), 1 - np.abs(exposed - target).sum(1) / 2)


MEASURES = [
    BiasMeasure(
        "exposure@10",
        exposure,
        "0 to 1, 1 is fair",
        "high",
        "Similarity of the languages of the first ten to those of the relevant passages; early "
        "ranks count more.",
        "Needs a target: here each language's share of the relevant passages.",
        "after AWRF",
        "1 - 1/2 sum over languages L of |exposure_L - target_L|, with weights 1 / log2(rank + 1)",
    )
]
