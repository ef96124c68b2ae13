"""Encode a file of texts into a folder of vectors, in constant memory, by one or many processes.

DIR/job.json               model, prompt, precision, the file: the same for each shard
DIR/shard-00000.parquet    id, vector (float32 or float16 list), role; language, group and titled (a
                           title was read before the text) where the file has them
DIR/manifest.json          written last: rows, tokens, shards, form of titles, count of repeated ids

A shard holds consecutive rows of the file, so any process can make any shard. A process writes each
shard under another name and renames it, so a killed run resumes with the shards that are missing.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mixling.corpora.files import write_text
from mixling.corpora.inputs import hash_file
from mixling.corpora.text_file import TextFile, open_text_file
from mixling.corpora.values import TITLES, with_titles
from mixling.disk import new_file, read_object
from mixling.errors import MixlingError, check_at_least, choose
from mixling.machine import keep_freed_memory, library_versions, machine_info
from mixling.models.encoder import ExternalEncoder
from mixling.models.encoders import AnyEncoder, load_encoder
from mixling.models.fingerprints import config_fingerprint, model_fingerprint
from mixling.models.kernel_caches import limit_kernel_caches
from mixling.models.loading import log_settings
from mixling.models.precision import Precision, choose_precision
from mixling.models.prompts import model_inputs
from mixling.progress import Progress

logger = logging.getLogger(__name__)

DTYPES = {"float32": pa.float32(), "float16": pa.float16()}


def encode(
    model: Any,
    texts: str | Path,
    out: str | Path,
    *,
    role: str | None = "passage",
    precision: Precision = "auto",
    dtype: str = "float32",
    shard: int = 16384,
    part: tuple[int, int] = (0, 1),
    on_shard: Callable[[int], None] | None = None,
    trust_remote_code: bool = False,
) -> Path:
    """Encode a file of texts into a folder of vectors. A call that was killed is resumed.

    Args:
        model: What `load_encoder` takes: a model folder, a hub name, a service, a function.
        texts: .jsonl, .parquet, .txt (a text a line), or a BEIR folder. A title is read as the
            model was trained with it.
        out: The folder of vectors.
        role: "query" or "passage" puts the model's prompt first; None puts nothing.
        precision: Number format to compute in.
        dtype: Number format of the stored vectors, "float32" or "float16".
        shard: Texts of a file.
        part: `(number, parts)`, this process's share where several write into one folder.
        on_shard: Called with the number of each shard once it is written.
        trust_remote_code: Run Python code that the model's files bring (see `Retriever`).

    Returns:
        Path of the manifest, which exists once all shards do.

    Raises:
        MixlingError: A row cannot be read, or the folder holds vectors that were made otherwise.

    Example:
        >>> mixling.encode("intfloat/multilingual-e5-small", "corpus.jsonl", "vectors")
        PosixPath('vectors/manifest.json')
    """
    keep_freed_memory()
    limit_kernel_caches()
    retriever = load_encoder(model, trust_remote_code=trust_remote_code)
    log_settings(retriever)
    out = Path(out)
    source, job = prepare_encoding(retriever, texts, out, role, precision, dtype, shard)
    missing = [
        i
        for i in range(source.n_shards)
        if i % part[1] == part[0] and not shard_path(out, i).exists()
    ]
    if hasattr(retriever, "check_cost"):
        retriever.check_cost(_shard_texts(source, role, number) for number in missing)
    with Progress("encoding") as bar, ThreadPoolExecutor(1) as thread:
        future = None
        for done, number in enumerate(missing):
            tokenized = (
                future.result()
                if future is not None
                else read_tokens(source, retriever, role, number)
            )
            # the next shard is read and tokenized while this one is encoded
            future = (
                thread.submit(read_tokens, source, retriever, role, missing[done + 1])
                if done + 1 < len(missing)
                else None
            )
            progress = partial(_show_progress, bar, done, len(missing))
            encode_shard(retriever, job, out, number, tokenized, progress)
            if on_shard is not None:
                on_shard(number)
    return write_manifest(out)


def prepare_encoding(
    retriever: AnyEncoder,
    texts: str | Path,
    out: Path,
    role: str | None,
    precision: Precision,
    dtype: str,
    shard: int,
) -> tuple[TextFile, dict[str, Any]]:
    """Open the file, and write or check the job of the folder.

    Args:
        retriever: The model.
        texts: The file, as for `encode`.
        out: The folder of vectors; it may hold an unfinished job with the same options.
        role: "query", "passage" or None.
        precision: Number format to compute in.
        dtype: Number format of the stored vectors.
        shard: Texts of a file, for a new job.

    Returns:
        The file with its shards, and the content of job.json.

    Raises:
        MixlingError: The folder holds other files, or vectors of other texts or options.
    """
    choose(dtype, DTYPES, "dtype")
    check_at_least(1, shard=shard)
    if (out / "job.json").exists():
        job = read_object(out / "job.json")
        shard = job.get("shard", shard)
    elif out.exists() and any(not x.name.startswith(".") for x in out.iterdir()):
        # another process may be writing the job under a hidden name, or was killed as it did
        raise MixlingError(
            f"{out}: the folder is not empty and holds no vectors of Mixling. Choose another --out."
        )
    else:
        job = {}
    source = open_text_file(texts, shard)
    expected = {
        "model": retriever.name,
        "encoder": model_fingerprint(retriever),
        "role": role,
        "prompt": retriever.prompt(role),
        "max_length": retriever.max_length,
        "dtype": dtype,
        "file": source.path.name,
        "bytes": source.path.stat().st_size,
        "rows": source.n_texts,
        "shard": shard,
        "content": hash_file(source.path),
        "reading": config_fingerprint(retriever),
        "titles": retriever.settings.titles.value,
        "settings": retriever.settings.to_dict(),
    }
    if job:
        job.setdefault("titles", TITLES)  # of an earlier version
    wrong = [k for k, v in expected.items() if k in job and job[k] != v and k != "settings"]
    if job and "content" not in job:
        logger.warning(
            "%s: an earlier version of Mixling began this and did not record whether the "
            "content of the file changes",
            out,
        )
    if job and precision not in ("auto", job["precision"]):
        wrong.append("precision")
    if wrong:
        differences = ", ".join(f"{k} was {str(job[k])[:40]!r}" for k in wrong)
        raise MixlingError(
            f"{out}: the folder holds vectors that were made in another way: {differences}. "
            "Choose another --out, or remove the folder."
        )
    if not job:
        job = _write_job(
            out, {**expected, "precision": choose_precision(retriever.device, precision)}
        )
    return source, job


def _write_job(out: Path, job: dict[str, Any]) -> dict[str, Any]:
    """Write the job, and return it, or that of another process which wrote it first."""
    # processes of other machines may have the same number
    temporary = out / f".job.{os.getpid()}-{secrets.token_hex(4)}"
    write_text(temporary, json.dumps(job, indent=1, ensure_ascii=False))
    with contextlib.suppress(FileExistsError):
        os.link(temporary, out / "job.json")
    temporary.unlink()
    return read_object(out / "job.json")


def shard_path(out: Path, number: int) -> Path:
    """Return the path of a shard.

    Args:
        out: The folder of vectors.
        number: Number of the shard, from 0.

    Returns:
        Path of its Parquet file, which need not exist.
    """
    return out / f"shard-{number:05d}.parquet"


TokenizedShard = tuple[list[str], list[str], dict[str, list[Any]], list[list[int]]]
"""Ids, texts, further columns by name, and token ids of each text (none of an external encoder)."""


def _shard_texts(
    source: TextFile, role: str | None, number: int
) -> tuple[list[str], str | None, list[str | None] | None]:
    """Return the texts of a shard with their role and titles."""
    _, texts, columns = source.read_shard(number)
    return texts, role, columns.get("title")


def read_tokens(
    source: TextFile, retriever: AnyEncoder, role: str | None, number: int
) -> TokenizedShard:
    """Read and tokenize a shard.

    Args:
        source: The file.
        retriever: The model.
        role: "query", "passage" or None.
        number: Number of the shard, from 0.

    Returns:
        The shard's rows and tokens.

    Raises:
        MixlingError: A row cannot be read.
    """
    ids, texts, columns = source.read_shard(number)
    titles = columns.pop("title", None)
    if titles is not None:
        columns["titled"] = [title is not None for title in titles]
    if isinstance(retriever, ExternalEncoder):
        return ids, model_inputs("", retriever.settings.titles.value, texts, titles), columns, []
    tokens = retriever.tokenize(texts, role, titles=titles)
    return ids, with_titles(titles, texts), columns, tokens


def encode_shard(
    retriever: AnyEncoder,
    job: dict[str, Any],
    out: Path,
    number: int,
    tokenized: TokenizedShard,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Encode a shard and write it, complete or not at all.

    Args:
        retriever: The model.
        job: Content of job.json.
        out: The folder of vectors.
        number: Number of the shard, from 0.
        tokenized: The shard, as `read_tokens` returns it.
        progress: Called as `progress(tokens_done, tokens_in_all)`.

    Raises:
        MixlingError: The stored number format cannot hold a vector, or a vector is not finite.
    """
    ids, texts, columns, tokens = tokenized
    languages = columns.get("language")
    if isinstance(retriever, ExternalEncoder):
        n_tokens = sum(retriever.count_tokens(texts))
        vectors = retriever.encode(texts, job["role"], languages=languages, progress=progress)
    else:
        n_tokens = sum(map(len, tokens))
        encoded = retriever.encode_head(
            tokens, precision=job["precision"], progress=progress, names=ids
        )
        vectors = retriever.encode_tail(encoded, texts, job["role"], languages)
    maximum = np.finfo(job["dtype"]).max
    too_large = np.flatnonzero((np.abs(vectors) > maximum).any(1))
    if len(too_large):
        raise MixlingError(
            f"{out}: the vector of '{ids[too_large[0]]}' has numbers above {maximum:g}, which "
            f"{job['dtype']} cannot hold. Use --dtype float32."
        )
    flat = pa.array(vectors.ravel().astype(job["dtype"]))
    arrays = {
        "id": pa.array(ids),
        "vector": pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]),
        **{k: pa.array(v) for k, v in columns.items()},
        "role": pa.array([job["role"] or ""] * len(ids)),
    }
    table = pa.table(arrays).replace_schema_metadata({"tokens": str(n_tokens)})
    path = shard_path(out, number)
    with new_file(path) as temporary:
        pq.write_table(table, temporary, compression={"id": "zstd", "vector.list.element": "none"})


