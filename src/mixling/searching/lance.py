"""Keeps a store in a folder with LanceDB, so that its answers stay exact.

Up to `EXACT` passages are scanned, and so are up to as many that pass a filter. (LanceDB itself
filters where fewer than one passage in ten passes: it scans the short codes of the index for those
alone, finds the same and is faster: benchmarks/filters.py.) Above, the index is a graph (HNSW). An
index of partitions (IVF) divides vectors that know their language *by language*, so a query looks
into the partitions of its own language and misses the others (benchmarks/partitions.py).

Full text is searched in a column of terms (`mixling.searching.folding`), which only this kind of
store has; the store's info names the version of the terms. A store that was made before there were
terms is searched by its text, until `finish` makes them.
"""

from __future__ import annotations

import glob
import json
import logging
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from inspect import isgeneratorfunction
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import numpy as np
import pyarrow as pa

from mixling.corpora.files import write_text
from mixling.disk import LOCK, disk_message
from mixling.errors import MixlingError, first_line, not_installed
from mixling.searching.answerable import sample_table
from mixling.searching.folding import OLD_FULL_TEXT, TERMS_VERSION, query_terms, terms_column
from mixling.searching.maintenance import TERMS, index_names, is_conflict, maintain
from mixling.searching.sentences import stored_sentences
from mixling.searching.store import (
    RESULT_COLUMNS,
    SENTENCES,
    Store,
    parse_store_info,
    passage_schema,
    result_schema,
    search_ef,
)

logger = logging.getLogger(__name__)

EXACT = 50_000
TABLE, INFO_FILE = "passages", "mixling.json"
BATCH = 8192  # rows that are read at a time
FOLLOWED = 5  # times that a reader moves on to a newer version for one answer

_FILE_ERRORS = (OSError, RuntimeError, ValueError)
_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


