"""Chooses the number of threads: as many as there are processors that no other program uses.

The threads of a product wait for each other, some thousand times a second. If another process holds
the processor of one of them, all wait until the system gives it back, some milliseconds each time:
two threads on two processors beside one busy process take ten times as long as one thread alone
(docs/development/performance.md). So the number follows what the machine does, and a short text,
whose products gain little from a second thread, has one.

    MIXLING_THREADS=4       always four
    OMP_NUM_THREADS=4, torch.set_num_threads(4)     at most four
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mixling.errors import MixlingError

VARIABLE = "MIXLING_THREADS"
SHORT_CALL = 64  # tokens of a call of the encoder up to which one thread is as good as several
INTERVAL = 0.3  # seconds between two looks at the machine
LONG_AGO = 3.0  # seconds after which a mean since the last look says little
# Share of a processor that others may use before a thread is given up.
TOLERATED = 0.5


@dataclass(frozen=True)
class _Look:
    """The processor time of the machine so far.

    Attributes:
        time: When, in seconds.
        busy: Seconds of work on the processors that this process may use, by anybody.
        own: Seconds of work by this process.
    """

    time: float
    busy: float
    own: float


@dataclass
class _State:
    """The state of this process.

    Attributes:
        last: The last look at the machine.
        others: Processors that others have been using.
        limit: torch's number of threads as it was before `fitting_threads` set one.
        users: Calls inside `fitting_threads`.
    """

    last: _Look | None = None
    others: float = 0.0
    limit: int = 0
    users: int = 0


_state = _State()
_lock = threading.Lock()


@cache
def processors() -> tuple[int, ...]:
    """Return the processors that this process may use, by number (Linux' cpuset or affinity)."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


@cache
def cores() -> int:
    """Return the number of cores behind `processors()`.

    Two processors that share a core (SMT) share its arithmetic units, so that a second thread on a
    core gains nothing in a product.
    """
    siblings = set()
    for number in processors():
        path = Path(f"/sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list")
        try:
            siblings.add(path.read_text().strip())
        except OSError:
            siblings.add(str(number))
    return len(siblings)


@cache
def quota(groups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> float:
    """Return the processors' time that a container's limits leave, in processors.

    Args:
        groups: Where control groups are mounted.
        own: The file that names the groups of this process.

    Returns:
        The smallest quota of the group and of those above it, version 1 or 2; infinity without any.
    """
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return math.inf
    found = math.inf
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = groups / controllers if controllers else groups
        folder = top / path.strip("/")
        while True:
            found = min(found, _quota_of(folder))
            if folder == top or top not in folder.parents:
                break
            folder = folder.parent
    return found


def _quota_of(folder: Path) -> float:
    """Return the quota of one control group."""
    with contextlib.suppress(OSError, ValueError):
        allowed, period = (folder / "cpu.max").read_text().split()
        return math.inf if allowed == "max" else int(allowed) / int(period)
    with contextlib.suppress(OSError, ValueError):
        microseconds = int((folder / "cpu.cfs_quota_us").read_text())
        period_us = int((folder / "cpu.cfs_period_us").read_text())
        return math.inf if microseconds <= 0 else microseconds / period_us
    return math.inf


def stated_threads() -> int | None:
    """Return the number of threads that the user has stated.

    Raises:
        MixlingError: MIXLING_THREADS is no number from 1.
    """
    text = os.environ.get(VARIABLE, "").strip()
    if not text:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise MixlingError(
            f"{VARIABLE} is {text!r}. Expected a number of threads from 1; set the variable to "
            "one, or unset it."
        )
    return int(text)


def other_work() -> float:
    """Return how many processors others have been using of late.

    The mean since the last look where that is not long ago, else what waits to run at this moment.
    0 where the system does not say (only Linux does).
    """
    last = _state.last
    if last is not None and time.perf_counter() - last.time < INTERVAL:
        return _state.others
    look = _look()
    if look is None:
        return 0.0
    _state.last = look
    if last is None or look.time - last.time > LONG_AGO:
        _state.others = _running_now()
    else:
        own = look.own - last.own
        _state.others = max(0.0, (look.busy - last.busy - own) / (look.time - last.time))
    return _state.others


def _look() -> _Look | None:
    try:
        lines = Path("/proc/stat").read_text().splitlines()
        tick = os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, AttributeError):
        return None
    own = {f"cpu{number}" for number in processors()}
    busy = 0
    for line in lines:
        name, *counts = line.split()
        if name in own:
            # user nice system idle iowait irq softirq steal; guests are among user and nice
            busy += sum(int(x) for i, x in enumerate(counts[:8]) if i not in (3, 4))
    return _Look(time.perf_counter(), busy / tick, time.process_time())


def _running_now() -> float:
    """Return how many threads want to run at this moment, without the one that asks."""
    try:
        running = int(Path("/proc/loadavg").read_text().split()[3].partition("/")[0])
    except (OSError, ValueError, IndexError):
        return 0.0
    return float(min(max(0, running - 1), len(processors())))


def most_threads() -> int:
    """Return the number of threads on an idle machine, by cores, quota and torch's limit."""
    import torch

    limit = _state.limit if _state.users else torch.get_num_threads()
    allowed = math.ceil(quota() - 0.2) if quota() < math.inf else limit
    return max(1, min(cores(), allowed, limit))


def choose_threads(tokens: int | None = None) -> int:
    """Return the number of threads to compute with now.

    Args:
        tokens: Tokens of a call of the encoder, where it may be short.

    Raises:
        MixlingError: MIXLING_THREADS is no number from 1.
    """
    stated = stated_threads()
    if stated is not None:
        return stated
    if tokens is not None and tokens <= SHORT_CALL:
        return 1
    most = most_threads()
    if most == 1:
        return 1
    # What others use beyond our cores' number of processors (SMT) is no loss.
    spare = len(processors()) - most
    return max(1, min(most, math.floor(most + spare - other_work() + 1 - TOLERATED)))


@contextlib.contextmanager
def fitting_threads(tokens: int | None = None) -> Iterator[int]:
    """Compute with as many threads as fit the machine, and with torch's number again afterwards.

    Args:
        tokens: Tokens of a call of the encoder, where it may be short.

    Yields:
        The number of threads.
    """
    import torch

    n = choose_threads(tokens)
    with _lock:
        if not _state.users:
            _state.limit = torch.get_num_threads()
        _state.users += 1
        limit = _state.limit
    if n != torch.get_num_threads():
        torch.set_num_threads(n)
    try:
        yield n
    finally:
        with _lock:
            _state.users -= 1
        if torch.get_num_threads() != limit:
            torch.set_num_threads(limit)


def describe_threads() -> str:
    """Return the number of threads that is chosen now, and why, in one line."""
    stated = stated_threads()
    if stated is not None:
        return f"{stated} ({VARIABLE})"
    reasons = [f"{len(processors())} processors"]
    if cores() < len(processors()):
        reasons.append(f"{cores()} cores")
    if quota() < math.inf:
        reasons.append(f"a quota of {quota():g}")
    most = most_threads()
    if most < min(cores(), quota()):
        reasons.append("torch's limit or OMP_NUM_THREADS")
    others = other_work()
    reasons.append(f"others use {others:.1f} of them now")
    return f"{choose_threads()} of at most {most} ({', '.join(reasons)}); short texts: 1"


_state.last = _look()
