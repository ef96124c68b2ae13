"""`mixling debias`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mixling.cli.options import Trust
from mixling.models.precision import Precision


def run(
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write.")],
    model: Annotated[str | None, typer.Argument(help="A model folder or hub name.")] = None,
    method: Annotated[
        str,
        typer.Option("--method", "-m", help="centering, lir, lsar, leace, shift, map, or scores."),
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
    map_: Annotated[
        str | None,
        typer.Option(
            "--map",
            help="With --vectors, nothing is fitted: balanced (multilingual-e5-small's), or a folder that debias wrote.",
        ),
    ] = None,
    languages: Annotated[
        str | None,
        typer.Option(
            "--languages",
            help="Languages of the fitted texts, spaces between (best: those of your collection), or all. Default: of "
            "many, those with most text.",
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
    steps: Annotated[int | None, typer.Option("--steps", help="map: steps of training.")] = None,
    temperature: Annotated[
        float | None, typer.Option("--temperature", help="map: of the loss.")
    ] = None,
    pull: Annotated[float | None, typer.Option("--pull", help="map: pull to its start.")] = None,
    bitext: Annotated[
        float | None, typer.Option("--bitext", help="map: weight of the bitext.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="map: of its batches.")] = None,
    keep: Annotated[
        Path | None,
        typer.Option("--keep", help="Keep the encoder's vectors here for the next call."),
    ] = None,
    precision: Annotated[
        Precision, typer.Option(help="fp32, bf16, or auto: bf16 where the device has it.")
    ] = "auto",
    trust_remote_code: Trust = False,
) -> None:
    """Take the language out of a retriever's vectors: fit a map, write the model with it. No training of the encoder."""
    from mixling.debiasing.debias import debias
    from mixling.debiasing.files import debias_vectors, transform_vectors
    from mixling.errors import MixlingError

    settings = {
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
        if fit or languages or texts:
            raise MixlingError(
                "--vectors is fitted on its own texts: leave out --fit, --languages and --texts"
            )
        if map_ is None:
            debias_vectors(vectors, method, out, **settings)
        elif any(v is not None for v in settings.values()):
            raise MixlingError("--map takes a map as it is: leave out the settings of a method")
        else:
            transform_vectors(vectors, map_, out)
        typer.echo(f"{out}: the map and the transformed vectors")
        return
    assert model is not None
    if map_ is not None:
        raise MixlingError(
            f"--map is for --vectors; a model behind a map is a model: mixling index {map_} …"
        )
    debias(
        model,
        method,
        fit,
        out,
        languages=languages.replace(",", " ").split() if languages else None,
        texts=texts,
        keep=keep,
        precision=precision,
        **settings,
        trust_remote_code=trust_remote_code,
    )
    typer.echo(f"{out}: the model with its map")
