"""Reads and writes `POST /v1/embeddings` in OpenAI's form."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, WithJsonSchema

from mixling.corpora.files import replace_surrogates
from mixling.serving.errors import RequestError

MAX_TEXTS = 2048  # of a request, as OpenAI takes
MAX_CHARACTERS = 65_536  # of a text: twice what OpenAI's 8,192 tokens hold in English
TOKEN_IDS_REFUSED = (
    "This server takes texts, not arrays of token ids: it does not know which tokenizer "
    "made them. Send strings. LangChain: OpenAIEmbeddings(check_embedding_ctx_length=False)."
)
_TEXT_SCHEMA = {"type": "string", "minLength": 1, "maxLength": MAX_CHARACTERS}
_INPUT_SCHEMA = {
    "oneOf": [
        _TEXT_SCHEMA,
        {"type": "array", "items": _TEXT_SCHEMA, "minItems": 1, "maxItems": MAX_TEXTS},
    ]
}
_JSON_TYPES = {
    str: "a text",
    dict: "an object",
    list: "an array",
    bool: "a truth value",
    type(None): "null",
}


class EmbeddingRequest(BaseModel):
    """OpenAI's request, with the field `input_type`.

    An `input_type` "query" or "passage" puts the model's prompt before the texts. Every model name
    is accepted, because there is one model; the answer names it. A field that is null counts as
    missing. Fields that are not named here (such as `user`) are ignored.
    """

    input: Annotated[Any, WithJsonSchema(_INPUT_SCHEMA)]
    model: str | None = None
    encoding_format: Literal["float", "base64"] | None = None
    input_type: Literal["query", "passage", "document"] | None = None
    dimensions: int | None = None


def input_texts(value: Any) -> list[str]:
    """Return the texts of the field `input`.

    Raises:
        RequestError: It is no text and no array of texts; the message says what to send instead.
    """
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not texts:
        raise RequestError(
            "input: no text was found. Send a text, or an array of one or more texts.", "input"
        )
    if _json_type(texts[0]) in ("a number", "an array"):
        raise RequestError(TOKEN_IDS_REFUSED, "input", "token_arrays_not_supported")
    if len(texts) > MAX_TEXTS:
        raise RequestError(
            f"input: the request has {len(texts):,} texts, but a request may have at most "
            f"{MAX_TEXTS:,}. Send them in several requests.",
            "input",
        )
    for i, text in enumerate(texts):
        _check_text(text, f"input[{i}]" if value is texts else "input")
    return texts


def _check_text(text: Any, place: str) -> None:
    if not isinstance(text, str):
        raise RequestError(f"{place}: found {_json_type(text)}, expected a text.", "input")
    if not text.strip():
        raise RequestError(
            f"{place}: the text is empty. Leave it out, or send what it should say.", "input"
        )
    if len(text) > MAX_CHARACTERS:
        raise RequestError(
            f"{place}: the text has {len(text):,} characters, but a text may have at most "
            f"{MAX_CHARACTERS:,}. Split it.",
            "input",
        )
    if replace_surrogates(text) != text:
        raise RequestError(
            f"{place}: the text holds half a character (a lone surrogate). Send whole characters.",
            "input",
        )


def check_dimensions(requested: int | None, dimensions: int) -> None:
    """Raise `RequestError` unless the model's own size is requested.

    A vector can be shortened only where the model was trained for it.

    Args:
        requested: The field `dimensions`.
        dimensions: Size of the model's vectors.
    """
    if requested not in (None, dimensions):
        raise RequestError(
            f"dimensions is {requested}, but this model's vectors have {dimensions} numbers and "
            f"are not shortened. Leave `dimensions` out, or send {dimensions}.",
            "dimensions",
        )


def embeddings_json(
    vectors: np.ndarray,
    encoding_format: str | None,
    model: str,
    token_counts: Sequence[int],
    max_length: int,
) -> bytes:
    """Write the answer as JSON.

    Args:
        vectors: float32 `[n_texts, dim]`.
        encoding_format: "float" (also None), or "base64" of little-endian float32.
        model: The name of the model that made the vectors.
        token_counts: Tokens of each text as encoded, `[n_texts]`.
        max_length: Tokens that the model takes. `truncated` names the texts that fill it; without
            such texts it is left out.
    """
    items = []
    for i, vector in enumerate(vectors):
        embedding: str | list[float] = vector.tolist()
        if encoding_format == "base64":
            embedding = base64.b64encode(vector.astype("<f4").tobytes()).decode()
        item = {"object": "embedding", "index": i, "embedding": embedding}
        items.append(json.dumps(item, allow_nan=False))
    total = sum(token_counts)
    other: dict[str, Any] = {
        "model": model,
        "usage": {"prompt_tokens": total, "total_tokens": total},
    }
    truncated = [i for i, n in enumerate(token_counts) if n >= max_length]
    if truncated:
        other["truncated"] = truncated
    # Written item by item: the vectors as one list of Python numbers would take many times their
    # memory.
    return f'{{"object": "list", "data": [{", ".join(items)}], {json.dumps(other)[1:]}'.encode()


def _json_type(value: Any) -> str:
    """Return the JSON type of a value, in words."""
    return _JSON_TYPES.get(type(value), "a number")
