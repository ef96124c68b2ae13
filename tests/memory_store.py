"""A store in memory: a complete example of a kind of store that is added from outside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mixling.errors import MixlingError
from mixling.searching.folding import passage_terms, query_terms
from mixling.searching.store import RESULT_COLUMNS, Store, passage_schema


class MemoryStore(Store):
    """A store in memory; it lasts as long as the process."""

    stores: ClassVar[dict[str, MemoryStore]] = {}

    def __init__(self, rows: pa.Table, info: dict[str, Any]):
        self.rows, self.info = rows, info

    @classmethod
    def open(cls, address: str) -> MemoryStore:
        if address not in cls.stores:
            raise MixlingError(f"{address}: there is no store. Make one with `mixling index`")
        return cls.stores[address]

    @classmethod
    def open_or_create(cls, address: str, dimensions: int, info: dict[str, Any]) -> MemoryStore:
        if address not in cls.stores:
            cls.stores[address] = cls(passage_schema(dimensions).empty_table(), info)
        return cls.stores[address]

    def write_info(self, info: dict[str, Any]) -> None:
        self.info = info

    def digests(self, documents: Sequence[str]) -> dict[str, str]:
        rows = self.passages(documents)
        return dict(zip(rows["document"].to_pylist(), rows["digest"].to_pylist(), strict=True))

    def replace(self, documents: Sequence[str], rows: pa.Table) -> None:
        self.delete(documents)
        self.rows = pa.concat_tables([self.rows, rows.cast(self.rows.schema)])

    def delete(self, documents: Sequence[str]) -> None:
        self.rows = self.rows.filter(pc.invert(self._has("document", documents)))

    def document_ids(self) -> Iterator[list[str]]:
        yield self.rows["document"].unique().to_pylist()

    def vectors(self) -> Iterator[tuple[list[str], np.ndarray]]:
        yield self.rows["language"].to_pylist(), self._matrix(self.rows)

    def count(self, languages: Sequence[str] | None = None) -> int:
        return self._filtered(languages).num_rows

    def nearest(
        self, vector: np.ndarray, k: int, languages: Sequence[str] | None = None
    ) -> pa.Table:
        rows = self._filtered(languages)
        return self._best(rows, self._matrix(rows) @ vector, k)

    def lexical(self, text: str, k: int, languages: Sequence[str] | None = None) -> pa.Table:
        rows, terms = self._filtered(languages), set(query_terms(text))
        shared = [len(terms & set(passage_terms(x))) for x in rows["text"].to_pylist()]
        rows = rows.filter(pa.array([n > 0 for n in shared], pa.bool_()))
        return self._best(rows, np.array([n for n in shared if n], np.float32), k)

    def document(self, document: str) -> pa.Table:
        return self.passages([document]).select(RESULT_COLUMNS)

    def passages(self, documents: Sequence[str]) -> pa.Table:
        rows = self.rows.filter(self._has("document", documents))
        return rows.sort_by([("document", "ascending"), ("part", "ascending")])

    def finish(self) -> None:
        pass

    def _has(self, column: str, values: Sequence[str]) -> pa.Array:
        return pc.is_in(self.rows[column], value_set=pa.array(values, pa.string()))

    def _filtered(self, languages: Sequence[str] | None) -> pa.Table:
        return (
            self.rows if languages is None else self.rows.filter(self._has("language", languages))
        )

    @staticmethod
    def _matrix(rows: pa.Table) -> np.ndarray:
        vectors = rows["vector"].combine_chunks()
        return vectors.flatten().to_numpy().reshape(len(rows), vectors.type.list_size)

    @staticmethod
    def _best(rows: pa.Table, scores: np.ndarray, k: int) -> pa.Table:
        scores = pa.array(scores.astype(np.float32))
        ranked = rows.select(RESULT_COLUMNS).append_column("score", scores)
        return ranked.sort_by([("score", "descending"), ("id", "ascending")]).slice(0, k)