def _intact(method: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """Wrap a method of `LanceStore`, so that errors about the store's files become one message.

    A reader sees the version that it opened. Once a writer has removed the files of that version
    (`finish`), the reader opens the newest version and reads again, a few times if need be.
    """

    def iterate(store: LanceStore, *args: Any, **kwargs: Any) -> Iterator[Any]:
        try:
            yield from cast(Any, method)(store, *args, **kwargs)
        except _FILE_ERRORS as error:
            raise _file_error(store, error) from None

    def call(store: LanceStore, *args: Any, **kwargs: Any) -> Any:
        try:
            for _ in range(FOLLOWED):
                try:
                    return cast(Any, method)(store, *args, **kwargs)
                except _FILE_ERRORS as error:
                    if not _is_missing(error):
                        raise
                    if hasattr(store, "table"):
                        store.follow()
            return cast(Any, method)(store, *args, **kwargs)
        except (*_FILE_ERRORS, MixlingError) as error:
            raise _file_error(store, error) from None

    wrapper = iterate if isgeneratorfunction(method) else call
    return cast(Callable[_Parameters, _Result], wraps(method)(wrapper))


def _file_error(store: LanceStore, error: Exception) -> Exception:
    """Return the error that a user should see where LanceDB failed to read a store."""
    if isinstance(error, MixlingError):
        return error
    message = disk_message(error)
    if message is not None:
        return MixlingError(f"{store.folder}: {message}")
    if is_conflict(error):
        return error  # the writer reports it
    if _is_missing(error) and store.has_newer_version():
        return MixlingError(
            f"{store.folder}: the store was written while it was read. Run the same command again."
        )
    return MixlingError(
        f"{store.folder}: the files of the store are damaged ({first_line(error)}). Remove the "
        "folder, and index the documents again."
    )


def _is_missing(error: Exception) -> bool:
    return "Not found" in str(error)


class LanceStore(Store):
    """A store in a folder (LanceDB).

    Args:
        folder: The folder, which holds a table.
        info: The info of the store.
    """

    def __init__(self, folder: Path, info: dict[str, Any]):
        self.folder, self.info = folder, info
        self._warned = False  # of an old full text
        self.table = self._open_table()
        self.keeps_sentences = SENTENCES in self.table.schema.names

    @_intact
    def _open_table(self) -> Any:
        return _connect(self.folder).open_table(TABLE)

    def has_newer_version(self) -> bool:
        """Return whether a writer has made another version than the one that is open."""
        try:
            if not hasattr(self, "table"):
                return False
            newest = _connect(self.folder).open_table(TABLE)
            return bool(newest.version != self.table.version)
        except _FILE_ERRORS:
            return False

    def follow(self) -> None:
        """Open the newest version.

        Raises:
            MixlingError: Another model made the newest version.
        """
        newest = LanceStore.open(str(self.folder))
        for key in ("encoder", "prompts", "dimensions", "reading"):
            if newest.info.get(key) != self.info.get(key):
                raise MixlingError(
                    f"{self.folder}: the documents were indexed again with another {key}. Open "
                    "the store again (restart the server)."
                )
        self.table, self.info = newest.table, newest.info

    @classmethod
    def open(cls, address: str) -> LanceStore:
        """See `Store.open`."""
        folder = Path(address)
        info = folder / INFO_FILE
        if not info.exists():
            raise MixlingError(
                f"{folder}: the folder is not a store. Make one with `mixling index MODEL "
                f"DOCUMENTS --store {folder}`."
            )
        return cls(folder, parse_store_info(info.read_bytes(), info))

    @classmethod
    def open_or_create(cls, address: str, dimensions: int, info: dict[str, Any]) -> LanceStore:
        """See `Store.open_or_create`."""
        folder = Path(address)
        if (folder / INFO_FILE).exists():
            return cls.open(address)
        # what a call leaves that is killed before it has written the info
        left = (f"{TABLE}.lance", LOCK, f".{INFO_FILE}.*.tmp")
        if folder.exists() and any(not any(map(x.match, left)) for x in folder.iterdir()):
            raise MixlingError(
                f"{folder}: the folder is neither empty nor a store. Choose another."
            )
        folder.mkdir(parents=True, exist_ok=True)
        # A call that was killed before it wrote the info leaves a table, which is overwritten.
        unfinished = (folder / f"{TABLE}.lance").exists()
        _connect(folder).create_table(
            TABLE,
            schema=passage_schema(dimensions, True).append(pa.field(TERMS, pa.string())),
            mode="overwrite" if unfinished else "create",
        )
        store = cls(folder, info)
        store.write_info({**info, "full_text": TERMS_VERSION})
        return store

    @classmethod
    def exists(cls, address: str) -> bool:
        """See `Store.exists`."""
        return (Path(address) / INFO_FILE).exists()

    @classmethod
    def rename(cls, old: str, new: str) -> None:
        """See `Store.rename`."""
        if Path(old).exists() and not Path(new).exists():
            Path(old).rename(new)

    @classmethod
    def remove(cls, address: str) -> None:
        """See `Store.remove`."""
        (Path(address) / INFO_FILE).unlink()  # killed after this, it is no store any more
        shutil.rmtree(address)

    @classmethod
    def beside(cls, address: str) -> list[str]:
        """See `Store.beside`."""
        folder = Path(address)
        found = folder.absolute().parent.glob(f"{glob.escape(folder.name)}*")
        return sorted(str(folder.parent / x.name) for x in found if cls.exists(str(x)))

    def write_info(self, info: dict[str, Any]) -> None:
        """See `Store.write_info`.

        A new store writes its info last, because a folder without it is no store.
        """
        self.info = info
        write_text(self.folder / INFO_FILE, json.dumps(info, indent=1, ensure_ascii=False))

    @_intact
    def digests(self, documents: Sequence[str]) -> dict[str, str]:
        """See `Store.digests`."""
        where = f"part = 0 AND {_is_in('document', documents)}"
        rows = (
            self.table.search()
            .where(where)
            .select(["document", "digest"])
            .limit(len(documents))
            .to_arrow()
        )
        return dict(zip(rows["document"].to_pylist(), rows["digest"].to_pylist(), strict=True))

    def replace(self, documents: Sequence[str], rows: pa.Table) -> None:
        """See `Store.replace`."""
        if TERMS in self.table.schema.names:
            other = [name for name in rows.column_names if name != TERMS]
            rows = rows.select(other).append_column(TERMS, terms_column(rows))
        with _conflicts(self.folder):
            (
                self.table.merge_insert("id")
                .when_matched_update_all()
                .when_not_matched_insert_all()
                .when_not_matched_by_source_delete(_is_in("document", documents))
                .execute(rows)
            )

    def delete(self, documents: Sequence[str]) -> None:
        """See `Store.delete`."""
        with _conflicts(self.folder):
            self.table.delete(_is_in("document", documents))

    @_intact
    def document_ids(self) -> Iterator[list[str]]:
        """See `Store.document_ids`."""
        for batch in self.table.search().where("part = 0").select(["document"]).to_batches(BATCH):
            yield batch["document"].to_pylist()

    @_intact
    def vectors(self) -> Iterator[tuple[list[str], np.ndarray]]:
        """See `Store.vectors`."""
        for batch in self.table.search().select(["language", "vector"]).to_batches(BATCH):
            flat = batch["vector"].flatten().to_numpy(zero_copy_only=False)
            yield batch["language"].to_pylist(), flat.reshape(batch.num_rows, -1)

    @_intact
    def count(self, languages: Sequence[str] | None = None) -> int:
        """See `Store.count`."""
        return int(self.table.count_rows(_language_filter(languages)))

    @_intact
    def nearest(
        self, vector: np.ndarray, k: int, languages: Sequence[str] | None = None
    ) -> pa.Table:
        """See `Store.nearest`."""
        query = self.table.search(np.asarray(vector, np.float32), vector_column_name="vector")
        query = query.distance_type("dot").with_row_id(True)
        where = _language_filter(languages)
        if where is not None:
            query = query.where(where, prefilter=True)
        total = self.count()
        passing = total if languages is None else self.count(languages)
        if passing <= EXACT and 10 * passing >= total:
            query = query.bypass_vector_index()
        else:
            query = query.ef(search_ef(k)).refine_factor(3)
        rows = query.select([*RESULT_COLUMNS, "_distance"]).limit(k).to_arrow()
        # LanceDB's "dot" distance is 1 - dot product.
        scores = pa.array(1 - rows["_distance"].to_numpy(zero_copy_only=False), pa.float32())
        return rows.drop_columns(["_distance"]).append_column("score", scores)

    @_intact
    def lexical(self, text: str, k: int, languages: Sequence[str] | None = None) -> pa.Table:
        """See `Store.lexical`."""
        if self.info.get("full_text") != TERMS_VERSION and not self._warned:
            self._warned = True
            logger.warning("%s: %s", self.folder, OLD_FULL_TEXT)
        indexes = index_names(self.table)
        column, query_text = "text", text
        if TERMS in indexes:
            column, query_text = TERMS, " ".join(query_terms(text))
        elif column not in indexes:
            raise MixlingError(
                f"{self.folder}: there is no full text, because indexing was not finished. Run "
                "the same `mixling index` again to continue."
            )
        if not query_text:
            return result_schema().append(pa.field("score", pa.float32())).empty_table()
        where, limit = _language_filter(languages), k
        while True:
            query = self.table.search(query_text, query_type="fts", fts_columns=column)
            query = query.with_row_id(True)
            if where is not None:
                query = query.where(where, prefilter=True)
            rows = query.select([*RESULT_COLUMNS, "_score"]).limit(limit + 1).to_arrow()
            scores = rows["_score"].to_pylist()
            if len(scores) <= limit or scores[k - 1] > scores[-1]:
                break
            # The k-th and the last passage tie. LanceDB picks among ties as it likes, so all of
            # them are fetched and sorted by id.
            limit *= 4
        rows = rows.rename_columns({"_score": "score"})
        return rows.sort_by([("score", "descending"), ("id", "ascending")]).slice(0, k)

    sentences = _intact(cast(Any, stored_sentences))
    sample = _intact(cast(Any, sample_table))

    @_intact
    def document(self, document: str) -> pa.Table:
        """See `Store.document`."""
        rows = (
            self.table.search()
            .where(_is_in("document", [document]))
            .select(list(RESULT_COLUMNS))
            .limit(100_000)
            .to_arrow()
        )
        return rows.sort_by("part")

    @_intact
    def passages(self, documents: Sequence[str]) -> pa.Table:
        """See `Store.passages`."""
        rows = self.table.search().where(_is_in("document", documents)).limit(10**9).to_arrow()
        return rows.select([name for name in self.table.schema.names if name != TERMS]).sort_by(
            [("document", "ascending"), ("part", "ascending")]
        )

    @_intact
    def finish(self) -> None:
        """See `Store.finish`."""
        with _conflicts(self.folder):
            if self.info.get("full_text") != TERMS_VERSION:
                self._renew_terms()
            graph = self.table.count_rows() > EXACT or "vector" in index_names(self.table)
            maintain(self.table, self.folder, graph)

    def _renew_terms(self) -> None:
        """Make the terms of all passages, in a store that has none or those of another version."""
        if TERMS not in self.table.schema.names:
            self.table.add_columns({TERMS: "CAST(NULL AS string)"})
        for batch in self.table.search().select(["id", "title", "text"]).to_batches(BATCH):
            rows = pa.table({"id": batch["id"], TERMS: terms_column(batch)})
            self.table.merge_insert("id").when_matched_update_all().execute(rows)
        self.write_info({**self.info, "full_text": TERMS_VERSION})


def _connect(folder: Path) -> Any:
    try:
        import lancedb
    except ImportError:
        raise not_installed("lancedb", "search") from None
    return lancedb.connect(str(folder))


@contextmanager
def _conflicts(folder: Path) -> Iterator[None]:
    """Turn LanceDB's error about another program that writes to the store into a `MixlingError`."""
    try:
        yield
    except RuntimeError as error:
        if not is_conflict(error):
            raise
        raise MixlingError(
            f"{folder}: another program wrote to the store at the same time, without Mixling's "
            "lock. Wait until it has ended, then run the same command again."
        ) from None


def _is_in(column: str, values: Sequence[str]) -> str:
    """Return an SQL condition; a quote in a value is doubled. No value is in no values."""
    quoted = ", ".join("'" + value.replace("'", "''") + "'" for value in values)
    return f"{column} IN ({quoted})" if values else "false"


def _language_filter(languages: Sequence[str] | None) -> str | None:
    return None if languages is None else _is_in("language", languages)
