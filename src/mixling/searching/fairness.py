"""Fairness at query time: lists of each language put together so that language decides less, or nothing.

All ways take the best passages of each language, with their scores and with the score that the mean passage of the language
has for the question (its level). A retriever that prefers the question's language does so by that level. The mean of a language of
few passages is shrunk towards that of all (`shrunk`).

none        by score, whatever it prefers
centered     by score less the language's level
balanced    the languages in turn, each by its own order; whose best is best by centered score comes first
query-language-first   centered, but among equally good answers the question's own language first; equally good: within a share of the
            best answer's centered score
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mixling.corpora.languages import base
from mixling.errors import choose

SHRINKAGE = 20  # passages at which a language's own mean and that of all have the same weight
NO_LANGUAGE = ("zxx", "und", "mis", "mul")
ORDERS = ("query-language-first", "centered", "balanced", "none")
EQUAL = 0.1


def shrunk(
    means: Mapping[str, Sequence[float]], counts: Mapping[str, int], c: float = SHRINKAGE
) -> dict[str, np.ndarray]:
    """The mean vector of each language as its level is computed from it: float32 [d] each.

    n / (n + c) · mean + c / (n + c) · mean of all passages, with n passages of the language (empirical Bayes, the posterior mean
    under a normal prior whose variance is 1 / c of a passage's). The mean of a few passages is mostly those passages: one that is
    alone would score exactly its language's level for every question. At 1,000 passages 98 % of the mean is the language's own.
    Tags that name no language (zxx, und, mis, mul) have the mean of all.

    means: of the passages of each language, [d] each; counts: passages of each; where one has none (a store that does not say),
    the means stay as they are.
    """
    own = {x: np.array(m, np.float32) for x, m in means.items()}
    n = {x: float(counts.get(x, 0)) for x in own}
    if not own or not all(n.values()):
        return own
    total = sum(n.values())
    everything = np.sum([n[x] / total * own[x].astype(np.float64) for x in own], axis=0)
    weight = {x: 0.0 if base(x) in NO_LANGUAGE else n[x] / (n[x] + c) for x in own}
    return {x: (weight[x] * m + (1 - weight[x]) * everything).astype(np.float32) for x, m in own.items()}


def order_passages(
    languages: Sequence[str],
    scores: np.ndarray,
    levels: Mapping[str, float],
    mode: str = "query-language-first",
    own: str | None = None,
    equal: float = EQUAL,
    quotas: Mapping[str, int] | None = None,
) -> np.ndarray:
    """The places of candidates in their new order, int64 [n].

    languages, scores: [n], best first within each language; levels: of each language; own: the question's language;
    equal: see above; quotas: at most so many of a language, after which the others go on.
    """
    choose(mode, ORDERS, "fairness")
    scores = np.asarray(scores, np.float64)
    centered = scores - np.array([levels.get(x, 0.0) for x in languages])
    if mode == "none":
        found = np.argsort(-scores, kind="stable")
    elif mode == "centered":
        found = np.argsort(-centered, kind="stable")
    elif mode == "balanced":
        found = _in_turn(languages, centered)
    else:
        found = _own_first(languages, centered, own, equal)
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


def _in_turn(languages: Sequence[str], centered: np.ndarray) -> np.ndarray:
    turn = np.zeros(len(centered), np.int64)
    seen: dict[str, int] = {}
    for i in np.argsort(-centered, kind="stable"):
        turn[i] = seen.get(languages[i], 0)
        seen[languages[i]] = turn[i] + 1
    return np.lexsort((-centered, turn))


def _own_first(languages: Sequence[str], centered: np.ndarray, own: str | None, equal: float) -> np.ndarray:
    """Bands from the top, each as wide as a share of the best centered score; within a band the own language first."""
    by_score = np.argsort(-centered, kind="stable")
    if own is None or not len(by_score):
        return by_score
    width = equal * abs(centered[by_score[0]])
    band, top = np.zeros(len(centered), np.int64), centered[by_score[0]]
    number = 0
    for i in by_score:
        if centered[i] < top - width:
            number, top = number + 1, centered[i]
        band[i] = number
    foreign = np.array([x != own for x in languages])
    return np.lexsort((-centered, foreign, band))
