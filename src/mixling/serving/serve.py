"""The verb `serve`: a store behind HTTP until it is stopped."""

from __future__ import annotations

import ipaddress
import logging
import socket
from pathlib import Path

from mixling.errors import MixlingError


def serve(
    store: str,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    keys: str | Path | None = None,
    rate: float = 0.0,
    model: str | None = None,
    precision: str = "auto",
    log_queries: bool = False,
    trust_remote_code: bool = False,
) -> None:
    """Answer questions over HTTP until stopped (SIGTERM or Ctrl+C: what has begun is answered first).

    host: the loopback address by default; another one needs keys. keys: a file of hashed API keys (also MIXLING_KEYS).
    rate: requests a second of each key or address, 0: no limit. trust_remote_code: as of Retriever. Raises MixlingError.
    """
    try:
        import uvicorn

        from mixling.serving.app import ServerConfig, application
    except ImportError as error:
        raise MixlingError(f"{error.name} is not installed: pip install 'mixling[serve]'") from None
    from mixling.models.precision import choose_precision
    from mixling.searching.query import Searcher
    from mixling.serving.keys import read_keys

    known = read_keys(Path(keys) if keys is not None else None)
    if not known and not _loopback(host):
        raise MixlingError(
            f"--host {host} is reached from elsewhere, and anybody could ask: give --keys FILE (`mixling serve --new-key NAME` "
            "prints a key and its line), or leave the host at 127.0.0.1"
        )
    _check_port(host, port)
    searcher = Searcher(store, model, trust_remote_code)
    precision = choose_precision(searcher.retriever.device, precision)
    searcher.retriever.encode(
        ["warm up"], "query", precision=precision
    )  # a broken model is said before it serves
    _log_to_stderr()
    settings = ServerConfig(keys=known, rate=rate, precision=precision, log_queries=log_queries)
    uvicorn.run(
        application(searcher, settings),
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=30,
        limit_concurrency=1024,
        timeout_keep_alive=15,
    )


def _log_to_stderr() -> None:
    """Write the log, a line of JSON for each request, and the messages of uvicorn to standard error."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    requests = logging.getLogger("mixling.serving")
    requests.addHandler(logging.StreamHandler())
    requests.setLevel(logging.INFO)
    requests.propagate = False


def _check_port(host: str, port: int) -> None:
    """Raise MixlingError where nobody can listen, before the model is loaded."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(address)
    except OSError as error:
        raise MixlingError(
            f"--host {host} --port {port}: the server cannot listen there ({error.strerror or error}). "
            "Stop what uses the port, or choose another one with --port."
        ) from None


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
