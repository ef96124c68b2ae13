"""Declares the body of a search request, and describes in words what is wrong with a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Request
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from mixling.searching.fairness import Order
from mixling.searching.options import RERANK_DEPTH, Mode

_MAX_CHARACTERS = 8000  # of a query
_MAX_QUERIES = 16


def _check_not_blank(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("blank", "the query is empty. Write a query.")
    return text


Text = Annotated[
    str, Field(min_length=1, max_length=_MAX_CHARACTERS), AfterValidator(_check_not_blank)
]
_TEXT_SCHEMA = {"type": "string", "minLength": 1, "maxLength": _MAX_CHARACTERS}
_TEXTS_SCHEMA = {"type": "array", "items": _TEXT_SCHEMA, "minItems": 1, "maxItems": _MAX_QUERIES}
Texts = Annotated[
    list[Text],
    Field(min_length=1, max_length=_MAX_QUERIES),
    BeforeValidator(lambda x: [x] if isinstance(x, str) else x),
    WithJsonSchema({"oneOf": [_TEXT_SCHEMA, _TEXTS_SCHEMA]}),
]


class SearchRequest(BaseModel):
    """A query, or it and its translations."""

    model_config = ConfigDict(extra="forbid")

    query: Texts
    k: Annotated[int, Field(ge=1, le=100)] = 10
    languages: Annotated[list[str], Field(min_length=1, max_length=100)] | None = None
    mode: Mode = "dense"
    order: Order = "query-language-first"
    query_language: str | None = None
    quotas: dict[str, Annotated[int, Field(ge=0)]] | None = None
    highlight: bool = Field(
        False, description="name the sentence of each passage that is nearest to the query"
    )
    rerank: bool | None = Field(
        None, description="rerank the candidates; by default if the server has a reranker"
    )
    rerank_depth: Annotated[
        int, Field(ge=1, le=1000, description="how many candidates the reranker reads, at least k")
    ] = RERANK_DEPTH


def describe_error(details: Mapping[str, Any], request: Request) -> str:
    """Return what is wrong with a field of a request, and where.

    Args:
        details: One of `RequestValidationError.errors()`.
        request: The request.
    """
    location = details["loc"]  # begins with "body", "query" (the query string) or "path"
    field = ".".join(map(str, location[1:]))
    if details["type"] == "json_invalid":
        return f"the body is not JSON ({details['ctx']['error']} at character {field})"
    if location == ("body",) and "json" not in request.headers.get("Content-Type", ""):
        return "the body is not taken for JSON; send the header Content-Type: application/json"
    return f"{field or 'the body'}: {details['msg']}"
