"""Reads a table of LanceDB, of the user's or of a store of `mixling index`, and keeps its shadow.

LanceDB renames no table in a folder; a table is a folder there, which is renamed instead.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pyarrow as pa

from mixling.connectors.address import Address
from mixling.connectors.connector import (
    LANGUAGE_FIELDS,
    TEXT_FIELDS,
    Batch,
    Description,
    choose_field,
    explain_errors,
    import_client,
)
from mixling.connectors.shadow import RenamingConnector, store_refused
from mixling.errors import MixlingError

_METRICS = {"cosine": "cosine", "dot": "dot", "l2": "l2"}
ID_FIELDS = ("id", "_id")


class LanceConnector(RenamingConnector):
    """A table of LanceDB; rows are read of the version that `keys` saw."""

    batch_size = 5000

    def __init__(self, address: Address, database: Any):
        assert address.folder is not None
        self.address, self.database, self.folder = address, database, address.folder
        self._tables: dict[str, Any] = {}
        self._written: set[Any] | None = None

    @classmethod
    def open(cls, address: Address) -> Self:
        """See `Connector.open`."""

        def load() -> Any:
            import lancedb

            return lancedb

        lancedb = import_client(load, "lancedb", "search")
        with explain_errors(address.text, "LanceDB cannot open the folder", Exception):
            return cls(address, lancedb.connect(str(address.folder)))

    def describe(self) -> Description:
        """See `Connector.describe`."""
        table = self._table(self.address.name)
        schema = table.schema
        with explain_errors(self.address.text, "the table cannot be read", Exception):
            table.checkout_latest()
            count = table.count_rows()
        field = self._vector_field(schema)
        if not count:
            raise MixlingError(
                f"{self.address.text}: the table holds no rows. Name a table that has some."
            )
        metric = "dot" if self.address.scheme == "store" else None
        for index in self._indexes(table, field.name):
            metric = _METRICS.get(str(table.index_stats(index.name).distance_type).lower())
        return Description(
            self.address.scheme,
            count,
            field.type.list_size,
            metric,
            field.name,
            choose_field(self.address, "text", schema.names, TEXT_FIELDS),
            choose_field(self.address, "language", schema.names, LANGUAGE_FIELDS),
            "float16" if pa.types.is_float16(field.type.value_type) else "float32",
        )

    def keys(self) -> Sequence[int]:
        """Return the positions of all rows, of the newest version."""
        self._described = self.describe()
        table = self._table(self.address.name)
        with explain_errors(self.address.text, "the table cannot be read", Exception):
            table.checkout(table.version)  # stays on this version, whatever is written
            return range(table.count_rows())

    def fetch(self, keys: Sequence[int], with_texts: bool = False) -> Batch:
        """See `Connector.fetch`."""
        if "_described" not in self.__dict__:
            self._described = self.describe()
        description = self._described
        table = self._table(self.address.name)
        with explain_errors(self.address.text, "the table cannot be read", Exception):
            rows = table.take_offsets(list(keys)).to_arrow()
        column = rows[description.vector_field].combine_chunks()
        names = rows.column_names
        id_field = choose_field(self.address, "id", names, ID_FIELDS)
        ids = rows[id_field].to_pylist() if id_field else list(keys)
        if column.null_count:
            row = ids[int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])]
            raise MixlingError(
                f"{self.address.text}: row {row!r} has no vector. Remove the row, or make its "
                "vector."
            )
        flat = np.asarray(column.flatten().to_numpy(zero_copy_only=False)).astype(np.float32)
        text, language = description.text_field, description.language_field
        others = rows.drop_columns([description.vector_field])
        return Batch(
            ids,
            flat.reshape(len(rows), description.dimensions),
            rows[text].to_pylist() if text and with_texts else None,
            rows[language].to_pylist() if language else None,
            others.to_pylist(),
        )

    def names(self) -> set[str]:
        """See `RenamingConnector.names`."""
        return {x.stem for x in self.folder.glob("*.lance")}

    def rename(self, old: str, new: str) -> None:
        """Rename the folder of a table."""
        if old not in self.names():
            raise MixlingError(f"{self.address.text}: the database has no table '{old}'.")
        (self.folder / f"{old}.lance").rename(self.folder / f"{new}.lance")
        self._tables.clear()

    def drop(self, name: str) -> None:
        """See `RenamingConnector.drop`."""
        with explain_errors(self.address.text, f"'{name}' cannot be removed", Exception):
            self.database.drop_table(name)
        self._tables.pop(name, None)

    def shadow_create(self, tag: str, dimensions: int | None = None) -> None:
        """See `ShadowConnector.shadow_create`."""
        if (self.folder / "mixling.json").exists():
            raise store_refused(self.address.text)
        table = self._table(self.address.name)
        schema = table.schema
        id_field = choose_field(self.address, "id", schema.names, ID_FIELDS)
        if id_field is None:
            raise MixlingError(
                f"{self.address.text}: the table has no column of ids. Add ?id=COLUMN to the "
                "address; the values of this column must be unique."
            )
        ids = _column(table, id_field)
        if len(set(ids)) < len(ids):
            raise MixlingError(
                f"{self.address.text}: {len(ids) - len(set(ids)):,} rows have the same id as "
                f"another row in column '{id_field}'. Add ?id=COLUMN to the address; the values "
                "of this column must be unique."
            )
        with explain_errors(self.address.text, "the copy cannot be created", Exception):
            if dimensions is not None:
                field = self._vector_field(schema)
                kind = pa.list_(field.type.value_field, dimensions)
                schema = schema.set(schema.get_field_index(field.name), field.with_type(kind))
            self.database.create_table(self.shadow_name(tag), schema=schema)

    def shadow_write(self, tag: str, batch: Batch) -> None:
        """See `ShadowConnector.shadow_write`: one commit a batch."""
        table = self._table(self.shadow_name(tag))
        schema = table.schema
        id_field = choose_field(self.address, "id", schema.names, ID_FIELDS)
        assert id_field is not None
        with explain_errors(self.address.text, "the copy cannot be written", Exception):
            if self._written is None:
                self._written = set(_column(table, id_field))
            name = self._vector_field(schema).name
            kind = schema.field(name).type
            values = pa.array(batch.vectors.ravel()).cast(kind.value_type)
            vectors = pa.FixedSizeListArray.from_arrays(values, kind.list_size)
            others = pa.Table.from_pylist(
                batch.rows, pa.schema([f for f in schema if f.name != name])
            )
            data = others.append_column(schema.field(name), vectors).select(schema.names)
            new = [x not in self._written for x in batch.ids]
            if any(new):
                table.add(data.filter(pa.array(new)))
            if not all(new):
                (
                    table.merge_insert(id_field)
                    .when_matched_update_all()
                    .when_not_matched_insert_all()
                    .execute(data.filter(pa.array([not x for x in new])))
                )
            self._written.update(batch.ids)

    def shadow_delete(self, tag: str, ids: Sequence[Any]) -> None:
        """See `ShadowConnector.shadow_delete`."""
        table = self._table(self.shadow_name(tag))
        id_field = choose_field(self.address, "id", table.schema.names, ID_FIELDS)
        values = ", ".join(
            str(x) if isinstance(x, int) else "'" + str(x).replace("'", "''") + "'" for x in ids
        )
        with explain_errors(self.address.text, "the copy cannot be written", Exception):
            table.delete(f"`{id_field}` IN ({values})")

    def shadow_count(self, tag: str) -> int:
        """See `ShadowConnector.shadow_count`."""
        with explain_errors(self.address.text, "the copy cannot be read", Exception):
            table = self._table(self.shadow_name(tag))
            table.checkout_latest()
            return int(table.count_rows())

    def shadow_finish(self, tag: str) -> None:
        """See `ShadowConnector.shadow_finish`."""
        original, shadow = self._table(self.address.name), self._table(self.shadow_name(tag))
        with explain_errors(self.address.text, "the index cannot be built", Exception):
            shadow.optimize()
            known = {x.name for x in shadow.list_indices()}
            for index in original.list_indices():
                if index.name in known:
                    continue
                kind = re.sub("[^A-Z]", "", str(index.index_type).upper())
                (column,) = index.columns
                if kind == "FTS":
                    shadow.create_fts_index(column, use_tantivy=False)
                elif kind.startswith("IVF"):
                    shadow.create_index(
                        metric=str(original.index_stats(index.name).distance_type).lower(),
                        vector_column_name=column,
                        index_type=_INDEX_TYPES[kind],
                    )
                else:
                    shadow.create_scalar_index(column, index_type=kind)

    def reopen(self) -> None:
        """See `ShadowConnector.reopen`."""
        self._tables.clear()
        self._written = None
        self.__dict__.pop("_described", None)

    def _table(self, name: str) -> Any:
        """Return a table, which must exist."""
        if name not in self._tables:
            if name not in self.names():
                known = ", ".join(sorted(self.names())) or "none"
                raise MixlingError(
                    f"{self.address.text}: the database has no table '{name}'. Its tables are: "
                    f"{known}"
                )
            with explain_errors(self.address.text, "the table cannot be read", Exception):
                self._tables[name] = self.database.open_table(name)
        return self._tables[name]

    def _vector_field(self, schema: pa.Schema) -> Any:
        """Return the field of the vectors."""
        vectors = [
            f.name
            for f in schema
            if pa.types.is_fixed_size_list(f.type) and pa.types.is_floating(f.type.value_type)
        ]
        given = self.address.options.get("vector")
        name = given or (vectors[0] if len(vectors) == 1 else None)
        if name not in vectors:
            problem = (
                f"the table has no column of vectors '{given}'"
                if given
                else (
                    "the table has several columns of vectors; choose one with ?vector=NAME"
                    if vectors
                    else "the table has no vectors"
                )
            )
            raise MixlingError(
                f"{self.address.text}: {problem}. Its columns are: {', '.join(schema.names)}"
            )
        return schema.field(name)

    def _indexes(self, table: Any, column: str) -> list[Any]:
        """Return the indexes of a column."""
        with explain_errors(self.address.text, "the table cannot be read", Exception):
            return [x for x in table.list_indices() if x.columns == [column]]


def _column(table: Any, name: str) -> list[Any]:
    """Return a column of a table."""
    rows = table.search().select([name]).limit(table.count_rows() or 1).to_arrow()
    return list(rows[name].to_pylist())


# LanceDB lists an index as "IvfHnswSq" and takes "IVF_HNSW_SQ"
_INDEX_TYPES = {
    "IVFPQ": "IVF_PQ",
    "IVFFLAT": "IVF_FLAT",
    "IVFSQ": "IVF_SQ",
    "IVFRQ": "IVF_RQ",
    "IVFHNSWSQ": "IVF_HNSW_SQ",
    "IVFHNSWPQ": "IVF_HNSW_PQ",
    "IVFHNSWFLAT": "IVF_HNSW_FLAT",
}
