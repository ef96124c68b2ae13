"""A store in a folder: LanceDB, with what keeps its answers exact.

Up to EXACT passages are scanned, so are up to as many that pass a filter. (A filter that fewer than one in ten pass is left
to LanceDB, which then scans the index's short codes of those alone, finds the same and is faster: benchmarks/filters.py.)
Above, the index is a graph (HNSW): an index of partitions (IVF) divides vectors that know their language *by language*, and
then a question looks into its own language's partitions and misses the others (benchmarks/partitions.py). Full text is by
pieces of two and three letters, which find words also in Thai, Khmer, Chinese or Japanese, that write no spaces.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import wraps
from inspect import isgeneratorfunction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mixling.corpora.files import write_text
from mixling.disk import LOCK
from mixling.errors import MixlingError
from mixling.searching.store import SHOWN, about, breadth, schema

EXACT = 50_000
TABLE, INFO = "passages", "mixling.json"


def _intact(method: Any) -> Any:
    """A method of Lance whose errors about files of the store become one message."""

    def said(store: Lance, error: Exception) -> Exception:
        if "No space left" in str(error) or "conflict" in str(error).lower():
            return error  # said where it is written
        first = (str(error).strip().splitlines() or [""])[0]
        return MixlingError(
            f"{store.folder}: the store's files are damaged ({first[:300]}); remove the folder and index the documents again"
        )

    def each(store: Lance, *given: Any, **more: Any) -> Iterator[Any]:
        try:
            yield from method(store, *given, **more)
        except (OSError, RuntimeError, ValueError) as error:
            raise said(store, error) from None

    def one(store: Lance, *given: Any, **more: Any) -> Any:
        try:
            return method(store, *given, **more)
        except (OSError, RuntimeError, ValueError) as error:
            raise said(store, error) from None

    return wraps(method)(each if isgeneratorfunction(method) else one)


class Lance:
    """See `mixling.searching.store.Store`."""

    def __init__(self, folder: Path, info: dict[str, Any]):
        self.folder, self.info = folder, info
        self.table = self._opened()

    @_intact
    def _opened(self) -> Any:
        return _database(self.folder).open_table(TABLE)

    @staticmethod
    def open(address: str) -> Lance:
        """A store that is there."""
        folder = Path(address)
        if not (folder / INFO).exists():
            raise MixlingError(
                f"{folder}: is no store; make one with `mixling index MODEL DOCUMENTS --store {folder}`"
            )
        return Lance(folder, about((folder / INFO).read_bytes(), folder / INFO))

    @staticmethod
    def make(address: str, dimensions: int, info: dict[str, Any]) -> Lance:
        """A store that is there, or a new one."""
        folder = Path(address)
        if (folder / INFO).exists():
            return Lance.open(address)
        if folder.exists() and any(p.name not in (f"{TABLE}.lance", LOCK) for p in folder.iterdir()):
            raise MixlingError(f"{folder}: is not empty and is no store; choose another --store")
        folder.mkdir(parents=True, exist_ok=True)
        # what a call that was killed before it wrote INFO left is written over
        left = (folder / f"{TABLE}.lance").exists()
        _database(folder).create_table(
            TABLE, schema=schema(dimensions), mode="overwrite" if left else "create"
        )
        made = Lance(folder, info)
        made.write_info(info)
        return made

    def write_info(self, info: dict[str, Any]) -> None:
        """Written last when a store is made: a folder without it is none."""
        self.info = info
        write_text(self.folder / INFO, json.dumps(info, indent=1, ensure_ascii=False))

    @_intact
    def digests(self, documents: Sequence[str]) -> dict[str, str]:
        where = f"part = 0 AND {_among('document', documents)}"
        rows = (
            self.table.search().where(where).select(["document", "digest"]).limit(len(documents)).to_arrow()
        )
        return dict(zip(rows["document"].to_pylist(), rows["digest"].to_pylist(), strict=True))

    def replace(self, documents: Sequence[str], rows: pa.Table) -> None:
        (
            self.table.merge_insert("id")
            .when_matched_update_all()
            .when_not_matched_insert_all()
            .when_not_matched_by_source_delete(_among("document", documents))
            .execute(rows)
        )

    def delete(self, documents: Sequence[str]) -> None:
        self.table.delete(_among("document", documents))

    @_intact
    def documents(self) -> Iterator[list[str]]:
        for batch in self.table.search().where("part = 0").select(["document"]).to_batches(8192):
            yield batch["document"].to_pylist()

    @_intact
    def vectors(self) -> Iterator[tuple[list[str], np.ndarray]]:
        for batch in self.table.search().select(["language", "vector"]).to_batches(8192):
            flat = batch["vector"].flatten().to_numpy(zero_copy_only=False)
            yield batch["language"].to_pylist(), flat.reshape(batch.num_rows, -1)

    @_intact
    def count(self, languages: Sequence[str] | None = None) -> int:
        return self.table.count_rows(_where(languages))

    @_intact
    def nearest(self, vector: np.ndarray, k: int, languages: Sequence[str] | None = None) -> pa.Table:
        query = self.table.search(np.asarray(vector, np.float32), vector_column_name="vector")
        query = query.distance_type("dot")
        where = _where(languages)
        if where is not None:
            query = query.where(where, prefilter=True)
        whole = self.count()
        passing = whole if languages is None else self.count(languages)
        if passing <= EXACT and 10 * passing >= whole:
            query = query.bypass_vector_index()
        else:
            query = query.ef(breadth(k)).refine_factor(3)
        rows = query.select([*SHOWN, "_distance"]).limit(k).to_arrow()
        score = 1 - rows["_distance"].to_numpy(zero_copy_only=False)
        return rows.drop_columns(["_distance"]).append_column("score", pa.array(score, pa.float32()))

    @_intact
    def lexical(self, text: str, k: int, languages: Sequence[str] | None = None) -> pa.Table:
        query = self.table.search(text, query_type="fts", fts_columns="text")
        where = _where(languages)
        if where is not None:
            query = query.where(where, prefilter=True)
        rows = query.select([*SHOWN, "_score"]).limit(k).to_arrow()
        return rows.rename_columns([*SHOWN, "score"])

    @_intact
    def document(self, name: str) -> pa.Table:
        rows = (
            self.table.search()
            .where(_among("document", [name]))
            .select(list(SHOWN))
            .limit(100_000)
            .to_arrow()
        )
        return rows.sort_by("part")

    @_intact
    def whole(self, documents: Sequence[str]) -> pa.Table:
        rows = self.table.search().where(_among("document", documents)).limit(10**9).to_arrow()
        return rows.select(self.table.schema.names).sort_by(
            [("document", "ascending"), ("part", "ascending")]
        )

    @_intact
    def finish(self) -> None:
        from lancedb.index import FTS, Bitmap, BTree, HnswSq

        there = {column for index in self.table.list_indices() for column in index.columns}
        for column, config in (("language", Bitmap()), ("document", BTree()), ("text", _full_text(FTS))):
            if column not in there:
                self.table.create_index(column, config=config)
        n = self.table.count_rows()
        if n > EXACT and "vector" not in there:
            self.table.create_index("vector", config=HnswSq(distance_type="dot"))
        # readers that began before keep what they saw for an hour
        self.table.optimize(cleanup_older_than=timedelta(hours=1))


def _database(folder: Path) -> Any:
    try:
        import lancedb
    except ImportError:
        raise MixlingError("lancedb is not installed: pip install 'mixling[search]'") from None
    return lancedb.connect(str(folder))


def _full_text(kind: Any) -> Any:
    return kind(
        base_tokenizer="ngram",
        ngram_min_length=2,
        ngram_max_length=3,
        stem=False,
        remove_stop_words=False,
        ascii_folding=True,
    )


def _among(column: str, values: Sequence[str]) -> str:
    quoted = ", ".join("'" + v.replace("'", "''") + "'" for v in values)
    return f"{column} IN ({quoted})"


def _where(languages: Sequence[str] | None) -> str | None:
    return None if languages is None else _among("language", languages)
