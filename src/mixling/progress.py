"""Progress with the time left, for anything over two seconds: a bar on a terminal, plain lines elsewhere.

Everything goes to standard error, so that output can be piped.
"""

from __future__ import annotations

import sys
import time


class Progress:
    """Call it with (done, total); it writes at most every half second on a terminal, every 15 s elsewhere."""

    def __init__(self, what: str):
        self.what = what
        self.begun = self.shown = time.monotonic()
        self.live = sys.stderr.isatty()
        self.written = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self.written and self.live:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def __call__(self, done: float, total: float, note: str = "") -> None:
        now = time.monotonic()
        spent = now - self.begun
        wait = 0.5 if self.live else 15
        if spent < 2 or now - self.shown < wait or not done:
            return
        self.shown, self.written = now, True
        left = spent * (total - done) / done
        line = f"{self.what}: {100 * done / max(total, 1):3.0f} %, {clock(left)} left{', ' + note if note else ''}"
        sys.stderr.write(f"\r\x1b[K{line}" if self.live else f"{line}\n")
        sys.stderr.flush()


def clock(seconds: float) -> str:
    """75 -> 1:15; 3700 -> 1:01:40."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
