"""Hub correction: passages that score high with every query are taken down.

    score'(q, p) = q . p - w / 2 * h(p)
    h(p) = mean of k scores of p with reference queries, the highest but the s highest of all

With w = 1 and s = 0 this is half of CSLS (`mixling.transforms.csls`) without the query's own term,
which changes no order: so any store searches by CSLS. The s highest are left out because they are
likely the queries that p answers, and a passage is no hub for that: titles of the collection, or
what people ask often. The reference queries need no judgments. They must not be those that are
measured: a query's own score would be part of its answer's correction. Nor may what answers the
references be in the pool as mere distractors, which the correction then takes out as if by
knowledge.

The correction is put into the vectors, so that any store can search them:

    query    (q, 1, 0) / sqrt(2)
    passage  (p, -w h(p) / 2, r) / C      C^2 = 1 + w^2 / 4, r such that the length is one

Their dot product is the corrected score, divided by a constant. All lengths are one, so cosine, dot
product and Euclidean distance give the same order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mixling.errors import MixlingError
from mixling.transforms.csls import mean_of_highest
from mixling.transforms.transforms import check_finite, normalize

NEIGHBORS, SKIPPED = 10, 10
MAX_REFERENCES = 4000
BLOCK = 4096  # passages whose scores are in memory at a time


@dataclass(frozen=True)
class HubCorrection:
    """Hub correction by reference queries.

    Args:
        references: float32 `[m, dim]`, vectors of the reference queries, of length one.
        neighbors: The number k of scores.
        skipped: The number s of still higher ones that are left out.
        weight: The weight w of the correction.
        metadata: How it was fitted.

    Raises:
        MixlingError: There are fewer references than neighbors, the weight is negative, or an
            array holds NaN or infinity.
    """

    references: np.ndarray
    neighbors: int = NEIGHBORS
    skipped: int = SKIPPED
    weight: float = 1.0
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_finite(self.metadata, self.references)
        needed = self.neighbors + self.skipped
        if self.neighbors < 1 or self.skipped < 0 or needed > len(self.references):
            raise MixlingError(
                f"the hub correction has {len(self.references):,} reference queries, too few to "
                f"take {self.neighbors} scores after the {self.skipped} highest. Give more "
                "queries."
            )
        if self.weight < 0:
            raise MixlingError(f"weight is {self.weight}. Expected a number from 0.")

    def __repr__(self) -> str:
        return (
            f"HubCorrection(references={len(self.references)}, dim={self.dimensions}, "
            f"neighbors={self.neighbors}, skipped={self.skipped}, weight={self.weight})"
        )

    @property
    def dimensions(self) -> int:
        """Size of the vectors."""
        return int(self.references.shape[1])

    @property
    def output_dimensions(self) -> int:
        """Size of the transformed vectors: two more."""
        return self.dimensions + 2

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that it tells apart: none."""
        return ()

    @property
    def by_role(self) -> bool:
        """Whether queries and passages are treated differently: they are."""
        return True

    def tensors(self) -> dict[str, np.ndarray]:
        """Return its arrays by name."""
        return {"references": self.references}

    def hub_scores(self, passages: np.ndarray) -> np.ndarray:
        """Return h(p) of each passage.

        Args:
            passages: float `[n, dim]`, of length one.

        Returns:
            float32 `[n]`.
        """
        found = np.empty(len(passages), np.float32)
        for begin in range(0, len(passages), BLOCK):
            scores = passages[begin : begin + BLOCK] @ self.references.T
            found[begin : begin + BLOCK] = mean_of_highest(scores, self.neighbors, self.skipped)
        return found

    def transform(
        self, vectors: np.ndarray, languages: Sequence[str] | None = None, role: str = "passage"
    ) -> np.ndarray:
        """Transform vectors.

        Args:
            vectors: float `[n, dim]`.
            languages: Not used.
            role: "query" or "passage".

        Returns:
            float32 `[n, dim + 2]`, rows of length one.
        """
        unit = normalize(np.asarray(vectors, np.float32))
        more = np.zeros((len(unit), 2), np.float32)
        if role == "query":
            more[:, 0] = 1
            return np.asarray(np.hstack([unit, more]) / np.sqrt(2), np.float32)
        more[:, 0] = -self.weight / 2 * np.clip(self.hub_scores(unit), -1, 1)
        square = self.weight**2 / 4
        more[:, 1] = np.sqrt(np.maximum(square - more[:, 0] ** 2, 0))
        return np.asarray(np.hstack([unit, more]) / np.sqrt(1 + square), np.float32)
