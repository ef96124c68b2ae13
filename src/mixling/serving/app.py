"""The HTTP application: what is asked, what is answered, what is refused."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException as Refused

from mixling import __version__
from mixling.errors import MixlingError
from mixling.searching.query import Searcher
from mixling.serving.batching import Batcher, Overloaded
from mixling.serving.keys import Rate, name_of

log = logging.getLogger("mixling.serving")
Text = Annotated[str, Field(min_length=1, max_length=8000)]
PAGE = Path(__file__).parent / "page"
FILES = {"/": "index.html", "/page.css": "page.css", "/page.js": "page.js", "/words.json": "words.json"}
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
OPEN = ("/health", "/ready", *FILES)
KNOWN = {"/v1/search", "/v1/document", "/v1/info", "/v1/embeddings", "/metrics", "/openapi.json", *OPEN}


@dataclass(frozen=True)
class Settings:
    """keys: name -> hash, none: anybody may ask; rate: requests a second of each key (or address), 0: as many as it wants;
    body: bytes of a request; seconds: a request's time; waiting: texts that may wait for the encoder; log_questions: write
    questions into the log."""

    keys: dict[str, bytes] = field(default_factory=dict)
    rate: float = 0.0
    burst: int = 20
    body: int = 1 << 20
    seconds: float = 30.0
    waiting: int = 256
    batch: int = 64
    precision: str = "fp32"
    log_questions: bool = False


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Question(_Asked):
    """A question, or it and its translations."""

    question: Text | Annotated[list[Text], Field(min_length=1, max_length=16)]
    k: Annotated[int, Field(ge=1, le=100)] = 10
    languages: Annotated[list[str], Field(min_length=1, max_length=100)] | None = None
    way: Literal["dense", "text", "both"] = "dense"
    fairness: Literal["own-first", "centred", "balanced", "none"] = "own-first"
    asked_in: str | None = None
    quotas: dict[str, Annotated[int, Field(ge=0)]] | None = None
    mark: bool = Field(
        False, description="name the sentence that answers: costs as much as encoding the passages"
    )


class Embed(BaseModel):
    """OpenAI's request, and `input_type`: "query" or "passage" puts the model's prompt before the texts."""

    input: Text | Annotated[list[Text], Field(min_length=1, max_length=256)]
    model: str = ""
    encoding_format: Literal["float", "base64"] = "float"
    input_type: Literal["query", "passage", "document"] | None = None
    dimensions: int | None = None
    user: str | None = None


def application(searcher: Searcher, settings: Settings | None = None) -> FastAPI:
    """The application of a store."""
    s = settings or Settings()
    batcher = Batcher(searcher.retriever, s.batch, s.waiting, s.precision)
    rate = Rate(s.rate, s.burst) if s.rate else None
    registry = CollectorRegistry()
    asked = Counter("mixling_requests", "Requests by path and status", ["path", "status"], registry=registry)
    took = Histogram("mixling_request_seconds", "Time of a request", ["path"], registry=registry)
    Gauge("mixling_texts_waiting", "Texts that wait for the encoder", registry=registry).set_function(
        lambda: batcher.pending
    )
    Gauge("mixling_batches", "Batches encoded", registry=registry).set_function(lambda: batcher.batches)
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

    app = FastAPI(title="Mixling", version=__version__, lifespan=life, docs_url=None, redoc_url=None)

    @app.middleware("http")
    async def guard(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
        begun, path = time.perf_counter(), request.url.path
        label = path if path in KNOWN else "other"
        who, refused = _who(request, s, rate)
        response = refused
        if response is None:
            try:
                response = await asyncio.wait_for(_limited(request, go_on, s.body), s.seconds)
            except TimeoutError:
                response = _error(503, "the request took too long", {"Retry-After": "1"})
            except Overloaded:
                response = _error(429, "too many texts wait for the encoder; try again", {"Retry-After": "1"})
            except MixlingError as error:
                response = _error(400, str(error))
        seconds = time.perf_counter() - begun
        asked.labels(label, response.status_code).inc()
        took.labels(label).observe(seconds)
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Content-Security-Policy"] = PAGE_POLICY if path in FILES else "default-src 'none'"
        line = {"path": label, "method": request.method, "status": response.status_code, "ms": round(1000 * seconds, 1),
                "who": who}  # fmt: skip
        if s.log_questions and getattr(request.state, "question", None) is not None:
            line["question"] = request.state.question
        log.info(json.dumps(line, ensure_ascii=False))
        return response

    @app.exception_handler(RequestValidationError)
    async def wrong(_: Request, error: RequestValidationError) -> Response:
        said = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:4]]
        return _error(422, "; ".join(said))

    @app.exception_handler(Refused)
    async def refused(_: Request, error: Refused) -> Response:
        return _error(error.status_code, str(error.detail))

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
        return {k: about[k] for k in ("passages", "languages", "dimensions")} | {
            "model": about["model"].rpartition("/")[2]
        }

    @app.post("/v1/search")
    async def search(question: Question, request: Request) -> dict[str, Any]:
        """The best passages for a question."""
        begun = time.perf_counter()
        texts = [question.question] if isinstance(question.question, str) else question.question
        request.state.question = texts
        own = searcher.language(texts, question.asked_in)
        vectors = await batcher(texts, "query")
        found = await asyncio.to_thread(
            searcher.answer,
            texts,
            vectors,
            question.k,
            languages=question.languages,
            way=question.way,
            fairness=question.fairness,
            asked_in=own,
            quotas=question.quotas,
            mark=question.mark,
        )
        return {"results": found, "asked_in": own, "ms": round(1000 * (time.perf_counter() - begun), 1)}

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

    @app.post("/v1/embeddings")
    async def embeddings(body: Embed) -> dict[str, Any]:
        """Vectors of texts, as OpenAI's API gives them."""
        texts = [body.input] if isinstance(body.input, str) else body.input
        if body.dimensions not in (None, searcher.retriever.dimensions):
            raise HTTPException(400, f"this model's vectors have {searcher.retriever.dimensions} dimensions")
        role = "passage" if body.input_type == "document" else body.input_type
        vectors = await batcher(texts, role)
        tokens = await asyncio.to_thread(searcher.retriever.tokenize, texts, role)
        count = sum(map(len, tokens))
        data = [
            {"object": "embedding", "index": i, "embedding": _written(v, body.encoding_format)}
            for i, v in enumerate(vectors)
        ]
        return {
            "object": "list",
            "data": data,
            "model": body.model or searcher.retriever.name,
            "usage": {"prompt_tokens": count, "total_tokens": count},
        }

    return app


