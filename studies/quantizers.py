"""Ways to store vectors in fewer bytes, and the search through what they leave.

A compression is fitted on the vectors of other texts (`calibration`). It turns queries and passages
into vectors whose dot products are the scores of the search. Only passages are stored: queries stay
float32, but where both sides need one form (fewer dimensions, signs).

    int8        x = low_d + step_d (code + 128), low and step by the calibration's range in d
    signs       x = 1 where x_d > threshold_d, else -1; q . p = dim - 2 Hamming(q, p)
    PQ          x = one of 256 centroids in each group of dimensions (Jegou et al. 2011)
    reduced     x = V (x - mean), length one; V: the first dimensions, or principal directions

A search in two stages draws candidates by signs and orders them anew by other vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from mixling.evaluation.ranks import DotScorer, Scorer, ScoreRows, best_first, by_ids
from mixling.transforms.transforms import normalize

CENTROIDS = 256  # of a group of dimensions: a byte
ITERATIONS = 20  # of k-means


class Vectors(NamedTuple):
    """Vectors of a task's queries and passages and of the calibration, float32 `[n, dim]`."""

    queries: np.ndarray
    passages: np.ndarray
    calibration: np.ndarray


Sides = tuple[np.ndarray, np.ndarray]  # queries and passages whose dot products are scores
Way = Callable[[Vectors], Sides]


@dataclass(frozen=True)
class Int8:
    """A byte a number: the range of each dimension in 256 steps.

    Args:
        low: float32 `[dim]`, lowest value of each dimension.
        step: float32 `[dim]`, a 255th of its range.
    """

    low: np.ndarray
    step: np.ndarray

    @classmethod
    def fit(cls, vectors: np.ndarray) -> Int8:
        """Take the ranges of some vectors; values outside are cut off."""
        low, high = vectors.min(0), vectors.max(0)
        return cls(low, np.maximum(high - low, np.float32(1e-12)) / 255)

    def encode(self, vectors: np.ndarray) -> np.ndarray:
        """Return the codes, int8 `[n, dim]`."""
        steps = np.rint((vectors - self.low) / self.step)
        return (np.clip(steps, 0, 255) - 128).astype(np.int8)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Return the vectors of codes, float32 `[n, dim]`."""
        return self.low + self.step * (codes.astype(np.float32) + 128)


@dataclass(frozen=True)
class ProductQuantizer:
    """A byte a group of consecutive dimensions: the number of the nearest centroid.

    Args:
        centroids: float32 `[n_groups, n_centroids, size]`.
    """

    centroids: np.ndarray

    @classmethod
    def fit(cls, vectors: np.ndarray, size: int, seed: int = 0) -> ProductQuantizer:
        """Find the centroids of groups of `size` dimensions."""
        rng = np.random.default_rng(seed)
        return cls(np.stack([_k_means(part, rng) for part in _groups(vectors, size)]))

    def encode(self, vectors: np.ndarray) -> np.ndarray:
        """Return the codes, uint8 `[n, n_groups]`."""
        parts = _groups(vectors, self.centroids.shape[2])
        codes = [_nearest(part, x) for part, x in zip(parts, self.centroids, strict=True)]
        return np.stack(codes, 1).astype(np.uint8)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Return the vectors of codes, float32 `[n, dim]`."""
        return np.concatenate([x[codes[:, i]] for i, x in enumerate(self.centroids)], 1)


