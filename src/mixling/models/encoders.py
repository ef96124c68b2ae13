"""Load an encoder by one spelling: a model, a service, a function, a wheel's network.

| spelling | encoder |
|---|---|
| a folder, a hub name, an alias | `Retriever` |
| `use-multilingual-v3` | Universal Sentence Encoder, computed in NumPy |
| `python:package.module:name` | a function or embedding object of Python |
| `openai:MODEL`, `voyage:`, `jina:`, `mistral:`, `cohere:`, `gemini:` | a service |
| `https://host/v1#MODEL`, `http://…` | a service that speaks OpenAI's form |
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from mixling.errors import MixlingError
from mixling.models.encoder import (
    EXTERNAL_OPTIONS,
    SERVICE_OPTIONS,
    UNIVERSAL,
    ExternalEncoder,
    is_external,
    is_service,
    no_weights,
)
from mixling.models.transformed import FILE, TransformedEncoder, read_encoder_file

if TYPE_CHECKING:
    from mixling.models.retriever import Retriever

AnyEncoder: TypeAlias = "Retriever | ExternalEncoder"
"""An encoder with weights here, or one without."""


def load_encoder(
    model: Any, *, trust_remote_code: bool = False, device: str | None = None, **options: Any
) -> AnyEncoder:
    """Load an encoder.

    Args:
        model: A spelling of the table above; an encoder, which is returned as it is; a callable
            `(texts, role) -> array`; or an embedding object of sentence-transformers, LangChain or
            LlamaIndex.
        trust_remote_code: Run Python code that a model's files bring.
        device: Where to compute, for a model with weights. Default: a GPU if there is one.
        options: How it is used: arguments of `Retriever`. Encoders without weights take `prompts`,
            `similarity`, `titles` and `truncate_dim`.

    Returns:
        The encoder.

    Raises:
        MixlingError: The encoder cannot be loaded, or does not take an option.

    Example:
        >>> load_encoder(lambda texts, role: [[len(t), 1.0] for t in texts]).encode(["abc"])
        array([[3., 1.]], dtype=float32)
    """
    if is_encoder(model):
        if options:
            raise MixlingError(
                f"{model.name}: the encoder is loaded already and takes no {', '.join(options)}. "
                "Give these options when the encoder is loaded."
            )
        loaded: AnyEncoder = model
        return loaded
    if isinstance(model, os.PathLike):
        model = os.fspath(model)
    if isinstance(model, str) and not is_external(model) and _is_transformed(model):
        return _load_transformed(Path(model), trust_remote_code, options)
    if isinstance(model, str) and not is_external(model):
        for name in options:
            if name in SERVICE_OPTIONS:
                raise MixlingError(
                    f"{model}: the option {name} is for services (openai:MODEL, …) only. Leave "
                    "it out."
                )
        from mixling.models.retriever import Retriever

        return Retriever(model, trust_remote_code=trust_remote_code, device=device, **options)
    if isinstance(model, str) and is_service(model):
        from mixling.models.api import ApiEncoder

        check_options(model, options, (*EXTERNAL_OPTIONS, *SERVICE_OPTIONS))
        return ApiEncoder(model, **options)
    check_options(model if isinstance(model, str) else type(model).__name__, options)
    if model == UNIVERSAL:
        from mixling.models.universal import UniversalSentenceEncoder

        return UniversalSentenceEncoder(**options)
    from mixling.models.functions import FunctionEncoder, import_object

    if isinstance(model, str):
        return FunctionEncoder(import_object(model), model, **options)
    return FunctionEncoder(model, **options)


def is_encoder(model: Any) -> bool:
    """Return whether something is an encoder that is loaded, and no spelling or object of one."""
    if isinstance(model, (str, os.PathLike)) or model is None:
        return False
    from mixling.models.retriever import Retriever

    return isinstance(model, (Retriever, ExternalEncoder))


def _is_transformed(name: str) -> bool:
    """Return whether a folder holds an encoder without weights behind a transform."""
    try:
        return (Path(name) / FILE).is_file()
    except OSError:  # a name that no file can have
        return False


def _load_transformed(
    folder: Path, trust_remote_code: bool, options: Mapping[str, Any]
) -> TransformedEncoder:
    """Load the encoder of a folder with its transform; options of services may be given."""
    spelling, stored = read_encoder_file(folder)
    for name in options:
        if name not in SERVICE_OPTIONS or name in stored:
            raise MixlingError(
                f"{folder}: the option {name} cannot be changed, because its transform was "
                f"fitted with {json.dumps(stored)}. Fit another transform with `mixling debias`."
            )
    inner = load_encoder(spelling, trust_remote_code=trust_remote_code, **stored, **options)
    if not isinstance(inner, ExternalEncoder):
        raise MixlingError(
            f"{folder / FILE}: the file names {spelling}, which is a model with weights. "
            "Expected a service or a function; fit the transform again with `mixling debias`."
        )
    return TransformedEncoder(folder, inner)


def check_options(
    name: str, options: Mapping[str, Any], allowed: Sequence[str] = EXTERNAL_OPTIONS
) -> None:
    """Raise `MixlingError` for an option that an encoder without weights does not take."""
    wrong = [x for x in options if x not in allowed]
    if wrong:
        raise MixlingError(
            f"{name}: the option {wrong[0]} is for models whose weights are on this machine only. "
            f"The options here are: {', '.join(allowed)}"
            if wrong[0] not in SERVICE_OPTIONS
            else f"{name}: the option {wrong[0]} is for services (openai:MODEL, …) only. Leave it "
            "out."
        )


def require_weights(encoder: AnyEncoder, purpose: str) -> Retriever:
    """Return an encoder that has weights here.

    Args:
        encoder: The encoder.
        purpose: What needs them, for the message.

    Raises:
        MixlingError: It has none.
    """
    if isinstance(encoder, ExternalEncoder):
        raise no_weights(encoder.name, purpose)
    return encoder
