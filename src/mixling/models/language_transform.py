"""A sentence-transformers module whose transform depends on the language of each text.

The debiasing methods centering, LIR and SHIFT are such transforms. `mixling.Retriever` identifies
the language of each text or takes it from the caller. sentence-transformers alone does not know
the language; there the module raises an error, since its vectors would be wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from sentence_transformers.base.modules.module import Module

from mixling.corpora.languages import language_tag

if TYPE_CHECKING:
    from typing import Self


class LanguageTransformModule(Module):
    """Subtract an offset of the text's language, then remove directions of that language.

    A vector x of language l becomes z - (z B^T) B with z = x - offset, where the rows of B are the
    directions of l. A text in another language keeps its vector.

    Args:
        languages: Codes of the languages.
        directions: Directions that are removed for each language.
        size: Size of a vector.

    Attributes:
        offset: float32 `[2 (query, passage), n_languages, size]`.
        basis: float32 `[n_languages, directions, size]`, orthonormal rows for each language.
    """

    config_keys = ["languages", "directions", "size"]  # noqa: RUF012

    offset: torch.Tensor
    basis: torch.Tensor

    def __init__(self, languages: Sequence[str], directions: int, size: int):
        super().__init__()  # type: ignore[no-untyped-call]
        self.languages, self.directions, self.size = list(languages), directions, size
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
                "this model moves each text by its language, which plain sentence-transformers "
                "does not know: load it with mixling.Retriever(folder) and call "
                "encode(texts, role, languages=…)"
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
        for i in sorted({i for i in language_ids if i >= 0}):
            rows = torch.tensor([r for r, j in enumerate(language_ids) if j == i], device=x.device)
            z = x[rows] - offset[role, i]
            out[rows] = z - (z @ basis[i].T) @ basis[i]
        return {**features, "sentence_embedding": out}

    def get_embedding_dimension(self) -> int:
        """Return the size of a vector."""
        return self.size

    def save(
        self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any
    ) -> None:
        """Write configuration and weights into a folder.

        Args:
            output_path: The folder.
            *args: Unused; sentence-transformers may pass them.
            safe_serialization: Write safetensors instead of a pickle.
            **kwargs: Unused; sentence-transformers may pass them.
        """
        self.save_config(output_path)
        self.save_torch_weights(output_path, safe_serialization=safe_serialization)

    @classmethod
    def load(
        cls,
        model_name_or_path: str,
        subfolder: str = "",
        token: bool | str | None = None,
        cache_folder: str | None = None,
        revision: str | None = None,
        local_files_only: bool = False,
        init_defaults: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Self:
        """Read what `save` wrote. The parameters are those of sentence-transformers' `Module.load`.

        Args:
            model_name_or_path: The model's folder or hub name.
            subfolder: The module's folder inside the model's.
            token: A token of the hub.
            cache_folder: The hub's cache.
            revision: Revision of the model on the hub.
            local_files_only: Do not ask the hub.
            init_defaults: Unused, since `save` writes every parameter.
            **kwargs: Unused; sentence-transformers may pass them.

        Returns:
            The module.
        """
        hub: dict[str, Any] = {
            "token": token,
            "cache_folder": cache_folder,
            "revision": revision,
            "local_files_only": local_files_only,
        }
        module = cls(**cls.load_config(model_name_or_path, subfolder, **hub))
        cls.load_torch_weights(model_name_or_path, subfolder, model=module, **hub)
        return module

    def set_tensors(self, offset: Any, basis: Any) -> Self:
        """Set the numbers of the transform.

        Args:
            offset: An array or tensor, `[2, n_languages, size]`.
            basis: An array or tensor, `[n_languages, directions, size]`.

        Returns:
            The module itself.
        """
        self.offset, self.basis = (torch.as_tensor(x, dtype=torch.float32) for x in (offset, basis))
        return self
