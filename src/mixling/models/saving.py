"""Write a retriever as an ordinary sentence-transformers folder."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mixling.disk import new_folder
from mixling.models.settings import COMPANION, FILES, Setting

if TYPE_CHECKING:
    from mixling.models.retriever import Retriever


def save_model(
    retriever: Retriever, folder: Path, card: str | None, origin: dict[str, Any] | None
) -> None:
    """Write a folder, all or nothing.

    Args:
        retriever: The model.
        folder: The folder to write.
        card: The model card, to which the settings are added.
        origin: How the model was made, written as origin.json.
    """
    model = retriever.model
    model.prompts = {
        **retriever.prompts,
        "document": retriever.prompt("passage"),
        "query": retriever.prompt("query"),
    }
    model.similarity_fn_name = retriever.similarity
    settings = dataclasses.replace(retriever.settings, stored=Setting("fp32", FILES))
    with new_folder(folder) as temporary:
        model.save(str(temporary), create_model_card=False)
        _write_json(temporary / COMPANION, settings.to_dict())
        if card is not None:
            text = f"{card.rstrip()}\n\n## How the model is used\n\n{settings.line()}\n"
            (temporary / "README.md").write_text(text, encoding="utf-8")
        if origin is not None:
            _write_json(temporary / "origin.json", origin)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False))
