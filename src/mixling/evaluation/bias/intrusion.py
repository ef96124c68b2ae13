"""Intrusion: irrelevant candidates in the question's language that stand before a right one in another.

intrusion@k(q) = |{c in top k: c irrelevant, in l_q, rank(c) < max rank of the relevant in other languages}| / k
"""

import numpy as np

from mixling.evaluation.bias.pool import BiasMeasure, MultilingualPool, nan_where_not


def intrusion(pool: MultilingualPool, k: int = 10) -> np.ndarray:
    """0 to 1; NaN for queries without a relevant candidate in another language."""
    last = pool.worst(~pool.same_language)
    k = min(k, pool.top.shape[1])
    ahead = np.arange(1, k + 1) < last[:, None]
    taken = pool.top_same_language[:, :k] & (pool.top_grade[:, :k] == 0) & ahead
    return nan_where_not(pool.count(~pool.same_language) > 0, taken.mean(1))


MEASURES = [
    BiasMeasure(
        "intrusion@10",
        intrusion,
        "0 to 1",
        "low",
        "This share of the first ten is wrong, in the question's language, and before a right answer in another.",
        "Falls when the retriever is bad in the question's own language too.",
        "Mixling",
    )
]
