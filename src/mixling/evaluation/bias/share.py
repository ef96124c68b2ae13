"""Share of the question's language among the first ten, above what would be fair.

share@10(q) - fair(q); fair: its share among the relevant, or among all candidates
"""

import numpy as np

from mixling.evaluation.bias.pool import BiasMeasure, MultilingualPool, nan_where_not


def same_language_share(pool: MultilingualPool, k: int = 10) -> np.ndarray:
    """Share of the first k in the query's language."""
    return pool.top_same_language[:, :k].mean(1)


def over_relevant(pool: MultilingualPool, k: int = 10) -> np.ndarray:
    """Against the language's share among the relevant: -1 to 1."""
    fair = pool.count(pool.same_language) / np.maximum(pool.count(), 1)
    return nan_where_not(pool.count() > 0, same_language_share(pool, k) - fair)


def over_pool(pool: MultilingualPool, k: int = 10) -> np.ndarray:
    """Against the language's share among all candidates: -1 to 1."""
    there = np.bincount(pool.passage_language, minlength=pool.n_languages) / pool.size
    return same_language_share(pool, k) - there[pool.query_language]


MEASURES = [
    BiasMeasure(
        "same_language_share@10_over_relevant",
        over_relevant,
        "-1 to 1, 0 is fair",
        "",
        "The question's language takes this much more of the first ten than of the right answers.",
        "A fair share of ten wrong answers is still wrong.",
        "Mixling",
    ),
    BiasMeasure(
        "same_language_share@10_over_pool",
        over_pool,
        "-1 to 1, 0 is fair",
        "",
        "The question's language takes this much more of the first ten than of the collection.",
        "Right answers need not be spread as the collection is.",
        "Mixling",
    ),
]
