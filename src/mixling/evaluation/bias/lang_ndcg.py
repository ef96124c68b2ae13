"""Lang-nDCG: the own language first among equals (MLAIRE, arXiv:2605.07249; this formula is ours).

nDCG@k with gain 2 for a relevant candidate in the query's language, 1 for one elsewhere, 0 otherwise
"""

import numpy as np

from mixling.evaluation.bias.pool import BiasMeasure, MultilingualPool
from mixling.evaluation.metrics import ndcg


def lang_ndcg(pool: MultilingualPool, k: int = 10) -> np.ndarray:
    """0 to 1."""
    return ndcg(k)(pool.rank, pool.query, pool.n_queries, np.where(pool.same_language, 2.0, 1.0))


MEASURES = [
    BiasMeasure(
        "Lang-nDCG@10",
        lang_ndcg,
        "0 to 1",
        "high",
        "How good the first ten are for a reader who counts an answer in the own language twice.",
        "High for a retriever that finds the own language only, where few others are relevant.",
        "arXiv:2605.07249, our formula",
    )
]
