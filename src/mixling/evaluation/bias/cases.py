"""Four cases of the first answer (MLAIRE, arXiv:2605.07249).

The first answer is right or wrong, and in the query's language or in another one.
"""

from functools import partial

import numpy as np

from mixling.evaluation.bias.pool import BiasMeasure, MultilingualPool


def first_answer_case(right: bool, same_language: bool, pool: MultilingualPool) -> np.ndarray:
    """Mark the queries whose first answer belongs to one of the four cases.

    The four cases of a query add up to 1.

    Args:
        right: Whether the first answer must be relevant.
        same_language: Whether it must be in the query's language.
        pool: Ranks in the multilingual pool.

    Returns:
        float64 `[n_queries]`, 0 or 1.
    """
    is_right, is_same = pool.top_grade[:, 0] > 0, pool.top_same_language[:, 0]
    return np.where((is_right == right) & (is_same == same_language), 1.0, 0.0)


_CASES = {
    (True, True): "the right answer in the query's language",
    (True, False): "the right answer in another language",
    (False, True): "a wrong answer in the query's language",
    (False, False): "a wrong answer in another language",
}
MEASURES = [
    BiasMeasure(
        f"first_{'right' if right else 'wrong'}_{'same' if same else 'other'}_language",
        partial(first_answer_case, right, same),
        "0 to 1",
        "high" if right else "low",
        f"Share of queries whose first answer is {case}.",
        "Ignores every answer after the first.",
        "arXiv:2605.07249",
        f"1 if the first answer is {case}, else 0",
    )
    for (right, same), case in _CASES.items()
]
