"""Keyed permutations and hashes: randomness that is computed where it is needed, not drawn in order.

`permute` is a four-round Feistel network over the smallest even-bit domain that holds n, walked until the
value falls below n (cycle walking), so entry i of a permutation of a million costs the same as entry 0.
All arithmetic is on 64-bit integers: the same on every machine.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_A, _B, _C = (
    np.uint64(0x9E3779B97F4A7C15),
    np.uint64(0xBF58476D1CE4E5B9),
    np.uint64(0x94D049BB133111EB),
)


def mix(*parts: int | np.ndarray) -> np.ndarray:
    """A 64-bit hash of integers, elementwise over arrays (the finaliser of SplitMix64, chained)."""
    h: Any = np.zeros(1, np.uint64)  # an array: those wrap silently, single numbers warn
    for part in parts:
        h = _mixed(h, np.asarray(part).astype(np.uint64))
    return h[0] if all(np.ndim(part) == 0 for part in parts) else np.asarray(h)


def _mixed(h: np.ndarray, part: np.ndarray) -> np.ndarray:
    """One link of the chain: hash h with one more part."""
    h = (h ^ part) + _A
    h = (h ^ (h >> np.uint64(30))) * _B
    h = (h ^ (h >> np.uint64(27))) * _C
    return h ^ (h >> np.uint64(31))


def uniform(*parts: int | np.ndarray) -> np.ndarray:
    """A hash as a float64 in [0, 1)."""
    return (mix(*parts) >> np.uint64(11)).astype(np.float64) / float(1 << 53)


def pick_column(there: np.ndarray, key: np.ndarray) -> np.ndarray:
    """One of the true places of each row, by hash: int64 [n] from bool [n, l], each with one at least, and uint64 [n]."""
    nth = (key % there.sum(1).astype(np.uint64)).astype(np.int64)
    return (there.cumsum(1) > nth[:, None]).argmax(1)


def permute(index: np.ndarray, n: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Entry `index` of the permutation of 0 … n-1 that `key` names.

    index, n: int64 [k], 0 <= index < n; key: uint64 [k]. Returns int64 [k].
    """
    index, n = np.broadcast_arrays(np.asarray(index, np.int64), np.asarray(n, np.int64))
    key = np.broadcast_to(np.asarray(key, np.uint64), index.shape)
    half = np.maximum((np.ceil(np.log2(np.maximum(n, 2))).astype(np.int64) + 1) // 2, 1).astype(
        np.uint64
    )
    value = index.astype(np.uint64)
    # mix(key, turn, right) of each of the four turns, up to `right`: the same for every walk
    keys = _mixed(
        _mixed(np.zeros(1, np.uint64), key)[None, :], np.arange(4, dtype=np.uint64)[:, None]
    )
    todo = np.arange(value.size)
    while todo.size:
        value[todo] = _feistel(value[todo], half[todo], keys[:, todo])
        todo = todo[value[todo].astype(np.int64) >= n[todo]]
    return value.astype(np.int64)


def _feistel(value: np.ndarray, half: np.ndarray, keys: np.ndarray) -> np.ndarray:
    mask = (np.uint64(1) << half) - np.uint64(1)
    left, right = value >> half, value & mask
    for key in keys:
        left, right = right, left ^ (_mixed(key, right) & mask)
    return (left << half) | right
