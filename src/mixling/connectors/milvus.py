"""Reads a collection of a Milvus server, and keeps its shadow."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any, Self

from mixling.connectors.address import Address
from mixling.connectors.connector import (
    LANGUAGE_FIELDS,
    TEXT_FIELDS,
    Batch,
    Description,
    choose_field,
    explain_errors,
    import_client,
    stack_vectors,
)
from mixling.connectors.shadow import RenamingConnector, store_refused
from mixling.errors import MixlingError

_METRICS = {"COSINE": "cosine", "IP": "dot", "L2": "l2"}
_FLOAT_VECTOR = 101
_PAGE = 16_000  # the server's largest answer is 16,384 rows


class MilvusConnector(RenamingConnector):
    """A collection of Milvus; texts and languages are its fields."""

    def __init__(self, address: Address, client: Any):
        self.address, self.client = address, client

    @classmethod
    def open(cls, address: Address) -> Self:
        """See `Connector.open`."""

        def load() -> Any:
            import pymilvus

            return pymilvus

        pymilvus = import_client(load, "pymilvus", "milvus")
        protocol = "https" if "tls" in address.options else "http"
        token = os.environ.get("MILVUS_TOKEN", "")
        with explain_errors(address.text, "no Milvus server answers", Exception):
            return cls(
                address,
                pymilvus.MilvusClient(uri=f"{protocol}://{address.host}", token=token, timeout=30),
            )

    def describe(self) -> Description:
        """See `Connector.describe`."""
        schema = self._schema()
        vector = self._vector_field()
        names = [f["name"] for f in schema["fields"]]
        known = [] if schema.get("enable_dynamic_field") else names
        metric = str(self._index().get("metric_type", "")).upper()
        with explain_errors(self.address.text, "the collection cannot be read", Exception):
            self.client.load_collection(self.address.name)
        count = self._count(self.address.name)
        if not count:
            raise MixlingError(
                f"{self.address.text}: the collection holds no vectors. Name a collection that "
                "has some."
            )
        options = self.address.options
        return Description(
            "milvus",
            count,
            int(vector["params"]["dim"]),
            _METRICS.get(metric, metric or None),
            vector["name"],
            options.get("text")
            if not known and "text" in options
            else choose_field(self.address, "text", names, TEXT_FIELDS),
            options.get("language")
            if not known and "language" in options
            else choose_field(self.address, "language", names, LANGUAGE_FIELDS),
        )

    def keys(self) -> Sequence[Any]:
        """See `Connector.keys`."""
        if "_described" not in self.__dict__:
            self._described = self.describe()
        key = self._primary()
        ids: list[Any] = []
        low: Any = "" if key["type"] == 21 else -(2**63) + 1
        with explain_errors(self.address.text, "the collection cannot be read", Exception):
            while True:
                found = self.client.query(
                    self.address.name,
                    filter=f"{key['name']} {'>' if ids else '>='} {_literal(low)}",
                    output_fields=[key["name"]],
                    limit=_PAGE,
                    consistency_level="Strong",
                )
                page = sorted(row[key["name"]] for row in found)
                ids += page
                if len(page) < _PAGE:
                    return ids
                low = page[-1]

    def fetch(self, keys: Sequence[Any], with_texts: bool = False) -> Batch:
        """See `Connector.fetch`."""
        if "_described" not in self.__dict__:
            self._described = self.describe()
        description, key = self._described, self._primary()["name"]
        with explain_errors(self.address.text, "the collection cannot be read", Exception):
            found = self.client.query(
                self.address.name,
                filter=f"{key} in [{', '.join(map(_literal, keys))}]",
                output_fields=["*"],
                consistency_level="Strong",
            )
        rows = sorted((dict(row) for row in found), key=lambda row: row[key])
        vectors = [row.pop(description.vector_field) for row in rows]
        ids = [row[key] for row in rows]
        text, language = description.text_field, description.language_field
        return Batch(
            ids,
            stack_vectors(vectors, description.dimensions, ids, self.address.text),
            [row.get(text) for row in rows] if text and with_texts else None,
            [row.get(language) for row in rows] if language else None,
            rows,
        )

    def names(self) -> set[str]:
        """See `RenamingConnector.names`."""
        with explain_errors(self.address.text, "the collection cannot be read", Exception):
            return set(self.client.list_collections())

    def rename(self, old: str, new: str) -> None:
        """See `RenamingConnector.rename`."""
        with explain_errors(self.address.text, f"'{old}' cannot be renamed", Exception):
            self.client.rename_collection(old, new)

    def drop(self, name: str) -> None:
        """See `RenamingConnector.drop`."""
        with explain_errors(self.address.text, f"'{name}' cannot be removed", Exception):
            self.client.drop_collection(name)

    def shadow_create(self, tag: str, dimensions: int | None = None) -> None:
        """See `ShadowConnector.shadow_create`."""
        schema = self._schema()
        if {"document", "digest"} <= {f["name"] for f in schema["fields"]} and (
            f"{self.address.name}_info" in self.names()
        ):
            raise store_refused(self.address.text)
        if schema.get("auto_id"):
            raise MixlingError(
                f"{self.address.text}: Milvus makes the ids of this collection itself (auto_id), "
                "so a copy cannot keep them. First copy the collection into one with ids of "
                "your own."
            )
        new = self.client.create_schema(
            auto_id=False, enable_dynamic_field=bool(schema.get("enable_dynamic_field"))
        )
        for field in schema["fields"]:
            flags = {
                k: field[k] for k in ("is_primary", "is_partition_key", "nullable") if field.get(k)
            }
            if field.get("element_type"):
                flags["element_type"] = field["element_type"]
            settings = dict(field.get("params", {}))
            if dimensions is not None and field["name"] == self._vector_field()["name"]:
                settings["dim"] = dimensions
            new.add_field(field["name"], field["type"], **flags, **settings)
        index = self._index()
        index_params = self.client.prepare_index_params()
        inner = index.get("params") or {}
        if isinstance(inner, str):
            inner = json.loads(inner)
        known = {"index_type", "metric_type", "field_name", "index_name", "params"}
        inner = {**{k: v for k, v in index.items() if k not in known | _STATE}, **inner}
        index_params.add_index(
            self._vector_field()["name"],
            index_type=index.get("index_type", "FLAT"),
            metric_type=index.get("metric_type", "COSINE"),
            params=inner,
        )
        with explain_errors(self.address.text, "the copy cannot be created", Exception):
            self.client.create_collection(
                self.shadow_name(tag),
                schema=new,
                index_params=index_params,
                consistency_level=schema.get("consistency_level", "Bounded"),
            )

    def shadow_write(self, tag: str, batch: Batch) -> None:
        """See `ShadowConnector.shadow_write`."""
        vector = self._vector_field()["name"]
        rows = [
            {**row, vector: values}
            for row, values in zip(batch.rows, batch.vectors.tolist(), strict=True)
        ]
        with explain_errors(self.address.text, "the copy cannot be written", Exception):
            self.client.upsert(self.shadow_name(tag), rows)

    def shadow_delete(self, tag: str, ids: Sequence[Any]) -> None:
        """See `ShadowConnector.shadow_delete`."""
        with explain_errors(self.address.text, "the copy cannot be written", Exception):
            self.client.delete(self.shadow_name(tag), ids=list(ids))

    def shadow_count(self, tag: str) -> int:
        """See `ShadowConnector.shadow_count`."""
        return self._count(self.shadow_name(tag))

    def shadow_finish(self, tag: str) -> None:
        """See `ShadowConnector.shadow_finish`: the server indexes by itself."""
        with explain_errors(self.address.text, "the copy cannot be written", Exception):
            self.client.flush(self.shadow_name(tag))

    def reopen(self) -> None:
        """See `ShadowConnector.reopen`."""
        self.__dict__.pop("_described", None)
        self.__dict__.pop("_fields", None)

    def close(self) -> None:
        """See `Connector.close`."""
        self.client.close()

    def _count(self, name: str) -> int:
        """Count rows."""
        with explain_errors(self.address.text, "the collection cannot be read", Exception):
            rows = self.client.query(
                name,
                filter="",
                output_fields=["count(*)"],
                consistency_level="Strong",
            )
        return int(rows[0]["count(*)"])

    def _schema(self) -> dict[str, Any]:
        """Return the description of the collection, which must exist."""
        if "_fields" not in self.__dict__:
            name = self.address.name
            with explain_errors(self.address.text, "the collection cannot be read", Exception):
                if not self.client.has_collection(name):
                    known = ", ".join(sorted(self.names())) or "none"
                    raise MixlingError(
                        f"{self.address.text}: the server has no collection '{name}'. Its "
                        f"collections are: {known}"
                    )
                self._fields: dict[str, Any] = self.client.describe_collection(name)
        return self._fields

    def _primary(self) -> dict[str, Any]:
        return next(f for f in self._schema()["fields"] if f.get("is_primary"))

    def _vector_field(self) -> dict[str, Any]:
        """Return the field of the vectors."""
        fields = [f for f in self._schema()["fields"] if int(f["type"]) >= 100]
        floats = [f for f in fields if int(f["type"]) == _FLOAT_VECTOR]
        given = self.address.options.get("vector")
        chosen = [f for f in floats if given in (None, f["name"])]
        if len(chosen) != 1:
            raise MixlingError(
                f"{self.address.text}: expected one field of float vectors, or ?vector=NAME in "
                "the address. The collection has: "
                f"{', '.join(f['name'] for f in floats) or 'none'}"
            )
        return dict(chosen[0])

    def _index(self) -> dict[str, Any]:
        """Return the description of the vector's index; empty where there is none."""
        with explain_errors(self.address.text, "the collection cannot be read", Exception):
            for name in self.client.list_indexes(self.address.name):
                index = self.client.describe_index(self.address.name, name)
                if index.get("field_name") == self._vector_field()["name"]:
                    return dict(index)
        return {}


# what describe_index tells of the index's progress
_STATE = {
    "total_rows",
    "indexed_rows",
    "pending_index_rows",
    "state",
    "fail_reason",
    "index_state_fail_reason",
}


def _literal(key: Any) -> str:
    """Write an id in a filter."""
    return json.dumps(key, ensure_ascii=False)
