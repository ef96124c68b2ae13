"""Moves a store to one Parquet file and back; nothing is encoded again.

The file has the columns of `mixling.searching.store.passage_schema`; its metadata holds the store's
info under `mixling`. A row group holds whole documents.
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
from mixling.encoding.read_vectors import table_matrix
from mixling.errors import MixlingError
from mixling.progress import Progress
from mixling.searching.reports import IndexReport
from mixling.searching.store import REQUIRED_INFO, Store, parse_store_info, passage_schema
from mixling.searching.stores import open_searchable_store

GROUP_DOCUMENTS = 500  # documents of a row group
KEY = b"mixling"

# Transforms the vectors of passages, float32 `[n, dim]`, whose languages are given.
VectorTransform = Callable[[np.ndarray, list[str]], np.ndarray]


def export_store(store: str, out: str | Path) -> int:
    """Write the passages of a store to a Parquet file that is complete or absent.

    Args:
        store: A folder, or milvus://host:port/name.
        out: The file.

    Returns:
        How many passages were written.

    Raises:
        MixlingError: The file exists, or the store's indexing did not finish, or it was written
            meanwhile.
    """
    origin, out = open_searchable_store(store), Path(out)
    info = origin.info
    if "means" not in info:
        raise MixlingError(
            f"{store}: indexing was not finished; run the same `mixling index` again first"
        )
    if out.exists():
        raise MixlingError(f"{out}: exists already; choose another name or remove it")
    schema = passage_schema(info["dimensions"]).with_metadata(
        {KEY: json.dumps(info, ensure_ascii=False).encode()}
    )
    written = 0
    with (
        new_file(out) as temporary,
        Progress("exporting") as bar,
        pq.ParquetWriter(temporary, schema, compression="zstd") as writer,
    ):
        for ids in origin.document_ids():
            for begin in range(0, len(ids), GROUP_DOCUMENTS):
                rows = origin.passages(ids[begin : begin + GROUP_DOCUMENTS]).cast(schema)
                writer.write_table(rows, row_group_size=max(len(rows), 1))
                written += len(rows)
                bar(written, max(info["passages"], written))
        if origin.info is not info:  # the store moved on to a newer version
            raise MixlingError(
                f"{store}: was written while it was read. Run the same command again"
            )
    return written


def stored_info(path: Path) -> dict[str, Any] | None:
    """Return the info of the store that a Parquet file was exported from.

    Returns:
        The info; None where the file was not exported from a store.

    Raises:
        MixlingError: The info does not name the model.
    """
    if path.suffix != ".parquet" or not path.is_file():
        return None
    raw = (open_parquet(path).schema_arrow.metadata or {}).get(KEY)
    if raw is None:
        return None
    info = parse_store_info(raw, path)
    if any(name not in info for name in REQUIRED_INFO):
        raise MixlingError(f"{path}: does not name the model that made it; export the store again")
    return info


def import_store(
    source: Path, store: Store, transform: VectorTransform | None = None
) -> IndexReport:
    """Put the documents of an exported file into a store, without those that it holds unchanged.

    Args:
        source: The file.
        store: The store.
        transform: Transforms the vectors on the way; None: they stay as they are.

    Returns:
        The counts of documents; the caller adds those of the store.
    """
    file = open_parquet(source)
    documents = unchanged = 0
    with Progress("importing") as bar:
        for number in range(file.num_row_groups):
            # Parquet names the items of a list differently than a store does, hence the cast.
            with explain_read_errors(source):
                schema = passage_schema(file.schema_arrow.field("vector").type.list_size)
                rows = file.read_row_group(number).cast(schema)
            digests = dict(
                zip(rows["document"].to_pylist(), rows["digest"].to_pylist(), strict=True)
            )
            stored_digests = store.digests(list(digests))
            changed = [x for x, digest in digests.items() if stored_digests.get(x) != digest]
            documents += len(digests)
            unchanged += len(digests) - len(changed)
            if changed:
                selected = rows.filter(pc.is_in(rows["document"], value_set=pa.array(changed)))
                if transform is not None:
                    selected = _transform_vectors(selected, transform)
                store.replace(changed, selected)
            bar(number + 1, file.num_row_groups)
    return IndexReport(documents=documents, unchanged=unchanged, written=documents - unchanged)


def _transform_vectors(rows: pa.Table, transform: VectorTransform) -> pa.Table:
    vectors = transform(np.concatenate(table_matrix(rows)), rows["language"].to_pylist())
    column = pa.FixedSizeListArray.from_arrays(
        pa.array(vectors.ravel(), pa.float32()), vectors.shape[1]
    )
    place = rows.column_names.index("vector")
    return rows.set_column(place, pa.field("vector", column.type), column)
