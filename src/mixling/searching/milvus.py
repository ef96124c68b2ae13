"""A store on a Milvus server (milvus://host:port/name), for collections that one machine does not hold.

Language is a filter over one graph, not the partition key: the server searches segments of fewer than 1,024 rows, which it
does not index, by a rough interim index that no search parameter reaches, and partitions of small languages stay such
segments: with one per cent of 100,000 passages, recall@100 was .78 there (without partitions: benchmarks/search.json). For the
same reason `finish` waits until the server has loaded the index of all larger ones.

The token comes from the environment (MILVUS_TOKEN). A commit is not one transaction there: a document's first passage is
written last and names the document's digest, so that a document that was cut off half-way has none and is written again. Full text is the server's from 2.5 on, and not used here.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from mixling.errors import MixlingError
from mixling.progress import Progress
from mixling.searching.store import RESULT_COLUMNS, passage_schema, search_ef, shown

_ADDRESS = re.compile(
    r"^milvus://(?P<host>[^/:\s]+)(?::(?P<port>\d+))?(?:/(?P<name>[A-Za-z_]\w*))?$"
)
_TEXT = 65535  # bytes of a string, the server's limit
_PART = 1000  # rows of a query
_INDEXED = 1024  # rows below which the server indexes no segment
_WAIT = 60.0  # seconds in which the server may index nothing
_EF = 32768  # the server's limit of a search's breadth


class MilvusStore:
    """See `mixling.searching.store.Store`."""

    def __init__(self, client: Any, name: str, info: dict[str, Any]):
        self.client, self.name, self.info = client, name, info

    @staticmethod
    def open(address: str) -> MilvusStore:
        """A store that is there."""
        client, name = _client(address)
        if not client.has_collection(name) or not client.has_collection(f"{name}_info"):
            raise MixlingError(
                f"{address}: is no store; make one with `mixling index MODEL DOCUMENTS --store {address}`"
            )
        for each in (name, f"{name}_info"):
            client.load_collection(each)
        info: dict[str, Any] = {}
        for row in _pages(client, f"{name}_info", 'key != ""', ["key", "value"], "key"):
            key, _, language = row["key"].partition(":")
            if language:
                info.setdefault(key, {})[language] = json.loads(row["value"])
            else:
                info[key] = json.loads(row["value"])
        return MilvusStore(client, name, info)

    @staticmethod
    def make(address: str, dimensions: int, info: dict[str, Any]) -> MilvusStore:
        """A store that is there, or a new one."""
        client, name = _client(address)
        if client.has_collection(f"{name}_info"):
            return MilvusStore.open(address)
        if client.has_collection(name):
            client.drop_collection(name)  # without its facts it was never finished
        from pymilvus import DataType

        made = client.create_schema(auto_id=False, enable_dynamic_field=False)
        for field in passage_schema(dimensions):
            if field.name == "vector":
                made.add_field("vector", DataType.FLOAT_VECTOR, dim=dimensions)
            elif pa.types.is_string(field.type):
                made.add_field(
                    field.name,
                    DataType.VARCHAR,
                    max_length=_TEXT if field.name in ("text", "metadata") else 1024,
                    is_primary=field.name == "id",
                )
            else:
                made.add_field(
                    field.name,
                    DataType.INT32 if pa.types.is_integer(field.type) else DataType.FLOAT,
                )
        _create(
            client, name, made, {"index_type": "HNSW", "params": {"M": 16, "efConstruction": 200}}
        )
        facts = client.create_schema(auto_id=False, enable_dynamic_field=False)
        facts.add_field("key", DataType.VARCHAR, max_length=256, is_primary=True)
        facts.add_field("value", DataType.VARCHAR, max_length=_TEXT)
        facts.add_field("vector", DataType.FLOAT_VECTOR, dim=2)  # a collection must have one
        _create(client, f"{name}_info", facts, {"index_type": "FLAT", "params": {}})
        store = MilvusStore(client, name, info)
        store.write_info(
            {k: v for k, v in info.items() if k != "full_text"}
        )  # a folder's, which has terms
        return store

    def write_info(self, info: dict[str, Any]) -> None:
        """A row a fact; the means of languages a row each."""
        self.info = info
        rows = []
        for key, value in info.items():
            many = value if key == "means" else {"": value}
            rows += [
                (f"{key}:{k}" if k else key, json.dumps(v, ensure_ascii=False))
                for k, v in many.items()
            ]
        self.client.upsert(
            f"{self.name}_info", [{"key": k, "value": v, "vector": [0.0, 0.0]} for k, v in rows]
        )

    def digests(self, documents: Sequence[str]) -> dict[str, str]:
        where = f"part == 0 and document in {json.dumps(list(documents), ensure_ascii=False)}"
        found = self.client.query(
            self.name, filter=where, output_fields=["document", "digest"], limit=len(documents)
        )
        return {r["document"]: r["digest"] for r in found}

    def replace(self, documents: Sequence[str], rows: pa.Table) -> None:
        some = [_put(r) for r in rows.to_pylist()]
        names = json.dumps(list(documents), ensure_ascii=False)
        # deleted and inserted: an upsert puts rows into the wrong partitions (seen on 2.3.5)
        self._remove(f"document in {names}")
        for mine in ([r for r in some if r["part"]], [r for r in some if not r["part"]]):
            for begin in range(0, len(mine), _PART):
                self.client.insert(self.name, mine[begin : begin + _PART])

    def delete(self, documents: Sequence[str]) -> None:
        self._remove(f"document in {json.dumps(list(documents), ensure_ascii=False)}")

    def _remove(self, where: str) -> None:
        self.client.delete(self.name, filter=where)

    def documents(self) -> Iterator[list[str]]:
        some: list[str] = []
        for row in _pages(self.client, self.name, "part >= 0", ["id", "document"], "id"):
            if some and some[-1] == row["document"]:
                continue
            some.append(row["document"])
            if len(some) == _PART:
                yield some
                some = []
        if some:
            yield some

    def vectors(self) -> Iterator[tuple[list[str], np.ndarray]]:
        some: list[dict[str, Any]] = []
        for row in _pages(self.client, self.name, "part >= 0", ["id", "language", "vector"], "id"):
            some.append(row)
            if len(some) == _PART:
                yield (
                    [r["language"] for r in some],
                    np.array([r["vector"] for r in some], np.float32),
                )
                some = []
        if some:
            yield [r["language"] for r in some], np.array([r["vector"] for r in some], np.float32)

    def count(self, languages: Sequence[str] | None = None) -> int:
        found = self.client.query(
            self.name, filter=_where(languages) or "part >= 0", output_fields=["count(*)"]
        )
        return int(found[0]["count(*)"])

    def nearest(
        self, vector: np.ndarray, k: int, languages: Sequence[str] | None = None
    ) -> pa.Table:
        k = min(k, 16384)
        found = self.client.search(
            self.name,
            data=[np.asarray(vector, np.float32).tolist()],
            anns_field="vector",
            limit=k,
            filter=_where(languages) or "",
            output_fields=list(RESULT_COLUMNS),
            search_params={"metric_type": "IP", "params": {"ef": min(search_ef(k), _EF)}},
            consistency_level="Bounded",  # a strong one waits a fifth of a second for the server's clock
        )[0]
        rows = [_got(hit["entity"]) for hit in found]
        table = pa.Table.from_pylist(rows, shown())
        return table.append_column(
            "score", pa.array([float(hit["distance"]) for hit in found], pa.float32())
        )

    def lexical(self, text: str, k: int, languages: Sequence[str] | None = None) -> pa.Table:
        raise MixlingError(
            "a store on Milvus has no full text here; ask with --mode dense, or index into a folder"
        )

    def document(self, name: str) -> pa.Table:
        where = f"document == {json.dumps(name, ensure_ascii=False)}"
        rows = [_got(r) for r in _pages(self.client, self.name, where, list(RESULT_COLUMNS), "id")]
        return pa.Table.from_pylist(sorted(rows, key=lambda r: r["part"]), shown())

    def whole(self, documents: Sequence[str]) -> pa.Table:
        form = passage_schema(self.info["dimensions"])
        where = f"document in {json.dumps(list(documents), ensure_ascii=False)}"
        found = _pages(self.client, self.name, where, form.names, "id")
        rows = sorted(({**r, **_got(r)} for r in found), key=lambda r: (r["document"], r["part"]))
        return pa.Table.from_pylist(rows, form)

    def finish(self) -> None:
        self.client.flush(self.name)
        pending, told = -1, time.monotonic()
        with Progress("indexing") as bar:
            while pending and time.monotonic() - told < _WAIT:
                loaded = self.client.list_loaded_segments(self.name)
                left = sum(
                    x.num_rows for x in loaded if not x.index_name and x.num_rows >= _INDEXED
                )
                if left != pending:
                    pending, told = left, time.monotonic()
                total = sum(x.num_rows for x in loaded)
                bar(total - left, total)
                time.sleep(0.2 if pending else 0)
        self.count()  # strongly consistent: once it answers, a search sees all that was written


def _client(address: str) -> tuple[Any, str]:
    match = _ADDRESS.match(address)
    if match is None:
        raise MixlingError(f"{address}: write milvus://host:port or milvus://host:port/name")
    try:
        from pymilvus import MilvusClient, MilvusException
    except ImportError:
        raise MixlingError("pymilvus is not installed: pip install 'mixling[milvus]'") from None
    uri = f"http://{match['host']}:{match['port'] or 19530}"
    try:
        return MilvusClient(uri=uri, token=os.environ.get("MILVUS_TOKEN", ""), timeout=30), match[
            "name"
        ] or "mixling"
    except (MilvusException, ValueError) as error:
        raise MixlingError(
            f"{address}: no Milvus server answers ({str(error).splitlines()[0][:200]}); check host, port and MILVUS_TOKEN"
        ) from None


def _create(client: Any, name: str, made: Any, index: dict[str, Any]) -> None:
    params = client.prepare_index_params()
    params.add_index("vector", metric_type="IP", index_name="vector", **index)
    client.create_collection(name, schema=made, index_params=params, consistency_level="Strong")


def _pages(
    client: Any, name: str, where: str, fields: list[str], key: str
) -> Iterator[dict[str, Any]]:
    """All rows of a query, in the order of their keys."""
    last = ""
    while True:
        after = f"({where}) and {key} > {json.dumps(last, ensure_ascii=False)}"
        rows = client.query(name, filter=after, output_fields=fields, limit=_PART)
        yield from rows
        if len(rows) < _PART:
            return
        last = max(r[key] for r in rows)


def _where(languages: Sequence[str] | None) -> str | None:
    return None if languages is None else f"language in {json.dumps(list(languages))}"


def _put(row: dict[str, Any]) -> dict[str, Any]:
    """The server knows no nulls: no group is "", no confidence is -1."""
    return {
        **row,
        "group": row["group"] or "",
        "confidence": -1.0 if row["confidence"] is None else row["confidence"],
    }


def _got(row: dict[str, Any]) -> dict[str, Any]:
    found = {name: row[name] for name in RESULT_COLUMNS}
    return {
        **found,
        "group": found["group"] or None,
        "confidence": None if found["confidence"] < 0 else found["confidence"],
    }
