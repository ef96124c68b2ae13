"""Fairness at query time: lists of each language put together so that language decides less, or nothing.

All ways take the best passages of each language, with their scores and with the score that the mean passage of the language
has for the question (its level). A retriever that prefers the question's language does so by that level.

none        by score, whatever it prefers
centred     by score less the language's level
balanced    the languages in turn, each by its own order; whose best is best by centred score comes first
own-first   centred, but among equally good answers the question's own language first; equally good: within a share of the
            best answer's centred score
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mixling.errors import choose

MODES = ("own-first", "centred", "balanced", "none")
EQUAL = 0.1


def order(
    languages: Sequence[str],
    scores: np.ndarray,
    levels: Mapping[str, float],
    mode: str = "own-first",
    own: str | None = None,
    equal: float = EQUAL,
    quotas: Mapping[str, int] | None = None,
) -> np.ndarray:
    """The places of candidates in their new order, int64 [n].

    languages, scores: [n], best first within each language; levels: of each language; own: the question's language;
    equal: see above; quotas: at most so many of a language, after which the others go on.
    """
    choose(mode, MODES, "fairness")
    scores = np.asarray(scores, np.float64)
    centred = scores - np.array([levels.get(x, 0.0) for x in languages])
    if mode == "none":
        found = np.argsort(-scores, kind="stable")
    elif mode == "centred":
        found = np.argsort(-centred, kind="stable")
    elif mode == "balanced":
        found = _in_turn(languages, centred)
    else:
        found = _own_first(languages, centred, own, equal)
    if quotas:
        kept, used = [], dict.fromkeys(quotas, 0)
        for i in found:
            code = languages[i]
            if code in quotas:
                if used[code] == quotas[code]:
                    continue
                used[code] += 1
            kept.append(i)
        found = np.array(kept, np.int64)
    return found.astype(np.int64)


def _in_turn(languages: Sequence[str], centred: np.ndarray) -> np.ndarray:
    turn = np.zeros(len(centred), np.int64)
    seen: dict[str, int] = {}
    for i in np.argsort(-centred, kind="stable"):
        turn[i] = seen.get(languages[i], 0)
        seen[languages[i]] = turn[i] + 1
    return np.lexsort((-centred, turn))


def _own_first(languages: Sequence[str], centred: np.ndarray, own: str | None, equal: float) -> np.ndarray:
    """Bands from the top, each as wide as a share of the best centred score; within a band the own language first."""
    by_score = np.argsort(-centred, kind="stable")
    if own is None or not len(by_score):
        return by_score
    width = equal * abs(centred[by_score[0]])
    band, top = np.zeros(len(centred), np.int64), centred[by_score[0]]
    number = 0
    for i in by_score:
        if centred[i] < top - width:
            number, top = number + 1, centred[i]
        band[i] = number
    foreign = np.array([x != own for x in languages])
    return np.lexsort((-centred, foreign, band))
