"""Ranks of all translations of the answer: Max@R and Complete@k (arXiv:2604.05684).

With R(q) the relevant passages of a query:

    Max@R(q) = max rank(R(q))
    Complete@k(q) = 1 if Max@R(q) <= k, else 0
"""

from functools import partial

import numpy as np

from mixling.evaluation.bias.pool import BiasMeasure, MultilingualPool


def complete(k: int, pool: MultilingualPool) -> np.ndarray:
    """Mark the queries whose relevant passages all stand among the first `k`.

    Args:
        k: Depth.
        pool: Ranks in the multilingual pool.

    Returns:
        float64 `[n_queries]`, 0 or 1.
    """
    return (pool.worst() <= k).astype(float)


MEASURES = [
    BiasMeasure(
        "Max@R",
        lambda pool: pool.worst(),
        "1 to pool size",
        "low",
        "Rank of the last relevant passage.",
        "One missing translation decides it.",
        "arXiv:2604.05684",
        "max rank(R(q))",
    ),
    *(
        BiasMeasure(
            f"Complete@{k}",
            partial(complete, k),
            "0 to 1",
            "high",
            f"Share of queries whose relevant passages all stand among the first {k}.",
            f"Is always 0 with more than {k} relevant passages.",
            "arXiv:2604.05684",
            "1 if Max@R <= k, else 0",
        )
        for k in (20, 100)
    ),
]
