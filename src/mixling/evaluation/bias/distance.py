"""Rank distance: largest minus smallest rank of a query's relevant passages.

Source: arXiv:2408.10536, section 4.1.

    distance(q) = max rank(R(q)) - min rank(R(q))
    relative distance(q) = distance(q) / pool size
"""

import numpy as np

from mixling.evaluation.bias.pool import BiasMeasure, MultilingualPool, nan_where_not


def rank_distance(pool: MultilingualPool) -> np.ndarray:
    """Compute the rank distance of every query.

    Args:
        pool: Ranks in the multilingual pool.

    Returns:
        float64 `[n_queries]`, 0 to the pool's size minus one; NaN for fewer than two relevant
        passages.
    """
    all_relevant = np.ones(len(pool.rank), bool)
    return nan_where_not(pool.count() >= 2, pool.worst() - pool.best(all_relevant))


def relative_rank_distance(pool: MultilingualPool) -> np.ndarray:
    """Divide the rank distance by the pool's size, so that pools of different size compare.

    Args:
        pool: Ranks in the multilingual pool.

    Returns:
        float64 `[n_queries]`, 0 to 1; NaN for fewer than two relevant passages.
    """
    return rank_distance(pool) / pool.size


MEASURES = [
    BiasMeasure(
        "rank_distance",
        rank_distance,
        "0 to pool size",
        "low",
        "Number of ranks between the first and the last relevant passage.",
        "Grows with the pool and with weak retrieval in general: compare on one pool, beside mAP.",
        "arXiv:2408.10536",
        "max rank(R(q)) - min rank(R(q))",
    ),
    BiasMeasure(
        "relative_rank_distance",
        relative_rank_distance,
        "0 to 1",
        "low",
        "Rank distance as a share of the pool.",
        "Grows with weak retrieval in general.",
        "Mixling",
        "rank distance / pool size",
    ),
]
