"""Reads a collection of Qdrant, on a server or in a local folder, and keeps its shadow.

Qdrant renames no collection. A switch therefore moves an *alias*: where the address names an alias,
that one; else the alias `COLLECTION_current`, which applications then ask for. An alias moves at
once, without a moment in which a search finds nothing.
"""

from __future__ import annotations

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
from mixling.connectors.shadow import ShadowConnector
from mixling.errors import MixlingError

_METRICS = {"Cosine": "cosine", "Dot": "dot", "Euclid": "l2"}
_PAGE = 10_000


class QdrantConnector(ShadowConnector):
    """A collection of Qdrant; texts and languages are in its payloads."""

    def __init__(self, address: Address, client: Any):
        self.address, self.client = address, client

    @classmethod
    def open(cls, address: Address) -> Self:
        """See `Connector.open`."""

        def load() -> Any:
            import qdrant_client

            return qdrant_client

        library = import_client(load, "qdrant-client", "qdrant")
        if address.folder is not None:
            if not (address.folder / "meta.json").exists():
                raise MixlingError(
                    f"{address.text}: {address.folder} holds no Qdrant database. Check the path "
                    "of the folder."
                )
            with explain_errors(address.text, "Qdrant cannot open the folder", Exception):
                return cls(address, library.QdrantClient(path=str(address.folder)))
        protocol = "https" if "tls" in address.options else "http"
        with explain_errors(address.text, "no Qdrant server answers", Exception):
            client = library.QdrantClient(
                url=f"{protocol}://{address.host}",
                api_key=os.environ.get("QDRANT_API_KEY"),
                timeout=60,
                check_compatibility=False,
            )
            client.get_collections()
            return cls(address, client)

    def describe(self) -> Description:
        """See `Connector.describe`."""
        config = self._vector_config()
        name = self._vector_name()
        with explain_errors(self.address.text, "the collection cannot be read", Exception):
            count = self.client.count(self.address.name, exact=True).count
            first = self.client.scroll(self.address.name, limit=1, with_payload=True)[0]
        if not count:
            raise MixlingError(
                f"{self.address.text}: the collection holds no vectors. Name a collection that "
                "has some."
            )
        names = sorted(first[0].payload or {})
        options = self.address.options
        return Description(
            "qdrant",
            count,
            config.size,
            _METRICS.get(config.distance.value, config.distance.value),
            name,
            options.get("text") or choose_field(self.address, "text", names, TEXT_FIELDS),
            options.get("language")
            or choose_field(self.address, "language", names, LANGUAGE_FIELDS),
        )

    def keys(self) -> Sequence[Any]:
        """See `Connector.keys`."""
        ids: list[Any] = []
        offset = None
        # the local mode sorts all points for each page
        page = _PAGE if self.address.folder is None else 10_000_000
        with explain_errors(self.address.text, "the collection cannot be read", Exception):
            while True:
                points, offset = self.client.scroll(
                    self.address.name,
                    limit=page,
                    offset=offset,
                    with_payload=False,
                    with_vectors=False,
                )
                ids += [p.id for p in points]
                if offset is None:
                    return ids

    def fetch(self, keys: Sequence[Any], with_texts: bool = False) -> Batch:
        """See `Connector.fetch`."""
        if "_described" not in self.__dict__:
            self._described = self.describe()
        description = self._described
        with explain_errors(self.address.text, "the collection cannot be read", Exception):
            records = self.client.retrieve(
                self.address.name, list(keys), with_payload=True, with_vectors=True
            )
        name = description.vector_field
        pairs = [(r, r.vector if not name else (r.vector or {}).get(name)) for r in records]
        pairs = [(r, v) for r, v in pairs if v is not None]
        ids = [r.id for r, _ in pairs]
        payloads = [r.payload or {} for r, _ in pairs]
        text, language = description.text_field, description.language_field
        return Batch(
            ids,
            stack_vectors([v for _, v in pairs], description.dimensions, ids, self.address.text),
            [p.get(text) for p in payloads] if text and with_texts else None,
            [p.get(language) for p in payloads] if language else None,
            [
                (p, _other_vectors(r.vector, name))
                for p, (r, _) in zip(payloads, pairs, strict=True)
            ],
        )

    def shadow_name(self, tag: str) -> str:
        """Return the name of the shadow."""
        return f"{self._original()}_mixling_{tag}"

    def shadow_exists(self, tag: str) -> bool:
        """See `ShadowConnector.shadow_exists`."""
        with explain_errors(self.address.text, "the collection cannot be read", Exception):
            return bool(self.client.collection_exists(self.shadow_name(tag)))

    def shadow_create(self, tag: str, dimensions: int | None = None) -> None:
        """See `ShadowConnector.shadow_create`."""
        from qdrant_client import models

        info = self.client.get_collection(self.address.name)
        params, config = info.config.params, info.config
        vectors = params.vectors
        if dimensions is not None:
            ours = self._vector_config().model_copy(update={"size": dimensions})
            vectors = {**vectors, self._vector_name(): ours} if isinstance(vectors, dict) else ours
        hnsw = config.hnsw_config.model_dump(exclude_none=True) if config.hnsw_config else {}
        # a server's local numbers of threads are no setting of the collection
        hnsw.pop("max_indexing_threads", None)
        name = self.shadow_name(tag)
        with explain_errors(self.address.text, "the copy cannot be created", Exception):
            self.client.create_collection(
                name,
                vectors_config=vectors,
                sparse_vectors_config=params.sparse_vectors,
                shard_number=params.shard_number,
                replication_factor=params.replication_factor,
                write_consistency_factor=params.write_consistency_factor,
                on_disk_payload=params.on_disk_payload,
                hnsw_config=models.HnswConfigDiff(**hnsw),
                quantization_config=config.quantization_config,
            )
            for field, schema in (info.payload_schema or {}).items():
                self.client.create_payload_index(
                    name, field, field_schema=schema.params or schema.data_type
                )

    def shadow_write(self, tag: str, batch: Batch) -> None:
        """See `ShadowConnector.shadow_write`."""
        from qdrant_client import models

        name = self._vector_name()
        points = [
            models.PointStruct(
                id=key,
                vector={**others, name: vector} if name else vector,
                payload=payload,
            )
            for key, vector, (payload, others) in zip(
                batch.ids, batch.vectors.tolist(), batch.rows, strict=True
            )
        ]
        with explain_errors(self.address.text, "the copy cannot be written", Exception):
            self.client.upsert(self.shadow_name(tag), points, wait=True)

    def shadow_delete(self, tag: str, ids: Sequence[Any]) -> None:
        """See `ShadowConnector.shadow_delete`."""
        from qdrant_client import models

        with explain_errors(self.address.text, "the copy cannot be written", Exception):
            self.client.delete(
                self.shadow_name(tag), models.PointIdsList(points=list(ids)), wait=True
            )

    def shadow_count(self, tag: str) -> int:
        """See `ShadowConnector.shadow_count`."""
        with explain_errors(self.address.text, "the copy cannot be read", Exception):
            return int(self.client.count(self.shadow_name(tag), exact=True).count)

    def shadow_finish(self, tag: str) -> None:
        """See `ShadowConnector.shadow_finish`: Qdrant indexes by itself."""

    def shadow_drop(self, tag: str) -> None:
        """See `ShadowConnector.shadow_drop`."""
        with explain_errors(self.address.text, "the copy cannot be removed", Exception):
            self.client.delete_collection(self.shadow_name(tag))

    def switched_tag(self) -> str | None:
        """See `ShadowConnector.switched_tag`."""
        prefix = f"{self._original()}_mixling_"
        target = self._aliases().get(self._alias(), "")
        return target[len(prefix) :] if target.startswith(prefix) else None

    def switch(self, tag: str) -> str:
        """See `ShadowConnector.switch`."""
        self._point_alias(self.shadow_name(tag))
        return (
            f"The alias '{self._alias()}' is the repaired copy '{self.shadow_name(tag)}'; "
            f"'{self._original()}' is the original. Applications must use the alias."
        )

    def undo(self, tag: str) -> str:
        """See `ShadowConnector.undo`."""
        self._point_alias(self._original())
        return f"The alias '{self._alias()}' is the original '{self._original()}' again."

    def reopen(self) -> None:
        """See `ShadowConnector.reopen`."""
        for name in ("_described", "_params"):
            self.__dict__.pop(name, None)

    def close(self) -> None:
        """See `Connector.close`."""
        self.client.close()

    def _aliases(self) -> dict[str, str]:
        """Return the collection of each alias."""
        with explain_errors(self.address.text, "the collection cannot be read", Exception):
            return {x.alias_name: x.collection_name for x in self.client.get_aliases().aliases}

    def _alias(self) -> str:
        """Return the alias that a switch moves."""
        name = self.address.name
        return name if name in self._aliases() else f"{name}_current"

    def _original(self) -> str:
        """Return the name of the original collection, also where the address names an alias."""
        name = self.address.name
        return self._aliases().get(name, name).partition("_mixling_")[0]

    def _point_alias(self, target: str) -> None:
        """Let the alias name another collection, in one step."""
        from qdrant_client import models

        alias = self._alias()
        steps: list[Any] = []
        if alias in self._aliases():
            steps.append(
                models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=alias))
            )
        steps.append(
            models.CreateAliasOperation(
                create_alias=models.CreateAlias(collection_name=target, alias_name=alias)
            )
        )
        with explain_errors(self.address.text, "the alias cannot be moved", Exception):
            self.client.update_collection_aliases(steps)

    def _vectors(self) -> Any:
        """Return the configuration of the collection's vectors."""
        if "_params" in self.__dict__:
            return self._params
        with explain_errors(
            self.address.text, "the collection cannot be read", OSError, RuntimeError
        ):
            if not self.client.collection_exists(self.address.name):
                known = [x.name for x in self.client.get_collections().collections]
                names = ", ".join(sorted([*known, *self._aliases()])) or "none"
                raise MixlingError(
                    f"{self.address.text}: the database has no collection '{self.address.name}'. "
                    f"Its collections are: {names}"
                )
            info = self.client.get_collection(self.address.name)
        self._params: Any = info.config.params.vectors
        return self._params

    def _vector_name(self) -> str:
        """Return the name of the vector; "" where it has none."""
        vectors = self._vectors()
        given = self.address.options.get("vector")
        if not isinstance(vectors, dict):
            if given:
                raise MixlingError(
                    f"{self.address.text}: the collection has no vector '{given}', because its "
                    "vectors have no name. Leave ?vector= out of the address."
                )
            return ""
        if given in vectors or (given is None and len(vectors) == 1):
            return given or next(iter(vectors))
        problem = (
            f"the collection has no vector '{given}'"
            if given
            else "the collection has several vectors; choose one with ?vector=NAME"
        )
        raise MixlingError(
            f"{self.address.text}: {problem}. Its vectors are: "
            f"{', '.join(sorted(vectors)) or 'none'}"
        )

    def _vector_config(self) -> Any:
        vectors, name = self._vectors(), self._vector_name()
        config = vectors[name] if name else vectors
        if config.multivector_config is not None:
            raise MixlingError(
                f"{self.address.text}: a row has several vectors under one name (a multivector). "
                "Mixling reads one vector per row; choose another vector with ?vector=NAME."
            )
        return config


def _other_vectors(vector: Any, name: str) -> dict[str, Any]:
    """Return a point's vectors of other names."""
    return {k: v for k, v in vector.items() if k != name} if name else {}
