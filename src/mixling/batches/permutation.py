"""Keyed permutations and hashes: randomness that is computed where it is needed.

A generator would have to draw all numbers in order. Here entry i of a permutation of a million
costs as much as entry 0. All arithmetic is on 64-bit integers, so that it is the same on every
machine.
"""

from __future__ import annotations

from typing import Any

import numpy as np

# the increment and the multipliers of SplitMix64 (Steele, Lea and Flood 2014)
_A, _B, _C = (
    np.uint64(0x9E3779B97F4A7C15),
    np.uint64(0xBF58476D1CE4E5B9),
    np.uint64(0x94D049BB133111EB),
)


def mix(*parts: int | np.ndarray) -> np.ndarray:
    """Hash integers to 64 bits by the finalizer of SplitMix64, chained over the parts.

    Args:
        parts: Integers, or integer arrays whose shapes broadcast. Each is taken modulo 2^64.

    Returns:
        uint64 of the broadcast shape; one number if all parts are numbers.
    """
    h: Any = np.zeros(1, np.uint64)  # an array: those wrap silently, single numbers warn
    for part in parts:
        h = _mix_one(h, np.asarray(part).astype(np.uint64))
    result: np.ndarray = h[0] if all(np.ndim(part) == 0 for part in parts) else np.asarray(h)
    return result


def _mix_one(h: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Hash `h` with one more part: one link of the chain."""
    h = (h ^ part) + _A
    h = (h ^ (h >> np.uint64(30))) * _B
    h = (h ^ (h >> np.uint64(27))) * _C
    result: np.ndarray = h ^ (h >> np.uint64(31))
    return result


def uniform(*parts: int | np.ndarray) -> np.ndarray:
    """Hash integers to float64 in [0, 1), as `mix` does.

    A float64 has 53 bits of precision, so the upper 53 bits of the hash are used.
    """
    return (mix(*parts) >> np.uint64(11)).astype(np.float64) / float(1 << 53)


def pick_column(available: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Pick one of the true columns of each row by its hash.

    Args:
        available: bool `[n, columns]`, with at least one true column in each row.
        key: Hashes, uint64 `[n]`.

    Returns:
        The column of each row, int64 `[n]`.
    """
    nth = (key % available.sum(1).astype(np.uint64)).astype(np.int64)
    column: np.ndarray = (available.cumsum(1) > nth[:, None]).argmax(1)
    return column


def permute(index: np.ndarray, n: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Return entries of keyed permutations of 0 … n-1.

    A Feistel network of four rounds permutes the numbers of an even count of bits. The smallest
    such domain that holds n is used, and a value outside 0 … n-1 is permuted again until it falls
    inside (cycle walking). The domain has less than 4 n numbers, so that fewer than four walks are
    expected.

    Args:
        index: Which entry of the permutation, int64 `[k]`, 0 <= index < n.
        n: Length of the permutation, int64 `[k]` or one number.
        key: Which permutation, uint64 `[k]` or one number.

    Returns:
        The entries, int64 `[k]`.
    """
    index, n = np.broadcast_arrays(np.asarray(index, np.int64), np.asarray(n, np.int64))
    key = np.broadcast_to(np.asarray(key, np.uint64), index.shape)
    half = np.maximum((np.ceil(np.log2(np.maximum(n, 2))).astype(np.int64) + 1) // 2, 1).astype(
        np.uint64
    )
    value = index.astype(np.uint64)
    # mix(key, round, right) of each of the four rounds, up to `right`: the same for every walk
    keys = _mix_one(
        _mix_one(np.zeros(1, np.uint64), key)[None, :], np.arange(4, dtype=np.uint64)[:, None]
    )
    todo = np.arange(value.size)
    while todo.size:
        value[todo] = _feistel(value[todo], half[todo], keys[:, todo])
        todo = todo[value[todo].astype(np.int64) >= n[todo]]
    return value.astype(np.int64)


def _feistel(value: np.ndarray, half: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Permute values of 2 * `half` bits: each round swaps the halves and masks one by a hash."""
    mask = (np.uint64(1) << half) - np.uint64(1)
    left, right = value >> half, value & mask
    for key in keys:
        left, right = right, left ^ (_mix_one(key, right) & mask)
    result: np.ndarray = (left << half) | right
    return result
