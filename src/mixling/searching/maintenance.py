"""Maintains the LanceDB table of a store: its indexes, its files, and its old versions.

Rows that no index covers are scanned by every search, so a table whose maintenance failed, or was
killed, still finds all of its passages. Only one writer maintains a table at a time
(`mixling.searching.stores.lock_store`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from mixling.disk import disk_message
from mixling.errors import first_line

logger = logging.getLogger(__name__)

TERMS = "terms"  # the column of full text
ATTEMPTS = 5  # of a change, while other programs change the table at the same time
# Parts of an index of vectors, which LanceDB searches one by one: each call adds one.
PARTS = 20
KEPT_FOR = timedelta(hours=1)  # readers of a version that is removed move on to the newest one
# Old versions may take so many times the size of the newest one, and so many bytes more. Beyond
# that, they are removed before their time.
OLD_VERSIONS, OLD_BYTES = 3, 64 << 20


def maintain(table: Any, folder: Path, graph: bool) -> None:
    """Build the indexes that are missing, bring all indexes up to date, and remove old versions.

    Args:
        table: The table.
        folder: The folder of the store.
        graph: Whether vectors have an index (HNSW).

    Raises:
        RuntimeError: The disk is full, or an index cannot be built.
    """
    indexes = _index_configs(graph)
    for column, config in indexes.items():
        if column not in index_names(table):
            _build(table, column, config)
    if "text" in index_names(table):  # the full text of a store without terms
        table.drop_index(index_names(table)["text"])
    _optimize(table, folder, indexes, KEPT_FOR)
    for column in _doubled(table):
        logger.warning(
            "%s: LanceDB has several indexes of %s, so Mixling builds one anew", folder, column
        )
        _build_anew(table, column, indexes.get(column))
    for index in table.list_indices():
        if index.num_segments > PARTS and index.columns[0] in indexes:
            _build(table, index.columns[0], indexes[index.columns[0]])
    if _is_too_large(table, folder):
        _optimize(table, folder, indexes, timedelta(0))


def index_names(table: Any) -> dict[str, str]:
    """Return the name of the index of each column that has one."""
    return {column: index.name for index in table.list_indices() for column in index.columns}


def is_conflict(error: BaseException) -> bool:
    """Return whether a change failed because another program changed the table meanwhile."""
    return "conflict" in str(error).lower()


def _index_configs(graph: bool) -> dict[str, Any]:
    """Return the configuration of the index of each column."""
    from lancedb.index import FTS, Bitmap, BTree, HnswSq

    configs: dict[str, Any] = {
        "language": Bitmap(),
        "document": BTree(),
        # No positions: no query is a phrase, and merging positions fails in some versions of
        # LanceDB (lance-format/lance#7653), whose default changed too.
        TERMS: FTS(
            with_position=False,
            base_tokenizer="whitespace",
            lower_case=False,
            stem=False,
            remove_stop_words=False,
            ascii_folding=True,
        ),
    }
    if graph:
        configs["vector"] = HnswSq(distance_type="dot")
    return configs


def _build(table: Any, column: str, config: Any) -> None:
    """Build the index of a column, in place of one that is there."""
    _retry(table, lambda: table.create_index(column, config=config))


def _retry(table: Any, change: Callable[[], Any]) -> None:
    """Make a change, again on the newest version where another program was faster."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            change()
            return
        except RuntimeError as error:
            if not is_conflict(error) or attempt == ATTEMPTS:
                raise
            table.checkout_latest()


def _optimize(table: Any, folder: Path, indexes: dict[str, Any], kept_for: timedelta) -> None:
    """Merge small files, remove old versions, and put all rows into the indexes.

    Files of no version may be a killed writer's, or of a program that is writing now, and LanceDB
    cannot tell which: it removes those of seven days ago and keeps the others
    (`delete_unverified=True` would remove all, and with them what another program is about to
    commit). Where LanceDB fails, it is mostly at the merge of an index, which also ends
    the removal of old versions. Then the indexes are built anew, each in one commit, and the table
    is optimized again. A second failure is a warning, because every passage is found without.
    """

    def optimize() -> None:
        table.optimize(cleanup_older_than=kept_for, delete_unverified=False)

    try:
        _retry(table, optimize)
        return
    except Exception as error:  # a panic of LanceDB is no RuntimeError
        if disk_message(error) is not None:
            raise
        logger.warning(
            "%s: LanceDB failed to merge an index (%s), so Mixling builds the indexes anew",
            folder,
            first_line(error),
        )
    try:
        for column, config in indexes.items():
            _build(table, column, config)
        _retry(table, optimize)
    except Exception as error:
        if disk_message(error) is not None:
            raise
        logger.warning(
            "%s: LanceDB failed to compact the store (%s). All passages are found, but the "
            "folder keeps old files. The next `mixling index` tries again",
            folder,
            first_line(error),
        )


def _doubled(table: Any) -> list[str]:
    """Return the columns with several indexes of one name, which count their rows several times.

    LanceDB lists such indexes once, and concurrent builds can leave them (lancedb/lancedb#3376).
    """
    rows = table.count_rows()
    return [x.columns[0] for x in table.list_indices() if x.num_indexed_rows > rows]


def _build_anew(table: Any, column: str, config: Any) -> None:
    """Drop all indexes of a column, of which LanceDB drops one at a time, and build one."""
    for _ in range(table.version):
        name = index_names(table).get(column)
        if name is None:
            break
        table.drop_index(name)
    if config is not None:
        _build(table, column, config)


def _is_too_large(table: Any, folder: Path) -> bool:
    """Return whether the old versions take more than they may."""
    newest = int(table.stats()["total_bytes"])
    newest += sum(index.size_bytes or 0 for index in table.list_indices())
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return size > (1 + OLD_VERSIONS) * newest + OLD_BYTES
