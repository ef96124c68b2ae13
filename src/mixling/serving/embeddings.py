"""`POST /v1/embeddings` and `GET /v1/models` in OpenAI's form: what their clients send, and what they expect."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, WithJsonSchema

from mixling.corpora.files import replace_surrogates
from mixling.serving.errors import Refusal

INPUTS = 2048  # of a request, as OpenAI takes
CHARACTERS = 65_536  # of a text: twice what OpenAI's 8,192 tokens hold in English
TOKENS = (
    "This server takes texts, not arrays of token ids: it does not know which tokenizer made them. "
    "Send strings. LangChain: OpenAIEmbeddings(check_embedding_ctx_length=False)."
)
_TEXT = {"type": "string", "minLength": 1, "maxLength": CHARACTERS}
_INPUT = {"oneOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1, "maxItems": INPUTS}]}


class EmbeddingRequest(BaseModel):
    """OpenAI's request, and `input_type`: "query" or "passage" puts the model's prompt before the texts.

    Every name of a model is taken, for there is one; the answer says which. A field that is null is a field that is not there;
    fields that are not named here (`user` and others') are not read.
    """

    input: Annotated[Any, WithJsonSchema(_INPUT)]
    model: str | None = None
    encoding_format: Literal["float", "base64"] | None = None
    input_type: Literal["query", "passage", "document"] | None = None
    dimensions: int | None = None


def texts_of(given: Any) -> list[str]:
    """The texts of `input`. Raises Refusal, which says what to send instead."""
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts:
        raise Refusal("input: send a text, or an array of one or more texts.", "input")
    if _kind(texts[0]) in ("a number", "an array"):
        raise Refusal(TOKENS, "input", "token_arrays_not_supported")
    if len(texts) > INPUTS:
        raise Refusal(
            f"input: {len(texts):,} texts; a request takes at most {INPUTS:,}. Send them in several requests.",
            "input",
        )
    for i, text in enumerate(texts):
        place = "input" if given is not texts else f"input[{i}]"
        if not isinstance(text, str):
            raise Refusal(f"{place}: found {_kind(text)}, expected a text.", "input")
        if not text.strip():
            raise Refusal(
                f"{place}: the text is empty. Leave it out, or send what it should say.", "input"
            )
        if len(text) > CHARACTERS:
            raise Refusal(
                f"{place}: {len(text):,} characters; a text has at most {CHARACTERS:,}. Split it.",
                "input",
            )
        if replace_surrogates(text) != text:
            raise Refusal(
                f"{place}: half a character (a lone surrogate). Send whole characters.", "input"
            )
    return texts


def check_dimensions(wanted: int | None, dimensions: int) -> None:
    """Raise Refusal unless the model's own size is wanted: a vector is cut only where a model was trained for it."""
    if wanted not in (None, dimensions):
        raise Refusal(
            f"dimensions: {wanted} is wanted; this model's vectors have {dimensions} numbers and are not shortened. "
            f"Leave `dimensions` out, or send {dimensions}.",
            "dimensions",
        )


def written(
    vectors: np.ndarray, form: str | None, model: str, tokens: Sequence[int], max_length: int
) -> bytes:
    """The answer's JSON.

    Args:
        vectors: float32 [n, dimensions].
        form: "float" (also None) or "base64" of little-endian float32.
        model: The name of the model that made them.
        tokens: Of each text, as encoded [n].
        max_length: Tokens that the model takes. Texts that fill it are named in `truncated`, which is left out where none does.
    """
    parts = []
    for i, vector in enumerate(vectors):
        packed = (
            base64.b64encode(vector.astype("<f4").tobytes()).decode() if form == "base64" else None
        )
        value = vector.tolist() if packed is None else packed
        parts.append(
            json.dumps({"object": "embedding", "index": i, "embedding": value}, allow_nan=False)
        )
    total = sum(tokens)
    rest: dict[str, Any] = {
        "model": model,
        "usage": {"prompt_tokens": total, "total_tokens": total},
    }
    cut = [i for i, n in enumerate(tokens) if n >= max_length]
    if cut:
        rest["truncated"] = cut
    return f'{{"object": "list", "data": [{", ".join(parts)}], {json.dumps(rest)[1:]}'.encode()


def _kind(x: Any) -> str:
    """A JSON value's kind, in words."""
    kinds = {
        str: "a text",
        dict: "an object",
        list: "an array",
        bool: "a truth value",
        type(None): "null",
    }
    return kinds.get(type(x), "a number")
