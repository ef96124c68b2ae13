"""All translations of the answer at once: Max@R and Complete@k (arXiv:2604.05684).

Max@R(q) = max rank(R(q));  Complete@k(q) = 1 if Max@R(q) <= k, else 0
"""

from functools import partial

import numpy as np

from mixling.evaluation.bias.pool import BiasMeasure, MultilingualPool


def complete(k: int, pool: MultilingualPool) -> np.ndarray:
    """0 or 1."""
    return (pool.worst() <= k).astype(float)


MEASURES = [
    BiasMeasure(
        "Max@R",
        lambda pool: pool.worst(),
        "1 to pool size",
        "low",
        "So far down one must read to have seen every right answer.",
        "One missing translation decides it.",
        "arXiv:2604.05684",
    ),
    *(
        BiasMeasure(
            f"Complete@{k}",
            partial(complete, k),
            "0 to 1",
            "high",
            f"So often all right answers stand among the first {k}.",
            f"Always 0 with more than {k} right answers.",
            "arXiv:2604.05684",
        )
        for k in (20, 100)
    ),
]
