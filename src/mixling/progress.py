"""Progress of long work with the time left: a bar on a terminal, messages of the logger elsewhere.

Both go to standard error, so that output can be piped. Work of less than two seconds shows nothing.
"""

from __future__ import annotations

import logging
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import rich.progress

logger = logging.getLogger(__name__)

_SILENT = 2.0  # seconds before anything is shown
_BAR_INTERVAL = 0.5  # seconds between updates of a bar
_MESSAGE_INTERVAL = 15.0  # seconds between messages
_display: rich.progress.Progress | None = None  # the bars that are shown now, of all `Progress`


class Progress:
    """Shows the progress of a job. Use it as a context, and call it with the number of units done.

    Args:
        label: Name of the work.

    Example:
        >>> with Progress("encoding") as progress:
        ...     for i, batch in enumerate(batches):
        ...         encode(batch)
        ...         progress(i + 1, len(batches))
    """

    def __init__(self, label: str):
        self.label = label
        self.start_time = self.last_shown = time.monotonic()
        self.bar: rich.progress.TaskID | None = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        global _display
        if self.bar is None or _display is None:
            return
        _display.remove_task(self.bar)
        if not _display.tasks:
            _display.stop()
            _display = None

    def __call__(self, done: float, total: float, note: str = "") -> None:
        """Show the state of the work, if it is time to.

        Args:
            done: Amount of work done.
            total: Amount of all work, in the same unit.
            note: Text beside the time left.
        """
        now, terminal = time.monotonic(), sys.stderr.isatty()
        elapsed = now - self.start_time
        interval = _BAR_INTERVAL if terminal else _MESSAGE_INTERVAL
        if elapsed < _SILENT or now - self.last_shown < interval or not done:
            return
        self.last_shown = now
        left = f"{clock(elapsed * (total - done) / done)} left{', ' + note if note else ''}"
        if terminal:
            self._show(done, total, left)
        else:
            logger.info("%s: %3.0f %%, %s", self.label, 100 * done / max(total, 1), left)

    def _show(self, done: float, total: float, left: str) -> None:
        """Draw the bar, below those of the work that this work is a part of."""
        global _display
        if _display is None:
            _display = _new_display()
            _display.start()
        if self.bar is None:
            self.bar = _display.add_task(self.label, total=total, left=left)
        _display.update(self.bar, completed=done, total=total, left=left)


def _new_display() -> rich.progress.Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[left]}", markup=False),
        console=Console(stderr=True),
        transient=True,
        refresh_per_second=2,
        redirect_stdout=sys.stdout.isatty(),  # else piped output would land on the terminal
    )


def clock(seconds: float) -> str:
    """Format a duration: 75 -> "1:15", 3700 -> "1:01:40"."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
