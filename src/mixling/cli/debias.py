"""`mixling debias`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mixling.cli.options import (
    PrecisionOption,
    Trust,
    model_with_options,
    split_languages,
    with_model_options,
)


@with_model_options
def run(
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write.")],
    model: Annotated[str | None, typer.Argument(help="A model folder or hub name.")] = None,
    method: Annotated[
        str | None,
        typer.Option(
            "--method",
            "-m",
            help="centering, lir, lsar, leace, shift, trained, or scores; default lsar. With "
            "--collection: auto (the default), or steps of balanced, language, lsar, roles, "
            'centering, trained, hubs and csls, such as "centering+hubs".',
        ),
    ] = None,
    collection: Annotated[
        str | None,
        typer.Option(
            "--collection",
            help="Fit on this collection itself, without translations or judgments: documents, a "
            "store, a vector database, or vectors, as for audit.",
        ),
    ] = None,
    queries: Annotated[
        Path | None,
        typer.Option(
            "--queries",
            help="With --collection: real queries, one per line or as JSON lines. The steps "
            "roles, centering, hubs and csls need them.",
        ),
    ] = None,
    fit: Annotated[
        list[str] | None,
        typer.Option("--fit", help="Source to fit on (name[:split] or a folder); may be repeated."),
    ] = None,
    vectors: Annotated[
        Path | None,
        typer.Option(
            "--vectors",
            help="Fit on stored vectors, without a model: Parquet files with vector, language, "
            "group, role.",
        ),
    ] = None,
    transform: Annotated[
        str | None,
        typer.Option(
            "--transform",
            help="With --vectors: apply this fitted transform: balanced (for "
            "multilingual-e5-small), or a folder that debias wrote.",
        ),
    ] = None,
    languages: Annotated[
        str | None,
        typer.Option(
            "--languages",
            help="Languages of the texts to fit on, separated by spaces, or all. Name those of "
            "your collection. Default: the languages with most text.",
        ),
    ] = None,
    texts: Annotated[
        int | None,
        typer.Option(
            "--texts", help="Number of sentences per language from a source of translations."
        ),
    ] = None,
    rank: Annotated[
        int | None, typer.Option("--rank", help="lsar, lir: number of directions to remove.")
    ] = None,
    sharpen: Annotated[
        bool | None,
        typer.Option(
            "--sharpen/--no-sharpen", help="Stretch the spectrum of the vectors afterwards."
        ),
    ] = None,
    alpha: Annotated[
        float | None, typer.Option("--alpha", help="shift: how far documents move.")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option("--source", help="shift: the language that documents are moved to."),
    ] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", help="trained: number of training steps.")
    ] = None,
    temperature: Annotated[
        float | None, typer.Option("--temperature", help="trained: temperature of the loss.")
    ] = None,
    pull: Annotated[
        float | None,
        typer.Option("--pull", help="trained: weight of the pull toward the starting matrix."),
    ] = None,
    bitext: Annotated[
        float | None, typer.Option("--bitext", help="trained: weight of the bitext.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="trained: seed of its batches.")
    ] = None,
    vector_cache: Annotated[
        Path | None,
        typer.Option(
            "--vector-cache", help="Folder that keeps the encoder's vectors for the next call."
        ),
    ] = None,
    precision: PrecisionOption = "auto",
    trust_remote_code: Trust = False,
    *,
    model_options: dict[str, Any],
) -> None:
    """Remove the language from a retriever's vectors: fit a transform, write the model with it.

    The encoder is not trained.
    """
    from mixling.debiasing.debias import debias
    from mixling.debiasing.files import debias_vectors, transform_vectors
    from mixling.debiasing.registry import create_method
    from mixling.errors import MixlingError

    options = {
        "rank": rank,
        "sharpen": sharpen,
        "alpha": alpha,
        "source": source,
        "steps": steps,
        "temperature": temperature,
        "pull": pull,
        "bitext": bitext,
        "seed": seed,
    }
    given_options = [f"--{name}" for name, value in options.items() if value is not None]
    if collection is not None:
        given = {"--fit": fit, "--vectors": vectors, "--transform": transform, "--texts": texts}
        wrong = [k for k, v in given.items() if v is not None]
        wrong += given_options
        if wrong:
            raise MixlingError(
                "--collection fits the transform on the collection alone and takes no "
                f"{', '.join(wrong)}. Leave these options out."
            )
        _debias_collection(
            None if model is None else model_with_options(model, model_options, trust_remote_code),
            collection,
            method or "auto",
            out,
            queries,
            split_languages(languages),
            precision,
            trust_remote_code,
        )
        return
    if queries is not None:
        raise MixlingError(
            "--queries needs --collection, because the queries are those of a collection. Add "
            "--collection, or leave --queries out."
        )
    method = method or "lsar"
    if (model is None) == (vectors is None):
        raise MixlingError(
            "expected either a model or stored vectors. Give MODEL, or --vectors FOLDER."
        )
    if vectors is not None:
        if model_options:
            raise MixlingError(
                "--vectors fits a transform without a model. Leave out the options that say how "
                "a model is used."
            )
        if fit or languages or texts:
            raise MixlingError(
                "--vectors fits a transform on the texts of its folder. Leave out --fit, "
                "--languages and --texts."
            )
        if transform is None:
            debias_vectors(vectors, create_method(method, options), out)
        elif given_options:
            raise MixlingError(
                "--transform applies a fitted transform and takes no options of a method. Leave "
                f"out {', '.join(given_options)}."
            )
        else:
            transform_vectors(vectors, transform, out)
        typer.echo(f"{out} holds the transform and the transformed vectors.")
        return
    assert model is not None
    if transform is not None:
        raise MixlingError(
            "--transform needs --vectors. To use a debiased model, pass its folder as the "
            f"model: mixling index {transform} …"
        )
    debias(
        model_with_options(model, model_options, trust_remote_code),
        create_method(method, options),
        fit,
        out,
        languages=split_languages(languages),
        texts=texts,
        vector_cache=vector_cache,
        precision=precision,
        trust_remote_code=trust_remote_code,
    )
    typer.echo(f"{out} holds the model with its transform.")


def _debias_collection(
    model: Any,
    collection: str,
    steps: str,
    out: Path,
    queries: Path | None,
    languages: list[str] | None,
    precision: Any,
    trust_remote_code: bool,
) -> None:
    """Fit on a collection, and say how the transform was chosen."""
    from mixling.auditing.fit_collection import debias_collection

    fit = debias_collection(
        model,
        collection,
        steps,
        out,
        queries=queries,
        languages=languages,
        precision=precision,
        trust_remote_code=trust_remote_code,
    )
    for note in fit.notes:
        typer.echo(note)
    if fit.trials is not None:
        typer.echo(f"{'transform':<26}{'pool':>7}{'gain':>8}{'interval':>18}{'one language':>14}")
        for t in fit.trials.trials:
            interval = f"{t.gain_low:+.3f} to {t.gain_high:+.3f}"
            typer.echo(
                f"{t.candidate:<26}{t.pooled:>7.3f}{t.gain:>+8.3f}{interval:>18}"
                f"{t.change_alone:>+14.3f}"
            )
        typer.echo(fit.reason)
    if fit.transform is None:
        typer.echo("Nothing was written, because no transform is needed.")
    else:
        typer.echo(
            f"{out} holds the transform {fit.steps}, fitted on {fit.n_passages:,} passages and "
            f"{fit.n_queries:,} queries."
        )
