"""Intrusion: wrong passages in the query's language before right ones in other languages.

With l_q the language of query q:

    intrusion@k(q) = |{c in top k: c irrelevant, in l_q, rank(c) < max rank of the relevant passages
                      in other languages}| / k
"""

import numpy as np

from mixling.evaluation.bias.pool import BiasMeasure, MultilingualPool, nan_where_not


def intrusion(pool: MultilingualPool, k: int = 10) -> np.ndarray:
    """Compute intrusion@k of every query.

    Args:
        pool: Ranks in the multilingual pool.
        k: Depth.

    Returns:
        float64 `[n_queries]`, 0 to 1; NaN for queries without a relevant passage in another
        language.
    """
    last = pool.worst(~pool.same_language)
    k = min(k, pool.top.shape[1])
    before_last = np.arange(1, k + 1) < last[:, None]
    intruders = pool.top_same_language[:, :k] & (pool.top_grade[:, :k] == 0) & before_last
    return nan_where_not(pool.count(~pool.same_language) > 0, intruders.mean(1))


MEASURES = [
    BiasMeasure(
        "intrusion@10",
        intrusion,
        "0 to 1",
        "low",
        "Share of the first ten that are wrong, in the query's language, and before a relevant "
        "passage in another language.",
        "Falls when the retriever is weak in the query's language too.",
        "Mixling",
        "|{p in top k: p wrong, in the query's language, rank(p) < max rank(R_other(q))}| / k",
    )
]
