"""A module of a sentence-transformers chain whose map depends on the text's language (centering, LIR, SHIFT).

`mixling.Retriever` names the language of each text, or takes it; plain sentence-transformers cannot, and gets an
error that says so rather than vectors that are not what the folder promises.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from sentence_transformers.base.modules.module import Module

from mixling.corpora.languages import language_tag


class LanguageTransformModule(Module):
    """languages: [l]; offset: float32 [2 (query, passage), l, d]; basis: float32 [l, r, d]."""

    config_keys = ["languages", "directions", "size"]  # noqa: RUF012

    def __init__(self, languages: Sequence[str], directions: int, size: int):
        super().__init__()
        self.languages, self.directions, self.size = list(languages), directions, size
        self.register_buffer("offset", torch.zeros(2, len(self.languages), size))
        self.register_buffer("basis", torch.zeros(len(self.languages), directions, size))

    def forward(self, features: dict[str, Any], **_: Any) -> dict[str, Any]:
        """features: sentence_embedding [n, d], text_language: [n] codes, text_role: "query" or "passage"."""
        if "text_language" not in features:
            raise ValueError(
                "this model moves each text by its language, which plain sentence-transformers does not know: "
                "load it with mixling.Retriever(folder) and call encode(texts, role, languages=…)"
            )
        x = features["sentence_embedding"]
        offset, basis = self.offset.to(x), self.basis.to(x)
        known = {language_tag(code): i for i, code in enumerate(self.languages)}
        codes = torch.tensor(
            [
                known.get(language_tag(code), -1) if code else -1
                for code in features["text_language"]
            ],
            device=x.device,
        )
        role = 0 if features.get("text_role") == "query" else 1
        out = x.clone()
        for i in codes[codes >= 0].unique().tolist():
            rows = torch.nonzero(codes == i).ravel()
            z = x[rows] - offset[role, i]
            out[rows] = z - (z @ basis[i].T) @ basis[i]
        return {**features, "sentence_embedding": out}

    def get_embedding_dimension(self) -> int:
        """Size of a vector."""
        return self.size

    def save(
        self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any
    ) -> None:
        """Write configuration and weights."""
        self.save_config(output_path)
        self.save_torch_weights(output_path, safe_serialization=safe_serialization)

    @classmethod
    def load(
        cls, model_name_or_path: str, subfolder: str = "", **kwargs: Any
    ) -> LanguageTransformModule:  # type: ignore[override]
        """Read what `save` wrote."""
        names = ("token", "cache_folder", "revision", "local_files_only")
        hub: dict[str, Any] = {k: kwargs[k] for k in names if k in kwargs}
        config = cls.load_config(model_name_or_path, subfolder, **hub)
        return cls.load_torch_weights(model_name_or_path, subfolder, model=cls(**config), **hub)

    def tensors(self, offset: Any, basis: Any) -> LanguageTransformModule:
        """Put numbers in."""
        self.offset, self.basis = (torch.as_tensor(x, dtype=torch.float32) for x in (offset, basis))
        return self
