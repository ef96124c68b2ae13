"""Recall of the right answers in other languages: TLR@k of SHIFT (arXiv:2606.18801).

TLR@k(q) = |{relevant not in l_q with rank <= k}| / |relevant not in l_q|
"""

from functools import partial

import numpy as np

from mixling.evaluation.bias.pool import BiasMeasure, MultilingualPool, nan_where_not


def other_language_recall(k: int, pool: MultilingualPool) -> np.ndarray:
    """0 to 1; NaN for queries without a relevant candidate in another language."""
    there = pool.count(~pool.same_language)
    return nan_where_not(
        there > 0, pool.count(~pool.same_language & (pool.rank <= k)) / np.maximum(there, 1)
    )


MEASURES = [
    BiasMeasure(
        f"TLR@{k}",
        partial(other_language_recall, k),
        "0 to 1",
        "high",
        f"This share of the right answers in other languages stands among the first {k}.",
        f"Cannot reach 1 with more than {k} of them.",
        "arXiv:2606.18801",
    )
    for k in (10, 20)
]
