"""The HTTP application: what is asked, what is answered, what is refused."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError
from starlette.exceptions import HTTPException as Refused

from mixling import __version__
from mixling.searching.query import Searcher, mark, sentences_of
from mixling.serving.batching import BULK, Batcher
from mixling.serving.embeddings import EmbeddingRequest, check_dimensions, texts_of, written
from mixling.serving.errors import Refusal, error
from mixling.serving.guard import EMBEDDINGS, ServerConfig, guard

PAGE = Path(__file__).parent / "page"
FILES = {
    "/": "index.html",
    "/page.css": "page.css",
    "/page.js": "page.js",
    "/words.json": "words.json",
}
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
OPEN = ("/health", "/ready", *FILES)
KNOWN = {
    "/v1/search",
    "/v1/document",
    "/v1/info",
    EMBEDDINGS,
    "/v1/models",
    "/metrics",
    "/openapi.json",
    *OPEN,
}
SENTENCES = 1024  # that are encoded in one go to mark those that answer


def _said(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("blank", "the query is empty; write one")
    return text


Text = Annotated[str, Field(min_length=1, max_length=8000), AfterValidator(_said)]
_TEXT = {"type": "string", "minLength": 1, "maxLength": 8000}
Texts = Annotated[
    list[Text],
    Field(min_length=1, max_length=16),
    BeforeValidator(lambda x: [x] if isinstance(x, str) else x),
    WithJsonSchema(
        {"oneOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1, "maxItems": 16}]}
    ),
]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SearchRequest(_Asked):
    """A query, or it and its translations."""

    query: Texts
    k: Annotated[int, Field(ge=1, le=100)] = 10
    languages: Annotated[list[str], Field(min_length=1, max_length=100)] | None = None
    mode: Literal["dense", "text", "both"] = "dense"
    order: Literal["query-language-first", "centered", "round-robin", "score"] = (
        "query-language-first"
    )
    query_language: str | None = None
    quotas: dict[str, Annotated[int, Field(ge=0)]] | None = None
    highlight: bool = Field(
        False, description="name the sentence that answers: costs as much as encoding the passages"
    )


def application(searcher: Searcher, settings: ServerConfig | None = None) -> FastAPI:
    """The application of a store."""
    s = settings or ServerConfig()
    batcher = Batcher(searcher.retriever, s.batch, s.waiting, s.precision, s.bulk)
    model = Path(searcher.store.info["model"]).name
    begun = int(time.time())
    registry = CollectorRegistry()
    asked = Counter(
        "mixling_requests", "Requests by path and status", ["path", "status"], registry=registry
    )
    took = Histogram("mixling_request_seconds", "Time of a request", ["path"], registry=registry)
    Gauge(
        "mixling_texts_waiting", "Texts that wait for the encoder", registry=registry
    ).set_function(lambda: batcher.pending)
    Gauge("mixling_batches", "Batches encoded", registry=registry).set_function(
        lambda: batcher.batches
    )
    Gauge("mixling_texts", "Texts encoded", registry=registry).set_function(lambda: batcher.texts)
    ready = False

    @contextlib.asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        nonlocal ready
        batcher.start()
        vector = (await batcher(["warm up"], "query"))[0]
        await asyncio.to_thread(searcher.store.nearest, vector, 1, None)
        ready = True
        yield
        ready = False
        await batcher.stop()

    app = FastAPI(
        title="Mixling", version=__version__, lifespan=life, docs_url=None, redoc_url=None
    )

    def label(path: str) -> str:
        return path if path in KNOWN else "other"

    def headers(path: str) -> dict[str, str]:
        policy = PAGE_POLICY if path in FILES else "default-src 'none'"
        return {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": policy}

    def count(path: str, status: int, seconds: float) -> None:
        asked.labels(path, status).inc()
        took.labels(path).observe(seconds)

    app.add_middleware(
        guard, settings=s, open_paths=OPEN, label=label, headers=headers, count=count
    )

    @app.exception_handler(RequestValidationError)
    async def wrong(request: Request, found: RequestValidationError) -> Response:
        said = [_sentence(e, request) for e in found.errors()[:4]]
        place = [str(x) for x in found.errors()[0]["loc"][1:2] if isinstance(x, str)]
        status = 400 if request.scope["path"] == EMBEDDINGS else 422
        return error(status, "; ".join(said), param=place[0] if place else None)

    @app.exception_handler(Refused)
    async def refused(request: Request, found: Refused) -> Response:
        said = str(found.detail)
        if found.status_code in (404, 405) and said in ("Not Found", "Method Not Allowed"):
            said = f"{request.method} {request.scope['path']}: this server has no such address; /openapi.json lists them"
        return error(found.status_code, said, headers=found.headers)

    for path, name in FILES.items():
        app.add_api_route(path, _file(name), include_in_schema=False, response_model=None)

    @app.get("/health")
    async def health() -> dict[str, str]:
        """The process is there."""
        return {"status": "ok"}

    @app.get("/ready", response_model=None)
    async def is_ready() -> Response:
        """Model and store are warm."""
        return JSONResponse({"status": "ready" if ready else "not ready"}, 200 if ready else 503)

    @app.get("/metrics", response_model=None)
    async def metrics() -> Response:
        """Prometheus' text."""
        return Response(generate_latest(registry), media_type="text/plain; version=0.0.4")

    @app.get("/v1/info")
    async def info() -> dict[str, Any]:
        """What is in the store, and which model made it."""
        about = searcher.store.info
        return {k: about[k] for k in ("passages", "languages", "dimensions")} | {"model": model}

    @app.post("/v1/search")
    async def search(body: SearchRequest, request: Request) -> dict[str, Any]:
        """The best passages for a query."""
        begun = time.perf_counter()
        texts = body.query
        request.state.query = texts
        query_language = searcher.language(texts, body.query_language)
        vectors = await batcher(texts, "query")
        found = await asyncio.to_thread(
            searcher.search_vectors,
            texts,
            vectors,
            body.k,
            languages=body.languages,
            mode=body.mode,
            order=body.order,
            query_language=query_language,
            quotas=body.quotas,
            highlight=False,
        )
        if body.highlight:
            found = await _marked(searcher, batcher, found, vectors)
        return {
            "results": found,
            "query_language": query_language,
            "ms": round(1000 * (time.perf_counter() - begun), 1),
        }

    @app.get("/v1/document")
    async def document(id: str) -> dict[str, Any]:
        """A document's passages in their order; its id is no part of the path, which browsers and proxies rewrite."""
        rows = (await asyncio.to_thread(searcher.store.document, id)).to_pylist()
        if not rows:
            raise HTTPException(404, "no such document")
        first = rows[0]
        return {
            **{k: first[k] for k in ("document", "title", "address", "language")},
            "metadata": json.loads(first["metadata"] or "{}"),
            "passages": [{k: r[k] for k in ("part", "begin", "end", "text")} for r in rows],
        }

    @app.post(EMBEDDINGS, response_model=None)
    async def embeddings(body: EmbeddingRequest) -> Response:
        """Vectors of texts, as OpenAI's API gives them."""
        texts = texts_of(body.input)
        check_dimensions(body.dimensions, searcher.retriever.dimensions)
        role = "passage" if body.input_type == "document" else body.input_type
        vectors = await batcher(texts, role, BULK)

        def answer() -> bytes:
            tokens = [len(t) for t in searcher.retriever.tokenize(texts, role)]
            return written(
                vectors, body.encoding_format, model, tokens, searcher.retriever.max_length
            )

        return Response(await asyncio.to_thread(answer), media_type="application/json")

    about_model = {"id": model, "object": "model", "created": begun, "owned_by": "mixling"}

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        """The one model that there is, as OpenAI's API lists them."""
        return {"object": "list", "data": [about_model]}

    @app.get("/v1/models/{name:path}")
    async def one_model(name: str) -> dict[str, Any]:
        """The model of that name."""
        if name != model:
            raise Refusal(
                f"There is no model '{name}' here. There is '{model}'.",
                "model",
                "model_not_found",
                404,
            )
        return about_model

    return app


