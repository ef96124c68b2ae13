"""`mixling proxy`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer


def run(
    upstream: Annotated[
        str,
        typer.Option(
            help="Base URL of an OpenAI-compatible API, such as https://api.openai.com/v1."
        ),
    ],
    transform: Annotated[
        str,
        typer.Option(help='"balanced", or a folder that `mixling debias` wrote.'),
    ],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8081,
    role: Annotated[
        Literal["query", "passage"] | None,
        typer.Option(
            help="Role of requests that name none by their base URL (/query/v1, /passage/v1) or by "
            "input_type, for a transform that treats queries and passages differently."
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="A model that the transform is for (repeat for several); requests for another one "
            "are refused. Default: every request gets the transform."
        ),
    ] = None,
    timeout: Annotated[
        float, typer.Option(help="Seconds to wait for an answer of the upstream.")
    ] = 60.0,
) -> None:
    """Transform the vectors of an embedding API between it and the application."""
    from mixling.serving.proxy import proxy

    proxy(
        upstream,
        transform,
        host=host,
        port=port,
        role=role,
        models=model or (),
        timeout=timeout,
    )
