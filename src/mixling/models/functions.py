"""Encoders that are functions or embedding objects of Python.

A function is called as `function(texts, role)` with a list of texts and "query", "passage" or None.
Embedding objects are recognized by their methods: sentence-transformers (`encode_query`,
`encode_document`), LangChain (`embed_query`, `embed_documents`), LlamaIndex
(`get_query_embedding`, `get_text_embedding_batch`).
"""

from __future__ import annotations

import hashlib
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from mixling.errors import MixlingError
from mixling.models.encoder import PYTHON, ExternalEncoder, Progress, as_vectors
from mixling.models.prompts import TitleOption

BATCH = 512  # texts of a call
# texts whose vectors tell an encoder from another one
PROBES = ("The bridge was built in 1883.", "Nani alijenga daraja?", "谁建了这座桥？")
Function = Callable[[list[str], str | None], Any]


class FunctionEncoder(ExternalEncoder):
    """A function or embedding object as an encoder.

    Args:
        function: A callable `(texts, role) -> array`, or an embedding object.
        name: The name in messages and results. Default: that of the function or class.
        prompts: As for `ExternalEncoder`.
        similarity: As for `ExternalEncoder`. Default: that of a sentence-transformers model, else
            "cosine".
        titles: As for `ExternalEncoder`.
        truncate_dim: As for `ExternalEncoder`.

    Raises:
        MixlingError: The object is none of these.
    """

    def __init__(
        self,
        function: Any,
        name: str | None = None,
        *,
        prompts: dict[str, str] | None = None,
        similarity: str | None = None,
        titles: TitleOption = "model",
        truncate_dim: int | None = None,
    ):
        own_name = getattr(function, "__name__", type(function).__name__)
        super().__init__(
            name or f"python:{own_name}",
            "the function",
            prompts=prompts,
            similarity=similarity,
            titles=titles,
            truncate_dim=truncate_dim,
            default_similarity=(
                "dot" if getattr(function, "similarity_fn_name", None) == "dot" else "cosine"
            ),
        )
        self._function = as_function(function, self.name)

    def embed_inputs(
        self, inputs: list[str], role: str | None, progress: Progress | None
    ) -> np.ndarray:
        """Call the function with 512 texts at a time."""
        parts = []
        for begin in range(0, len(inputs), BATCH):
            batch = inputs[begin : begin + BATCH]
            try:
                value = self._function(batch, role)
            except MixlingError:
                raise
            except Exception as error:
                raise MixlingError(
                    f"{self.name}: the function failed with {type(error).__name__}: {error} "
                    f"(texts {begin + 1} to {begin + len(batch)} of {len(inputs)}, role "
                    f"{role!r}). Expected function(texts, role) to return one vector for each "
                    "text."
                ) from error
            parts.append(as_vectors(value, len(batch), self.name))
            if progress is not None:
                progress(begin + len(batch), len(inputs))
        sizes = sorted({part.shape[1] for part in parts})
        if len(sizes) > 1:
            raise MixlingError(
                f"{self.name}: the function returned vectors of {sizes[0]} and of {sizes[1]} "
                "numbers. All vectors of an encoder must have one size."
            )
        return np.concatenate(parts)

    @cached_property
    def _probe(self) -> str:
        """A hash of the vectors of three texts in both roles, each scaled and rounded to .01."""
        digest = hashlib.sha256()
        for role in ("query", "passage"):
            vectors = self.embed_inputs(list(PROBES), role, None)
            length = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
            digest.update(np.round(100 * vectors / length).astype("<i2").tobytes())
        return digest.hexdigest()

    def identity(self) -> dict[str, Any]:
        """Return a hash of what the function makes of three texts: it has no weights to hash."""
        return {"vectors": self._probe}


def import_object(spelling: str) -> Any:
    """Import the object that `python:package.module:name` names.

    The module may lie in the working folder, which is searched last.

    Args:
        spelling: The spelling; the name may have dots, such as `Class.method`.

    Returns:
        The object.

    Raises:
        MixlingError: The spelling has another form, or there is no such module or name.
    """
    module_name, _, name = spelling.removeprefix(PYTHON).partition(":")
    if not module_name or not name:
        raise MixlingError(
            f"{spelling}: the module or the name is missing. Expected "
            "python:package.module:name, for instance python:my_module:encode"
        )
    folder = os.getcwd()  # noqa: PTH109
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise MixlingError(
            f"{spelling}: there is no module '{error.name}'. Expected a module that Python can "
            f"import from {folder} or from the installed packages."
        ) from None
    except Exception as error:
        raise MixlingError(
            f"{spelling}: importing {module_name} failed with {type(error).__name__}: {error}. "
            "Correct the module."
        ) from error
    for part in name.split("."):
        if not hasattr(found, part):
            raise MixlingError(
                f"{spelling}: module '{module_name}' has no '{name}'. Check the name."
            )
        found = getattr(found, part)
    return found


def as_function(value: Any, name: str) -> Function:
    """Return a function `(texts, role) -> array` for a callable or an embedding object.

    Args:
        value: The callable or object.
        name: Its name in messages.

    Raises:
        MixlingError: It is neither.
    """
    if isinstance(value, type):
        raise MixlingError(f"{name}: this is a class. Give an object of the class, or a function.")
    if _has(value, "encode_query", "encode_document"):
        return lambda texts, role: _encode_sentence_transformers(value, texts, role)
    if _has(value, "embed_query", "embed_documents"):
        return lambda texts, role: (
            [value.embed_query(text) for text in texts]
            if role == "query"
            else value.embed_documents(texts)
        )
    if _has(value, "get_query_embedding", "get_text_embedding_batch"):
        return lambda texts, role: (
            [value.get_query_embedding(text) for text in texts]
            if role == "query"
            else value.get_text_embedding_batch(texts)
        )
    if callable(value):
        return value  # type: ignore[no-any-return]
    raise MixlingError(
        f"{name}: this is a {type(value).__name__}. Expected a function (texts, role) -> array, "
        "or an embedding object of sentence-transformers, LangChain or LlamaIndex."
    )


def _has(value: Any, *methods: str) -> bool:
    return all(callable(getattr(value, method, None)) for method in methods)


def _encode_sentence_transformers(model: Any, texts: Sequence[str], role: str | None) -> Any:
    """Encode by a sentence-transformers model, with its own prompt of the role."""
    methods = {"query": model.encode_query, "passage": model.encode_document}
    encode = methods.get(role or "", model.encode)
    return encode(list(texts), show_progress_bar=False)