async def _marked(
    searcher: Searcher, batcher: Batcher, found: Sequence[dict[str, Any]], vectors: np.ndarray
) -> list[dict[str, Any]]:
    """The found passages with the sentences that answer; encoded as other requests' texts are, so that a client who has gone
    keeps nobody waiting."""
    spans = await asyncio.to_thread(sentences_of, found)
    texts = [r["text"][a:b] for r, cut in zip(found, spans, strict=True) for a, b in cut]
    parts = [
        await batcher(texts[i : i + SENTENCES], "passage", BULK)
        for i in range(0, len(texts), SENTENCES)
    ]
    near = np.concatenate(parts) @ searcher.mean(vectors) if parts else np.zeros(0)
    return mark(found, spans, near)


def _sentence(found: Any, request: Request) -> str:
    """What is wrong with a field of a request, and where."""
    place = ".".join(str(x) for x in found["loc"] if x not in ("body", "query"))
    if found["type"] == "json_invalid":
        return f"the body is not JSON ({found['ctx']['error']} at character {place})"
    if found["loc"] == ("body",) and "json" not in request.headers.get("Content-Type", ""):
        return "the body is not taken for JSON; send the header Content-Type: application/json"
    return f"{place or 'the body'}: {found['msg']}"


def _file(name: str) -> Callable[[], Awaitable[Response]]:
    """A route that gives one file of the page, read once."""
    kinds = {
        "html": "text/html",
        "css": "text/css",
        "js": "text/javascript",
        "json": "application/json",
    }
    content = (PAGE / name).read_bytes()

    async def give() -> Response:
        return Response(content, media_type=f"{kinds[name.rpartition('.')[2]]}; charset=utf-8")

    return give
