"""Rank distance: largest less smallest rank of a query's relevant candidates (arXiv:2408.10536, section 4.1).

distance(q) = max rank(R(q)) - min rank(R(q)); relative: both ranks divided by the pool's size
"""

import numpy as np

from mixling.evaluation.bias.pool import BiasMeasure, MultilingualPool, nan_where_not


def distance(pool: MultilingualPool) -> np.ndarray:
    """0 to the pool's size less one; NaN for fewer than two relevant."""
    return nan_where_not(pool.count() >= 2, pool.worst() - pool.best(np.ones(len(pool.rank), bool)))


def relative(pool: MultilingualPool) -> np.ndarray:
    """0 to 1; comparable over pools of different size."""
    return distance(pool) / pool.size


MEASURES = [
    BiasMeasure(
        "rank_distance",
        distance,
        "0 to pool size",
        "low",
        "So many places lie between the first and the last of the right answers.",
        "Grows with the pool and with bad retrieval as such: compare on one pool, beside mAP.",
        "arXiv:2408.10536",
    ),
    BiasMeasure(
        "relative_rank_distance",
        relative,
        "0 to 1",
        "low",
        "The same as a share of the collection.",
        "Grows with bad retrieval as such.",
        "Mixling",
    ),
]