def _groups(vectors: np.ndarray, size: int) -> list[np.ndarray]:
    """Split vectors into groups of consecutive dimensions."""
    parts = np.split(vectors.astype(np.float32), vectors.shape[1] // size, axis=1)
    return [np.ascontiguousarray(x) for x in parts]


def _nearest(points: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Return the number of the centroid that is nearest to each point, int64 `[n]`."""
    # |x - c|^2 = |x|^2 - 2 (x c - |c|^2 / 2), and |x|^2 is the same for all centroids
    return np.argmax(points @ centroids.T - np.square(centroids).sum(1) / 2, axis=1)


def _k_means(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Find centroids by Lloyd's algorithm from random points, float32 `[n_centroids, size]`."""
    centroids = points[rng.permutation(len(points))[:CENTROIDS]]
    for _ in range(ITERATIONS):
        nearest = _nearest(points, centroids)
        count = np.bincount(nearest, minlength=len(centroids))[:, None]
        total = np.zeros_like(centroids)
        np.add.at(total, nearest, points)
        centroids = np.where(count > 0, total / np.maximum(count, 1), centroids)
        centroids = centroids.astype(np.float32)
    return centroids


@dataclass(frozen=True)
class Reduction:
    """A projection to fewer dimensions: `(x - mean) matrix^T`, scaled to length one.

    Args:
        matrix: float32 `[kept, dim]`.
        mean: float32 `[dim]`.
    """

    matrix: np.ndarray
    mean: np.ndarray

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """Return the vectors in fewer dimensions, float32 `[n, kept]`."""
        return normalize((vectors - self.mean) @ self.matrix.T).astype(np.float32)


def truncation(calibration: np.ndarray, share: float) -> Reduction:
    """Keep the first dimensions."""
    dim = calibration.shape[1]
    return Reduction(np.eye(dim, dtype=np.float32)[: round(dim * share)], np.zeros(dim, np.float32))


def pca(calibration: np.ndarray, share: float, keep_mean: bool = False) -> Reduction:
    """Keep the principal directions.

    Args:
        calibration: float32 `[n, dim]`.
        share: Share of the dimensions that stay.
        keep_mean: Leave the mean where it is. All directions together then change no score.
    """
    dim = calibration.shape[1]
    mean = np.zeros(dim) if keep_mean else calibration.mean(0, dtype=np.float64)
    centered = calibration.astype(np.float64) - mean
    _, directions = np.linalg.eigh(centered.T @ centered)
    kept = directions[:, ::-1].T[: round(dim * share)]
    return Reduction(kept.astype(np.float32), mean.astype(np.float32))


REDUCTIONS: dict[str, Callable[[np.ndarray], Reduction]] = {
    "half of the dimensions": partial(truncation, share=1 / 2),
    "quarter of the dimensions": partial(truncation, share=1 / 4),
    "PCA to half": partial(pca, share=1 / 2),
    "PCA to a quarter": partial(pca, share=1 / 4),
    "PCA to half, mean kept": partial(pca, share=1 / 2, keep_mean=True),
    "PCA to a quarter, mean kept": partial(pca, share=1 / 4, keep_mean=True),
    "mean removed": lambda calibration: Reduction(
        np.eye(calibration.shape[1], dtype=np.float32), calibration.mean(0)
    ),
}
CODES: dict[str, Callable[[np.ndarray], Int8 | ProductQuantizer]] = {
    "int8": Int8.fit,
    "PQ, 4 dimensions a byte": partial(ProductQuantizer.fit, size=4),
    "PQ, 8 dimensions a byte": partial(ProductQuantizer.fit, size=8),
}


def signs(vectors: np.ndarray, threshold: np.ndarray | float = 0.0) -> np.ndarray:
    """Return 1 where a value is above the threshold and -1 elsewhere, float32 `[n, dim]`."""
    return np.where(vectors > threshold, np.float32(1), np.float32(-1))


def reduced(name: str, vectors: Vectors) -> Sides:
    """Reduce both sides."""
    reduction = REDUCTIONS[name](vectors.calibration)
    return reduction(vectors.queries), reduction(vectors.passages)


def coded(name: str, vectors: Vectors) -> Sides:
    """Store the passages as codes."""
    codes = CODES[name](vectors.calibration)
    return vectors.queries, codes.decode(codes.encode(vectors.passages))


def binary(vectors: Vectors, at_mean: bool = False) -> Sides:
    """Take the signs of both sides, or those of the differences to the calibration's mean."""
    threshold = vectors.calibration.mean(0) if at_mean else 0.0
    return signs(vectors.queries, threshold), signs(vectors.passages, threshold)


@dataclass(frozen=True)
class Compression:
    """A way to store vectors.

    Args:
        bits: Bits of a stored passage for each number of the encoder's vector.
        sides: Returns what is compared.
    """

    bits: float
    sides: Way


WAYS: dict[str, Compression] = {
    "float32": Compression(32, lambda v: (v.queries, v.passages)),
    "float16": Compression(
        16, lambda v: (v.queries, v.passages.astype(np.float16).astype(np.float32))
    ),
    "int8": Compression(8, partial(coded, "int8")),
    **{
        name: Compression(bits, partial(reduced, name))
        for name, bits in zip(REDUCTIONS, (16, 8, 16, 8, 16, 8, 32), strict=True)
    },
    "PQ, 4 dimensions a byte": Compression(2, partial(coded, "PQ, 4 dimensions a byte")),
    "PQ, 8 dimensions a byte": Compression(1, partial(coded, "PQ, 8 dimensions a byte")),
    "binary": Compression(1, binary),
    "binary at the mean": Compression(1, partial(binary, at_mean=True)),
    "binary passages, float queries": Compression(1, lambda v: (v.queries, signs(v.passages))),
}
# candidates by the first way, ordered anew by the second, so many of them
RESCORED: dict[str, tuple[str, str, int]] = {
    **{
        f"binary, {depth} rescored by {label}": ("binary", second, depth)
        for label, second, depth in (
            ("float queries", "binary passages, float queries", 40),
            ("int8", "int8", 40),
            ("float32", "float32", 40),
            ("int8", "int8", 400),
            ("float32", "float32", 400),
        )
    },
    "binary at the mean, 40 rescored by int8": ("binary at the mean", "int8", 40),
}
COMPRESSIONS = (*WAYS, *RESCORED)


def stored_bytes(name: str, dim: int) -> list[int]:
    """Return the bytes of a passage's vector; of two stages, those of each store."""
    if name not in RESCORED:
        return [round(WAYS[name].bits * dim / 8)]
    first, second, _ = RESCORED[name]
    stores = [first] if second.startswith("binary") else [first, second]
    return [round(WAYS[x].bits * dim / 8) for x in stores]


class TwoStages(ScoreRows):
    """The best passages by one score, ordered anew by another; the others follow as they were.

    Args:
        first: Draws the candidates. Its scores are whole numbers, as those of signs are.
        second: Orders them.
        depth: Number of candidates of each pool.
        passage_ids: Ids, which order equal scores.
        pools: int64 `[n]` each, passages that are searched together: all, or a language's.
    """

    def __init__(
        self,
        first: Scorer,
        second: Scorer,
        depth: int,
        passage_ids: Sequence[str],
        pools: Sequence[np.ndarray],
    ):
        self.first, self.second, self.depth = first, second, depth
        self.place, self.pools = by_ids(passage_ids)[1], pools

    def __call__(self, begin: int, end: int) -> np.ndarray:
        """Score consecutive queries against all passages: float32 `[end - begin, n_passages]`."""
        drawn, exact = self.first(begin, end), self.second(begin, end)
        # below every score of the second stage, in the order of the first
        beneath = np.floor(exact.min(1, keepdims=True)) - 1 - drawn.max(1, keepdims=True)
        scores = drawn + beneath
        for pool in self.pools:
            depth = min(self.depth, len(pool))
            best = pool[best_first(drawn[:, pool], self.place[pool], depth)]
            np.put_along_axis(scores, best, np.take_along_axis(exact, best, 1), 1)
        return scores


def scorers(
    name: str,
    vectors: Vectors,
    passage_language: np.ndarray,
    passage_ids: Sequence[str],
    second: Vectors | None = None,
) -> tuple[Scorer, Scorer]:
    """Return how a compression scores the whole pool, and each language alone.

    Args:
        name: A name of `COMPRESSIONS`.
        vectors: The vectors.
        passage_language: int64 `[n_passages]`, code of each passage's language.
        passage_ids: Ids of the passages.
        second: Vectors of the second stage, where they are others.

    Returns:
        Two scorers, which differ where candidates are drawn: a search in one language draws them
        from that language.
    """
    if name not in RESCORED:
        scorer = DotScorer(*WAYS[name].sides(vectors))
        return scorer, scorer
    first, then, depth = RESCORED[name]
    stages = DotScorer(*WAYS[first].sides(vectors)), DotScorer(*WAYS[then].sides(second or vectors))
    languages = [np.flatnonzero(passage_language == x) for x in np.unique(passage_language)]
    return (
        TwoStages(*stages, depth, passage_ids, [np.arange(len(passage_ids))]),
        TwoStages(*stages, depth, passage_ids, languages),
    )
