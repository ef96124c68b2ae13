"""Recall of the relevant passages in other languages: TLR@k of SHIFT (arXiv:2606.18801).

With l_q the language of query q:

    TLR@k(q) = |{relevant not in l_q with rank <= k}| / |relevant not in l_q|
"""

from functools import partial

import numpy as np

from mixling.evaluation.bias.pool import BiasMeasure, MultilingualPool, nan_where_not


def other_language_recall(k: int, pool: MultilingualPool) -> np.ndarray:
    """Compute TLR@k of every query.

    Args:
        k: Depth.
        pool: Ranks in the multilingual pool.

    Returns:
        float64 `[n_queries]`, 0 to 1; NaN for queries without a relevant passage in another
        language.
    """
    total = pool.count(~pool.same_language)
    retrieved = pool.count(~pool.same_language & (pool.rank <= k))
    return nan_where_not(total > 0, retrieved / np.maximum(total, 1))


MEASURES = [
    BiasMeasure(
        f"TLR@{k}",
        partial(other_language_recall, k),
        "0 to 1",
        "high",
        f"Share of the relevant passages in other languages that stand among the first {k}.",
        f"Cannot reach 1 with more than {k} of them.",
        "arXiv:2606.18801",
        "|{p in R_other(q): rank(p) <= k}| / |R_other(q)|",
    )
    for k in (10, 20)
]
