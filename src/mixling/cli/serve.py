"""`mixling serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mixling.cli.options import PrecisionOption, Trust


def run(
    store: Annotated[
        str | None, typer.Argument(help="The store: a folder, or milvus://host:port/name.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; any but a loopback address needs --keys.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8080,
    keys: Annotated[
        Path | None,
        typer.Option(
            help="File of hashed API keys, one line NAME:SHA-256 a key; also MIXLING_KEYS."
        ),
    ] = None,
    rate: Annotated[
        float,
        typer.Option(
            min=0,
            help="Largest number of requests per second for each key or address; 0 means no limit.",
        ),
    ] = 0,
    model: Annotated[
        str | None, typer.Option(help="New place of the store's model, if it has moved.")
    ] = None,
    precision: PrecisionOption = "auto",
    rerank: Annotated[
        str | None,
        typer.Option(
            help="Rerank the results, as `mixling search --rerank` does. A request may decline."
        ),
    ] = None,
    log_queries: Annotated[
        bool,
        typer.Option(
            "--log-queries", help="Write queries into the log. Default: queries are not logged."
        ),
    ] = False,
    new_key: Annotated[
        str | None,
        typer.Option(
            "--new-key",
            metavar="NAME",
            help="Print a new key and its line for the file of keys, and stop.",
        ),
    ] = None,
    trust_remote_code: Trust = False,
) -> None:
    """Answer queries over HTTP: search, documents, OpenAI-compatible embeddings, metrics."""
    from mixling.errors import MixlingError

    if new_key is not None:
        from mixling.serving.keys import create_key

        key, line = create_key(new_key)
        typer.echo(f"key (shown only now): {key}\nline for the file of keys: {line}")
        return
    if store is None:
        raise MixlingError("no store is given. Write: mixling serve STORE")
    from mixling.serving.serve import serve

    serve(
        store,
        host=host,
        port=port,
        keys=keys,
        rate=rate,
        model=model,
        precision=precision,
        rerank=rerank,
        log_queries=log_queries,
        trust_remote_code=trust_remote_code,
    )
