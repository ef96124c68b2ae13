"""Which kind (or language) a step has, and how many steps before it had the same: both without visiting them.

`Even` spreads shares as evenly as whole steps allow: after any number of steps each of two kinds has had
its share to half a step, each of many languages to about one. `Tosses` is the paper's coin for each step, made
so that the count of earlier heads is known: the number of heads in 2^40 steps is drawn once and split in halves
down to the step (hypergeometric), which has the law of independent tosses.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from mixling.batches.permutation import mix


class Interleaving(Protocol):
    """at(n) -> (choice at n, how often it was chosen before n)."""

    def at(self, n: int) -> tuple[int, int]: ...


class EvenInterleaving:
    """Even interleaving: choices are halved by weight, and each half takes step n when floor(n p + 1/2) grows."""

    def __init__(self, shares: list[float]):
        self.total = np.concatenate([[0.0], np.cumsum(np.asarray(shares, float) / np.sum(shares))])

    def at(self, n: int) -> tuple[int, int]:
        low, high = 0, len(self.total) - 1
        while high - low > 1:
            bottom, top = self.total[low], self.total[high]
            middle = low + 1 + int(np.argmin(abs(self.total[low + 1 : high] - (bottom + top) / 2)))
            share = (self.total[middle] - bottom) / (top - bottom)
            before = int(np.floor(n * share + 0.5))
            if int(np.floor((n + 1) * share + 0.5)) > before:
                high, n = middle, before
            else:
                low, n = middle, n - before
        return low, n


class RandomInterleaving:
    """Independent draws with given shares (arXiv:2408.10536: mono with probability alpha)."""

    depth = 40

    def __init__(self, shares: list[float], key: int):
        self.shares = np.asarray(shares, float) / np.sum(shares)
        self.key = key

    def at(self, n: int) -> tuple[int, int]:
        before = np.zeros(len(self.shares), np.int64)
        size = 1 << self.depth
        count = self._generator(0, 0).multinomial(size, self.shares)
        for level in range(1, self.depth + 1):
            size //= 2
            block = n >> (self.depth - level)
            left = self._split(count, size, level, block >> 1)
            if block & 1:
                before, count = before + left, count - left
            else:
                count = left
        choice = int(np.argmax(count))
        return choice, int(before[choice])

    def _split(self, count: np.ndarray, half: int, level: int, parent: int) -> np.ndarray:
        """How many of each choice fall into the left half: multivariate hypergeometric, choice by choice."""
        generator, left, room, total = self._generator(level, parent), [], half, 2 * half
        for c in count:
            got = _hypergeometric(generator, int(c), total - int(c), room)
            left.append(got)
            room, total = room - got, total - int(c)
        return np.array(left, np.int64)

    def _generator(self, level: int, block: int) -> np.random.Generator:
        return np.random.Generator(np.random.Philox(key=int(mix(self.key, level, block))))


def _hypergeometric(generator: np.random.Generator, good: int, bad: int, sample: int) -> int:
    """numpy refuses populations of a billion; there the normal law is exact to far less than one step."""
    if good + bad < 1_000_000_000:
        return int(generator.hypergeometric(good, bad, sample)) if sample else 0
    total = good + bad
    mean = sample * good / total
    spread = (mean * (bad / total) * (total - sample) / (total - 1)) ** 0.5
    return int(
        np.clip(
            round(mean + spread * generator.standard_normal()),
            max(0, sample - bad),
            min(good, sample),
        )
    )
