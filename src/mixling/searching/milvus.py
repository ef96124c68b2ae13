"""Keeps a store on a Milvus server, for collections that one machine does not hold.

Language is a filter over one graph, not the partition key. The server does not index segments of
fewer than 1,024 rows but searches them by a rough interim index that no search parameter reaches,
and the partitions of small languages stay such segments: with one per cent of 100,000 passages,
recall@100 was .78 there (without partitions: benchmarks/search.json). For the same reason `finish`
waits until the server has built and loaded the index of all larger segments.

The environment variable MILVUS_TOKEN holds the token. A commit is not one transaction on the
server: the first passage of a document is written last and carries the document's digest, so a
document that was cut off half-way has no digest and is written again. The server has full text from
version 2.5 on, which is not used here.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from mixling.errors import MixlingError, first_line, not_installed
from mixling.progress import Progress
from mixling.searching.store import RESULT_COLUMNS, Store, passage_schema, result_schema, search_ef

_ADDRESS = re.compile(
    r"^milvus://(?P<host>[^/:\s]+)(?::(?P<port>\d+))?(?:/(?P<name>[A-Za-z_]\w*))?$"
)
_MAX_BYTES = 65535  # of a string, the server's limit
_MAX_RESULTS = 16384  # of a search, the server's limit
_MAX_EF = 32768  # the server's limit of a search's `ef`
_BATCH = 1000  # rows of a query or an insertion
_INDEXED_ROWS = 1024  # the server indexes no segment of fewer rows
_CHECK_EVERY = 1.0  # seconds after which a search looks whether its collection is still there
_PATIENCE = 60.0  # seconds in which the server may index nothing

_Item = TypeVar("_Item")


class MilvusStore(Store):
    """A store on a Milvus server.

    Args:
        client: A `pymilvus.MilvusClient`.
        name: Name of the collection of passages; the info is in the collection `NAME_info`.
        info: The info of the store.
        collection: The server's number of the collection; None: it is not looked after.
    """

    def __init__(self, client: Any, name: str, info: dict[str, Any], collection: int | None = None):
        self.client, self.name, self.info = client, name, info
        self._collection, self._checked = collection, time.monotonic()

    @classmethod
    def open(cls, address: str) -> MilvusStore:
        """See `Store.open`."""
        client, name = _connect(address)
        if not client.has_collection(name) or not client.has_collection(f"{name}_info"):
            raise MixlingError(
                f"{address}: there is no store at this address. Make one with `mixling index "
                f"MODEL DOCUMENTS --store {address}`."
            )
        for collection in (name, f"{name}_info"):
            client.load_collection(collection)
        info: dict[str, Any] = {}
        for row in _query_all(client, f"{name}_info", 'key != ""', ["key", "value"], "key"):
            key, _, language = row["key"].partition(":")
            if language:
                info.setdefault(key, {})[language] = json.loads(row["value"])
            else:
                info[key] = json.loads(row["value"])
        return cls(client, name, info, client.describe_collection(name)["collection_id"])

    @classmethod
    def open_or_create(cls, address: str, dimensions: int, info: dict[str, Any]) -> MilvusStore:
        """See `Store.open_or_create`."""
        client, name = _connect(address)
        if client.has_collection(f"{name}_info"):
            return cls.open(address)
        if client.has_collection(name):
            client.drop_collection(name)  # it has no info, so it was never finished
        _create_passages(client, name, dimensions)
        _create_info(client, f"{name}_info")
        number = client.describe_collection(name)["collection_id"]
        store = cls(client, name, info, number)
        # Only a folder has full text.
        store.write_info({key: value for key, value in info.items() if key != "full_text"})
        return store

    @classmethod
    def exists(cls, address: str) -> bool:
        """See `Store.exists`."""
        client, name = _connect(address)
        return bool(client.has_collection(name) and client.has_collection(f"{name}_info"))

    @classmethod
    def rename(cls, old: str, new: str) -> None:
        """See `Store.rename`: two collections, so an interrupted call leaves one renamed."""
        (client, old_name), (_, new_name) = _connect(old), _connect(new)
        for end in ("", "_info"):
            found = client.has_collection(old_name + end)
            if found and not client.has_collection(new_name + end):
                client.rename_collection(old_name + end, new_name + end)

    @classmethod
    def remove(cls, address: str) -> None:
        """See `Store.remove`."""
        client, name = _connect(address)
        for end in ("_info", ""):
            client.drop_collection(name + end)

    @classmethod
    def beside(cls, address: str) -> list[str]:
        """See `Store.beside`."""
        client, name = _connect(address)
        server = address.rpartition("/")[0]
        names = set(client.list_collections())
        found = sorted(x for x in names if x.startswith(name) and f"{x}_info" in names)
        return [f"{server}/{x}" for x in found]

    def write_info(self, info: dict[str, Any]) -> None:
        """See `Store.write_info`: each key is a row, and the mean of each language is a row."""
        self.info = info
        rows = []
        for key, value in info.items():
            values = value if key == "means" else {"": value}
            rows += [
                (f"{key}:{language}" if language else key, json.dumps(x, ensure_ascii=False))
                for language, x in values.items()
            ]
        self.client.upsert(
            f"{self.name}_info",
            [{"key": key, "value": value, "vector": [0.0, 0.0]} for key, value in rows],
        )

    def digests(self, documents: Sequence[str]) -> dict[str, str]:
        """See `Store.digests`."""
        rows = self.client.query(
            self.name,
            filter=f"part == 0 and {_is_in('document', documents)}",
            output_fields=["document", "digest"],
            limit=len(documents),
        )
        return {row["document"]: row["digest"] for row in rows}

    def replace(self, documents: Sequence[str], rows: pa.Table) -> None:
        """See `Store.replace`."""
        encoded = [_encode_nulls(row) for row in rows.to_pylist()]
        # Deleted and inserted, because an upsert puts rows into the wrong partitions (seen on
        # 2.3.5).
        self.delete(documents)
        # The first passage of each document is written last; see the top of this file.
        later_parts = [row for row in encoded if row["part"]]
        first_parts = [row for row in encoded if not row["part"]]
        for part in (later_parts, first_parts):
            for batch in _batches(part):
                self.client.insert(self.name, batch)

    def delete(self, documents: Sequence[str]) -> None:
        """See `Store.delete`."""
        self.client.delete(self.name, filter=_is_in("document", documents))

    def document_ids(self) -> Iterator[list[str]]:
        """See `Store.document_ids`."""
        rows = _query_all(self.client, self.name, "part >= 0", ["id", "document"], "id")
        yield from _batches(_without_repeats(row["document"] for row in rows))

    def vectors(self) -> Iterator[tuple[list[str], np.ndarray]]:
        """See `Store.vectors`."""
        fields = ["id", "language", "vector"]
        for batch in _batches(_query_all(self.client, self.name, "part >= 0", fields, "id")):
            vectors = np.array([row["vector"] for row in batch], np.float32)
            yield [row["language"] for row in batch], vectors

    def count(self, languages: Sequence[str] | None = None) -> int:
        """See `Store.count`."""
        rows = self.client.query(
            self.name,
            filter=_language_filter(languages) or "part >= 0",
            output_fields=["count(*)"],
        )
        return int(rows[0]["count(*)"])

    def nearest(
        self, vector: np.ndarray, k: int, languages: Sequence[str] | None = None
    ) -> pa.Table:
        """See `Store.nearest`."""
        self._check_same_collection()
        k = min(k, _MAX_RESULTS)
        hits = self.client.search(
            self.name,
            data=[np.asarray(vector, np.float32).tolist()],
            anns_field="vector",
            limit=k,
            filter=_language_filter(languages) or "",
            output_fields=list(RESULT_COLUMNS),
            search_params={"metric_type": "IP", "params": {"ef": min(search_ef(k), _MAX_EF)}},
            # A strong one waits a fifth of a second for the server's clock.
            consistency_level="Bounded",
        )[0]
        rows = pa.Table.from_pylist([_result_row(hit["entity"]) for hit in hits], result_schema())
        scores = pa.array([float(hit["distance"]) for hit in hits], pa.float32())
        return rows.append_column("score", scores)

    def _check_same_collection(self) -> None:
        """Refuse, within a second, to search a collection that has taken the place of this one."""
        if self._collection is None or time.monotonic() - self._checked < _CHECK_EVERY:
            return
        found = None
        if self.client.has_collection(self.name):
            found = self.client.describe_collection(self.name)["collection_id"]
        if found != self._collection:
            raise MixlingError(
                f"{self.name}: the collection is gone, or another one has replaced it. Open the "
                "store again (restart the server)."
            )
        self._checked = time.monotonic()

    def lexical(self, text: str, k: int, languages: Sequence[str] | None = None) -> pa.Table:
        """Raise `MixlingError`: full text is not available on Milvus."""
        raise MixlingError(
            f"{self.name}: a store on Milvus has no full text. Search with --mode dense, or "
            "index into a folder."
        )

    def document(self, document: str) -> pa.Table:
        """See `Store.document`."""
        where = f"document == {json.dumps(document, ensure_ascii=False)}"
        rows = _query_all(self.client, self.name, where, list(RESULT_COLUMNS), "id")
        ordered = sorted(map(_result_row, rows), key=lambda row: row["part"])
        return pa.Table.from_pylist(ordered, result_schema())

    def passages(self, documents: Sequence[str]) -> pa.Table:
        """See `Store.passages`."""
        schema = passage_schema(self.info["dimensions"])
        where = _is_in("document", documents)
        rows = _query_all(self.client, self.name, where, schema.names, "id")
        ordered = sorted(
            ({**row, **_result_row(row)} for row in rows),
            key=lambda row: (row["document"], row["part"]),
        )
        return pa.Table.from_pylist(ordered, schema)

    def finish(self) -> None:
        """See `Store.finish`: the server indexes by itself, and this waits until it has loaded it.

        A flushed segment is not loaded at once, but when the server next looks, up to half a minute
        later; and if its index is not built by then, the server loads it without. So this waits for
        the index first and then asks for the loading.
        """
        self.client.flush(self.name)
        pending, last_change, asked = -1, time.monotonic(), False
        with Progress("indexing") as bar:
            while pending and time.monotonic() - last_change < _PATIENCE:
                loaded = self.client.list_loaded_segments(self.name)
                searched = {x.segment_id for x in loaded if x.index_name}
                flushed = self.client.list_persistent_segments(self.name)
                large = [x for x in flushed if x.num_rows >= _INDEXED_ROWS]
                total = sum(x.num_rows for x in large)
                unindexed = sum(x.num_rows for x in large if x.segment_id not in searched)
                if unindexed != pending:
                    pending, last_change = unindexed, time.monotonic()
                bar(total - unindexed, total)
                if not pending:
                    break
                index = self.client.describe_index(self.name, "vector")
                if not asked and not index["pending_index_rows"]:
                    self.client.refresh_load(self.name, _async=True)
                    asked = True
                else:
                    time.sleep(0.2)
        self.count()  # strongly consistent: once it answers, a search sees all that was written


def _connect(address: str) -> tuple[Any, str]:
    """Return a client of the server at an address, and the name of the collection."""
    match = _ADDRESS.match(address)
    if match is None:
        raise MixlingError(f"{address}: expected milvus://host:port or milvus://host:port/name")
    try:
        from pymilvus import MilvusClient, MilvusException
    except ImportError:
        raise not_installed("pymilvus", "milvus") from None
    uri = f"http://{match['host']}:{match['port'] or 19530}"
    try:
        client = MilvusClient(uri=uri, token=os.environ.get("MILVUS_TOKEN", ""), timeout=30)
    except (MilvusException, ValueError) as error:
        raise MixlingError(
            f"{address}: no Milvus server answers ({first_line(error)}). Check "
            "host, port and MILVUS_TOKEN."
        ) from None
    return client, match["name"] or "mixling"


def _create_passages(client: Any, name: str, dimensions: int) -> None:
    """Create the collection of passages, with the columns of `passage_schema`."""
    from pymilvus import DataType

    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    for field in passage_schema(dimensions):
        if field.name == "vector":
            schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimensions)
        elif pa.types.is_string(field.type):
            schema.add_field(
                field.name,
                DataType.VARCHAR,
                max_length=_MAX_BYTES if field.name in ("text", "metadata") else 1024,
                is_primary=field.name == "id",
            )
        else:
            data_type = DataType.INT32 if pa.types.is_integer(field.type) else DataType.FLOAT
            schema.add_field(field.name, data_type)
    _create_collection(
        client, name, schema, {"index_type": "HNSW", "params": {"M": 16, "efConstruction": 200}}
    )


def _create_info(client: Any, name: str) -> None:
    """Create the collection of the info: a key and a JSON value a row."""
    from pymilvus import DataType

    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("key", DataType.VARCHAR, max_length=256, is_primary=True)
    schema.add_field("value", DataType.VARCHAR, max_length=_MAX_BYTES)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)  # a collection must have a vector
    _create_collection(client, name, schema, {"index_type": "FLAT", "params": {}})


def _create_collection(client: Any, name: str, schema: Any, index: dict[str, Any]) -> None:
    params = client.prepare_index_params()
    params.add_index("vector", metric_type="IP", index_name="vector", **index)
    client.create_collection(name, schema=schema, index_params=params, consistency_level="Strong")


def _query_all(
    client: Any, name: str, where: str, fields: list[str], key: str
) -> Iterator[dict[str, Any]]:
    """Yield all rows of a query in the order of their keys, fetched batch by batch."""
    last = ""
    while True:
        rest = f"({where}) and {key} > {json.dumps(last, ensure_ascii=False)}"
        rows = client.query(name, filter=rest, output_fields=fields, limit=_BATCH)
        yield from rows
        if len(rows) < _BATCH:
            return
        last = max(row[key] for row in rows)


def _batches(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    """Yield the items in lists of `_BATCH`."""
    batch: list[_Item] = []
    for item in items:
        batch.append(item)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _without_repeats(names: Iterable[str]) -> Iterator[str]:
    """Yield each name once where equal names follow each other."""
    previous = None
    for name in names:
        if name != previous:
            yield name
        previous = name


def _is_in(column: str, values: Sequence[str]) -> str:
    return f"{column} in {json.dumps(list(values), ensure_ascii=False)}"


def _language_filter(languages: Sequence[str] | None) -> str | None:
    return None if languages is None else f"language in {json.dumps(list(languages))}"


def _encode_nulls(row: dict[str, Any]) -> dict[str, Any]:
    """Write a missing group as "" and a missing confidence as -1: the server has no nulls."""
    return {
        **row,
        "group": row["group"] or "",
        "confidence": -1.0 if row["confidence"] is None else row["confidence"],
    }


def _result_row(row: dict[str, Any]) -> dict[str, Any]:
    """Return `RESULT_COLUMNS` of a row of the server, with nulls."""
    return {
        **{name: row[name] for name in RESULT_COLUMNS},
        "group": row["group"] or None,
        "confidence": None if row["confidence"] < 0 else row["confidence"],
    }
