"""Guards every request: its key, its rate, its size and its time.

The work of a request ends when its client has gone.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping

from fastapi import Request
from fastapi.responses import Response
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mixling.errors import MixlingError
from mixling.serving.batching import EncoderError, OverloadedError
from mixling.serving.config import ServerConfig
from mixling.serving.errors import RequestError, error_response
from mixling.serving.keys import RateLimiter, key_name

logger = logging.getLogger(__name__)

EMBEDDINGS_PATH = "/v1/embeddings"
CLIENT_GONE = 499  # in log and metrics, as nginx writes it: the client hung up before its answer
RETRY_SOON = {"Retry-After": "1"}


class _ClientGoneError(Exception):
    """The client has hung up."""


def guard(
    app: ASGIApp,
    config: ServerConfig,
    open_paths: tuple[str, ...],
    label: Callable[[str], str],
    headers: Callable[[str], Mapping[str, str]],
    count: Callable[[str, int, float], None],
) -> ASGIApp:
    """Wrap an application.

    Args:
        app: The application.
        config: The limits.
        open_paths: Paths that need no key.
        label: Returns a path's name in log and metrics.
        headers: Returns the headers that every answer of a path has.
        count: Called with label, status and seconds after each request.
    """
    limiter = RateLimiter(config.rate, config.burst) if config.rate else None

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        start, path, status = time.perf_counter(), scope["path"], 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message).update(headers(path))
            await send(message)

        request = Request(scope)
        client, response = _admit(request, config, limiter, open_paths)
        if response is None:
            response = await _answer(app, scope, receive, send_with_headers, config)
        if response is not None and not status:
            await response(scope, receive, send_with_headers)
        seconds = time.perf_counter() - start
        count(label(path), status or CLIENT_GONE, seconds)
        entry = {
            "path": label(path),
            "method": request.method,
            "status": status or CLIENT_GONE,
            "ms": round(1000 * seconds, 1),
            "who": client,
        }
        query = scope.get("state", {}).get("query")
        if config.log_queries and query is not None:
            entry["query"] = query
        logger.info(json.dumps(entry, ensure_ascii=False))

    return guarded


async def _answer(
    app: ASGIApp, scope: Scope, receive: Receive, send: Send, config: ServerConfig
) -> Response | None:
    """Let the application answer a request, within its limits.

    Returns:
        An error to send where the application could not answer; None where it has answered, or
        nobody waits.
    """
    is_bulk = scope["path"].rstrip("/") == EMBEDDINGS_PATH
    max_body_bytes = config.embeddings_max_body_bytes if is_bulk else config.max_body_bytes
    timeout = config.embeddings_timeout if is_bulk else config.timeout
    try:
        async with asyncio.timeout(timeout):
            body = await _read_body(scope, receive, max_body_bytes)
            await _while_connected(app(scope, _replay(body, receive), send), receive)
    except _ClientGoneError:
        pass
    except TimeoutError:
        message = f"the request took more than {timeout:g} seconds. Send fewer or shorter texts."
        # OpenAI's client would send the same large request again.
        hint = {"x-should-retry": "false"} if is_bulk else RETRY_SOON
        return error_response(503, message, headers=hint)
    except OverloadedError:
        return error_response(
            429, "too many texts wait for the encoder. Try again.", headers=RETRY_SOON
        )
    except RequestError as error:
        return error_response(error.status, error.message, param=error.param, code=error.code)
    except EncoderError as error:
        return error_response(500, str(error))
    except MixlingError as error:
        return error_response(400, str(error))
    except asyncio.CancelledError:  # the server stops, and has waited long enough
        return error_response(503, "The server is stopping.", headers=RETRY_SOON)
    except Exception:
        logger.exception("a request failed")
        return error_response(500, "The server failed to answer; its log says why.")
    return None


async def _read_body(scope: Scope, receive: Receive, max_bytes: int) -> bytes:
    """Read the body of a request.

    Raises:
        RequestError: It has more than `max_bytes` bytes.
        _ClientGoneError: The client hung up.
    """
    too_large = RequestError(
        f"the request is too large: a request may have at most {max_bytes} bytes. Send fewer "
        "texts in a request.",
        status=413,
    )
    length = Request(scope).headers.get("Content-Length", "0")
    if not length.isdigit() or int(length) > max_bytes:
        raise too_large
    body, has_more = bytearray(), True
    while has_more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _ClientGoneError
        body += message.get("body", b"")
        has_more = message.get("more_body", False)
        if len(body) > max_bytes:
            raise too_large
    return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return the messages of the application: the body that was read, then the following ones."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay


async def _while_connected(work: Awaitable[None], receive: Receive) -> None:
    """Run work to its end, or cancel it when the client hangs up.

    Raises:
        _ClientGoneError: The client hung up.
        Exception: What the work raises.
    """

    async def wait_for_disconnect() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    answer = asyncio.ensure_future(work)
    disconnect = asyncio.create_task(wait_for_disconnect())
    try:
        await asyncio.wait({answer, disconnect}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise _ClientGoneError
        answer.result()
    finally:
        for task in (answer, disconnect):
            task.cancel()
        await asyncio.gather(answer, disconnect, return_exceptions=True)


def _admit(
    request: Request,
    config: ServerConfig,
    limiter: RateLimiter | None,
    open_paths: tuple[str, ...],
) -> tuple[str, Response | None]:
    """Check the key and the rate of a request.

    Returns:
        The name of the client's key, or its address; and an error where the request is refused.
    """
    client = request.client.host if request.client else "unknown"
    # Not request.url, which fails where the Host header is no address.
    if request.scope["path"] in open_paths:
        return client, None
    if config.keys:
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        name = key_name(key.strip(), config.keys) if scheme.lower() == "bearer" else None
        if name is None:
            return client, error_response(
                401,
                "the request has no valid key. Send the header Authorization: Bearer KEY",
                headers={"WWW-Authenticate": "Bearer"},
            )
        client = name
    if limiter is not None:
        wait = limiter.wait(client)
        if wait:
            return client, error_response(
                429,
                "the client sent too many requests. Try again after the time that the "
                "header Retry-After names.",
                headers={"Retry-After": str(int(wait) + 1)},
            )
    return client, None
