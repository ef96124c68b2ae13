"""Runs a proxy before an embedding API that transforms its vectors, until it is stopped."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from typing import Literal

from mixling.errors import MixlingError, check_finite_numbers, choose, not_installed


def proxy(
    upstream: str,
    transform: str,
    *,
    host: str = "127.0.0.1",
    port: int = 8081,
    role: Literal["query", "passage"] | None = None,
    models: Sequence[str] = (),
    timeout: float = 60.0,
) -> None:
    """Stand before an embedding API and transform its vectors, until stopped by SIGTERM or Ctrl+C.

    An application changes its base URL and nothing else. Its key is passed on and kept nowhere.

    Args:
        upstream: Base URL of an OpenAI-compatible API, such as https://api.openai.com/v1.
        transform: "balanced", or a folder that `debias` or `debias_vectors` wrote.
        host: Address to listen on.
        port: Port to listen on.
        role: Role of requests that name none, for a transform that treats queries and passages
            differently. Requests name it by the base URL (/query/v1, /passage/v1) or by the field
            `input_type`.
        models: Models that the transform is for; requests for another one are refused. Default:
            every request gets the transform.
        timeout: Seconds in which the upstream must answer.

    Raises:
        MixlingError: The upstream is no base URL, the transform cannot be read, or the port is in
            use.

    Example:
        ```python
        mixling.proxy("https://api.openai.com/v1", "fair", port=8081)
        ```
    """
    try:
        import uvicorn

        from mixling.serving.proxy_app import ProxyConfig, proxy_application
    except ImportError as error:
        raise not_installed(str(error.name), "serve") from None
    from mixling.debiasing.files import load_transform
    from mixling.models.identify import identify_languages
    from mixling.serving.serve import check_port, log_to_stderr

    check_finite_numbers(timeout=timeout)
    if timeout <= 0:
        raise MixlingError(f"timeout is {timeout:g}. Expected a number of seconds above 0.")
    if role is not None:
        choose(role, ("query", "passage"), "role")
    loaded = load_transform(transform)
    if loaded.languages:
        identify_languages(["a"], loaded.languages)  # its package is missing now or never
    app = proxy_application(loaded, ProxyConfig(upstream, role, tuple(models), timeout))
    check_port(host, port)
    log_to_stderr()
    keep_from_collector()
    uvicorn.run(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=30,
        limit_concurrency=1024,
        timeout_keep_alive=15,
    )


def keep_from_collector() -> None:
    """Exclude the objects that are loaded now from garbage collection.

    A full collection otherwise walks all imported modules, and all requests wait for it.
    """
    gc.collect()
    gc.freeze()
