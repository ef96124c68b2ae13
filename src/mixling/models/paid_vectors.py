"""Vectors that a service has made, kept on disk so that nothing is paid for twice.

A file of SQLite for each service, model and size holds the vectors by the options of a role and the
hash of a text. A commit is whole or absent, so a process may be killed at any point.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mixling.errors import MixlingError

LOOKUP = 500  # keys of a query
WAIT = 60.0  # seconds to wait for another process that writes


class PaidVectors:
    """The vectors of one service, model and size.

    Args:
        path: The file; it is made where it is missing.

    Raises:
        MixlingError: The file cannot be used.
    """

    def __init__(self, path: Path):
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=WAIT, check_same_thread=False)
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL) "
                "WITHOUT ROWID"
            )
            self._db.commit()
        except (sqlite3.Error, OSError) as error:
            raise MixlingError(
                f"{path}: the vectors of a service cannot be kept there ({error}), and would "
                "have to be paid for again. Remove the file, or set MIXLING_CACHE to another "
                "folder."
            ) from None

    def dimensions(self) -> int:
        """Return the size of the vectors that are there, 0 if there are none."""
        row = self._db.execute("SELECT length(vector) FROM vectors LIMIT 1").fetchone()
        return 0 if row is None else int(row[0]) // 4

    def read(self, keys: Sequence[bytes]) -> dict[bytes, np.ndarray]:
        """Return the vectors that are there, float32 `[dim]` by key."""
        found: dict[bytes, np.ndarray] = {}
        for begin in range(0, len(keys), LOOKUP):
            part = list(keys[begin : begin + LOOKUP])
            marks = ",".join("?" * len(part))
            rows = self._db.execute(f"SELECT key, vector FROM vectors WHERE key IN ({marks})", part)
            found.update((key, np.frombuffer(vector, "<f4")) for key, vector in rows)
        return found

    def write(self, keys: Sequence[bytes], vectors: np.ndarray) -> None:
        """Keep vectors, float32 `[n, dim]`, all or none of them."""
        rows = [(k, v.astype("<f4").tobytes()) for k, v in zip(keys, vectors, strict=True)]
        try:
            with self._db:
                self._db.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)
        except sqlite3.Error as error:
            raise MixlingError(
                f"{self.path}: {len(rows)} vectors that were paid for could not be written "
                f"({error}). Make room, then run the same command again."
            ) from None

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def text_key(options: str, text: str) -> bytes:
    """Return the key of a text under the options of its role: 20 bytes."""
    digest = hashlib.blake2b(options.encode(), digest_size=20)
    digest.update(b"\0" + text.encode("utf-8", "surrogatepass"))
    return digest.digest()
