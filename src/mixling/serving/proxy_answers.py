"""Transforms the vectors inside requests' answers in OpenAI's form, and changes nothing else."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixling.debiasing.apply import apply_transform
from mixling.errors import MixlingError
from mixling.serving.errors import RequestError
from mixling.transforms.files import VectorTransform

ROLES = {  # by the field `input_type`, which OpenAI does not have and other servers do
    "query": "query",
    "search_query": "query",
    "passage": "passage",
    "document": "passage",
    "search_document": "passage",
}
TOKEN_IDS_REFUSED = (
    "input: the transform depends on the language of each text, which token ids do not tell. Send "
    "texts. LangChain: OpenAIEmbeddings(check_embedding_ctx_length=False)."
)


@dataclass(frozen=True)
class RequestedVectors:
    """The vectors that a request asks for.

    Attributes:
        number: How many vectors; None where the upstream has to say what is wrong with the input.
        base64: Whether they are asked for in base64.
        texts: The texts; None where the input holds no texts alone.
        role: "query" or "passage".
    """

    number: int | None
    base64: bool
    texts: list[str] | None
    role: str


def read_request(
    content: bytes,
    transform: VectorTransform,
    role: str | None,
    default_role: str | None,
    models: Sequence[str],
) -> RequestedVectors:
    """Read a request for embeddings.

    Args:
        content: Its body.
        transform: The transform of the answer.
        role: The role that the address names, if it does.
        default_role: The role where neither the address nor `input_type` names one.
        models: The models that the transform is for; empty: any.

    Raises:
        RequestError: The transform cannot be applied to the answer.
    """
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        raise RequestError(
            "The body is not JSON. Send a JSON object, as OpenAI's API takes it."
        ) from None
    if not isinstance(body, dict):
        raise RequestError("The body is not a JSON object. Send one, as OpenAI's API takes it.")
    if models and body.get("model") not in models:
        raise RequestError(
            f"model is {json.dumps(body.get('model'))[:100]}, but this proxy's transform is for "
            f"{', '.join(models)}. Vectors of another model need a transform of their own.",
            "model",
            "model_not_found",
        )
    if body.get("encoding_format") not in (None, "float", "base64"):
        raise RequestError(
            f"encoding_format is {json.dumps(body['encoding_format'])[:100]}, but only float and "
            "base64 can be transformed. Ask for one of them.",
            "encoding_format",
        )
    if body.get("dimensions") not in (None, transform.dimensions):
        raise RequestError(
            f"dimensions is {json.dumps(body['dimensions'])[:100]}, but this proxy's transform "
            f"is for {transform.dimensions:,} dimensions{_added(transform)}. Ask for "
            f"{transform.dimensions:,}, or fit a transform on vectors of the size that you want.",
            "dimensions",
        )
    texts = _texts(body.get("input"))
    if texts is None and transform.languages:
        raise RequestError(TOKEN_IDS_REFUSED, "input", "token_arrays_not_supported")
    input_type = body.get("input_type")
    if role is None and isinstance(input_type, str):
        role = ROLES.get(input_type)
    role = role or default_role
    if role is None and transform.by_role:
        raise RequestError(
            "This proxy's transform treats queries and passages differently. Use the base URL "
            "…/query/v1 for queries and …/passage/v1 for passages, or start the proxy with --role."
        )
    return RequestedVectors(
        _number(body.get("input")),
        body.get("encoding_format") == "base64",
        texts,
        role or "query",
    )


def transform_answer(
    content: bytes,
    requested: RequestedVectors,
    transform: VectorTransform,
) -> bytes:
    """Transform the vectors of an answer.

    Args:
        content: The body of the answer.
        requested: What the request asked for.
        transform: The transform.

    Returns:
        The body with the vectors transformed and in the form that was asked for.

    Raises:
        RequestError: The answer is not one; status 502.
    """
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        raise _nonsense("it is not JSON") from None
    items = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(items, list) or not items or not all(isinstance(x, dict) for x in items):
        raise _nonsense("it has no vectors under `data`")
    if requested.number is not None and len(items) != requested.number:
        raise _nonsense(f"it has {len(items):,} vectors for {requested.number:,} inputs")
    places = _places(items)
    vectors = [
        _vector(item.get("embedding"), place) for item, place in zip(items, places, strict=True)
    ]
    sizes = {len(vector) for vector in vectors}
    if sizes != {transform.dimensions}:
        raise _nonsense(
            f"its vectors have {', '.join(f'{x:,}' for x in sorted(sizes))} numbers and the "
            f"transform is for {transform.dimensions:,}; it was fitted for another model, or the "
            "request must name `dimensions`"
        )
    texts = None if requested.texts is None else [requested.texts[i] for i in places]
    try:
        transformed = apply_transform(transform, np.stack(vectors), texts, requested.role)
    except MixlingError as error:
        raise _nonsense(str(error)) from None
    for item, vector in zip(items, transformed, strict=True):
        packed = base64.b64encode(vector.astype("<f4").tobytes()).decode()
        item["embedding"] = packed if requested.base64 else vector.tolist()
    return json.dumps(answer, separators=(",", ":")).encode()


def _places(items: Sequence[Mapping[str, Any]]) -> list[int]:
    """Return the input that each vector belongs to.

    Raises:
        RequestError: An input has no vector or two.
    """
    places = [item.get("index", i) for i, item in enumerate(items)]
    if any(type(x) is not int for x in places) or sorted(places) != list(range(len(items))):
        raise _nonsense("the fields `index` of its vectors do not name each input once")
    return places


def _vector(embedding: Any, place: int) -> np.ndarray:
    """Read a vector in either form.

    Raises:
        RequestError: It is no list of finite numbers and no base64 of float32.
    """
    try:
        if isinstance(embedding, str):
            vector = np.frombuffer(base64.b64decode(embedding, validate=True), "<f4")
        else:
            vector = np.array(embedding)
    except (ValueError, OverflowError):
        raise _nonsense(f"vector {place} is neither numbers nor base64 of float32") from None
    if vector.ndim != 1 or vector.dtype.kind != "f":  # whole numbers are quantized vectors
        raise _nonsense(f"vector {place} is not a list of floating-point numbers")
    with np.errstate(over="ignore"):
        vector = vector.astype(np.float32)
    if not np.isfinite(vector).all():
        raise _nonsense(f"vector {place} holds NaN or infinity")
    return vector


def _added(transform: VectorTransform) -> str:
    """Say how many numbers a transform adds; "" where it adds none."""
    added = transform.output_dimensions - transform.dimensions
    return f", to which it adds {added}" if added else ""


def _nonsense(reason: str) -> RequestError:
    return RequestError(
        f"The upstream's answer cannot be transformed: {reason}.",
        code="upstream_answer_invalid",
        status=502,
    )


def _number(value: Any) -> int | None:
    """Return how many inputs a field `input` holds."""
    if isinstance(value, str):
        return 1
    if not isinstance(value, list):
        return None
    return 1 if value and isinstance(value[0], int) else len(value)


def _texts(value: Any) -> list[str] | None:
    """Return the texts of a field `input`; None where it holds anything else."""
    texts = [value] if isinstance(value, str) else value
    if isinstance(texts, list) and all(isinstance(x, str) for x in texts):
        return texts
    return None
