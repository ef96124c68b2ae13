"""Share of the query's language among the first ten, minus its fair share.

The fair share is the language's share of the relevant passages or of the pool:

    share@10(q) - fair(q)
"""

import numpy as np

from mixling.evaluation.bias.pool import BiasMeasure, MultilingualPool, nan_where_not


def same_language_share(pool: MultilingualPool, k: int = 10) -> np.ndarray:
    """Compute the share of the first k that is in the query's language.

    Args:
        pool: Ranks in the multilingual pool.
        k: Depth.

    Returns:
        float64 `[n_queries]`, 0 to 1; NaN for queries without any passage.
    """
    passages = (pool.top[:, :k] >= 0).sum(1)
    share = pool.top_same_language[:, :k].sum(1) / np.maximum(passages, 1)
    return nan_where_not(passages > 0, share)


def share_over_relevant(pool: MultilingualPool, k: int = 10) -> np.ndarray:
    """Subtract the language's share of the relevant passages.

    Args:
        pool: Ranks in the multilingual pool.
        k: Depth.

    Returns:
        float64 `[n_queries]`, -1 to 1; NaN for queries without a relevant passage.
    """
    fair = pool.count(pool.same_language) / np.maximum(pool.count(), 1)
    return nan_where_not(pool.count() > 0, same_language_share(pool, k) - fair)


def share_over_pool(pool: MultilingualPool, k: int = 10) -> np.ndarray:
    """Subtract the language's share of all passages.

    Args:
        pool: Ranks in the multilingual pool.
        k: Depth.

    Returns:
        float64 `[n_queries]`, -1 to 1.
    """
    fair = np.bincount(pool.passage_language, minlength=pool.n_languages) / pool.size
    return np.asarray(same_language_share(pool, k) - fair[pool.query_language])


MEASURES = [
    BiasMeasure(
        "same_language_share@10_over_relevant",
        share_over_relevant,
        "-1 to 1, 0 is fair",
        "",
        "Share of the query's language among the first ten, minus its share of the relevant "
        "passages.",
        "Is fair, too, if all ten answers are wrong.",
        "Mixling",
        "share of the query's language in the top k - its share of R(q)",
    ),
    BiasMeasure(
        "same_language_share@10_over_pool",
        share_over_pool,
        "-1 to 1, 0 is fair",
        "",
        "Share of the query's language among the first ten, minus its share of the pool.",
        "Relevant passages need not be spread as the pool is.",
        "Mixling",
        "share of the query's language in the top k - its share of the pool",
    ),
]
