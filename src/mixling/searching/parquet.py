"""Writes a store to one Parquet file, and reads such a file.

The file has the columns of `mixling.searching.store.passage_schema`; its metadata holds the store's
info under `mixling`. A row group holds whole documents.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mixling.corpora.files import explain_read_errors, open_parquet
from mixling.disk import new_file
from mixling.errors import MixlingError
from mixling.progress import Progress
from mixling.searching.store import REQUIRED_INFO, SENTENCES, parse_store_info, passage_schema
from mixling.searching.stores import open_searchable_store
from mixling.searching.transfer import stored_rows

KEY = b"mixling"


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
    if out.exists():
        raise MixlingError(
            f"{out}: the file exists already. Choose another name, or remove the file."
        )
    schema = passage_schema(info["dimensions"], origin.keeps_sentences).with_metadata(
        {KEY: json.dumps(info, ensure_ascii=False).encode()}
    )
    written = 0
    with (
        new_file(out) as temporary,
        Progress("exporting") as bar,
        pq.ParquetWriter(temporary, schema, compression="zstd") as writer,
    ):
        for rows in stored_rows(origin, store):
            writer.write_table(rows.cast(schema), row_group_size=max(len(rows), 1))
            written += len(rows)
            bar(written, max(info["passages"], written))
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
        raise MixlingError(
            f"{path}: the file does not name the model that made it. Export the store again."
        )
    return info


def exported_rows(path: Path) -> Iterator[pa.Table]:
    """Yield the passages of an exported file, whole documents together.

    Args:
        path: The file.
    """
    file = open_parquet(path)
    for number in range(file.num_row_groups):
        # Parquet names the items of a list differently than a store does, hence the cast.
        with explain_read_errors(path):
            dimensions = file.schema_arrow.field("vector").type.list_size
            schema = passage_schema(dimensions, SENTENCES in file.schema_arrow.names)
            yield file.read_row_group(number).cast(schema)
