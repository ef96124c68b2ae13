"""`mixling debias`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mixling.cli.options import PrecisionOption, Trust, model_with_options, with_model_options


@with_model_options
def run(
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write.")],
    model: Annotated[str | None, typer.Argument(help="A model folder or hub name.")] = None,
    method: Annotated[
        str,
        typer.Option(
            "--method", "-m", help="centering, lir, lsar, leace, shift, trained, or scores."
        ),
    ] = "lsar",
    fit: Annotated[
        list[str] | None,
        typer.Option("--fit", help="Source to fit on (name[:split] or a folder); may be repeated."),
    ] = None,
    vectors: Annotated[
        Path | None,
        typer.Option(
            "--vectors", help="No model: Parquet files with vector, language, group, role."
        ),
    ] = None,
    transform: Annotated[
        str | None,
        typer.Option(
            "--transform",
            help="With --vectors: a fitted transform, balanced (for multilingual-e5-small) or a "
            "folder that debias wrote.",
        ),
    ] = None,
    languages: Annotated[
        str | None,
        typer.Option(
            "--languages",
            help="Languages of the fitted texts, separated by spaces (best: those of your "
            "collection), or all. Default: of many languages, those with most text.",
        ),
    ] = None,
    texts: Annotated[
        int | None,
        typer.Option("--texts", help="Sentences a language of a source of translations."),
    ] = None,
    rank: Annotated[
        int | None, typer.Option("--rank", help="lsar, lir: directions removed.")
    ] = None,
    sharpen: Annotated[
        bool | None, typer.Option("--sharpen/--no-sharpen", help="Stretch the spectrum afterwards.")
    ] = None,
    alpha: Annotated[
        float | None, typer.Option("--alpha", help="shift: how far documents move.")
    ] = None,
    source: Annotated[
        str | None, typer.Option("--source", help="shift: the language moved to.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", help="trained: steps of training.")
    ] = None,
    temperature: Annotated[
        float | None, typer.Option("--temperature", help="trained: temperature of the loss.")
    ] = None,
    pull: Annotated[
        float | None, typer.Option("--pull", help="trained: weight of the pull to its start.")
    ] = None,
    bitext: Annotated[
        float | None, typer.Option("--bitext", help="trained: weight of the bitext.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="trained: seed of its batches.")
    ] = None,
    vector_cache: Annotated[
        Path | None,
        typer.Option("--vector-cache", help="Keep the encoder's vectors here for the next call."),
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
    if (model is None) == (vectors is None):
        raise MixlingError("give a model, or stored vectors with --vectors FOLDER (one of the two)")
    if vectors is not None:
        if model_options:
            raise MixlingError(
                "--vectors is fitted without a model: leave out the options of the model's use"
            )
        if fit or languages or texts:
            raise MixlingError(
                "--vectors is fitted on its own texts: leave out --fit, --languages and --texts"
            )
        if transform is None:
            debias_vectors(vectors, create_method(method, options), out)
        elif any(v is not None for v in options.values()):
            raise MixlingError("--transform takes no options of a method: leave them out")
        else:
            transform_vectors(vectors, transform, out)
        typer.echo(f"{out}: the transform and the transformed vectors")
        return
    assert model is not None
    if transform is not None:
        raise MixlingError(
            "--transform needs --vectors; to use a debiased model, pass its folder as the model: "
            f"mixling index {transform} …"
        )
    debias(
        model_with_options(model, model_options, trust_remote_code),
        create_method(method, options),
        fit,
        out,
        languages=languages.replace(",", " ").split() if languages else None,
        texts=texts,
        vector_cache=vector_cache,
        precision=precision,
        trust_remote_code=trust_remote_code,
    )
    typer.echo(f"{out}: the model with its transform")
