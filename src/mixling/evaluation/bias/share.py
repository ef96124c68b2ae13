"""Share of the question's language among the first ten, above what would be fair.

share@10(q) - fair(q); fair: its share among the relevant, or among all candidates
"""

import numpy as np

from mixling.evaluation.bias.pool import Measure, Pool, where


def own(pool: Pool, k: int = 10) -> np.ndarray:
    """Share of the first k in the query's language."""
    return pool.top_own[:, :k].mean(1)


def over_relevant(pool: Pool, k: int = 10) -> np.ndarray:
    """Against the language's share among the relevant: -1 to 1."""
    fair = pool.count(pool.own) / np.maximum(pool.count(), 1)
    return where(pool.count() > 0, own(pool, k) - fair)


def over_pool(pool: Pool, k: int = 10) -> np.ndarray:
    """Against the language's share among all candidates: -1 to 1."""
    there = np.bincount(pool.candidate_language, minlength=pool.languages) / pool.size
    return own(pool, k) - there[pool.query_language]


MEASURES = [
    Measure(
        "own_share@10_over_relevant",
        over_relevant,
        "-1 to 1, 0 is fair",
        "",
        "The question's language takes this much more of the first ten than of the right answers.",
        "A fair share of ten wrong answers is still wrong.",
        "Mixling",
    ),
    Measure(
        "own_share@10_over_pool",
        over_pool,
        "-1 to 1, 0 is fair",
        "",
        "The question's language takes this much more of the first ten than of the collection.",
        "Right answers need not be spread as the collection is.",
        "Mixling",
    ),
]