def _file(name: str) -> Callable[[], Awaitable[Response]]:
    """A route that gives one file of the page, read once."""
    kinds = {"html": "text/html", "css": "text/css", "js": "text/javascript", "json": "application/json"}
    content = (PAGE / name).read_bytes()

    async def give() -> Response:
        return Response(content, media_type=f"{kinds[name.rpartition('.')[2]]}; charset=utf-8")

    return give


def _written(vector: np.ndarray, form: str) -> list[float] | str:
    if form == "base64":
        return base64.b64encode(vector.astype("<f4").tobytes()).decode()
    return vector.tolist()


def _who(request: Request, s: Settings, rate: Rate | None) -> tuple[str, Response | None]:
    """Who asks, and a refusal where they may not."""
    who = request.client.host if request.client else "unknown"
    if request.url.path in OPEN:
        return who, None
    if s.keys:
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        name = name_of(key.strip(), s.keys) if scheme.lower() == "bearer" else None
        if name is None:
            return who, _error(
                401, "a key is wanted: Authorization: Bearer KEY", {"WWW-Authenticate": "Bearer"}
            )
        who = name
    if rate is not None:
        wait = rate.wait(who)
        if wait:
            return who, _error(429, "too many requests", {"Retry-After": str(int(wait) + 1)})
    return who, None


async def _limited(request: Request, go_on: Callable[[Request], Awaitable[Response]], most: int) -> Response:
    """The answer to a request whose body is not too large."""
    length = request.headers.get("Content-Length", "0")
    if not length.isdigit() or int(length) > most:
        return _error(413, f"a request has at most {most} bytes")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > most:
            return _error(413, f"a request has at most {most} bytes")
    request._body = bytes(body)  # read once, and handed on
    return await go_on(request)


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    """OpenAI's form of an error."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return JSONResponse({"error": {"message": message, "type": kind, "code": status}}, status, headers)
