"""Keeps API keys as hashes, and limits how often each key may send requests.

A file (or the environment variable MIXLING_KEYS) has a line for each key: NAME:SHA-256 of the key,
in hexadecimal.
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
from mixling.errors import BadRowError, MixlingError

_LINE = re.compile(r"^(?P<name>[\w.-]{1,64}):(?P<hash>[0-9a-f]{64})$")
_MAX_BUCKETS = 10_000


def create_key(name: str) -> tuple[str, str]:
    """Create a key.

    Args:
        name: Its name in the log.

    Returns:
        The key, and the line of the file of keys.

    Raises:
        MixlingError: The name has other characters than letters, digits, dots and dashes.
    """
    key = secrets.token_urlsafe(32)
    line = f"{name}:{hashlib.sha256(key.encode()).hexdigest()}"
    if _LINE.match(line) is None:
        raise MixlingError(
            f"'{name}' cannot be the name of a key. Use letters, digits, dots and dashes only."
        )
    return key, line


def read_keys(file: Path | None) -> dict[str, bytes]:
    """Read the hash of each key by name, from a file and from MIXLING_KEYS.

    Raises:
        MixlingError: The file does not exist, or a line is not NAME:SHA-256.
    """
    keys: dict[str, bytes] = {}
    if file is not None and not file.is_file():
        raise MixlingError(
            f"{file}: the file does not exist. `mixling serve --new-key NAME` prints a key and "
            "the line for the file."
        )
    texts = [(str(file), read_text(file))] if file is not None else []
    if os.environ.get("MIXLING_KEYS"):
        texts.append(("MIXLING_KEYS", os.environ["MIXLING_KEYS"].replace(",", "\n")))
    for source, text in texts:
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            match = _LINE.match(line.strip())
            if match is None:
                fix = "write the line that `mixling serve --new-key NAME` prints"
                raise BadRowError(source, number, "key", line[:12], "NAME:SHA-256", fix)
            keys[match["name"]] = bytes.fromhex(match["hash"])
    return keys


def key_name(key: str, keys: dict[str, bytes]) -> str | None:
    """Return the name of a key, or None where it is unknown.

    All hashes are compared, each in constant time, so that the time tells nothing about the keys.
    """
    digest, owner = hashlib.sha256(key.encode()).digest(), None
    for name, key_hash in keys.items():
        if hmac.compare_digest(digest, key_hash):
            owner = name
    return owner


class RateLimiter:
    """Limits requests by a token bucket for each name.

    Args:
        per_second: Requests a second that refill a bucket.
        burst: Requests of a full bucket.
        clock: Returns the time in seconds.
    """

    def __init__(self, per_second: float, burst: int, clock: Callable[[], float] = time.monotonic):
        self.per_second, self.burst, self.clock = per_second, burst, clock
        self._buckets: dict[str, tuple[float, float]] = {}  # requests left, at which time

    def wait(self, name: str) -> float:
        """Take a request out of a bucket.

        Returns:
            0 if the request may go on, else the seconds until the next one may.
        """
        now = self.clock()
        left, time_of_left = self._buckets.get(name, (float(self.burst), now))
        left = min(self.burst, left + (now - time_of_left) * self.per_second)
        if left < 1:
            self._buckets[name] = (left, now)
            return (1 - left) / self.per_second
        self._buckets[name] = (left - 1, now)
        if len(self._buckets) > _MAX_BUCKETS:  # a bucket that is full again is not needed
            self._buckets = {
                other: (left, since)
                for other, (left, since) in self._buckets.items()
                if left + (now - since) * self.per_second < self.burst
            }
        return 0.0
