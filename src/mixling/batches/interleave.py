"""Interleaving: which choice step n takes, and how often that choice was taken before step n.

A choice is a batch type, or a stratum of one. Both answers are computed without visiting earlier
steps, so that a resumed run needs no replay.

`EvenInterleaving` spreads the shares as evenly as whole steps allow: after any number of steps,
each of two choices has had its share to half a step, and each of many languages to about one step.
`RandomInterleaving` draws every step independently, as the paper does.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from mixling.batches.permutation import mix


class Interleaving(Protocol):
    """A sequence of choices that can be read at any step."""

    def at(self, n: int) -> tuple[int, int]:
        """Return the choice at step `n` and how many earlier steps took the same choice."""
        ...


class EvenInterleaving:
    """Take every choice as evenly as its share allows.

    Args:
        shares: The share of each choice, positive; they are scaled to sum to 1.
    """

    def __init__(self, shares: list[float]):
        self.total = np.concatenate([[0.0], np.cumsum(np.asarray(shares, float) / np.sum(shares))])

    def at(self, n: int) -> tuple[int, int]:
        """Return the choice at step `n` and how many earlier steps took it.

        The choices are halved by weight until one is left. The upper half, of share p, takes step n
        when floor(n p + 1/2) grows from n to n + 1. So after n steps it has had floor(n p + 1/2) of
        them, which is its share to half a step, and the lower half has had the rest: both counts
        are step numbers within the halves, and the search goes on there.
        """
        low, high = 0, len(self.total) - 1
        while high - low > 1:
            bottom, top = self.total[low], self.total[high]
            middle = low + 1 + int(np.argmin(abs(self.total[low + 1 : high] - (bottom + top) / 2)))
            share = (self.total[middle] - bottom) / (top - bottom)
            count = int(np.floor(n * share + 0.5))
            if int(np.floor((n + 1) * share + 0.5)) > count:
                high, n = middle, count
            else:
                low, n = middle, n - count
        return low, n


class RandomInterleaving:
    """Draw every step independently (arXiv:2408.10536: monolingual with probability alpha).

    The counts before a step are known without a walk: the number of times that each choice comes in
    2^40 steps is drawn once (multinomial) and split in halves down to the step (hypergeometric).
    Given the total, a half of independent draws has exactly this law, so the steps are independent.

    Args:
        shares: The share of each choice; they are scaled to sum to 1.
        key: The seed of the draws.
    """

    depth = 40

    def __init__(self, shares: list[float], key: int):
        self.shares = np.asarray(shares, float) / np.sum(shares)
        self.key = key

    def at(self, n: int) -> tuple[int, int]:
        """Return the choice at step `n` and how many earlier steps took it."""
        before = np.zeros(len(self.shares), np.int64)
        size = 1 << self.depth
        count = self._generator(0, 0).multinomial(size, self.shares)
        for layer in range(1, self.depth + 1):
            size //= 2
            node = n >> (self.depth - layer)  # the part of the 2^40 steps that holds n
            left = self._split(count, size, layer, node >> 1)
            if node & 1:
                before, count = before + left, count - left
            else:
                count = left
        choice = int(np.argmax(count))  # one step is left: one count is 1, the others are 0
        return choice, int(before[choice])

    def _split(self, count: np.ndarray, half: int, layer: int, parent: int) -> np.ndarray:
        """Draw how many of each choice fall into the left half.

        The multivariate hypergeometric law is drawn choice by choice, each from what is left.
        """
        generator, left, room, total = self._generator(layer, parent), [], half, 2 * half
        for c in count:
            drawn = _hypergeometric(generator, int(c), total - int(c), room)
            left.append(drawn)
            room, total = room - drawn, total - int(c)
        return np.array(left, np.int64)

    def _generator(self, layer: int, node: int) -> np.random.Generator:
        return np.random.Generator(np.random.Philox(key=int(mix(self.key, layer, node))))


def _hypergeometric(generator: np.random.Generator, good: int, bad: int, sample: int) -> int:
    """Draw how many of `sample` items are good.

    NumPy refuses populations of a billion. There the normal law of the same mean and variance is
    exact to far less than one step.
    """
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
