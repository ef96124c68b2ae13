"""Around every request: who asks, how much they may send, how long it may take, and that work ends when the client has gone."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from fastapi import Request
from fastapi.responses import Response
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mixling.errors import MixlingError
from mixling.serving.batching import EncoderFailed, Overloaded
from mixling.serving.errors import Refusal, error
from mixling.serving.keys import Rate, name_of

log = logging.getLogger("mixling.serving")
EMBEDDINGS = "/v1/embeddings"
GONE = 499  # in log and metrics, as nginx says it: the client hung up before its answer
AGAIN = {"Retry-After": "1"}


@dataclass(frozen=True)
class ServerConfig:
    """keys: name -> hash, none: anybody may ask; rate: requests a second of each key (or address), 0: as many as it wants;
    body: bytes of a request; seconds: a request's time; waiting: texts of searches that may wait for the encoder; log_queries:
    write queries into the log. embeddings_body, embeddings_seconds, bulk: the same of /v1/embeddings, whose requests are large
    (ten minutes is how long OpenAI's client waits)."""

    keys: dict[str, bytes] = field(default_factory=dict)
    rate: float = 0.0
    burst: int = 20
    body: int = 1 << 20
    seconds: float = 30.0
    waiting: int = 256
    batch: int = 64
    precision: str = "fp32"
    log_queries: bool = False
    embeddings_body: int = 4 << 20
    embeddings_seconds: float = 600.0
    bulk: int = 16_384


class _Gone(Exception):
    """The client has hung up."""


def guard(
    app: ASGIApp,
    settings: ServerConfig,
    open_paths: tuple[str, ...],
    label: Callable[[str], str],
    headers: Callable[[str], Mapping[str, str]],
    count: Callable[[str, int, float], None],
) -> ASGIApp:
    """Wrap an application.

    Args:
        app: The application.
        settings: The limits.
        open_paths: Paths that need no key.
        label: A path's name in log and metrics.
        headers: Headers that every answer of a path has.
        count: Called with label, status and seconds after each request.
    """
    rate = Rate(settings.rate, settings.burst) if settings.rate else None

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        begun, path, status = time.perf_counter(), scope["path"], 0

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message).update(headers(path))
            await send(message)

        request = Request(scope)
        who, response = _who(request, settings, rate, open_paths)
        if response is None:
            response = await _answered(app, scope, receive, noted, settings)
        if response is not None and not status:
            await response(scope, receive, noted)
        seconds = time.perf_counter() - begun
        count(label(path), status or GONE, seconds)
        line = {"path": label(path), "method": request.method, "status": status or GONE, "ms": round(1000 * seconds, 1),
                "who": who}  # fmt: skip
        query = scope.get("state", {}).get("query")
        if settings.log_queries and query is not None:
            line["query"] = query
        log.info(json.dumps(line, ensure_ascii=False))

    return guarded


async def _answered(
    app: ASGIApp, scope: Scope, receive: Receive, send: Send, settings: ServerConfig
) -> Response | None:
    """Let the application answer. Returns an error to be sent where it could not; None where it has, or nobody waits."""
    large = scope["path"].rstrip("/") == EMBEDDINGS
    most = settings.embeddings_body if large else settings.body
    limit = settings.embeddings_seconds if large else settings.seconds
    try:
        async with asyncio.timeout(limit):
            body = await _body(scope, receive, most)
            await _while_there(app(scope, _replayed(body, receive), send), receive)
    except _Gone:
        pass
    except TimeoutError:
        said = (
            f"the request took too long: more than {limit:g} seconds. Send fewer or shorter texts."
        )
        return error(503, said, headers={"x-should-retry": "false"} if large else AGAIN)
    except Overloaded:
        return error(429, "too many texts wait for the encoder; try again", headers=AGAIN)
    except Refusal as refused:
        return error(refused.status, refused.message, param=refused.param, code=refused.code)
    except EncoderFailed as failed:
        return error(500, str(failed))
    except MixlingError as mistake:
        return error(400, str(mistake))
    except asyncio.CancelledError:  # the server stops, and has waited long enough
        return error(503, "The server is stopping.", headers=AGAIN)
    except Exception:
        log.exception("a request failed")
        return error(500, "The server failed to answer; its log says why.")
    return None


async def _body(scope: Scope, receive: Receive, most: int) -> bytes:
    """The body of a request. Raises Refusal where it is too large."""
    too_large = Refusal(
        f"a request has at most {most} bytes. Send fewer texts in a request.", None, None, 413
    )
    length = Request(scope).headers.get("Content-Length", "0")
    if not length.isdigit() or int(length) > most:
        raise too_large
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > most:
            raise too_large
    return bytes(body)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """What the application receives: the body, read already, then what else comes."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay


async def _while_there(work: Awaitable[None], receive: Receive) -> None:
    """Run work to its end, or cancel it when the client hangs up. Raises _Gone then, else what the work raises."""

    async def hung_up() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    answering, gone = asyncio.ensure_future(work), asyncio.create_task(hung_up())
    try:
        await asyncio.wait({answering, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():
            raise _Gone
        answering.result()
    finally:
        for task in (answering, gone):
            task.cancel()
        await asyncio.gather(answering, gone, return_exceptions=True)


def _who(
    request: Request, s: ServerConfig, rate: Rate | None, open_paths: tuple[str, ...]
) -> tuple[str, Response | None]:
    """Who asks, and a refusal where they may not."""
    who = request.client.host if request.client else "unknown"
    if request.scope["path"] in open_paths:  # request.url fails where the Host header is no address
        return who, None
    if s.keys:
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        name = name_of(key.strip(), s.keys) if scheme.lower() == "bearer" else None
        if name is None:
            return who, error(
                401,
                "a key is wanted: Authorization: Bearer KEY",
                headers={"WWW-Authenticate": "Bearer"},
            )
        who = name
    if rate is not None:
        wait = rate.wait(who)
        if wait:
            return who, error(429, "too many requests", headers={"Retry-After": str(int(wait) + 1)})
    return who, None
