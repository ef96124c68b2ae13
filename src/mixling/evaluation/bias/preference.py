"""How often the right answer in the question's own language comes before those in others.

Over queries with relevant candidates in their own and in another language:

    LPR(q) = 1 if the best-ranked relevant one is in the query's language, else 0
    preference(q) = LPR(q) - 1 / (number of languages with a relevant one)

LPR after MLAIRE (arXiv:2605.07249), whose text states it in words; this formula is ours.
"""

import numpy as np

from mixling.evaluation.bias.pool import BiasMeasure, MultilingualPool, nan_where_not


def eligible(pool: MultilingualPool) -> np.ndarray:
    """bool [q]: relevant candidates in the query's language and in another."""
    return (pool.count(pool.same_language) > 0) & (pool.count(~pool.same_language) > 0)


def preference_rate(pool: MultilingualPool) -> np.ndarray:
    """0 or 1."""
    return nan_where_not(
        eligible(pool),
        (pool.best(pool.same_language) < pool.best(~pool.same_language)).astype(float),
    )


def preference(pool: MultilingualPool) -> np.ndarray:
    """-1 to 1; 0 is chance."""
    pairs = np.unique(pool.query * pool.n_languages + pool.language)
    languages = np.bincount(pairs // pool.n_languages, minlength=pool.n_queries)
    return preference_rate(pool) - 1 / np.maximum(languages, 1)


MEASURES = [
    BiasMeasure(
        "LPR",
        preference_rate,
        "0 to 1",
        "",
        "So often the first right answer is in the question's own language.",
        "What a reader wants among equals: bias only where intrusion is high too.",
        "arXiv:2605.07249, our formula",
    ),
    BiasMeasure(
        "same_language_preference",
        preference,
        "-1 to 1, 0 is chance",
        "",
        "The same, less what chance would give.",
        "A preference, not an error.",
        "Mixling",
    ),
]
