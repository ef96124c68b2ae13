"""Encode on many machines: each shard is a task of Ray Data.

Each worker loads the model once and makes shards of the file, which it reads from a folder that all
machines see. A worker writes a shard complete or not at all. If a worker dies, Ray gives its shard
to another worker.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mixling.corpora.text_file import open_text_file
from mixling.encoding import shards
from mixling.errors import MixlingError
from mixling.models.loading import log_settings
from mixling.models.precision import Precision
from mixling.models.retriever import Retriever


class Worker:
    """Makes shards; Ray keeps one worker in each process.

    Args:
        model: A model folder or hub name.
        texts: The file of texts.
        out: The folder of vectors.
        job: Content of the folder's job.json.
        device: Device of the encoder. Default: as for `Retriever`.
        trust: Run Python code that the model's files bring.
        model_options: Arguments of `Retriever`.
    """

    def __init__(
        self,
        model: str,
        texts: str,
        out: str,
        job: dict[str, Any],
        device: str | None,
        trust: bool,
        model_options: Mapping[str, Any],
    ):
        self.retriever = Retriever(model, device=device, trust_remote_code=trust, **model_options)
        self.out, self.job = Path(out), job
        self.source = open_text_file(texts, job["shard"])

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Make the shards that do not exist yet.

        Args:
            batch: Numbers of the shards in the column `id`.

        Returns:
            The numbers.
        """
        for number in batch["id"].tolist():
            if not shards.shard_path(self.out, number).exists():
                tokenized = shards.read_tokens(
                    self.source, self.retriever, self.job["role"], number
                )
                shards.encode_shard(self.retriever, self.job, self.out, number, tokenized)
        return {"id": batch["id"]}


def encode_on_ray(
    model: str,
    texts: str | Path,
    out: str | Path,
    *,
    workers: int,
    address: str | None = None,
    role: str | None = "passage",
    precision: Precision = "auto",
    dtype: str = "float32",
    shard: int = 16384,
    gpus: float = 0,
    cpus: float = 1,
    model_options: Mapping[str, Any] | None = None,
    trust_remote_code: bool = False,
) -> Path:
    """Encode a file of texts by workers of a Ray cluster, as `encode` does.

    All machines must see model, file and folder under the same names.

    Args:
        model: A model folder or hub name.
        texts: The file, as for `encode`.
        out: The folder of vectors.
        workers: Number of workers.
        address: Address of the cluster. Default: this machine.
        role: "query", "passage" or None.
        precision: Number format to compute in.
        dtype: Number format of the stored vectors.
        shard: Texts of a file.
        gpus: GPUs of each worker.
        cpus: CPU cores of each worker.
        model_options: Arguments of `Retriever`, such as `{"titles": "none"}`.
        trust_remote_code: Run Python code that the model's files bring (see `Retriever`).

    Returns:
        Path of the manifest.

    Raises:
        MixlingError: Ray is not installed, or as for `encode`.
    """
    try:
        import ray
    except ImportError:
        raise MixlingError(
            "encoding on a cluster needs Ray, which is not installed. Install it with: pip "
            "install 'mixling[scale]'"
        ) from None
    out = Path(out).absolute()
    texts = Path(texts).absolute()
    options = dict(model_options or {})
    retriever = Retriever(model, trust_remote_code=trust_remote_code, **options)
    log_settings(retriever)
    source, job = shards.prepare_encoding(retriever, texts, out, role, precision, dtype, shard)
    if not ray.is_initialized():
        ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
    missing = [i for i in range(source.n_shards) if not shards.shard_path(out, i).exists()]
    if missing:
        numbers = ray.data.from_items(
            [{"id": i} for i in missing], override_num_blocks=len(missing)
        )
        numbers.map_batches(
            Worker,
            batch_size=1,
            concurrency=workers,
            num_cpus=cpus,
            num_gpus=gpus or None,
            fn_constructor_args=(
                model,
                str(texts),
                str(out),
                job,
                "cuda" if gpus else None,
                trust_remote_code,
                options,
            ),
        ).materialize()
    return shards.write_manifest(out)
