"""`mixling evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mixling.cli.options import Trust


def run(
    models: Annotated[
        list[str],
        typer.Argument(
            help="Model folders or hub names; also bm25, random, oracle, NAME+bm25 (scores), NAME+bm25:rrf, late:NAME (MaxSim)."
        ),
    ],
    task: Annotated[
        list[str],
        typer.Option(
            "--task",
            "-t",
            help="A task's name, a folder of your own, or FOLDER:SPLIT; may be repeated.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder for summary.json, scores.parquet, report.html."),
    ] = None,
    context: Annotated[
        bool, typer.Option("--context", help="Candidates are sentences with their paragraph.")
    ] = False,
    precision: Annotated[str, typer.Option(help="fp32 or bf16.")] = "fp32",
    trec: Annotated[
        bool, typer.Option("--trec", help="Write TREC run and qrels files too.")
    ] = False,
    keep: Annotated[
        Path | None,
        typer.Option(
            "--keep", help="Keep vectors here: a model and its debiased variants share them."
        ),
    ] = None,
    language: Annotated[
        str | None, typer.Option("--language", help="Of a folder's rows that do not say theirs.")
    ] = None,
    documents: Annotated[
        str | None,
        typer.Option(
            help="Another model that encodes the candidates: one whose index is there already."
        ),
    ] = None,
    noise: Annotated[
        list[str] | None,
        typer.Option(
            "--noise", help="Questions with noise: typos, diacritics, romanize, switch (or :RATE)."
        ),
    ] = None,
    trust_remote_code: Trust = False,
    skip_bad: Annotated[
        bool,
        typer.Option("--skip-bad", help="Go on over bad rows; the result counts and names them."),
    ] = False,
) -> None:
    """Measure retrievers in one language, across languages and in the pool."""
    from mixling.errors import MixlingError
    from mixling.reports.evaluate import evaluate_all
    from mixling.reports.terminal import print_results

    if trec and out is None:
        raise MixlingError("--trec writes files: say where with --out DIR")
    results = evaluate_all(
        models,
        task,
        out,
        context=context,
        precision=precision,
        trec=trec,
        vector_cache=keep,
        language=language,
        noise=noise or (),
        passage_model=documents,
        trust_remote_code=trust_remote_code,
        skip_bad=skip_bad,
    )
    print_results(results)
    if out is not None:
        typer.echo(f"{out / 'report.html'}")
