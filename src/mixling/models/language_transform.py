"""A sentence-transformers module whose transform depends on the language of each text.

The debiasing methods centering, LIR and SHIFT are such transforms. `mixling.Retriever` identifies
the language of each text or takes it from the caller. sentence-transformers alone does not know
the language; there the module raises an error, since its vectors would be wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from mixling.corpora.languages import language_tag
from mixling.models.transform_module import TransformModule

if TYPE_CHECKING:
    from typing import Self


class LanguageTransformModule(TransformModule):
    """Subtract an offset of the text's language, then remove directions of that language.

    A vector x of language l becomes z - (z B^T) B with z = x - offset, where the rows of B are the
    directions of l. From a text in another language the offset of its role is subtracted, if there
    is one.

    Args:
        languages: Codes of the languages.
        directions: Directions that are removed for each language.
        size: Size of a vector.
        has_role_offset: Whether there is an offset for texts in other languages.

    Attributes:
        role_offset: float32 `[2 (query, passage), size]`.
        offset: float32 `[2 (query, passage), n_languages, size]`.
        basis: float32 `[n_languages, directions, size]`, orthonormal rows for each language.
    """

    config_keys = ["languages", "directions", "size", "has_role_offset"]  # noqa: RUF012

    offset: torch.Tensor
    basis: torch.Tensor
    role_offset: torch.Tensor

    def __init__(
        self, languages: Sequence[str], directions: int, size: int, has_role_offset: bool = False
    ):
        super().__init__()  # type: ignore[no-untyped-call]
        self.languages, self.directions, self.size = list(languages), directions, size
        self.has_role_offset = has_role_offset
        if has_role_offset:
            self.register_buffer("role_offset", torch.zeros(2, size))
        self.register_buffer("offset", torch.zeros(2, len(self.languages), size))
        self.register_buffer("basis", torch.zeros(len(self.languages), directions, size))

    def forward(self, features: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Transform the vectors of a batch.

        Args:
            features: `sentence_embedding`, float `[n, size]`; `text_language`, n codes (None or ""
                for an unknown language); `text_role`, "query" or another role for a passage.

        Returns:
            The features with the transformed vectors.

        Raises:
            ValueError: `text_language` is missing.
        """
        if "text_language" not in features:
            raise ValueError(
                "this model moves each text by its language, but plain sentence-transformers "
                "does not know the languages. Load it with mixling.Retriever(folder), and call "
                "encode(texts, role, languages=…)."
            )
        x: torch.Tensor = features["sentence_embedding"]
        offset, basis = self.offset.to(x), self.basis.to(x)
        rows_of_languages = {language_tag(code): i for i, code in enumerate(self.languages)}
        language_ids = [
            rows_of_languages.get(language_tag(code), -1) if code else -1
            for code in features["text_language"]
        ]
        role = 0 if features.get("text_role") == "query" else 1
        out = x.clone()
        if self.has_role_offset:
            others = torch.tensor([i < 0 for i in language_ids], device=x.device)
            out[others] -= self.role_offset.to(x)[role]
        for i in sorted({i for i in language_ids if i >= 0}):
            rows = torch.tensor([r for r, j in enumerate(language_ids) if j == i], device=x.device)
            z = x[rows] - offset[role, i]
            out[rows] = z - (z @ basis[i].T) @ basis[i]
        return {**features, "sentence_embedding": out}

    def get_embedding_dimension(self) -> int:
        """Return the size of a vector."""
        return self.size

    def set_tensors(self, offset: Any, basis: Any, role_offset: Any = None) -> Self:
        """Set the numbers of the transform.

        Args:
            offset: An array or tensor, `[2, n_languages, size]`.
            basis: An array or tensor, `[n_languages, directions, size]`.
            role_offset: An array or tensor, `[2, size]`, where the module has it.

        Returns:
            The module itself.
        """
        self.offset, self.basis = (torch.as_tensor(x, dtype=torch.float32) for x in (offset, basis))
        if role_offset is not None:
            self.role_offset = torch.as_tensor(role_offset, dtype=torch.float32)
        return self
