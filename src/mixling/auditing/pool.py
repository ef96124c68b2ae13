"""The sample of a collection that an audit looks at, drawn in one pass.

Passages are drawn by a hash of their group (of their id where they have none): those whose hashes
are the lowest. So the draw is uniform over groups, keeps the translations of a text together, does
not depend on the order of the rows, and is the same in every run.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from mixling.errors import MixlingError, check_finite_vectors

UNKNOWN = "und"  # the tag of a text whose language is not known


@dataclass(frozen=True)
class Rows:
    """Some passages of a collection.

    Args:
        ids: Their ids.
        languages: BCP-47 tags, `UNKNOWN` where the language is not known.
        groups: Passages of one group are translations of each other; "" without a group.
        titles: Titles; "" without one.
        texts: Texts; "" where the source keeps none.
        vectors: float32 `[n, dim]`; None where nothing is encoded yet.
    """

    ids: list[str]
    languages: list[str]
    groups: list[str]
    titles: list[str]
    texts: list[str]
    vectors: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.ids)


@dataclass
class PoolSampler:
    """Counts the languages of a collection and draws a sample of it.

    Args:
        size: Passages of the sample at most. A group that does not fit as a whole is left out.
        normalized: Whether vectors are scaled to length one, for scores by cosine.
        source: Where the passages come from, for error messages.
        seed: Seed of the hash.

    Attributes:
        counts: Passages of each language.
        sums: Sum of the vectors of each language, float64 `[dim]`.
        zero: Vectors of length zero, which have no direction.
    """

    size: int
    normalized: bool = True
    source: str = "vectors"
    seed: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    sums: dict[str, np.ndarray] = field(default_factory=dict)
    zero: int = 0
    _rows: list[Rows] = field(default_factory=list)
    _keys: list[np.ndarray] = field(default_factory=list)
    _held: int = 0
    _highest: int = (1 << 64) - 1  # hash of a passage that may still belong to the sample
    _dimensions: int | None = None

    def add(self, rows: Rows) -> None:
        """Count some passages, and keep those that belong to the sample so far.

        Raises:
            MixlingError: The vectors have another size than those before.
            NotFiniteError: A vector holds NaN or infinity.
        """
        if not len(rows):
            return
        tags = np.array(rows.languages)
        vectors = None if rows.vectors is None else self._scaled(rows, rows.vectors)
        for tag in np.unique(tags).tolist():
            selected = tags == tag
            self.counts[tag] = self.counts.get(tag, 0) + int(selected.sum())
            if vectors is not None:
                self.sums[tag] = self.sums.get(tag, 0) + vectors[selected].sum(0, dtype=np.float64)
        keys = np.array(
            [self._key(group, name) for group, name in zip(rows.groups, rows.ids, strict=True)],
            np.uint64,
        )
        kept = np.flatnonzero(keys <= np.uint64(self._highest))
        if not len(kept):
            return
        self._rows.append(take(rows, kept, vectors))
        self._keys.append(keys[kept])
        self._held += len(kept)
        if self._held > 2 * self.size:
            self._trim()

    def sample(self) -> Rows:
        """Return the sample, in the order of its hashes.

        Raises:
            MixlingError: The collection holds no passages.
        """
        if not self._held:
            raise MixlingError(
                f"{self.source}: the collection holds no passages. Give a collection with passages."
            )
        self._trim()
        return self._rows[0]

    def means(self) -> dict[str, np.ndarray]:
        """Return the mean vector of all passages of each language, float64 `[dim]`."""
        return {tag: total / self.counts[tag] for tag, total in self.sums.items()}

    def _scaled(self, rows: Rows, vectors: np.ndarray) -> np.ndarray:
        vectors = np.asarray(vectors, np.float32)
        check_finite_vectors(vectors, partial(_name, rows), self.source)
        if self._dimensions not in (None, vectors.shape[1]):
            raise MixlingError(
                f"{self.source}: the vector of '{rows.ids[0]}' has {vectors.shape[1]} numbers, "
                f"but the vectors before it have {self._dimensions}. All vectors must come from "
                "one model."
            )
        self._dimensions = vectors.shape[1]
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        self.zero += int((length == 0).sum())
        return np.asarray(vectors / np.maximum(length, 1e-12)) if self.normalized else vectors

    def _key(self, group: str, name: str) -> int:
        content = f"{self.seed}\t{'group' if group else 'id'}\t{group or name}"
        return int.from_bytes(hashlib.blake2b(content.encode(), digest_size=8).digest(), "little")

    def _trim(self) -> None:
        """Keep the groups of the lowest hashes that fit."""
        rows, keys = concatenate(self._rows), np.concatenate(self._keys)
        order = np.lexsort((np.array(rows.ids), keys))  # passages of a group have one hash
        if len(order) > self.size:
            ordered = keys[order]
            first_out = ordered[self.size]  # its whole group is out
            fitting = int(np.searchsorted(ordered, first_out))
            order = order[: fitting or self.size]  # one group larger than the sample is cut
            self._highest = int(first_out) - 1 if fitting else int(first_out)
        self._rows, self._keys = [take(rows, order, rows.vectors)], [keys[order]]
        self._held = len(order)


def take(rows: Rows, places: np.ndarray, vectors: np.ndarray | None) -> Rows:
    """Return some of the passages.

    Args:
        rows: The passages.
        places: Their places, int64 `[m]`.
        vectors: The vectors to take from, float32 `[n, dim]`, or None.
    """
    chosen = places.tolist()

    def at(column: list[str]) -> list[str]:
        return [column[i] for i in chosen]

    return Rows(
        at(rows.ids),
        at(rows.languages),
        at(rows.groups),
        at(rows.titles),
        at(rows.texts),
        None if vectors is None else vectors[places],
    )


def concatenate(parts: list[Rows]) -> Rows:
    """Return several parts as one."""
    if len(parts) == 1:
        return parts[0]
    vectors = [part.vectors for part in parts if part.vectors is not None]
    return Rows(
        [x for part in parts for x in part.ids],
        [x for part in parts for x in part.languages],
        [x for part in parts for x in part.groups],
        [x for part in parts for x in part.titles],
        [x for part in parts for x in part.texts],
        np.concatenate(vectors) if vectors else None,
    )


def group_numbers(rows: Rows) -> np.ndarray:
    """Return a number for the group of each passage, int64 `[n]`; without a group its own."""
    names = [f"g{x}" if x else f"i{i}" for i, x in enumerate(rows.groups)]
    return np.unique(np.array(names), return_inverse=True)[1].astype(np.int64)


def _name(rows: Rows, row: int) -> str:
    return f"'{rows.ids[row]}'"
