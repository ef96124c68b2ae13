"""A file of texts to a folder of vectors: constant memory, killed and gone on with, shared by many machines.

DIR/job.json               model, prompt, precision, the file and its shards: what every shard was made with
DIR/shard-00000.parquet    id, vector (float32 or float16 list), language, group and titled (a title was read before the text)
                           where the file has them, role
DIR/manifest.json          written last: rows, tokens, shards, how titles were read, ids that stand twice

A shard is a stretch of the file, so any process can make any of them; each is written under another name and renamed.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mixling.corpora.files import read_parquet, write_text
from mixling.corpora.inputs import hash_file
from mixling.corpora.json_files import parse_record
from mixling.corpora.text_file import TextFile, open_text_file
from mixling.corpora.values import TITLES
from mixling.disk import new_file
from mixling.encoding.vectors import config_fingerprint, model_fingerprint
from mixling.errors import MixlingError, check_finite_vectors, choose
from mixling.machine import keep_freed_memory, library_versions, machine_info
from mixling.models.precision import Precision, choose_precision
from mixling.models.retriever import Retriever
from mixling.progress import Progress

logger = logging.getLogger(__name__)

DTYPES = {"float32": pa.float32(), "float16": pa.float16()}


def encode(
    model: str | Retriever,
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
        model: A model folder, a hub name, or a loaded retriever.
        texts: .jsonl, .parquet, .txt (a text a line), or a BEIR folder. A title is read before its
            text.
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
    retriever = (
        model
        if isinstance(model, Retriever)
        else Retriever(model, trust_remote_code=trust_remote_code)
    )
    out = Path(out)
    source, job = prepare_encoding(retriever, texts, out, role, precision, dtype, shard)
    wanted = [
        i
        for i in range(source.n_shards)
        if i % part[1] == part[0] and not shard_path(out, i).exists()
    ]
    with Progress("encoding") as bar, ThreadPoolExecutor(1) as thread:
        coming = None
        for nth, number in enumerate(wanted):
            ready = (
                coming.result()
                if coming is not None
                else read_tokens(source, retriever, role, number)
            )
            coming = (
                thread.submit(read_tokens, source, retriever, role, wanted[nth + 1])
                if nth + 1 < len(wanted)
                else None
            )
            encode_shard(
                retriever, job, out, number, ready, partial(_show_progress, bar, nth, len(wanted))
            )
            if on_shard is not None:
                on_shard(number)
    return write_manifest(out)


def prepare_encoding(
    retriever: Retriever,
    texts: str | Path,
    out: Path,
    role: str | None,
    precision: Precision,
    dtype: str,
    shard: int,
) -> tuple[TextFile, dict[str, Any]]:
    """The file's shards and the job that the folder holds: a new one, or the very one that was begun there."""
    choose(dtype, DTYPES, "dtype")
    if (out / "job.json").exists():
        job = json.loads((out / "job.json").read_text())
        shard = job["shard"]
    elif out.exists() and any(out.iterdir()):
        raise MixlingError(
            f"{out}: is not empty and holds no vectors of ours; choose another --out"
        )
    else:
        job = {}
    source = open_text_file(texts, shard)
    asked = {
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
    }
    wrong = [k for k, v in asked.items() if k in job and job[k] != v]
    if job and "content" not in job:
        logger.warning(
            "%s: begun by an earlier version, which did not record whether the file's content "
            "changes",
            out,
        )
    if job and precision not in ("auto", job["precision"]):
        wrong.append("precision")
    if wrong:
        raise MixlingError(
            f"{out}: holds vectors made otherwise ({', '.join(f'{k} was {str(job[k])[:40]!r}' for k in wrong)}); "
            "choose another --out, or remove the folder"
        )
    if not job:
        job = _write_job(out, {**asked, "precision": choose_precision(retriever.device, precision)})
    return source, job


def _write_job(out: Path, job: dict[str, Any]) -> dict[str, Any]:
    """Write the job, or take that of another process which was there first."""
    own = out / f".job.{os.getpid()}"
    write_text(own, json.dumps(job, indent=1, ensure_ascii=False))
    with contextlib.suppress(FileExistsError):
        os.link(own, out / "job.json")
    own.unlink()
    return json.loads((out / "job.json").read_text())


def shard_path(out: Path, number: int) -> Path:
    """Where a shard's vectors are."""
    return out / f"shard-{number:05d}.parquet"


TokenizedShard = tuple[list[str], list[str], dict[str, list[Any]], list[list[int]]]


def read_tokens(
    source: TextFile, retriever: Retriever, role: str | None, number: int
) -> TokenizedShard:
    ids, texts, more = source.read_shard(number)
    return ids, texts, more, retriever.tokenize(texts, role)


