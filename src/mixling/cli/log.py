"""Messages of the library on standard error, each as a line `mixling: MESSAGE`."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator


class StderrHandler(logging.Handler):
    """Writes every record to standard error, as it is when the record comes.

    A progress bar redirects `sys.stderr` while it is shown, so that lines appear above it.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        try:
            print(f"mixling: {self.format(record)}", file=sys.stderr)
        except Exception:
            self.handleError(record)


@contextlib.contextmanager
def messages_on_stderr() -> Iterator[None]:
    """Write messages of level INFO and above of the logger `mixling` to standard error.

    They do not reach the root logger meanwhile, so that no line is written twice.
    """
    logger, handler = logging.getLogger("mixling"), StderrHandler(logging.INFO)
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate
