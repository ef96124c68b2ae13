"""Writing to disk: files and folders that are complete or absent, and one writer at a time.

A failed write is one message that names the path and the reason.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mixling.errors import MixlingError

logger = logging.getLogger(__name__)

LOCK = ".lock"
LOCKS = "locks"  # the folder of a cache that has the locks of its entries
_STALE = 3600  # seconds after which a temporary file of a process that is gone is removed
_FULL = (errno.ENOSPC, errno.EDQUOT)
_REFUSED = {
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EISDIR: "the path is a folder, but a file was expected",
    errno.ENOTDIR: "a part of the path is a file, but a folder was expected",
    errno.ENAMETOOLONG: "the name is too long for the file system",
    errno.EFBIG: "the file is too large for the file system",
    errno.EIO: "the disk reports an error",
    errno.EMFILE: "too many files are open",
    errno.EEXIST: "the path exists already",
    errno.ENOTEMPTY: "the path exists already and is not empty",
}
# a temporary name of `_temporary_path`, where it begins; a message names the path it stands for
_TEMPORARY = re.compile(r"(?<![^/])\.([^/]+)\.(\d+)(?:-[0-9a-f]+)?\.tmp(?=/|$)")
# how libraries in Rust (LanceDB, tokenizers) write an error number
_NUMBERED = re.compile(r"\(os error (\d+)\)")


@contextmanager
def new_file(path: str | Path, *, is_locked: bool = False) -> Iterator[Path]:
    """Write a file that is complete or absent.

    When the block ends, the file is flushed to the disk and takes the place of `path`. When the
    block fails, the temporary file is removed.

    Args:
        path: The file.
        is_locked: The caller holds a lock of the file, so what killed calls left of it is removed
            whatever its age.

    Yields:
        A temporary path beside `path`, to write to.

    Raises:
        MixlingError: The disk is full or read-only, or refuses the path.
    """
    path = Path(path)
    temporary = _temporary_path(path, is_locked)
    try:
        yield temporary
        _flush(temporary)
        temporary.replace(path)
        _flush(path.parent)
    except BaseException as error:
        failure = _write_error(error, path, temporary)
        with suppress(OSError):  # a read-only disk refuses this too
            temporary.unlink(missing_ok=True)
        if failure is not None:
            raise failure from error
        raise


def check_new_folder(path: str | Path) -> None:
    """Refuse a folder that cannot be a new one, before anything is computed for it.

    Args:
        path: The folder; it may exist if it is empty.

    Raises:
        MixlingError: Something is there.
    """
    folder = Path(path)
    if folder.exists() and (folder.is_file() or any(folder.iterdir())):
        raise MixlingError(
            f"{folder}: the folder exists already. Choose another folder, or remove it."
        )


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object that Mixling wrote into a folder that it continues.

    Args:
        path: The file.

    Raises:
        MixlingError: The file holds no JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        content = error
    if isinstance(content, dict):
        return content
    reason = f" ({content})" if isinstance(content, Exception) else ""
    raise MixlingError(
        f"{path}: the file is not a JSON object{reason}. Choose another --out, or remove the "
        "folder."
    )


@contextmanager
def new_folder(path: str | Path, *, is_locked: bool = False) -> Iterator[Path]:
    """Write a folder that is complete or absent; an existing folder is replaced.

    A folder that other processes may be reading must not be replaced: see `make_once`.

    Args:
        path: The folder.
        is_locked: As for `new_file`.

    Yields:
        An empty temporary folder beside `path`, to write into.

    Raises:
        MixlingError: The disk is full or read-only, or refuses the path.
    """
    path = Path(path)
    temporary = _temporary_path(path, is_locked)
    try:
        temporary.mkdir()
        yield temporary
        for inner in temporary.rglob("*"):
            _flush(inner)
        _replace_folder(temporary, path)
        _flush(path.parent)
    except BaseException as error:
        failure = _write_error(error, path, temporary)
        shutil.rmtree(temporary, ignore_errors=True)
        if failure is not None:
            raise failure from error
        raise


def make_once(
    path: str | Path, write: Callable[[Path], object], *, name: str | None = None
) -> None:
    """Make a file or folder of a cache, unless it is there.

    One process makes it. The others that need it meanwhile wait, after a message, and take what is
    there then. What is there is complete and is never replaced, so it may be read without a lock.
    If the process is killed, its lock ends with it, and the next one removes its unfinished work.

    Args:
        path: The file or folder.
        write: Called with the path to write. It has the name of `path` and lies in an empty folder,
            which may hold other files meanwhile.
        name: Name of the entry in messages; default: its path.

    Raises:
        MixlingError: The disk is full or read-only, or refuses the path.
    """
    path = Path(path)
    if path.exists():
        return
    with one_writer(path.parent / LOCKS / path.name, wait=True, name=name or str(path)):
        if path.exists():  # made while this process waited
            return
        temporary = _temporary_path(path, is_locked=True)
        try:
            temporary.mkdir()
            new = temporary / path.name
            write(new)
            for inner in (new, *new.rglob("*")):
                _flush(inner)
            new.rename(path)
            _flush(path.parent)
        except BaseException as error:
            failure = _write_error(error, path, temporary)
            if failure is not None:
                raise failure from error
            raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def one_writer(
    folder: str | Path, *, wait: bool = False, name: str | None = None
) -> Iterator[None]:
    """Hold the lock of a folder while the block runs.

    The lock ends with the process that holds it, also by SIGKILL.

    Args:
        folder: The folder, which is created; the lock is the file `LOCK` in it.
        wait: Wait for the other writer, after a message, instead of refusing.
        name: Name of the folder in messages; default: its path.

    Raises:
        MixlingError: Another process holds the lock and `wait` is False, or the folder cannot be
            written.
    """
    from filelock import FileLock, Timeout

    folder, name = Path(folder), name or str(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if not wait:
                raise MixlingError(
                    f"{name}: another process writes here. Wait until it has ended, then run the "
                    "same command again"
                ) from None
            logger.warning("%s: another process writes here. Waiting until it has ended", name)
            lock.acquire()
    except OSError as error:
        raise MixlingError(
            disk_message(error)
            or f"{name}: its file system cannot lock files ({error}). Choose a path on another "
            "file system."
        ) from None
    try:
        yield
    finally:
        lock.release()


def disk_message(error: BaseException) -> str | None:
    """Return the message for an error about a disk or a path, or None for any other error."""
    number = error.errno if isinstance(error, OSError) else None
    path = getattr(error, "filename", None)
    place = "" if path is None else _TEMPORARY.sub(r"\1", str(path)) + ": "
    match = _NUMBERED.search(str(error))
    if number is None and match is not None:
        number, path = int(match[1]), path or ""
    if number in _FULL or "no space left" in str(error).lower():
        return (
            f"{place}there is no space left on the disk. What was written before is kept: make "
            "room, and run the same command again."
        )
    if number in _REFUSED and path is not None:
        return (
            f"{place}{_REFUSED[number]}. Choose another path, or change the permissions of this "
            "one."
        )
    return None


def _temporary_path(path: Path, is_locked: bool = False) -> Path:
    """Return a new temporary path beside `path`.

    No other call returns it, also not in a thread of this process, or in a container that shares
    the folder and has a process of this number. The parent folder is created, and old temporary
    files of processes that have ended are removed.

    Args:
        path: The path.
        is_locked: No other process writes `path`, so whatever is left of it can be removed.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _write_error(error, path) or error from None
    for entry in path.parent.iterdir():
        match = _TEMPORARY.fullmatch(entry.name)
        if match and match[1] == path.name and (is_locked or _is_left(entry, int(match[2]))):
            _remove(entry)
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")


