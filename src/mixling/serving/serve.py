"""Serves a store over HTTP until it is stopped."""

from __future__ import annotations

import ipaddress
import logging
import socket
from pathlib import Path
from typing import Any

from mixling.errors import MixlingError, not_installed
from mixling.models.precision import Precision, choose_precision


def serve(
    store: str,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    keys: str | Path | None = None,
    rate: float = 0.0,
    model: str | None = None,
    precision: Precision = "auto",
    rerank: Any = None,
    log_queries: bool = False,
    trust_remote_code: bool = False,
) -> None:
    """Answer queries over HTTP until stopped by SIGTERM or Ctrl+C.

    A server that is stopped first answers the requests that have begun.

    Args:
        store: A folder, or milvus://host:port/name.
        host: Address to listen on; any but a loopback address needs keys.
        port: Port to listen on.
        keys: File of hashed API keys; the environment variable MIXLING_KEYS adds more.
        rate: Requests a second of each key or address; 0: no limit.
        model: Where the store's model is now; by default where the store says.
        precision: "fp32", "bf16", or "auto" for bf16 where it is faster.
        rerank: What reranks the candidates of a search, as `load_reranker` takes it; a request may
            decline.
        log_queries: Write queries into the log; by default it holds none.
        trust_remote_code: Run code that comes with the model; see `Retriever`.

    Raises:
        MixlingError: There is no store, its model cannot be loaded, the port is in use, or a public
            address has no keys.

    Example:
        ```python
        mixling.serve("index", port=8080)
        ```
    """
    try:
        import uvicorn

        from mixling.serving.app import application
        from mixling.serving.config import ServerConfig
    except ImportError as error:
        raise not_installed(str(error.name), "serve") from None
    from mixling.searching.query import Searcher
    from mixling.serving.keys import read_keys

    hashes = read_keys(Path(keys) if keys is not None else None)
    if not hashes and not _is_loopback(host):
        raise MixlingError(
            f"--host {host} can be reached from other machines, so anybody could search. Give "
            "--keys FILE (`mixling serve --new-key NAME` prints a key and its line), or leave "
            "the host at 127.0.0.1."
        )
    check_port(host, port)
    searcher = Searcher(store, model, trust_remote_code, reranker=rerank)
    precision = choose_precision(searcher.retriever.device, precision)
    # A broken model is reported before the server starts.
    searcher.retriever.encode(["warm up"], "query", precision=precision)
    log_to_stderr()
    config = ServerConfig(keys=hashes, rate=rate, precision=precision, log_queries=log_queries)
    uvicorn.run(
        application(searcher, config),
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=30,
        limit_concurrency=1024,
        timeout_keep_alive=15,
    )


def log_to_stderr() -> None:
    """Write the log, a line of JSON for each request, and uvicorn's messages to standard error."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    requests = logging.getLogger("mixling.serving")
    requests.addHandler(logging.StreamHandler())
    requests.setLevel(logging.INFO)
    requests.propagate = False


def check_port(host: str, port: int) -> None:
    """Check that a server can listen, before anything is loaded.

    Args:
        host: Address to listen on.
        port: Port to listen on.

    Raises:
        MixlingError: It cannot.
    """
    try:
        family, socket_type, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
        with socket.socket(family, socket_type) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise MixlingError(
            f"--host {host} --port {port}: the server cannot "
            f"listen there ({error.strerror or error}). Stop what "
            "uses the port, or choose another one with --port."
        ) from None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
