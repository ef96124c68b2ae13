"""`mixling encode`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mixling.cli.options import PrecisionOption, Trust, model_with_options, with_model_options


@with_model_options
def run(
    model: Annotated[str, typer.Argument(help="Model folder or hub name.")],
    texts: Annotated[
        Path,
        typer.Argument(
            help=".jsonl or .parquet with a column `text`, .txt with one text per line, or a "
            "BEIR folder."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help="Folder of vectors to write. The same command continues a call that was cut off.",
        ),
    ],
    role: Annotated[
        str, typer.Option(help="Role whose prompt goes before each text: query, passage, or none.")
    ] = "passage",
    precision: PrecisionOption = "auto",
    dtype: Annotated[
        str, typer.Option(help="Number format of the stored vectors: float32 or float16.")
    ] = "float32",
    shard: Annotated[int, typer.Option(min=1, help="Number of texts per file.")] = 16384,
    part: Annotated[
        str,
        typer.Option(
            help="The part of this machine, if several machines write into one folder: "
            "NUMBER/PARTS, for instance 0/4."
        ),
    ] = "0/1",
    ray: Annotated[
        int,
        typer.Option(min=0, help="Number of workers of a Ray cluster (its address: RAY_ADDRESS)."),
    ] = 0,
    gpus: Annotated[float, typer.Option(min=0, help="GPUs of each Ray worker.")] = 0,
    trust_remote_code: Trust = False,
    *,
    model_options: dict[str, Any],
) -> None:
    """Encode a file of texts, however large, into a folder of vectors."""
    import json

    from mixling.errors import MixlingError, choose

    role_or_none = None if choose(role, ("query", "passage", "none"), "role") == "none" else role
    number, _, parts = part.partition("/")
    if not (number.isdecimal() and parts.isdecimal() and int(number) < int(parts)):
        raise MixlingError(
            f"--part {part}: expected NUMBER/PARTS with NUMBER from 0 to PARTS - 1, for instance "
            "0/4."
        )
    if ray:
        from mixling.encoding.cluster import encode_on_ray

        manifest = encode_on_ray(
            model,
            texts,
            out,
            workers=ray,
            role=role_or_none,
            precision=precision,
            dtype=dtype,
            shard=shard,
            gpus=gpus,
            model_options=model_options,
            trust_remote_code=trust_remote_code,
        )
    else:
        from mixling.encoding.shards import encode

        manifest = encode(
            model_with_options(model, model_options, trust_remote_code),
            texts,
            out,
            role=role_or_none,
            precision=precision,
            dtype=dtype,
            shard=shard,
            part=(int(number), int(parts)),
            trust_remote_code=trust_remote_code,
        )
    if manifest.exists():
        content = json.loads(manifest.read_text())
        typer.echo(f"{content['rows']:,} vectors, {content['tokens']:,} tokens: {out}")
        titles = content.get("titles", {})
        if titles.get("texts"):
            typer.echo(
                f"{titles['texts']:,} texts were encoded with their titles ({titles['form']})."
            )
        if content.get("ids_twice"):
            typer.echo(
                f"{content['ids_twice']:,} rows have the same id as another row. Give each row "
                "its own id, or take the vectors by row."
            )
    else:
        typer.echo(f"This part is finished; other parts are not yet: {out}")
