"""Services that make embeddings: addresses, keys, limits, and how each is told query from passage.

| spelling | route | query and passage | key |
|---|---|---|---|
| `openai:MODEL` | OpenAI's | – | `OPENAI_API_KEY` |
| `https://host/v1#MODEL` | OpenAI's, at any address | – | `MIXLING_API_KEY`, if it is needed |
| `voyage:MODEL` | OpenAI's form | `input_type` | `VOYAGE_API_KEY` |
| `jina:MODEL` | OpenAI's form | `task` | `JINA_API_KEY` |
| `mistral:MODEL` | OpenAI's form | – | `MISTRAL_API_KEY` |
| `cohere:MODEL` | Cohere's own | `input_type` | `COHERE_API_KEY` |
| `gemini:MODEL` | Google's own | `taskType` | `GEMINI_API_KEY` |

Cohere and Google have routes in OpenAI's form too; these do not take the type of the input.

Limits of a request, which `PROVIDERS` stays below because tokens are estimated:

| service | texts | tokens | source |
|---|---|---|---|
| OpenAI | 2,048 | 300,000 | API reference, `POST /v1/embeddings` |
| Voyage | 1,000 | 120,000, small models more | docs.voyageai.com/reference/embeddings-api |
| Jina | 512 (v4), 2,048 (v3) | – | its error "at most 512 items"; refly-ai/refly#831 |
| Mistral | 512 | 16,384 | its errors "Max is 16384" and 3210; langchain-ai/langchain#20523 |
| Cohere | 96 | 128,000 | docs.cohere.com/reference/embed |
| Google | 100 | 2,048 a text | its error "at most 100 requests can be in one batch" |

Google's `gemini-embedding-2` takes the task as a prompt in the text and no `taskType`
(ai.google.dev/gemini-api/docs/embeddings); `PROMPTS` has it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from mixling.errors import MixlingError

Body = dict[str, Any]
ANY = "MIXLING_API_KEY"


@dataclass(frozen=True)
class Provider:
    """A service.

    Args:
        address: Its base address.
        key: Environment variable of the key.
        max_texts: Texts of a request at most.
        max_tokens: Tokens of a request at most.
        role_options: Fields of a request by role.
        size_field: Field that asks for fewer dimensions.
        form: "openai", "cohere" or "gemini".
        needs_key: Whether there is no answer without a key.
    """

    address: str
    key: str
    max_texts: int
    max_tokens: int
    role_options: Mapping[str, Body] = field(default_factory=dict)
    size_field: str = "dimensions"
    form: str = "openai"
    needs_key: bool = True

    def api_key(self) -> str:
        """Return the key.

        Raises:
            MixlingError: The environment has none, and there is no answer without one.
        """
        key = os.environ.get(self.key, "").strip()
        if not key and self.needs_key:
            raise MixlingError(
                f"{self.address}: the service needs a key, but the environment variable "
                f"{self.key} is not set. Set it to your key of this service."
            )
        return key


def _input_types(name: str, query: str, passage: str) -> dict[str, Body]:
    return {"query": {name: query}, "passage": {name: passage}}


PROVIDERS = {
    "openai": Provider("https://api.openai.com/v1", "OPENAI_API_KEY", 2048, 250_000),
    "voyage": Provider(
        "https://api.voyageai.com/v1", "VOYAGE_API_KEY", 1000, 60_000,
        _input_types("input_type", "query", "document"), "output_dimension",
    ),
    "jina": Provider(
        "https://api.jina.ai/v1", "JINA_API_KEY", 128, 100_000,
        _input_types("task", "retrieval.query", "retrieval.passage"),
    ),
    "mistral": Provider(
        "https://api.mistral.ai/v1", "MISTRAL_API_KEY", 128, 12_000, {}, "output_dimension"
    ),
    "cohere": Provider(
        "https://api.cohere.com/v2", "COHERE_API_KEY", 96, 100_000,
        _input_types("input_type", "search_query", "search_document"), "output_dimension",
        "cohere",
    ),
    "gemini": Provider(
        "https://generativelanguage.googleapis.com/v1beta", "GEMINI_API_KEY", 100, 20_000,
        _input_types("taskType", "RETRIEVAL_QUERY", "RETRIEVAL_DOCUMENT"),
        "outputDimensionality", "gemini",
    ),
}  # fmt: skip
# prompts of models that are told query from passage by the text itself, by service and model
PROMPTS = {
    "gemini:gemini-embedding-2": {
        "query": "task: search result | query: ",
        "passage": "title: none | text: ",
    }
}
# of any other address: what OpenAI-compatible servers take by default
COMPATIBLE = Provider("", ANY, 32, 100_000, needs_key=False)


def find_provider(spelling: str) -> tuple[Provider, str]:
    """Return the service and the model of a spelling.

    Args:
        spelling: `NAME:MODEL`, or the address of an OpenAI-compatible service with `#MODEL`.

    Raises:
        MixlingError: The model is missing, or the address holds a password or a query.
    """
    if spelling.startswith(("http://", "https://")):
        address, _, model = spelling.partition("#")
        parts = urlsplit(address)
        if parts.username or parts.password or parts.query:
            raise MixlingError(
                f"{parts.scheme}://{parts.hostname}: the address has a user name, a password or "
                "a query, which would be shown in results. Leave them out, and put a key into "
                f"the environment variable {ANY}."
            )
        provider = replace(COMPATIBLE, address=address.rstrip("/"))
        example = "http://localhost:8080/v1#BAAI/bge-m3"
    else:
        name, _, model = spelling.partition(":")
        provider = PROVIDERS[name]
        example = f"{name}:MODEL"
    if not model.strip():
        raise MixlingError(f"{spelling}: no model is named. Write {example}")
    if spelling in PROMPTS:
        provider = replace(provider, role_options={})
    return provider, model.strip()


Form = tuple[
    Callable[[str, str, Sequence[str], Body], tuple[str, Body]],
    Callable[[Any], list[Any]],
]
"""Makes path and body of a request from address, model, texts and fields; reads the vectors."""


def _cohere_request(
    address: str, model: str, texts: Sequence[str], options: Body
) -> tuple[str, Body]:
    return f"{address}/embed", {
        "model": model, "texts": list(texts), "embedding_types": ["float"], **options
    }  # fmt: skip


def _cohere_vectors(answer: Any) -> list[Any]:
    return list(answer["embeddings"]["float"])


def _gemini_request(
    address: str, model: str, texts: Sequence[str], options: Body
) -> tuple[str, Body]:
    name = f"models/{model.removeprefix('models/')}"
    requests = [
        {"model": name, "content": {"parts": [{"text": text}]}, **options} for text in texts
    ]
    return f"{address}/{name}:batchEmbedContents", {"requests": requests}


def _gemini_vectors(answer: Any) -> list[Any]:
    return [item["values"] for item in answer["embeddings"]]


FORMS: dict[str, Form] = {
    "cohere": (_cohere_request, _cohere_vectors),
    "gemini": (_gemini_request, _gemini_vectors),
}


def key_header(form: str, key: str) -> dict[str, str]:
    """Return the header that carries the key of a service that is not called in OpenAI's form."""
    if not key:  # an address that needs none
        return {}
    return {"x-goog-api-key": key} if form == "gemini" else {"Authorization": f"Bearer {key}"}
