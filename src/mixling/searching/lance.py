"""A store in a folder: LanceDB, with what keeps its answers exact.

Up to EXACT passages are scanned, so are up to as many that pass a filter. (A filter that fewer than one in ten pass is left
to LanceDB, which then scans the index's short codes of those alone, finds the same and is faster: benchmarks/filters.py.)
Above, the index is a graph (HNSW): an index of partitions (IVF) divides vectors that know their language *by language*, and
then a question looks into its own language's partitions and misses the others (benchmarks/partitions.py). Full text is over
a column of terms (mixling.searching.folding), which only this kind of store has; the store's info says in which form they are.
A store that was made before there were terms is searched by its text as it stands, until `finish` makes them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import wraps
from inspect import isgeneratorfunction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mixling.corpora.files import write_text
from mixling.corpora.values import with_title
from mixling.disk import LOCK, disk_message
from mixling.errors import MixlingError
from mixling.searching.folding import FORM, asked, terms
from mixling.searching.store import RESULT_COLUMNS, about, passage_schema, search_ef, shown

EXACT = 50_000
TABLE, INFO, TERMS = "passages", "mixling.json", "terms"

OLDER = (
    "full text was indexed by an earlier version, which finds no single characters and no other spellings of a word; run the "
    "same `mixling index` again, which renews it and encodes nothing again"
)


def _intact(method: Any) -> Any:
    """A method of Lance whose errors about files of the store become one message.

    A reader sees the version that it opened. Once a writer has removed that version's files (`finish`), the reader opens
    the newest version and reads again.
    """

    def said(store: LanceStore, error: Exception) -> Exception:
        if isinstance(error, MixlingError):
            return error
        message = disk_message(error)
        if message is not None:
            return MixlingError(f"{store.folder}: {message}")
        if "conflict" in str(error).lower():
            return error  # said where it is written
        if _gone(error) and store.newer():
            return MixlingError(
                f"{store.folder}: was written while it was read. Run the same command again"
            )
        first = (str(error).strip().splitlines() or [""])[0]
        return MixlingError(
            f"{store.folder}: the store's files are damaged ({first[:300]}); remove the folder and index the documents again"
        )

    def each(store: LanceStore, *given: Any, **more: Any) -> Iterator[Any]:
        try:
            yield from method(store, *given, **more)
        except (OSError, RuntimeError, ValueError) as error:
            raise said(store, error) from None

    def one(store: LanceStore, *given: Any, **more: Any) -> Any:
        try:
            try:
                return method(store, *given, **more)
            except (OSError, RuntimeError, ValueError) as error:
                if not _gone(error) or not hasattr(store, "table"):
                    raise
                store.follow()
                return method(store, *given, **more)
        except (OSError, RuntimeError, ValueError, MixlingError) as error:
            raise said(store, error) from None

    return wraps(method)(each if isgeneratorfunction(method) else one)


def _gone(error: Exception) -> bool:
    return "Not found" in str(error)


class LanceStore:
    """See `mixling.searching.store.Store`."""

    def __init__(self, folder: Path, info: dict[str, Any]):
        self.folder, self.info, self.told = folder, info, False
        self.table = self._opened()

    @_intact
    def _opened(self) -> Any:
        return _database(self.folder).open_table(TABLE)

    def newer(self) -> bool:
        """Whether a writer has made another version than the one that is open."""
        try:
            return (
                hasattr(self, "table")
                and _database(self.folder).open_table(TABLE).version != self.table.version
            )
        except (OSError, RuntimeError, ValueError):
            return False

    def follow(self) -> None:
        """Open the newest version. Raises MixlingError where another model has made it."""
        newest = LanceStore.open(str(self.folder))
        for key in ("encoder", "prompts", "dimensions", "reading"):
            if newest.info.get(key) != self.info.get(key):
                raise MixlingError(
                    f"{self.folder}: the documents were indexed again with another {key}. Open the store again (restart "
                    "the server)"
                )
        self.table, self.info = newest.table, newest.info

    @staticmethod
    def open(address: str) -> LanceStore:
        """A store that is there."""
        folder = Path(address)
        if not (folder / INFO).exists():
            raise MixlingError(
                f"{folder}: is no store; make one with `mixling index MODEL DOCUMENTS --store {folder}`"
            )
        return LanceStore(folder, about((folder / INFO).read_bytes(), folder / INFO))

    @staticmethod
    def make(address: str, dimensions: int, info: dict[str, Any]) -> LanceStore:
        """A store that is there, or a new one."""
        folder = Path(address)
        if (folder / INFO).exists():
            return LanceStore.open(address)
        if folder.exists() and any(
            p.name not in (f"{TABLE}.lance", LOCK) for p in folder.iterdir()
        ):
            raise MixlingError(f"{folder}: is not empty and is no store; choose another --store")
        folder.mkdir(parents=True, exist_ok=True)
        # what a call that was killed before it wrote INFO left is written over
        left = (folder / f"{TABLE}.lance").exists()
        _database(folder).create_table(
            TABLE,
            schema=passage_schema(dimensions).append(pa.field(TERMS, pa.string())),
            mode="overwrite" if left else "create",
        )
        made = LanceStore(folder, info)
        made.write_info({**info, "full_text": FORM})
        return made

    def write_info(self, info: dict[str, Any]) -> None:
        """Written last when a store is made: a folder without it is none."""
        self.info = info
        write_text(self.folder / INFO, json.dumps(info, indent=1, ensure_ascii=False))

    @_intact
    def digests(self, documents: Sequence[str]) -> dict[str, str]:
        where = f"part = 0 AND {_among('document', documents)}"
        rows = (
            self.table.search()
            .where(where)
            .select(["document", "digest"])
            .limit(len(documents))
            .to_arrow()
        )
        return dict(zip(rows["document"].to_pylist(), rows["digest"].to_pylist(), strict=True))

    def replace(self, documents: Sequence[str], rows: pa.Table) -> None:
        if TERMS in self.table.schema.names:
            rows = rows.select([x for x in rows.column_names if x != TERMS]).append_column(
                TERMS, _terms(rows)
            )
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
    def nearest(
        self, vector: np.ndarray, k: int, languages: Sequence[str] | None = None
    ) -> pa.Table:
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
            query = query.ef(search_ef(k)).refine_factor(3)
        rows = query.select([*RESULT_COLUMNS, "_distance"]).limit(k).to_arrow()
        score = 1 - rows["_distance"].to_numpy(zero_copy_only=False)
        return rows.drop_columns(["_distance"]).append_column(
            "score", pa.array(score, pa.float32())
        )

    @_intact
    def lexical(self, text: str, k: int, languages: Sequence[str] | None = None) -> pa.Table:
        if self.info.get("full_text") != FORM and not self.told:
            self.told = True
            print(f"mixling: {self.folder}: {OLDER}", file=sys.stderr)
        folded = any(TERMS in index.columns for index in self.table.list_indices())
        what, column = (" ".join(asked(text)), TERMS) if folded else (text, "text")
        if not what:
            return shown().append(pa.field("score", pa.float32())).empty_table()
        where, many = _where(languages), k
        while True:
            query = self.table.search(what, query_type="fts", fts_columns=column)
            if where is not None:
                query = query.where(where, prefilter=True)
            rows = query.select([*RESULT_COLUMNS, "_score"]).limit(many + 1).to_arrow()
            score = rows["_score"].to_pylist()
            if len(score) <= many or score[k - 1] > score[-1]:
                break
            many *= 4  # which of equal ones come is not the store's to say
        rows = rows.rename_columns([*RESULT_COLUMNS, "score"])
        return rows.sort_by([("score", "descending"), ("id", "ascending")]).slice(0, k)

    @_intact
    def document(self, name: str) -> pa.Table:
        rows = (
            self.table.search()
            .where(_among("document", [name]))
            .select(list(RESULT_COLUMNS))
            .limit(100_000)
            .to_arrow()
        )
        return rows.sort_by("part")

    @_intact
    def whole(self, documents: Sequence[str]) -> pa.Table:
        rows = self.table.search().where(_among("document", documents)).limit(10**9).to_arrow()
        return rows.select([x for x in self.table.schema.names if x != TERMS]).sort_by(
            [("document", "ascending"), ("part", "ascending")]
        )

    @_intact
    def finish(self) -> None:
        from lancedb.index import FTS, Bitmap, BTree, HnswSq

        if self.info.get("full_text") != FORM:
            self._renew_terms()
        there = {
            column: index.name for index in self.table.list_indices() for column in index.columns
        }
        for column, config in (
            ("language", Bitmap()),
            ("document", BTree()),
            (TERMS, _full_text(FTS)),
        ):
            if column not in there:
                self.table.create_index(column, config=config)
        if "text" in there:  # the full text of before
            self.table.drop_index(there["text"])
        n = self.table.count_rows()
        if n > EXACT and "vector" not in there:
            self.table.create_index("vector", config=HnswSq(distance_type="dot"))
        # versions older than an hour go; a reader that has one open follows (`_intact`)
        self.table.optimize(cleanup_older_than=timedelta(hours=1))

    def _renew_terms(self) -> None:
        """Make the terms of all passages, in a store that has none or those of another form."""
        if TERMS not in self.table.schema.names:
            self.table.add_columns({TERMS: "CAST(NULL AS string)"})
        for batch in self.table.search().select(["id", "title", "text"]).to_batches(8192):
            made = pa.table({"id": batch["id"], TERMS: _terms(batch)})
            self.table.merge_insert("id").when_matched_update_all().execute(made)
        self.write_info({**self.info, "full_text": FORM})


def _terms(rows: Any) -> pa.Array:
    """The terms of passages and their titles."""
    read = [with_title(r["title"], r["text"]) for r in rows.select(["title", "text"]).to_pylist()]
    return pa.array([" ".join(terms(x)) for x in read], pa.string())


def _database(folder: Path) -> Any:
    try:
        import lancedb
    except ImportError:
        raise MixlingError("lancedb is not installed: pip install 'mixling[search]'") from None
    return lancedb.connect(str(folder))


def _full_text(kind: Any) -> Any:
    return kind(
        base_tokenizer="whitespace",
        lower_case=False,
        stem=False,
        remove_stop_words=False,
        ascii_folding=True,
    )


def _among(column: str, values: Sequence[str]) -> str:
    quoted = ", ".join("'" + v.replace("'", "''") + "'" for v in values)
    return f"{column} IN ({quoted})"


def _where(languages: Sequence[str] | None) -> str | None:
    return None if languages is None else _among("language", languages)
