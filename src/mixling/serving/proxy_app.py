"""Passes requests on to an embedding API, and transforms the vectors of its answers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from urllib.parse import quote

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from mixling.errors import MixlingError
from mixling.serving.config import ServerConfig
from mixling.serving.errors import RequestError
from mixling.serving.guard import guard
from mixling.serving.proxy_answers import RequestedVectors, read_request, transform_answer
from mixling.transforms.files import VectorTransform

HEALTH_PATH = "/health"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
MAX_BODY_BYTES = 512 << 20  # the largest file that OpenAI's API takes
MAX_SECONDS = 3600.0  # of a route that is passed on unchanged, such as a streamed chat
KEEP_ALIVE = 60.0  # seconds that an idle connection to the upstream stays open
LARGE_ANSWER = 1 << 17  # bytes; a larger answer is transformed in a thread
# headers of a connection and not of a message (RFC 9110, 7.6.1)
CONNECTION_HEADERS = {
    b"connection",
    b"keep-alive",
    b"proxy-authenticate",
    b"proxy-authorization",
    b"proxy-connection",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
}
_ROLE_PREFIX = re.compile(rb"/(query|passage)(?=/v1(/|$))")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ProxyConfig:
    """The configuration of a proxy.

    Attributes:
        upstream: The base URL of the API, which the proxy's /v1 stands for.
        role: "query" or "passage" for requests that name no role; None: they name none.
        models: The models that the transform is for; empty: any.
        timeout: Seconds in which the upstream must answer a request for embeddings; of any other
            answer, seconds without a byte.
    """

    upstream: str
    role: str | None = None
    models: tuple[str, ...] = ()
    timeout: float = 60.0


class _Connections:
    """The connections to the upstream, each used by one request at a time.

    Each is a client of its own: the pool of one client looks at all its connections for each
    request, which takes longer than all else where there are 64.

    Args:
        timeout: Seconds to wait for the upstream.
    """

    def __init__(self, timeout: float):
        self.timeout = timeout
        self._free: list[httpx.AsyncClient] = []
        self._tls = httpx.create_ssl_context()
        # Cookies of one client must not be sent for another.
        self._no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))

    async def request(
        self, method: str, url: httpx.URL, headers: list[tuple[bytes, bytes]], content: bytes
    ) -> httpx.Response:
        """Send a request that may be sent twice, and read the answer.

        A server may close an idle connection at the moment when a request goes out on it. The
        request then goes out once more, on a new connection.

        Raises:
            httpx.HTTPError: There is no answer.
        """
        is_reused = bool(self._free)
        try:
            async with self.borrow() as client:
                return await client.request(method, url, headers=headers, content=content)
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            if not is_reused:
                raise
        async with self.borrow(new=True) as client:
            return await client.request(method, url, headers=headers, content=content)

    @contextlib.asynccontextmanager
    async def borrow(self, new: bool = False) -> AsyncIterator[httpx.AsyncClient]:
        """Lend a client for one request: the last one returned, or a new one."""
        client = self._free.pop() if self._free and not new else self._create()
        try:
            yield client
        finally:
            self._free.append(client)

    async def close(self) -> None:
        """Close all connections that nobody uses."""
        for client in self._free:
            await client.aclose()

    def _create(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            timeout=self.timeout,
            verify=self._tls,
            cookies=self._no_cookies,
            limits=httpx.Limits(keepalive_expiry=KEEP_ALIVE),
        )


def proxy_application(transform: VectorTransform, config: ProxyConfig) -> Starlette:
    """Return the HTTP application of a proxy.

    Args:
        transform: The transform of the vectors.
        config: The upstream and how requests are treated.

    Raises:
        MixlingError: The upstream is no base URL.

    Example:
        ```python
        app = proxy_application(load_transform("fair"), ProxyConfig("https://api.openai.com/v1"))
        uvicorn.run(app, port=8081)
        ```
    """
    upstream = parse_upstream(config.upstream)
    # Their lines hold addresses, and an address may hold a key.
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    connections = _Connections(config.timeout)

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def forward(request: Request) -> Response:
        prefix = _ROLE_PREFIX.match(request.scope["raw_path"])
        role = prefix[1].decode() if prefix else None
        url = _upstream_url(upstream, request)
        content = await request.body()
        last = request.scope["path"].rstrip("/").rpartition("/")[2].lower()
        if request.method == "POST":
            if last == "embeddings":
                requested = read_request(content, transform, role, config.role, config.models)
                return await embeddings(request, url, content, requested)
            _refuse_other_embeddings(last, content)
        return await _pass_on(connections, request, url, content)

    async def embeddings(
        request: Request, url: httpx.URL, content: bytes, requested: RequestedVectors
    ) -> Response:
        # The answer is read here, so the encoding is agreed between the proxy and the upstream.
        headers = _headers(request.headers.raw, b"host", b"content-length", b"accept-encoding")
        try:
            async with asyncio.timeout(config.timeout):
                answer = await connections.request("POST", url, headers, content)
        except (httpx.HTTPError, TimeoutError) as error:
            raise _upstream_failed(error, config.timeout) from None
        body = answer.content
        if answer.is_success:
            if len(body) > LARGE_ANSWER:
                body = await asyncio.to_thread(transform_answer, body, requested, transform)
            else:
                body = transform_answer(body, requested, transform)
        response = Response(body, answer.status_code)
        response.raw_headers = [
            *_headers(answer.headers.raw, b"content-length", b"content-encoding"),
            (b"content-length", str(len(body)).encode()),
        ]
        return response

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await connections.close()

    app = Starlette(
        routes=[
            Route(HEALTH_PATH, health),
            Route("/{path:path}", forward, methods=list(METHODS)),
        ],
        lifespan=lifespan,
    )
    app.add_middleware(
        guard,
        config=ServerConfig(
            max_body_bytes=MAX_BODY_BYTES,
            embeddings_max_body_bytes=MAX_BODY_BYTES,
            timeout=MAX_SECONDS,
            embeddings_timeout=MAX_SECONDS,
        ),
        open_paths=(HEALTH_PATH,),
        label=_path_label,
        headers=lambda _: {},
        count=lambda *_: None,
    )
    return app


def parse_upstream(address: str) -> httpx.URL:
    """Read the base URL of an API; without a path it gets /v1.

    Raises:
        MixlingError: It is no base URL, or it holds a key.
    """
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL:
        url = httpx.URL()
    is_address = url.host and "%" not in url.host and (url.port or 0) < 65536
    if url.scheme not in ("http", "https") or not is_address:
        raise MixlingError(
            "--upstream is not an address of HTTP. Expected the base URL of an embedding API, "
            "such as https://api.openai.com/v1"
        )
    if url.userinfo or url.query or url.fragment:  # not shown: it may be a key
        raise MixlingError(
            f"--upstream must be a base URL only, such as {url.scheme}://{url.host}/v1, without "
            "user, password, ? or #. Applications send their keys themselves."
        )
    return url.copy_with(path=url.path.rstrip("/") or "/v1")


def _upstream_url(upstream: httpx.URL, request: Request) -> httpx.URL:
    """Return where a request goes.

    The proxy's /v1 stands for the upstream's base URL; other paths stay as they are.
    """
    path = _ROLE_PREFIX.sub(b"", request.scope["raw_path"], count=1)
    if path == b"/v1" or path.startswith(b"/v1/"):
        path = upstream.raw_path + path.removeprefix(b"/v1")
    if request.scope["query_string"]:
        path += b"?" + request.scope["query_string"]
    return upstream.copy_with(raw_path=quote(path, safe="/?%:@!$&'()*+,;=~[]|").encode())


def _refuse_other_embeddings(last: str, content: bytes) -> None:
    """Refuse requests whose vectors would come back without the transform.

    Args:
        last: The last part of the path, in small letters.
        content: The body of the request.

    Raises:
        RequestError: The request asks for vectors in another way than OpenAI's.
    """
    if "embed" in last or (last == "batches" and b"/embeddings" in content):
        raise RequestError(
            f"{last}: this proxy transforms vectors of OpenAI's POST /v1/embeddings only, and "
            "others would come back as they are. Ask there, or ask the upstream without the "
            "proxy and transform its answer."
        )


async def _pass_on(
    connections: _Connections, request: Request, url: httpx.URL, content: bytes
) -> Response:
    """Pass a request on, and its answer as it comes."""
    headers = _headers(request.headers.raw, b"host", b"content-length")
    if "accept-encoding" not in request.headers:  # httpx would ask for its own
        headers.append((b"accept-encoding", b"identity"))
    stack = contextlib.AsyncExitStack()
    try:
        client = await stack.enter_async_context(connections.borrow())
        answer = await stack.enter_async_context(
            client.stream(request.method, url, headers=headers, content=content)
        )
    except BaseException as error:
        await stack.aclose()
        if isinstance(error, httpx.HTTPError):
            raise _upstream_failed(error, connections.timeout) from None
        raise

    async def chunks() -> AsyncIterator[bytes]:
        async with stack:
            async for chunk in answer.aiter_raw():
                yield chunk

    response = StreamingResponse(chunks(), answer.status_code)
    response.raw_headers = _headers(answer.headers.raw)
    return response


def _headers(headers: Sequence[tuple[bytes, bytes]], *without: bytes) -> list[tuple[bytes, bytes]]:
    """Return the headers of a message that are passed on, names in small letters."""
    lower = [(name.lower(), value) for name, value in headers]
    named = {
        x.strip().lower()
        for name, value in lower
        if name == b"connection"
        for x in value.split(b",")
    }
    left_out = CONNECTION_HEADERS | named | set(without)
    return [(name, value) for name, value in lower if name not in left_out]


def _upstream_failed(error: Exception, timeout: float | None) -> RequestError:
    """Return the error of an upstream that does not answer.

    The message names the type of the error alone, because its text may hold headers.
    """
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return RequestError(
            f"The upstream did not answer within {timeout:g} seconds.",
            code="upstream_timeout",
            status=504,
        )
    reason = str(error) if isinstance(error, httpx.ConnectError) else type(error).__name__
    return RequestError(
        f"The upstream gave no answer ({reason}).", code="upstream_failed", status=502
    )


def _path_label(path: str) -> str:
    """Return a path's name in the log, which must not grow with what strangers request."""
    parts = [x for x in path.split("/") if x]
    if path == HEALTH_PATH or parts in (
        ["v1", "embeddings"],
        ["query", "v1", "embeddings"],
        ["passage", "v1", "embeddings"],
    ):
        return "/" + "/".join(parts)
    return "other"