def encode_shard(
    retriever: Retriever,
    job: dict[str, Any],
    out: Path,
    number: int,
    ready: TokenizedShard,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Encode one shard and write it, whole or not at all."""
    ids, texts, more, tokens = ready
    made = retriever.encode_head(tokens, precision=job["precision"], progress=progress, names=ids)
    vectors = retriever.encode_tail(made, texts, job["role"], more.get("language"))
    largest = np.finfo(job["dtype"]).max
    beyond = np.flatnonzero((np.abs(vectors) > largest).any(1))
    if len(beyond):
        raise MixlingError(
            f"{out}: the vector of '{ids[beyond[0]]}' has numbers above {largest:g}, which {job['dtype']} cannot hold; take --dtype "
            "float32"
        )
    flat = pa.array(vectors.ravel().astype(job["dtype"]))
    columns = {"id": pa.array(ids), "vector": pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]),
               **{k: pa.array(v) for k, v in more.items()}, "role": pa.array([job["role"] or ""] * len(ids))}  # fmt: skip
    table = pa.table(columns).replace_schema_metadata({"tokens": str(sum(map(len, tokens)))})
    path = shard_path(out, number)
    with new_file(path) as temporary:
        pq.write_table(table, temporary, compression={"id": "zstd", "vector.list.element": "none"})


def _show_progress(bar: Progress, shards_done: int, wanted: int, tokens: int, of: int) -> None:
    bar(shards_done + tokens / max(of, 1), wanted)


def write_manifest(out: Path) -> Path:
    """Write the manifest if every shard is there. Returns its path."""
    path, job = out / "manifest.json", json.loads((out / "job.json").read_text())
    paths = [shard_path(out, i) for i in range(-(-job["rows"] // job["shard"]))]
    if path.exists() or not all(p.exists() for p in paths):
        return path
    found = [pq.read_metadata(p) for p in paths]
    rows = [m.num_rows for m in found]
    if sum(rows) != job["rows"]:
        raise MixlingError(
            f"{out}: holds {sum(rows)} vectors of {job['rows']}; remove the folder and encode again"
        )
    tokens = sum(int(m.metadata[b"tokens"]) for m in found)
    ids, with_title = list[str](), 0
    for p, m in zip(paths, found, strict=True):
        there = ("id", "titled") if "titled" in m.schema.names else ("id",)
        columns = pq.read_table(p, columns=list(there))
        ids += columns["id"].to_pylist()
        with_title += sum(columns["titled"].to_pylist()) if "titled" in there else 0
    shards = [{"file": p.name, "rows": n} for p, n in zip(paths, rows, strict=True)]
    manifest = {
        **job, "tokens": tokens, "titles": {"form": TITLES, "texts": with_title}, "ids_twice": len(ids) - len(set(ids)),
        "shards": shards, "versions": library_versions(), "machine": machine_info(),
    }  # fmt: skip
    write_text(path, json.dumps(manifest, indent=1, ensure_ascii=False))
    return path


def list_shards(folder: str | Path) -> Iterator[pa.Table]:
    """The tables of a finished folder, in the file's order. Raises MixlingError if it is not finished."""
    path = Path(folder) / "manifest.json"
    if not path.exists():
        raise MixlingError(
            f"{folder}: is not finished (it has no manifest.json); run `mixling encode` again"
        )
    for one in parse_record(path.read_bytes(), path, {"shards": list})["shards"]:
        name = one.get("file") if isinstance(one, dict) else None
        if not isinstance(name, str) or Path(name).name != name:
            raise MixlingError(f"{path}: {name!r} is no file of this folder; encode again")
        table = read_parquet(path.parent / name, ("id", "vector"))
        if not pa.types.is_fixed_size_list(table.schema.field("vector").type):
            raise MixlingError(
                f"{path.parent / name}: column 'vector' holds no vectors; encode again"
            )
        yield table


def load_vectors(folder: str | Path) -> tuple[list[str], np.ndarray]:
    """Ids and vectors, float32 [rows, d], of a finished folder."""
    ids: list[str] = []
    parts: list[np.ndarray] = []
    for table in list_shards(folder):
        ids.extend(table["id"].to_pylist())
        parts.extend(table_matrix(table))
    return ids, np.concatenate(parts)


def table_matrix(table: pa.Table, whose: str = "stored vectors") -> Sequence[np.ndarray]:
    """The vectors of a shard's table, a float32 [rows, d] for each chunk. Raises MixlingError where one is not finite."""
    made = [
        c.flatten().to_numpy(zero_copy_only=False).reshape(len(c), -1).astype(np.float32)
        for c in table["vector"].chunks
    ]
    begins = np.cumsum([0, *(len(x) for x in made)])
    for begin, part in zip(begins, made, strict=False):
        check_finite_vectors(
            part, lambda i, begin=begin: f"'{table['id'][int(begin) + i].as_py()}'", whose
        )  # type: ignore[misc]
    return made
