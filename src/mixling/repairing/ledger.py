"""Keeps which rows a repair has written, in a small file of SQLite: an id and a digest a row.

The digest is of the *original* row. A row is recorded after the database has taken its copy, so a
repair that is killed writes at most one batch again, over itself. A later pass finds rows that are
new, changed or gone since.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mixling.connectors.connector import Batch
from mixling.errors import MixlingError


class Ledger:
    """The rows that a shadow holds.

    Args:
        path: The file; it is created.
        job: What must be the same in each run, for instance whether vectors are normalized.

    Raises:
        MixlingError: The file cannot be used, or is of another job.
    """

    def __init__(self, path: Path, job: dict[str, Any]):
        self.path = path
        text = json.dumps(job, sort_keys=True)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.base = sqlite3.connect(path)
            self.base.execute("PRAGMA journal_mode=WAL")
            self.base.execute("PRAGMA synchronous=NORMAL")
            self.base.execute(
                "CREATE TABLE IF NOT EXISTS rows (id PRIMARY KEY, digest INTEGER, pass INTEGER) "
                "WITHOUT ROWID"
            )
            self.base.execute("CREATE TABLE IF NOT EXISTS job (text)")
            kept = self.base.execute("SELECT text FROM job").fetchone()
            if kept is None:
                with self.base:
                    self.base.execute("INSERT INTO job VALUES (?)", (text,))
        except (OSError, sqlite3.Error) as error:
            raise MixlingError(
                f"{path}: the repair cannot keep its progress here ({error}). Give another "
                "folder with --state."
            ) from None
        if kept is not None and kept[0] != text:
            self.base.close()
            raise MixlingError(
                f"{path}: the copy was begun with other options ({kept[0]}; now {text}). Use the "
                "same options, or remove the copy with --undo."
            )

    def begin_pass(self) -> int:
        """Return the number of a new pass over all rows."""
        last = self.base.execute("SELECT max(pass) FROM rows").fetchone()[0]
        return int(last or 0) + 1

    def digests(self, ids: Sequence[Any]) -> dict[Any, int]:
        """Return the digests of those of the rows that are recorded."""
        found: dict[Any, int] = {}
        for start in range(0, len(ids), 10_000):
            part = list(ids[start : start + 10_000])
            marks = ", ".join("?" * len(part))
            found.update(
                self.base.execute(f"SELECT id, digest FROM rows WHERE id IN ({marks})", part)
            )
        return found

    def record(self, ids: Sequence[Any], digests: Sequence[int], number: int) -> None:
        """Record rows that the shadow holds, as seen in a pass."""
        with self.base:
            self.base.executemany(
                "INSERT OR REPLACE INTO rows VALUES (?, ?, ?)",
                [(key, digest, number) for key, digest in zip(ids, digests, strict=True)],
            )

    def not_seen(self, number: int) -> Iterator[list[Any]]:
        """Yield the ids that a pass did not see, in batches."""
        found = self.base.execute("SELECT id FROM rows WHERE pass != ?", (number,)).fetchall()
        for start in range(0, len(found), 1000):
            yield [row[0] for row in found[start : start + 1000]]

    def forget(self, ids: Sequence[Any]) -> None:
        """Remove rows."""
        with self.base:
            self.base.executemany("DELETE FROM rows WHERE id = ?", [(x,) for x in ids])

    def count(self) -> int:
        """Count the rows."""
        return int(self.base.execute("SELECT count(*) FROM rows").fetchone()[0])

    def clear(self) -> None:
        """Forget all rows."""
        with self.base:
            self.base.execute("DELETE FROM rows")

    def close(self) -> None:
        """Close the file."""
        self.base.close()

    def remove(self) -> None:
        """Remove the file."""
        self.base.close()
        for suffix in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)


def ledger_key(key: Any) -> Any:
    """Return an id as the ledger keeps it: an integer, or text."""
    return key if isinstance(key, int) else str(key)


def row_digests(batch: Batch, languages: Sequence[str] | None) -> list[int]:
    """Return a digest of each row: of its vector, its language and its other fields."""
    encode = json.JSONEncoder(sort_keys=True, default=str).encode
    others = [b"" if row is None else encode(row).encode() for row in batch.rows]
    if languages is not None:
        others = [row + language.encode() for row, language in zip(others, languages, strict=True)]
    size = batch.vectors.shape[1] * batch.vectors.itemsize
    vectors = np.ascontiguousarray(batch.vectors).tobytes()
    digests = b"".join(
        hashlib.blake2b(vectors[i * size : (i + 1) * size] + row, digest_size=8).digest()
        for i, row in enumerate(others)
    )
    return [int(x) for x in np.frombuffer(digests, ">i8").tolist()]
