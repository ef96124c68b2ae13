"""Lang-nDCG: nDCG that prefers the query's language among relevant passages.

Source: MLAIRE (arXiv:2605.07249), which describes it in words; this formula is Mixling's.

    nDCG@k with gain 2 for a relevant passage in the query's language, 1 for one in another
    language, 0 otherwise
"""

import numpy as np

from mixling.evaluation.bias.pool import BiasMeasure, MultilingualPool
from mixling.evaluation.metrics import ndcg


def lang_ndcg(pool: MultilingualPool, k: int = 10) -> np.ndarray:
    """Compute Lang-nDCG@k of every query.

    Args:
        pool: Ranks in the multilingual pool.
        k: Depth.

    Returns:
        float64 `[n_queries]`, 0 to 1.
    """
    return ndcg(k)(pool.rank, pool.query, pool.n_queries, np.where(pool.same_language, 2.0, 1.0))


MEASURES = [
    BiasMeasure(
        "Lang-nDCG@10",
        lang_ndcg,
        "0 to 1",
        "high",
        "nDCG@10 for a reader who values an answer in the query's language twice as much.",
        "Is high for a retriever that finds the query's language alone, where few other passages "
        "are relevant.",
        "arXiv:2605.07249, our formula",
        "nDCG@k with gain 2 for a relevant passage in the query's language, 1 in another one",
    )
]
