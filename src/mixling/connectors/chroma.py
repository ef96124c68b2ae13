"""Reads a collection of Chroma, in a folder or on a server, and keeps its shadow."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from mixling.connectors.address import Address
from mixling.connectors.connector import (
    LANGUAGE_FIELDS,
    Batch,
    Description,
    choose_field,
    explain_errors,
    import_client,
    stack_vectors,
)
from mixling.connectors.shadow import RenamingConnector
from mixling.errors import MixlingError

_METRICS = {"cosine": "cosine", "ip": "dot", "l2": "l2"}


class ChromaConnector(RenamingConnector):
    """A collection of Chroma; texts are its documents, languages are in its metadata."""

    def __init__(self, address: Address, client: Any):
        self.address, self.client = address, client
        self._collections: dict[str, Any] = {}

    @classmethod
    def open(cls, address: Address) -> Self:
        """See `Connector.open`."""

        def load() -> Any:
            import chromadb

            return chromadb

        chromadb = import_client(load, "chromadb", "chroma")
        settings = chromadb.config.Settings(anonymized_telemetry=False)
        if address.folder is not None:
            if not (address.folder / "chroma.sqlite3").exists():
                raise MixlingError(
                    f"{address.text}: {address.folder} holds no Chroma database. Check the path "
                    "of the folder."
                )
            with explain_errors(address.text, "Chroma cannot open the folder", Exception):
                return cls(address, chromadb.PersistentClient(str(address.folder), settings))
        host, _, port = address.host.rpartition(":")
        if not host or not port.isdecimal():
            raise MixlingError(
                f"{address.text}: the address is incomplete. Expected chroma://host:port/collection"
            )
        token = os.environ.get("CHROMA_TOKEN")
        with explain_errors(address.text, "no Chroma server answers", Exception):
            return cls(
                address,
                chromadb.HttpClient(
                    host,
                    int(port),
                    ssl="tls" in address.options,
                    headers={"Authorization": f"Bearer {token}"} if token else None,
                    settings=settings,
                ),
            )

    def describe(self) -> Description:
        """See `Connector.describe`."""
        collection = self._collection(self.address.name)
        with explain_errors(self.address.text, "the collection cannot be read", Exception):
            count = collection.count()
            first = collection.peek(1)
        if not count or first["embeddings"] is None or not len(first["embeddings"]):
            raise MixlingError(
                f"{self.address.text}: the collection holds no vectors. Name a collection that "
                "has some."
            )
        names = sorted((first["metadatas"] or [None])[0] or {})
        space = (collection.configuration.get("hnsw") or collection.configuration.get("spann"))[
            "space"
        ]
        return Description(
            self.address.scheme,
            count,
            len(first["embeddings"][0]),
            _METRICS.get(space, space),
            "",
            self.address.options.get("text", "document"),
            self.address.options.get("language")
            or choose_field(self.address, "language", names, LANGUAGE_FIELDS),
        )

    def keys(self) -> Sequence[str]:
        """See `Connector.keys`."""
        with explain_errors(self.address.text, "the collection cannot be read", Exception):
            ids = self._collection(self.address.name).get(include=[])["ids"]
        return [str(x) for x in ids]

    def fetch(self, keys: Sequence[str], with_texts: bool = False) -> Batch:
        """See `Connector.fetch`."""
        description = self._description()
        with explain_errors(self.address.text, "the collection cannot be read", Exception):
            found = self._collection(self.address.name).get(
                ids=list(keys), include=["embeddings", "documents", "metadatas", "uris"]
            )
        place = {key: i for i, key in enumerate(found["ids"])}
        order = [place[key] for key in keys if key in place]
        ids = [found["ids"][i] for i in order]
        vectors = [found["embeddings"][i] for i in order]
        documents = [found["documents"][i] for i in order]
        metadata = [found["metadatas"][i] or {} for i in order]
        uris = [found["uris"][i] if found["uris"] else None for i in order]
        field, text = description.language_field, description.text_field
        return Batch(
            ids,
            stack_vectors(vectors, description.dimensions, ids, self.address.text),
            documents if text == "document" else [m.get(text) for m in metadata],
            [m.get(field) for m in metadata] if field else None,
            list(zip(documents, metadata, uris, strict=True)),
        )

    def names(self) -> set[str]:
        """See `RenamingConnector.names`."""
        with explain_errors(self.address.text, "the collection cannot be read", Exception):
            return {x.name for x in self.client.list_collections(limit=100_000)}

    def rename(self, old: str, new: str) -> None:
        """See `RenamingConnector.rename`."""
        with explain_errors(self.address.text, f"'{old}' cannot be renamed", Exception):
            self._collection(old).modify(name=new)
        self._collections.clear()

    def drop(self, name: str) -> None:
        """See `RenamingConnector.drop`."""
        with explain_errors(self.address.text, f"'{name}' cannot be removed", Exception):
            self.client.delete_collection(name)
        self._collections.pop(name, None)

    def shadow_create(self, tag: str, dimensions: int | None = None) -> None:
        """See `ShadowConnector.shadow_create`: Chroma takes the size of what is written first."""
        original = self._collection(self.address.name)
        settings = {
            kind: {k: v for k, v in values.items() if v is not None}
            for kind, values in original.configuration.items()
            if kind in ("hnsw", "spann") and values
        }
        metadata = {k: v for k, v in (original.metadata or {}).items() if "hnsw:" not in k}
        with explain_errors(self.address.text, "the copy cannot be created", Exception):
            self.client.create_collection(
                self.shadow_name(tag),
                configuration=settings,
                metadata=metadata or None,
                embedding_function=original._embedding_function,
            )

    def shadow_write(self, tag: str, batch: Batch) -> None:
        """See `ShadowConnector.shadow_write`."""
        shadow = self._collection(self.shadow_name(tag))
        with explain_errors(self.address.text, "the copy cannot be written", Exception):
            for uses_documents, uses_metadata in ((a, b) for a in (1, 0) for b in (1, 0)):
                # Chroma takes no None in a list of documents or metadata
                rows = [
                    i
                    for i, (document, metadata, _) in enumerate(batch.rows)
                    if (document is not None, bool(metadata)) == (uses_documents, uses_metadata)
                ]
                if not rows:
                    continue
                shadow.upsert(
                    ids=[batch.ids[i] for i in rows],
                    embeddings=np.ascontiguousarray(batch.vectors[rows]),
                    documents=[batch.rows[i][0] for i in rows] if uses_documents else None,
                    metadatas=[batch.rows[i][1] for i in rows] if uses_metadata else None,
                )

    def shadow_delete(self, tag: str, ids: Sequence[Any]) -> None:
        """See `ShadowConnector.shadow_delete`."""
        with explain_errors(self.address.text, "the copy cannot be written", Exception):
            self._collection(self.shadow_name(tag)).delete(ids=list(ids))

    def shadow_count(self, tag: str) -> int:
        """See `ShadowConnector.shadow_count`."""
        with explain_errors(self.address.text, "the copy cannot be read", Exception):
            return int(self._collection(self.shadow_name(tag)).count())

    def shadow_finish(self, tag: str) -> None:
        """See `ShadowConnector.shadow_finish`: Chroma indexes as it writes."""

    def reopen(self) -> None:
        """See `ShadowConnector.reopen`."""
        self._collections.clear()
        self.__dict__.pop("_described", None)

    def close(self) -> None:
        """See `Connector.close`."""
        self._collections.clear()
        self.client.close()

    def _description(self) -> Description:
        if "_described" not in self.__dict__:
            self._described = self.describe()
        return self._described

    def _collection(self, name: str) -> Any:
        """Return a collection, which must exist."""
        if name not in self._collections:
            from chromadb.errors import NotFoundError

            try:
                with explain_errors(
                    self.address.text, "the collection cannot be read", OSError, RuntimeError
                ):
                    self._collections[name] = self.client.get_collection(name)
            except (NotFoundError, ValueError):
                known = ", ".join(sorted(self.names())) or "none"
                raise MixlingError(
                    f"{self.address.text}: the database has no collection '{name}'. Its "
                    f"collections are: {known}"
                ) from None
        return self._collections[name]
