"""The command `mixling evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mixling.cli.options import PrecisionOption, Trust, with_model_options

_GIVEN = "In place of a model"


@with_model_options
def run(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            help="Model folders or hub names; also bm25, random, oracle, NAME+bm25 (sum of "
            "scores), NAME+bm25:rrf (reciprocal ranks), late:NAME (MaxSim), 'NAME>RERANKER' "
            "(the first passages of NAME reranked). Leave them out with --vectors or --run."
        ),
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option(
            "--task",
            "-t",
            help="The name of a task, a folder of your own, or FOLDER:SPLIT; may be repeated.",
        ),
    ] = None,
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
            help="Folder that keeps vectors for the next call. A model and its debiased variants "
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
            help="Another model that encodes the passages, for instance the model of an existing "
            "index.",
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
    vectors: Annotated[
        Path | None,
        typer.Option(
            "--vectors",
            help="Measure vectors of another program: a folder of Parquet, JSON lines, or .npy "
            "with ids, with the ids that `mixling texts` writes.",
            rich_help_panel=_GIVEN,
        ),
    ] = None,
    run_file: Annotated[
        Path | None,
        typer.Option("--run", help="Measure a TREC run.", rich_help_panel=_GIVEN),
    ] = None,
    endpoint: Annotated[
        str | None,
        typer.Option(
            "--endpoint",
            help="Measure a running search system: its address, or python:module:function.",
            rich_help_panel=_GIVEN,
        ),
    ] = None,
    endpoint_form: Annotated[
        str | None,
        typer.Option(
            "--endpoint-form",
            help="mixling (the default), opensearch, qdrant, or a TOML file.",
            rich_help_panel=_GIVEN,
        ),
    ] = None,
    endpoint_body: Annotated[
        Path | None,
        typer.Option(
            "--endpoint-body",
            help="A JSON file with the body of the request: {query}, {k}, {vector}, {language}.",
            rich_help_panel=_GIVEN,
        ),
    ] = None,
    id_field: Annotated[
        str | None,
        typer.Option(
            "--id-field",
            help="The field of OpenSearch's source or Qdrant's payload that holds the ids.",
            rich_help_panel=_GIVEN,
        ),
    ] = None,
    depth: Annotated[
        int | None,
        typer.Option(
            "--depth",
            help="Number of passages to request from a system for each query (default: 100).",
            rich_help_panel=_GIVEN,
        ),
    ] = None,
    rerank_depth: Annotated[
        int,
        typer.Option(
            min=1, help="Number of first passages that the reranker of NAME>RERANKER reads."
        ),
    ] = 100,
    order: Annotated[
        list[str] | None,
        typer.Option(
            "--order",
            help="Also measure this search order: csls (centered is measured in any case).",
        ),
    ] = None,
    *,
    model_options: dict[str, Any],
) -> None:
    """Measure retrievers: monolingual, cross-lingual, multilingual, and their language bias."""
    from mixling.errors import MixlingError
    from mixling.reports.evaluate import evaluate_all
    from mixling.reports.terminal import print_results

    if trec and out is None:
        raise MixlingError(
            "--trec writes files, but no folder for them is given. Name one with --out DIR."
        )
    endpoint_options = {
        "form": endpoint_form,
        "body": endpoint_body,
        "id_field": id_field,
        "depth": depth,
        # that of a service, which a search system is too
        "concurrency": model_options.get("concurrency") if endpoint or endpoint_form else None,
    }
    if not models and endpoint_options["concurrency"] is not None:
        model_options = {k: v for k, v in model_options.items() if k != "concurrency"}
    results = evaluate_all(
        models or [],
        task or [],
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
        vectors=vectors,
        run=run_file,
        endpoint=endpoint,
        endpoint_options={k: v for k, v in endpoint_options.items() if v is not None},
        rerank_depth=rerank_depth,
        orders=order or (),
    )
    print_results(results)
    if out is not None:
        typer.echo(f"{out / 'report.html'}")
