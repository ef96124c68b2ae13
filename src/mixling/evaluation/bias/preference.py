"""How often the right answer in the query's language comes before those in other languages.

For queries with relevant passages both in their own language and in another one:

    LPR(q) = 1 if the best-ranked relevant passage is in the query's language, else 0
    preference(q) = LPR(q) - 1 / (number of languages with a relevant passage)

LPR follows MLAIRE (arXiv:2605.07249), which describes it in words; this formula is Mixling's.
"""

import numpy as np

from mixling.evaluation.bias.pool import BiasMeasure, MultilingualPool, nan_where_not


def eligible(pool: MultilingualPool) -> np.ndarray:
    """Mark the queries with relevant passages both in their language and in another one.

    Args:
        pool: Ranks in the multilingual pool.

    Returns:
        bool `[n_queries]`.
    """
    same, other = pool.count(pool.same_language), pool.count(~pool.same_language)
    return np.asarray((same > 0) & (other > 0))


def preference_rate(pool: MultilingualPool) -> np.ndarray:
    """Compute LPR of every query.

    Args:
        pool: Ranks in the multilingual pool.

    Returns:
        float64 `[n_queries]`, 0 or 1; NaN for queries that are not eligible, or whose list holds no
        relevant passage.
    """
    same, other = pool.best(pool.same_language), pool.best(~pool.same_language)
    ranked = np.isfinite(np.minimum(same, other))
    return nan_where_not(eligible(pool) & ranked, (same < other).astype(float))


def same_language_preference(pool: MultilingualPool) -> np.ndarray:
    """Subtract the rate of chance from LPR.

    Args:
        pool: Ranks in the multilingual pool.

    Returns:
        float64 `[n_queries]`, -1 to 1, 0 is chance; NaN for queries that are not eligible.
    """
    cells = np.unique(pool.query * pool.n_languages + pool.language)
    languages = np.bincount(cells // pool.n_languages, minlength=pool.n_queries)
    return preference_rate(pool) - 1 / np.maximum(languages, 1)


MEASURES = [
    BiasMeasure(
        "LPR",
        preference_rate,
        "0 to 1",
        "",
        "Share of queries whose first relevant passage is in the query's language.",
        "Is a preference among right answers: it is bias only where intrusion is high too.",
        "arXiv:2605.07249, our formula",
        "1 if the first relevant passage is in the query's language, else 0",
    ),
    BiasMeasure(
        "same_language_preference",
        same_language_preference,
        "-1 to 1, 0 is chance",
        "",
        "LPR minus the rate that chance would give.",
        "Is a preference, not an error.",
        "Mixling",
        "LPR - 1 / number of languages with a relevant passage",
    ),
]
