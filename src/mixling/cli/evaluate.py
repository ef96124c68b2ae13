"""The command `mixling evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mixling.cli.options import PrecisionOption, Trust, with_model_options


@with_model_options
def run(
    models: Annotated[
        list[str],
        typer.Argument(
            help="Model folders or hub names; also bm25, random, oracle, NAME+bm25 (sum of "
            "scores), "
            "NAME+bm25:rrf (reciprocal ranks), late:NAME (MaxSim)."
        ),
    ],
    task: Annotated[
        list[str],
        typer.Option(
            "--task",
            "-t",
            help="The name of a task, a folder of your own, or FOLDER:SPLIT; may be repeated.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="The folder for summary.json, scores.parquet and report.html."
        ),
    ] = None,
    context: Annotated[
        bool, typer.Option("--context", help="Encode each sentence together with its paragraph.")
    ] = False,
    precision: PrecisionOption = "auto",
    trec: Annotated[
        bool, typer.Option("--trec", help="Also write TREC run and qrels files.")
    ] = False,
    vector_cache: Annotated[
        Path | None,
        typer.Option(
            "--vector-cache",
            help="A folder that keeps vectors for the next call; a model and its debiased variants "
            "share them.",
        ),
    ] = None,
    language: Annotated[
        str | None,
        typer.Option("--language", help="The language of rows without a `language` field."),
    ] = None,
    passage_model: Annotated[
        str | None,
        typer.Option(
            "--passage-model",
            help="Another model that encodes the passages, for instance that of an existing index.",
        ),
    ] = None,
    noise: Annotated[
        list[str] | None,
        typer.Option(
            "--noise",
            help="Also measure queries with noise: typos, diacritics, romanize or switch, each as "
            "NAME or NAME:RATE; may be repeated.",
        ),
    ] = None,
    trust_remote_code: Trust = False,
    skip_bad: Annotated[
        bool,
        typer.Option("--skip-bad", help="Skip bad rows; the result counts and names them."),
    ] = False,
    *,
    model_options: dict[str, Any],
) -> None:
    """Measure retrievers: monolingual, cross-lingual, multilingual, and their language bias."""
    from mixling.errors import MixlingError
    from mixling.reports.evaluate import evaluate_all
    from mixling.reports.terminal import print_results

    if trec and out is None:
        raise MixlingError("--trec writes files: give their folder with --out DIR")
    results = evaluate_all(
        models,
        task,
        out,
        context=context,
        precision=precision,
        trec=trec,
        vector_cache=vector_cache,
        language=language,
        noise=noise or (),
        passage_model=passage_model,
        model_options=model_options,
        trust_remote_code=trust_remote_code,
        skip_bad=skip_bad,
    )
    print_results(results)
    if out is not None:
        typer.echo(f"{out / 'report.html'}")
