"""Reads vectors of Parquet files: one file, or all files of a folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa

from mixling.connectors.address import Address
from mixling.connectors.connector import (
    LANGUAGE_FIELDS,
    TEXT_FIELDS,
    Batch,
    Connector,
    Description,
    check_batch,
    choose_field,
    join_batches,
)
from mixling.corpora.files import explain_read_errors, open_parquet
from mixling.errors import MixlingError

ID_FIELDS = ("id", "_id", "docid")


class ParquetConnector(Connector):
    """Rows of Parquet files; a row without an id has the id `FILE:row`, counted from 1."""

    def __init__(self, address: Address):
        assert address.folder is not None
        self.address = address
        path = address.folder
        self.files: list[Path] = sorted(path.glob("*.parquet")) if path.is_dir() else [path]

    @classmethod
    def open(cls, address: Address) -> Self:
        """See `Connector.open`."""
        return cls(address)

    def describe(self) -> Description:
        """See `Connector.describe`."""
        schema = self._schema(self.files[0])
        names = schema.names
        field = schema.field("vector")
        count = 0
        for path in self.files:
            with explain_read_errors(path):
                count += open_parquet(path).metadata.num_rows
        if not count:
            raise MixlingError(
                f"{self.address.text}: the files hold no rows. Give Parquet files with rows."
            )
        item = field.type.value_type
        if pa.types.is_fixed_size_list(field.type):
            dimensions = field.type.list_size
        else:
            first = next(self._tables(self.files[0], 1, ["vector"]))
            dimensions = len(first["vector"][0].as_py() or ())
        return Description(
            "parquet",
            count,
            dimensions,
            None,
            "vector",
            choose_field(self.address, "text", names, TEXT_FIELDS),
            choose_field(self.address, "language", names, LANGUAGE_FIELDS),
            "float16" if pa.types.is_float16(item) else "float32",
        )

    def keys(self) -> Sequence[int]:
        """Return the positions of all rows, counted over all files."""
        return range(self.describe().count)

    def fetch(self, keys: Sequence[int], with_texts: bool = False) -> Batch:
        """See `Connector.fetch`; all files are read, so call it once."""
        wanted, start, parts = np.sort(np.asarray(keys)), 0, []
        for batch in self.iter_batches(8192, with_texts):
            inside = wanted[(wanted >= start) & (wanted < start + len(batch))] - start
            parts.append(_select(batch, inside))
            start += len(batch)
        return join_batches(parts, self.describe().dimensions)

    def iter_batches(self, size: int | None = None, with_texts: bool = False) -> Iterator[Batch]:
        """See `Connector.iter_batches`."""
        description = self.describe()
        for path in self.files:
            schema = self._schema(path)
            row = 0
            columns = ["vector", *(x for x in self._fields(schema, description, with_texts))]
            for table in self._tables(path, size or self.batch_size, columns):
                yield self.batch_of(table, path, row, description, with_texts)
                row += len(table)

    def sample(self, n: int, seed: int = 0, with_texts: bool = True) -> Batch:
        """See `Connector.sample`."""
        count = self.describe().count
        return self.fetch(np.random.default_rng(seed).permutation(count)[:n].tolist(), with_texts)

    def _schema(self, path: Path) -> pa.Schema:
        """Return the schema of a file that has vectors."""
        with explain_read_errors(path):
            schema = open_parquet(path).schema_arrow
        if "vector" not in schema.names:
            raise MixlingError(
                f"{path}: the file has no column 'vector'. Its columns are: "
                f"{', '.join(schema.names)}"
            )
        kind = schema.field("vector").type
        if not (
            pa.types.is_list(kind)
            or pa.types.is_fixed_size_list(kind)
            or pa.types.is_large_list(kind)
        ) or not pa.types.is_floating(kind.value_type):
            raise MixlingError(
                f"{path}: column 'vector' has the type {kind}. Expected lists of floats."
            )
        return schema

    def _fields(self, schema: pa.Schema, description: Description, texts: bool) -> list[str]:
        """Return the columns to read beside the vector."""
        id_field = self._id_field(schema.names)
        names = [id_field, description.language_field, description.text_field if texts else None]
        return [x for x in names if x is not None and x in schema.names]

    def _id_field(self, names: Sequence[str]) -> str | None:
        return choose_field(self.address, "id", names, ID_FIELDS)

    def _tables(self, path: Path, size: int, columns: list[str]) -> Iterator[pa.Table]:
        """Yield the rows of a file."""
        with explain_read_errors(path):
            for record in open_parquet(path).iter_batches(size, columns=columns):
                yield pa.Table.from_batches([record])

    def batch_of(
        self, table: pa.Table, path: Path, row: int, description: Description, texts: bool
    ) -> Batch:
        """Return rows of a file; `row` is the position of the first."""
        names = table.column_names
        id_field = self._id_field(names)
        ids: list[Any] = (
            table[id_field].to_pylist()
            if id_field in names
            else [f"{path.name}:{row + i + 1}" for i in range(len(table))]
        )
        column = table["vector"].combine_chunks()
        lengths = column.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
        wrong = np.flatnonzero(lengths != description.dimensions)
        if len(wrong):
            raise MixlingError(
                f"{path}: the vector of row {row + int(wrong[0]) + 1} has {lengths[wrong[0]]} "
                f"numbers, but the other vectors have {description.dimensions}. All vectors must "
                "come from one model: make them again."
            )
        flat = np.asarray(column.flatten().to_numpy(zero_copy_only=False))
        with np.errstate(over="ignore"):
            vectors = flat.reshape(len(table), description.dimensions).astype(np.float32)

        def field(name: str | None) -> list[str | None] | None:
            return table[name].to_pylist() if name is not None and name in names else None

        batch = Batch(
            ids,
            vectors,
            field(description.text_field) if texts else None,
            field(description.language_field),
            [None] * len(table),
        )
        return check_batch(batch, self.address.text)


def _select(batch: Batch, rows: np.ndarray) -> Batch:
    """Return some rows of a batch."""

    def pick(values: list[Any] | None) -> list[Any] | None:
        return None if values is None else [values[int(i)] for i in rows]

    return Batch(
        pick(batch.ids) or [],
        batch.vectors[rows],
        pick(batch.texts),
        pick(batch.languages),
        pick(batch.rows) or [],
    )
