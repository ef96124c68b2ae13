"""A store to one Parquet file and back, passages and vectors: moved, kept or read by other tools, and nothing encoded again.

The file has the columns of `mixling.searching.store.schema`; its metadata, under `mixling`, holds the store's facts. A row
group holds whole documents.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mixling.corpora.files import explain_read_errors, open_parquet
from mixling.disk import new_file
from mixling.encoding.shards import table_matrix
from mixling.errors import MixlingError
from mixling.progress import Progress
from mixling.searching.store import FACTS, Store, about, passage_schema
from mixling.searching.stores import open_whole

# documents of a row group
TOGETHER = 500
KEY = b"mixling"


def export_store(store: str, out: str | Path) -> int:
    """Write a store's passages to a Parquet file, whole or not at all; returns how many. Raises MixlingError."""
    found, out = open_whole(store), Path(out)
    if "means" not in found.info:
        raise MixlingError(
            f"{store}: indexing was not finished; run the same `mixling index` again first"
        )
    if out.exists():
        raise MixlingError(f"{out}: exists already; choose another name or remove it")
    form = passage_schema(found.info["dimensions"]).with_metadata(
        {KEY: json.dumps(found.info, ensure_ascii=False).encode()}
    )
    done, before = 0, found.info
    with (
        new_file(out) as temporary,
        Progress("unloading") as bar,
        pq.ParquetWriter(temporary, form, compression="zstd") as writer,
    ):
        for part in found.documents():
            for begin in range(0, len(part), TOGETHER):
                rows = found.whole(part[begin : begin + TOGETHER]).cast(form)
                writer.write_table(rows, row_group_size=max(len(rows), 1))
                done += len(rows)
                bar(done, max(found.info["passages"], done))
        if found.info is not before:
            raise MixlingError(
                f"{store}: was written while it was read. Run the same command again"
            )
    return done


def stored_info(path: Path) -> dict[str, Any] | None:
    """The facts of the store that a Parquet file was unloaded from; None: it is of another kind."""
    if path.suffix != ".parquet" or not path.is_file():
        return None
    said = (open_parquet(path).schema_arrow.metadata or {}).get(KEY)
    if said is None:
        return None
    info = about(said, path)
    if any(name not in info for name in FACTS):
        raise MixlingError(f"{path}: does not say which model made it; unload the store again")
    return info


def import_store(
    path: Path, store: Store, moved: Callable[[np.ndarray, list[str]], np.ndarray] | None = None
) -> dict[str, Any]:
    """Put an unloaded file's documents into a store, but those that are there unchanged; counts as `index` gives them.

    moved(vectors, float32 [n, d], and their languages): what becomes of the vectors on the way; None: they stay.
    """
    file = open_parquet(path)
    documents = unchanged = 0
    with Progress("loading") as bar:
        for number in range(file.num_row_groups):
            # a file calls the numbers of a list otherwise than a store does
            with explain_read_errors(path):
                form = passage_schema(file.schema_arrow.field("vector").type.list_size)
                rows = file.read_row_group(number).cast(form)
            digests = dict(
                zip(rows["document"].to_pylist(), rows["digest"].to_pylist(), strict=True)
            )
            there = store.digests(list(digests))
            new = [name for name, digest in digests.items() if there.get(name) != digest]
            documents, unchanged = documents + len(digests), unchanged + len(digests) - len(new)
            if new:
                some = rows.filter(pc.is_in(rows["document"], value_set=pa.array(new)))
                store.replace(new, some if moved is None else _moved(some, moved))
            bar(number + 1, file.num_row_groups)
    return {
        "documents": documents,
        "unchanged": unchanged,
        "written": documents - unchanged,
        "passages_encoded": 0,
        "gone": 0,
        "skipped": [],
        "left_out": {},
    }


def _moved(rows: pa.Table, moved: Callable[[np.ndarray, list[str]], np.ndarray]) -> pa.Table:
    made = moved(np.concatenate(table_matrix(rows)), rows["language"].to_pylist())
    column = pa.FixedSizeListArray.from_arrays(pa.array(made.ravel(), pa.float32()), made.shape[1])
    place = rows.column_names.index("vector")
    return rows.set_column(place, pa.field("vector", column.type), column)
