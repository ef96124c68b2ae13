"""Four cases of the first answer (MLAIRE, arXiv:2605.07249): content right or wrong, own language or another."""

from functools import partial

import numpy as np

from mixling.evaluation.bias.pool import BiasMeasure, MultilingualPool


def case(right: bool, own: bool, pool: MultilingualPool) -> np.ndarray:
    """0 or 1: the first answer is of this case. The four add up to 1."""
    same = ((pool.top_grade[:, 0] > 0) == right) & (pool.top_same_language[:, 0] == own)
    return same.astype(float)


_SAYS = {
    (True, True): "the right answer in the question's language",
    (True, False): "the right answer in another language",
    (False, True): "a wrong answer in the question's language",
    (False, False): "a wrong answer in another language",
}
MEASURES = [
    BiasMeasure(
        f"first_{'right' if right else 'wrong'}_{'same' if own else 'other'}_language",
        partial(case, right, own),
        "0 to 1",
        "high" if right else "low",
        f"So often the first answer is {says}.",
        "Says nothing of the second answer.",
        "arXiv:2605.07249",
    )
    for (right, own), says in _SAYS.items()
]