def _is_left(entry: Path, process: int) -> bool:
    """Return whether a temporary file or folder is old and its process has ended."""
    if _is_running(process):
        return False
    try:
        changed = max(x.lstat().st_mtime for x in (entry, *entry.rglob("*")))
    except OSError:  # its process has renamed it, or another one is removing it
        return False
    return time.time() - changed > _STALE


def _remove(entry: Path) -> None:
    """Remove a file or folder, which other processes may be removing too."""
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry, ignore_errors=True)
    else:
        entry.unlink(missing_ok=True)


def _replace_folder(new: Path, path: Path) -> None:
    """Rename a folder to `path`.

    A folder that is there is moved away as a whole and then removed, so a process that is killed
    leaves no part of it under its name.
    """
    while True:
        old = _temporary_path(path)
        if path.is_dir() and not path.is_symlink():
            with suppress(FileNotFoundError):  # another process has moved it away
                path.rename(old)
        try:
            new.rename(path)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                if old.exists():
                    old.rename(path)
                raise
        else:
            return
        finally:  # if another process put a folder there meanwhile, that one is moved away next
            shutil.rmtree(old, ignore_errors=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)  # sends nothing
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _write_error(
    error: BaseException, path: Path, temporary: Path | None = None
) -> MixlingError | None:
    """Return the error for a path that could not be written, or None for any other error."""
    if not isinstance(error, Exception) or isinstance(error, MixlingError):
        return None
    file = getattr(error, "filename", None)
    if file is not None and (temporary is None or not Path(str(file)).is_relative_to(temporary)):
        # the error is about a file that was read meanwhile, or a folder on the way to `path`
        message = disk_message(error)
        return None if message is None else MixlingError(message)
    number = error.errno if isinstance(error, OSError) else None
    if number not in (*_FULL, *_REFUSED):
        # a library may name another reason for a full disk (torch: "unexpected pos")
        full = (
            "no space left" in str(error).lower() or shutil.disk_usage(path.parent).free < 1 << 16
        )
        if not full:
            return None
        number = errno.ENOSPC
    return MixlingError(disk_message(OSError(number, "", str(path))))


def _flush(path: Path) -> None:
    """Flush a file or folder to the disk."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
