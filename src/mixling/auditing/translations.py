"""Finds translations in a pool by its vectors alone.

Each language's mean is subtracted from its vectors first: otherwise all scores of some encoders lie
between .7 and .9, and no score stands out. Two passages of different languages are taken for
translations of each other when each is the other's nearest neighbor in its language, and when
their score stands out among their neighbors:

    margin(x, y) = 2 s(x, y) / (mean of the k best s(x, .) + mean of the k best s(., y)) >= 1.2

(the ratio of Artetxe and Schwenk 2019, k = 4). The precision is estimated by cycle consistency.
Where x is linked to y and to z in a third language, and y has a link into z's language, then that
link should lead to z. If a link is right with probability p, independently of the others, that
happens at a rate of about p^3; hence p = rate^(1/3). Errors that agree with each other, such as
several pages of one subject, are not seen by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from mixling.transforms.transforms import normalize

NEIGHBORS = 4
MARGIN = 1.2
MIN_CYCLES = 30  # fewer cycles give no estimate
MAX_PASSAGES = 3000  # of a language


@dataclass(frozen=True)
class FoundTranslations:
    """Translations that were found.

    Args:
        groups: int64 `[n]`, a number for the group of each passage of the pool.
        pairs: int64 `[links, 2]`, rows of the pool.
        cycles: Cycles over three languages that could be checked.
        precision: Estimate of the share of right links; NaN with fewer than `MIN_CYCLES` cycles.
    """

    groups: np.ndarray
    pairs: np.ndarray
    cycles: int
    precision: float


def find_translations(
    vectors: np.ndarray, languages: np.ndarray, codes: list[str], margin: float = MARGIN
) -> FoundTranslations:
    """Find translations.

    Args:
        vectors: float32 `[n, dim]`, rows of length one.
        languages: str `[n]`.
        codes: The languages to compare.
        margin: Least margin of a link.

    Returns:
        The groups; a passage without a translation is alone in its group.
    """
    rows = {code: np.flatnonzero(languages == code)[:MAX_PASSAGES] for code in codes}
    vectors = _centered(vectors, languages)
    link: dict[tuple[str, str], np.ndarray] = {}  # for each passage of the pool its partner, or -1
    for a, b in combinations(codes, 2):
        link[a, b], link[b, a] = np.full((2, len(vectors)), -1)
        if min(len(rows[a]), len(rows[b])) <= NEIGHBORS:
            continue
        scores = vectors[rows[a]] @ vectors[rows[b]].T
        there, back = scores.argmax(1), scores.argmax(0)
        near_a = np.partition(scores, -NEIGHBORS, axis=1)[:, -NEIGHBORS:].mean(1)
        near_b = np.partition(scores, -NEIGHBORS, axis=0)[-NEIGHBORS:].mean(0)
        i = np.arange(len(scores))
        ratio = 2 * scores[i, there] / np.maximum(near_a + near_b[there], 1e-9)
        found = (back[there] == i) & (ratio >= margin)
        x, y = rows[a][found], rows[b][there[found]]
        link[a, b][x], link[b, a][y] = y, x
    cycles, closed = _count_cycles(link, codes)
    rate = closed / cycles if cycles >= MIN_CYCLES else float("nan")
    pairs = [
        (int(x), int(link[a, b][x]))
        for a, b in combinations(codes, 2)
        for x in np.flatnonzero(link[a, b] >= 0)
    ]
    return FoundTranslations(
        _components(len(vectors), languages, pairs),
        np.array(pairs, np.int64).reshape(-1, 2),
        cycles,
        rate ** (1 / 3),
    )


def _centered(vectors: np.ndarray, languages: np.ndarray) -> np.ndarray:
    """Subtract the mean of each language, and scale to length one."""
    centered = np.array(vectors, np.float32)
    for code in np.unique(languages):
        centered[languages == code] -= centered[languages == code].mean(0)
    return normalize(centered).astype(np.float32)


def _count_cycles(link: dict[tuple[str, str], np.ndarray], codes: list[str]) -> tuple[int, int]:
    """Return how many cycles over three languages could close, and how many do."""
    cycles = closed = 0
    for a, b, c in combinations(codes, 3):
        for x, y, z in ((a, b, c), (b, c, a), (c, a, b)):
            start = np.flatnonzero((link[x, y] >= 0) & (link[x, z] >= 0))
            onward = link[y, z][link[x, y][start]]
            cycles += int((onward >= 0).sum())
            closed += int((onward[onward >= 0] == link[x, z][start][onward >= 0]).sum())
    return cycles, closed


def _components(n: int, languages: np.ndarray, pairs: list[tuple[int, int]]) -> np.ndarray:
    """Join linked passages, as long as no group gets two passages of a language."""
    parent = list(range(n))
    held = [{str(x)} for x in languages]

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for x, y in pairs:
        a, b = root(x), root(y)
        if a != b and not held[a] & held[b]:
            parent[b] = a
            held[a] |= held[b]
    return np.array([root(i) for i in range(n)], np.int64)
