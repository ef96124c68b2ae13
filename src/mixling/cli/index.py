"""`mixling index`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mixling.cli.options import PrecisionOption, Trust, model_with_options, with_model_options


@with_model_options
def run(
    model: Annotated[str, typer.Argument(help="Model folder or hub name.")],
    documents: Annotated[
        str,
        typer.Argument(
            help=".jsonl or .parquet with a column `text`, a BEIR folder, or a folder of text, "
            "Markdown, HTML, PDF. Or another store: its vectors pass through the transform of the "
            "model, and nothing is encoded."
        ),
    ],
    store: Annotated[
        str,
        typer.Option(
            "--store",
            "-s",
            help="The store: a folder, or milvus://host:port/name. The same command continues a "
            "call that was cut off.",
        ),
    ],
    language: Annotated[
        str | None,
        typer.Option(
            help="Language of documents without a `language` field. Default: it is identified."
        ),
    ] = None,
    languages: Annotated[
        list[str] | None,
        typer.Option(
            help="Identify languages among these only; may be repeated, or written en,sw.",
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            min=8,
            help="Number of tokens of a passage. Default: 200, or the most that the model takes.",
        ),
    ] = None,
    overlap: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Number of tokens that a passage repeats from the passage before it. Default: a "
            "fifth of its size.",
        ),
    ] = None,
    precision: PrecisionOption = "auto",
    vectors: Annotated[
        Path | None,
        typer.Option(
            help="Folder that `mixling encode` made from the same file. Each document is one "
            "passage, and nothing is encoded."
        ),
    ] = None,
    keep_gone: Annotated[
        bool, typer.Option("--keep-gone", help="Keep documents that the source no longer has.")
    ] = False,
    trust_remote_code: Trust = False,
    *,
    model_options: dict[str, Any],
) -> None:
    """Put documents into a store. Documents that have not changed are not encoded again."""
    from mixling.searching.documents import SUFFIXES, describe_left_out
    from mixling.searching.drift import REFIT
    from mixling.searching.index import index

    report = index(
        model_with_options(model, model_options, trust_remote_code),
        documents,
        store,
        language=language,
        languages=[x for part in languages or [] for x in part.split(",")] or None,
        size=size,
        overlap=overlap,
        precision=precision,
        keep_gone=keep_gone,
        vectors=vectors,
        trust_remote_code=trust_remote_code,
    )
    for message in report.skipped[:20]:
        typer.echo(f"skipped: {message}")
    if report.left_out:
        left_out = describe_left_out(report.left_out)
        typer.echo(
            f"Files of other formats were left out: {left_out}. Mixling reads "
            f"{', '.join(SUFFIXES)}."
        )
    typer.echo(
        f"{report.documents:,} documents ({report.unchanged:,} unchanged, {report.gone:,} "
        f"gone, {len(report.skipped):,} skipped, {sum(report.left_out.values()):,} left "
        f"out), {report.passages:,} passages in {len(report.languages)} languages: {store}"
    )
    if report.passages_titled:
        typer.echo(
            f"{report.passages_titled:,} of the new passages were encoded with their titles."
        )
    if report.new_languages:
        new = ", ".join(f"{code} ({n:,})" for code, n in report.new_languages.items())
        typer.echo(f"The model's transform was not fitted on the languages of some passages: {new}")
    if (report.language_variance or 0) > REFIT:
        typer.echo(
            f"Language explains {report.language_variance:.1%} of the vectors' variance again, "
            "so the model's transform does not fit these passages well. Fit it again: mixling "
            f"repair {store} --transform auto"
        )
