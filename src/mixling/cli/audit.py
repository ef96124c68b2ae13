"""`mixling audit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mixling.cli.options import PrecisionOption, Trust, model_with_options, with_model_options


@with_model_options
def run(
    source: Annotated[
        str,
        typer.Argument(
            help="Documents (a file or folder), a store, a vector database (qdrant:, chroma:, "
            "postgresql:, milvus:, lancedb:), Parquet files with a column `vector`, or a folder "
            "that `mixling encode` wrote."
        ),
    ],
    model: Annotated[
        str | None,
        typer.Argument(
            help="Model folder or hub name. A store names its model itself, and vectors need no "
            "model."
        ),
    ] = None,
    queries: Annotated[
        Path | None,
        typer.Option(help="Real queries, one per line or as JSON lines. No judgments are needed."),
    ] = None,
    sample: Annotated[
        int,
        typer.Option(min=2, help="Largest number of queries, spread evenly over the languages."),
    ] = 2000,
    pool: Annotated[
        int, typer.Option(min=2, help="Largest number of passages that the queries search.")
    ] = 10_000,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Folder for audit.html, audit.json and the advised transform.",
        ),
    ] = None,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-if",
            help='Exit with status 1 if this condition holds, such as "intrusion@10 > 0.2"; '
            "may be repeated.",
        ),
    ] = None,
    language: Annotated[
        str | None,
        typer.Option(
            help="Language of passages without a `language` field. Default: it is identified."
        ),
    ] = None,
    languages: Annotated[
        list[str] | None,
        typer.Option(
            help="Identify languages among these only; may be repeated, or written en,sw."
        ),
    ] = None,
    translate: Annotated[
        str | None,
        typer.Option(
            help="Use titles as queries in every language: a file of translations (JSON lines or "
            "TSV), or a command such as 'trans -b {source}:{target}'."
        ),
    ] = None,
    title_field: Annotated[
        str | None, typer.Option(help="Field of the title in a database or in Parquet files.")
    ] = None,
    group_field: Annotated[
        str | None, typer.Option(help="Field with the same value in all translations of a text.")
    ] = None,
    text_field: Annotated[str | None, typer.Option(help="Field of the text.")] = None,
    language_field: Annotated[str | None, typer.Option(help="Field of the language.")] = None,
    precision: PrecisionOption = "auto",
    trust_remote_code: Trust = False,
    *,
    model_options: dict[str, Any],
) -> None:
    """Audit how a collection treats its languages, without judgments, and advise a repair."""
    from mixling.auditing.audit import audit
    from mixling.auditing.report import print_audit, write_audit
    from mixling.auditing.result import MEASURES
    from mixling.auditing.thresholds import parse_threshold
    from mixling.errors import MixlingError

    thresholds = [parse_threshold(text, list(MEASURES)) for text in fail_if or []]
    if model is None and model_options:
        raise MixlingError(
            "options that say how a model is used need a MODEL. Name the model after the source."
        )
    fields: Any = {
        name: value
        for name, value in (
            ("title", title_field),
            ("group", group_field),
            ("text", text_field),
            ("language", language_field),
        )
        if value is not None
    }
    result = audit(
        source,
        None if model is None else model_with_options(model, model_options, trust_remote_code),
        queries=queries,
        sample=sample,
        pool=pool,
        language=language,
        languages=[x for part in languages or [] for x in part.split(",")] or None,
        translate=translate,
        fields=fields,
        precision=precision,
        trust_remote_code=trust_remote_code,
    )
    print_audit(result)
    if out is not None:
        write_audit(result, out)
        typer.echo(f"{out / 'audit.html'}")
        if result.transform is not None:
            advised = result.transform.metadata["method"]
            typer.echo(
                f"The advised transform ({advised}) is in {out / 'transform'}. Next: mixling "
                f"repair ADDRESS --transform {out / 'transform'} --dry-run"
            )
        elif result.verdict.candidate == "order":
            typer.echo("Next: search with --order centered")
    failed = [t for t in thresholds if t.holds(result.measures)]
    for threshold in failed:
        value = result.measures[threshold.measure]
        typer.echo(
            f"the condition {threshold} holds, so the audit fails: {threshold.measure} is "
            f"{value:.3f}",
            err=True,
        )
    if failed:
        raise typer.Exit(1)
