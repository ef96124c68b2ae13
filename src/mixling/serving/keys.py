"""Who may ask: API keys, kept as hashes, and how often each may.

A file (or the environment's MIXLING_KEYS) has a line for each key: NAME:SHA-256 of the key, in hexadecimal.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import time
from collections.abc import Callable
from pathlib import Path

from mixling.corpora.files import read_text
from mixling.errors import BadRow, MixlingError

_LINE = re.compile(r"^(?P<name>[\w.-]{1,64}):(?P<hash>[0-9a-f]{64})$")


def new_key(name: str) -> tuple[str, str]:
    """A new key, and the line that keeps it."""
    key = secrets.token_urlsafe(32)
    line = f"{name}:{hashlib.sha256(key.encode()).hexdigest()}"
    if _LINE.match(line) is None:
        raise MixlingError(f"'{name}' is no name of a key; take letters, digits, dots and dashes")
    return key, line


def read_keys(file: Path | None) -> dict[str, bytes]:
    """Name -> hash, of a file and of MIXLING_KEYS. Raises MixlingError with file and line."""
    found: dict[str, bytes] = {}
    if file is not None and not file.is_file():
        raise MixlingError(
            f"{file}: no such file; `mixling serve --new-key NAME` prints a key and the line for it"
        )
    texts = [(str(file), read_text(file))] if file is not None else []
    if os.environ.get("MIXLING_KEYS"):
        texts.append(("MIXLING_KEYS", os.environ["MIXLING_KEYS"].replace(",", "\n")))
    for where, text in texts:
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            match = _LINE.match(line.strip())
            if match is None:
                fix = "write the line that `mixling serve --new-key NAME` prints"
                raise BadRow(where, number, "key", line[:12], "NAME:SHA-256", fix)
            found[match["name"]] = bytes.fromhex(match["hash"])
    return found


def name_of(key: str, keys: dict[str, bytes]) -> str | None:
    """Whose key it is; all are compared, each in constant time."""
    asked, found = hashlib.sha256(key.encode()).digest(), None
    for name, kept in keys.items():
        if hmac.compare_digest(asked, kept):
            found = name
    return found


class Rate:
    """A bucket for each name: `most` requests at once, refilled at `each_second`."""

    def __init__(self, each_second: float, most: int, clock: Callable[[], float] = time.monotonic):
        self.each_second, self.most, self.clock = each_second, most, clock
        self.left: dict[str, tuple[float, float]] = {}

    def wait(self, name: str) -> float:
        """0 if the request may go on, else the seconds until one may."""
        now = self.clock()
        level, at = self.left.get(name, (float(self.most), now))
        level = min(self.most, level + (now - at) * self.each_second)
        if level < 1:
            self.left[name] = (level, now)
            return (1 - level) / self.each_second
        self.left[name] = (level - 1, now)
        if len(self.left) > 10_000:  # those that are full again need no bucket
            self.left = {
                n: (x, t)
                for n, (x, t) in self.left.items()
                if x + (now - t) * self.each_second < self.most
            }
        return 0.0
