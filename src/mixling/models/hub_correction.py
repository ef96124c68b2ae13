"""A sentence-transformers module that corrects passages which score high with every query.

It computes what `mixling.transforms.hub_correction.HubCorrection` describes. Queries and passages
are treated differently, so it needs the role of each text, which `mixling.Retriever` passes on.
sentence-transformers alone does not; there the module raises an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from mixling.models.transform_module import TransformModule
from mixling.transforms.hub_correction import HubCorrection

if TYPE_CHECKING:
    from typing import Self


class HubCorrectionModule(TransformModule):
    """Hub correction by reference queries; vectors get two more numbers.

    Args:
        size: Size of a vector.
        references: Number of reference queries.
        neighbors: Scores whose mean is taken.
        skipped: Still higher scores that are left out.
        weight: Weight of the correction.

    Attributes:
        reference_vectors: float32 `[references, size]`.
    """

    config_keys = ["size", "references", "neighbors", "skipped", "weight"]  # noqa: RUF012

    reference_vectors: torch.Tensor

    def __init__(self, size: int, references: int, neighbors: int, skipped: int, weight: float):
        super().__init__()  # type: ignore[no-untyped-call]
        self.size, self.references = size, references
        self.neighbors, self.skipped, self.weight = neighbors, skipped, weight
        self.register_buffer("reference_vectors", torch.zeros(references, size))

    @classmethod
    def of(cls, transform: HubCorrection) -> Self:
        """Return the module of a transform."""
        count, size = transform.references.shape
        module = cls(size, count, transform.neighbors, transform.skipped, transform.weight)
        module.reference_vectors = torch.from_numpy(transform.references.astype("float32"))
        return module

    def forward(self, features: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Transform the vectors of a batch.

        Args:
            features: `sentence_embedding`, float `[n, size]`; `text_role`, "query" or another role
                for passages.

        Returns:
            The features; `sentence_embedding` is `[n, size + 2]`.

        Raises:
            ValueError: `text_role` is missing.
        """
        if "text_role" not in features:
            raise ValueError(
                "this model treats queries and passages differently, but plain "
                "sentence-transformers does not pass the role to its modules. Load it with "
                "mixling.Retriever(folder), and call encode(texts, role)."
            )
        x = torch.nn.functional.normalize(features["sentence_embedding"])
        more = x.new_zeros(len(x), 2)
        square = self.weight**2 / 4
        if features["text_role"] == "query":
            more[:, 0] = 1
            square = 1
        else:
            scores = x @ self.reference_vectors.to(x).T
            best = scores.topk(self.neighbors + self.skipped, dim=1).values[:, self.skipped :]
            more[:, 0] = -self.weight / 2 * best.mean(1).clamp(-1, 1)
            more[:, 1] = (square - more[:, 0] ** 2).clamp(min=0).sqrt()
        vectors = torch.cat([x, more], 1) / (1 + square) ** 0.5
        return {**features, "sentence_embedding": vectors}

    def get_embedding_dimension(self) -> int:
        """Return the size of a transformed vector."""
        return self.size + 2