def _show_progress(
    bar: Progress, shards_done: int, shards: int, tokens_done: int, tokens: int
) -> None:
    """Show the progress within a shard as progress over all shards."""
    bar(shards_done + tokens_done / max(tokens, 1), shards)


def write_manifest(out: Path) -> Path:
    """Write the manifest if every shard exists.

    Args:
        out: The folder of vectors.

    Returns:
        Path of the manifest, which exists if every shard does.

    Raises:
        MixlingError: The shards do not hold as many vectors as the file has texts.
    """
    path, job = out / "manifest.json", json.loads((out / "job.json").read_text())
    paths = [shard_path(out, i) for i in range(-(-job["rows"] // job["shard"]))]
    if path.exists() or not all(p.exists() for p in paths):
        return path
    metadata = [pq.read_metadata(p) for p in paths]
    rows = [m.num_rows for m in metadata]
    if sum(rows) != job["rows"]:
        raise MixlingError(
            f"{out}: the folder holds {sum(rows)} vectors, but there are {job['rows']} texts. "
            "Remove the folder, and encode again."
        )
    tokens = sum(int(m.metadata[b"tokens"]) for m in metadata)
    ids, with_title = list[str](), 0
    for shard, m in zip(paths, metadata, strict=True):
        titled = "titled" in m.schema.names
        columns = pq.read_table(shard, columns=["id", "titled"] if titled else ["id"])
        ids += columns["id"].to_pylist()
        with_title += sum(columns["titled"].to_pylist()) if titled else 0
    manifest = {
        **job,
        "tokens": tokens,
        "titles": {"form": job.get("titles", TITLES), "texts": with_title},
        "ids_twice": len(ids) - len(set(ids)),
        "shards": [{"file": p.name, "rows": n} for p, n in zip(paths, rows, strict=True)],
        "versions": library_versions(),
        "machine": machine_info(),
    }
    write_text(path, json.dumps(manifest, indent=1, ensure_ascii=False))
    return path
