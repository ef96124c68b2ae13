"""Options that several commands share, and the text of documents for the terminal."""

from __future__ import annotations

import functools
import inspect
import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

import typer

from mixling.models.precision import Precision
from mixling.threads import VARIABLE

if TYPE_CHECKING:
    from mixling.models.encoders import AnyEncoder
    from mixling.models.retriever import Retriever

Trust = Annotated[
    bool,
    typer.Option(
        "--trust-remote-code",
        help="Run Python code that comes with the model. Without this option, such a model is "
        "refused.",
    ),
]
PrecisionOption = Annotated[
    Precision, typer.Option(help="Number format: fp32, bf16, or auto (bf16 where it is faster).")
]
_SERVICE = "Services (openai:MODEL, https://host/v1#MODEL, cohere: voyage: jina: gemini: mistral:)"
_PANEL = "How the model is used (default: as it was trained)"


def _model_options(
    pooling: Annotated[
        str | None,
        typer.Option(
            help="Pooling of tokens: mean, cls, max or lasttoken.", rich_help_panel=_PANEL
        ),
    ] = None,
    query_prompt: Annotated[
        str | None,
        typer.Option(help='Prompt before each query; "" for none.', rich_help_panel=_PANEL),
    ] = None,
    passage_prompt: Annotated[
        str | None,
        typer.Option(help='Prompt before each passage; "" for none.', rich_help_panel=_PANEL),
    ] = None,
    task_description: Annotated[
        str | None,
        typer.Option(
            help="Purpose of the queries in a sentence, for a model whose prompt is an "
            "instruction.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    titles: Annotated[
        # TitleOption of models.prompts, which would import numpy for --help
        Literal["model", "joined", "none"],
        typer.Option(
            help="How titles are read: model (as it was trained), joined (title text), or none.",
            rich_help_panel=_PANEL,
        ),
    ] = "model",
    max_length: Annotated[
        int | None,
        typer.Option(min=1, help="Largest number of tokens of a text.", rich_help_panel=_PANEL),
    ] = None,
    similarity: Annotated[
        str | None,
        typer.Option(help="Similarity of vectors: cosine or dot.", rich_help_panel=_PANEL),
    ] = None,
    truncate_dim: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Cut vectors to this many first numbers, for a model that was trained for it.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    query_options: Annotated[
        str | None,
        typer.Option(
            help='JSON object to add to requests for queries, such as {"task": "search"}.',
            rich_help_panel=_SERVICE,
        ),
    ] = None,
    passage_options: Annotated[
        str | None,
        typer.Option(help="JSON object to add to requests for passages.", rich_help_panel=_SERVICE),
    ] = None,
    concurrency: Annotated[
        int | None,
        typer.Option(
            min=1, help="Number of requests at the same time. Default: 8.", rich_help_panel=_SERVICE
        ),
    ] = None,
    price: Annotated[
        float | None,
        typer.Option(min=0, help="Price of a million tokens.", rich_help_panel=_SERVICE),
    ] = None,
    max_cost: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Largest cost. Requests that would exceed it are not sent.",
            rich_help_panel=_SERVICE,
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Number of threads. Default: as many as are idle on this machine.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Send nothing: print the number of texts and tokens, and the cost at --price.",
            rich_help_panel=_SERVICE,
        ),
    ] = False,
) -> dict[str, Any]:
    """Return the given options as arguments of `load_encoder`; set the number of threads."""
    if threads is not None:
        os.environ[VARIABLE] = str(threads)
    prompts = {"query": query_prompt, "passage": passage_prompt}
    options = {
        "pooling": pooling,
        "prompts": {role: x for role, x in prompts.items() if x is not None} or None,
        "task_description": task_description,
        "titles": None if titles == "model" else titles,
        "max_length": max_length,
        "similarity": similarity,
        "truncate_dim": truncate_dim,
        "query_options": _json_object(query_options, "--query-options"),
        "passage_options": _json_object(passage_options, "--passage-options"),
        "concurrency": concurrency,
        "price": price,
        "max_cost": max_cost,
        "dry_run": dry_run or None,
    }
    return {name: value for name, value in options.items() if value is not None}


def _json_object(text: str | None, option: str) -> dict[str, Any] | None:
    """Parse an option that is a JSON object."""
    import json

    from mixling.errors import MixlingError

    if text is None:
        return None
    try:
        value = json.loads(text)
    except ValueError as error:
        raise MixlingError(
            f"{option} {text[:60]!r}: this is not JSON ({error}). Expected a JSON object, such "
            'as {"task": "search"}'
        ) from None
    if not isinstance(value, dict):
        raise MixlingError(
            f"{option} {text[:60]!r}: this is not a JSON object. Expected one, such as "
            '{"task": "search"}'
        )
    return value


def with_model_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of a model's use to a command.

    Args:
        command: A command with a parameter `model_options`, which gets the arguments of
            `load_encoder` that were given on the command line.

    Returns:
        The command with one option for each.
    """
    shared = inspect.signature(_model_options).parameters
    own = inspect.signature(command).parameters

    @functools.wraps(command)
    def run(**arguments: Any) -> None:
        given = {name: arguments.pop(name) for name in shared}
        command(**arguments, model_options=_model_options(**given))

    # typer reads the signature and the annotations
    hints = {
        **get_type_hints(command, include_extras=True),
        **get_type_hints(_model_options, include_extras=True),
    }
    parameters = [p for p in (*own.values(), *shared.values()) if p.name != "model_options"]
    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            p.replace(annotation=hints[p.name], kind=inspect.Parameter.KEYWORD_ONLY)
            for p in parameters
        ]
    )
    run.__annotations__ = {p.name: hints[p.name] for p in parameters} | {"return": None}
    del run.__wrapped__
    return run


def model_with_options(
    model: str, model_options: dict[str, Any], trust_remote_code: bool
) -> str | AnyEncoder:
    """Load a model if options are given for it; else leave its name to the command.

    Args:
        model: A model folder, a hub name, or another spelling of `load_encoder`.
        model_options: Arguments of `load_encoder`.
        trust_remote_code: Run Python code that the model's files bring.
    """
    if not model_options:
        return model
    from mixling.models.encoders import load_encoder

    return load_encoder(model, trust_remote_code=trust_remote_code, **model_options)


def retriever_with_options(
    model: str, model_options: dict[str, Any], trust_remote_code: bool
) -> str | Retriever:
    """Load a model as `model_with_options` does, for a command that needs its weights.

    Raises:
        MixlingError: The encoder has no weights here.
    """
    loaded = model_with_options(model, model_options, trust_remote_code)
    if isinstance(loaded, str):
        return loaded
    from mixling.models.encoders import require_weights

    return require_weights(loaded, "this command")


def split_languages(text: str | None) -> list[str] | None:
    """Return the languages of an option such as "en,sw" or "en sw"; None if it is not given."""
    return text.replace(",", " ").split() if text else None


def printable(text: str) -> str:
    """Return a document's text without control characters, which would steer the terminal."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", text)
