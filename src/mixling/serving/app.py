"""Puts a search service behind HTTP: its routes, its page and its errors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException as StarletteHTTPException

from mixling import __version__
from mixling.searching.query import Searcher
from mixling.serving.config import ServerConfig
from mixling.serving.embeddings import EmbeddingRequest
from mixling.serving.errors import RequestError, error_response
from mixling.serving.guard import EMBEDDINGS_PATH, guard
from mixling.serving.metrics import Metrics
from mixling.serving.requests import SearchRequest, describe_error
from mixling.serving.service import SearchService

PAGE_FOLDER = Path(__file__).parent / "page"
PAGE_FILES = {
    "/": "index.html",
    "/page.css": "page.css",
    "/page.js": "page.js",
    "/words.json": "words.json",
}
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
OPEN_PATHS = ("/health", "/ready", *PAGE_FILES)  # they need no key
KNOWN_PATHS = {
    "/v1/search",
    "/v1/document",
    "/v1/info",
    EMBEDDINGS_PATH,
    "/v1/models",
    "/metrics",
    "/openapi.json",
    *OPEN_PATHS,
}
MAX_ERRORS = 4  # wrong fields that an answer names


def application(searcher: Searcher, config: ServerConfig | None = None) -> FastAPI:
    """Return the HTTP application of a store.

    Args:
        searcher: The store and its model.
        config: The limits; by default those of `ServerConfig`.

    Example:
        ```python
        uvicorn.run(application(Searcher("index")), port=8080)
        ```
    """
    config = config or ServerConfig()
    service = SearchService(searcher, config)
    metrics = Metrics(service.batcher)
    app = FastAPI(
        title="Mixling",
        version=__version__,
        lifespan=service.lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.add_middleware(
        guard,
        config=config,
        open_paths=OPEN_PATHS,
        label=_path_label,
        headers=_security_headers,
        count=metrics.count,
    )
    app.exception_handler(RequestValidationError)(_answer_invalid_request)
    app.exception_handler(StarletteHTTPException)(_answer_http_error)
    for path, name in PAGE_FILES.items():
        app.add_api_route(path, _page_route(name), include_in_schema=False, response_model=None)
    _add_status_routes(app, service, metrics)
    _add_search_routes(app, service)
    _add_openai_routes(app, service)
    return app


def _add_status_routes(app: FastAPI, service: SearchService, metrics: Metrics) -> None:
    @app.get("/health")
    async def health() -> dict[str, str]:
        """The process runs."""
        return {"status": "ok"}

    @app.get("/ready", response_model=None)
    async def is_ready() -> Response:
        """Model and store are warm."""
        if service.ready:
            return JSONResponse({"status": "ready"})
        return JSONResponse({"status": "not ready"}, 503)

    @app.get("/metrics", response_model=None, name="metrics")
    async def read_metrics() -> Response:
        """Return the metrics in Prometheus' format."""
        return Response(metrics.exposition(), media_type="text/plain; version=0.0.4")

    @app.get("/v1/info")
    async def info() -> dict[str, Any]:
        """Return what the store holds, and the model that made it."""
        return service.info()


def _add_search_routes(app: FastAPI, service: SearchService) -> None:
    @app.post("/v1/search")
    async def search(body: SearchRequest, request: Request) -> dict[str, Any]:
        """Find the best passages for a query."""
        request.state.query = body.query  # for the log
        return await service.search(body)

    @app.get("/v1/document")
    async def document(id: str) -> dict[str, Any]:
        """Return a document's passages in their order.

        Its id is not a part of the path, because browsers and proxies rewrite paths.
        """
        content = await service.document(id)
        if content is None:
            raise HTTPException(404, "The store has no document of this id.")
        return content


def _add_openai_routes(app: FastAPI, service: SearchService) -> None:
    model_object = {
        "id": service.model,
        "object": "model",
        "created": service.start_time,
        "owned_by": "mixling",
    }

    @app.post(EMBEDDINGS_PATH, response_model=None)
    async def embeddings(body: EmbeddingRequest) -> Response:
        """Return the vectors of texts, as OpenAI's API does."""
        return Response(await service.embed(body), media_type="application/json")

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        """List the only model, as OpenAI's API does."""
        return {"object": "list", "data": [model_object]}

    @app.get("/v1/models/{name:path}")
    async def one_model(name: str) -> dict[str, Any]:
        """Return the model of this name."""
        if name != service.model:
            raise RequestError(
                f"There is no model '{name}' here. There is '{service.model}'.",
                "model",
                "model_not_found",
                404,
            )
        return model_object


def _path_label(path: str) -> str:
    """Return a path's name in log and metrics, which must not grow with what strangers request."""
    return path if path in KNOWN_PATHS else "other"


def _security_headers(path: str) -> dict[str, str]:
    policy = PAGE_POLICY if path in PAGE_FILES else "default-src 'none'"
    return {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": policy}


async def _answer_invalid_request(request: Request, error: RequestValidationError) -> Response:
    """Answer a request whose body or parameters are wrong."""
    errors = error.errors()
    message = "; ".join(describe_error(details, request) for details in errors[:MAX_ERRORS])
    field = [str(x) for x in errors[0]["loc"][1:2] if isinstance(x, str)]
    status = 400 if request.scope["path"] == EMBEDDINGS_PATH else 422
    return error_response(status, message, param=field[0] if field else None)


async def _answer_http_error(request: Request, error: StarletteHTTPException) -> Response:
    """Answer a request to an unknown path, with a wrong method, or for what is not there."""
    message = str(error.detail)
    if error.status_code in (404, 405) and message in ("Not Found", "Method Not Allowed"):
        message = (
            f"{request.method} {request.scope['path']}: this server has no such address; "
            "/openapi.json lists them"
        )
    return error_response(error.status_code, message, headers=error.headers)


def _page_route(name: str) -> Callable[[], Awaitable[Response]]:
    """Return a route that answers with a file of the page, which is read once."""
    media_types = {
        "html": "text/html",
        "css": "text/css",
        "js": "text/javascript",
        "json": "application/json",
    }
    content = (PAGE_FOLDER / name).read_bytes()
    media_type = f"{media_types[name.rpartition('.')[2]]}; charset=utf-8"

    async def page_file() -> Response:
        return Response(content, media_type=media_type)

    return page_file
