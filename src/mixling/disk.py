"""Writing to disk: files and folders that are complete or absent, one writer at a time, and what a failed write says."""

from __future__ import annotations

import errno
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mixling.errors import MixlingError

LOCK = ".lock"
_STALE = 3600  # seconds after which a temporary file of a process that is gone is removed
_FULL = (errno.ENOSPC, errno.EDQUOT)
_REFUSED = {
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EISDIR: "is a folder, a file was expected",
    errno.ENOTDIR: "a part of the path is a file, a folder was expected",
    errno.ENAMETOOLONG: "the name is too long for the file system",
    errno.EFBIG: "the file is too large for the file system",
    errno.EIO: "the disk reports an error",
    errno.EMFILE: "too many files are open",
    errno.EEXIST: "exists already",
    errno.ENOTEMPTY: "exists already and is not empty",
}
# a name of `_temporary`, for which a message says the one that it stands for
_TEMPORARY = re.compile(r"(?<=/)\.([^/]+)\.\d+\.tmp(?=/|$)")
# how libraries in Rust (LanceDB, tokenizers) name a number
_NUMBERED = re.compile(r"\(os error (\d+)\)")


@contextmanager
def new_file(path: str | Path) -> Iterator[Path]:
    """Write a file that is complete or absent.

    Yields a temporary path beside `path`. When the block ends the file is flushed to the disk and takes the place of
    `path`; when it fails the temporary file is removed.

    Raises:
        MixlingError: The disk is full, read-only or refuses the path, whatever a library says of that.
    """
    path = Path(path)
    temporary = _temporary(path)
    try:
        yield temporary
        _flush(temporary)
        temporary.replace(path)
        _flush(path.parent)
    except BaseException as error:
        refused = _refused(error, path, temporary)
        temporary.unlink(missing_ok=True)
        if refused is not None:
            raise refused from error
        raise


@contextmanager
def new_folder(path: str | Path) -> Iterator[Path]:
    """Write a folder that is complete or absent; a folder that is there already is replaced.

    Yields a temporary folder beside `path`, empty; see `new_file`.
    """
    path = Path(path)
    temporary = _temporary(path)
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir()
        yield temporary
        for inner in temporary.rglob("*"):
            _flush(inner)
        shutil.rmtree(path, ignore_errors=True)
        temporary.rename(path)
        _flush(path.parent)
    except BaseException as error:
        refused = _refused(error, path, temporary)
        shutil.rmtree(temporary, ignore_errors=True)
        if refused is not None:
            raise refused from error
        raise


@contextmanager
def one_writer(
    folder: str | Path, *, wait: bool = False, name: str | None = None
) -> Iterator[None]:
    """Hold the lock of a folder while the block runs. It ends with the process that holds it, also by SIGKILL.

    Args:
        folder: The folder, which is made; the lock is the file `LOCK` in it.
        wait: Wait for the other writer, after one line on standard error, instead of refusing.
        name: What is written, for the message; default: the folder.

    Raises:
        MixlingError: Another process holds the lock and `wait` is False, or the folder cannot be written.
    """
    from filelock import FileLock, Timeout

    folder, name = Path(folder), name or str(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = FileLock(folder / LOCK)
        try:
            held.acquire(timeout=0)
        except Timeout:
            if not wait:
                raise MixlingError(
                    f"{name}: another process writes here. Wait until it has ended, then run the same command again"
                ) from None
            print(
                f"mixling: {name}: another process writes here; waiting until it has ended",
                file=sys.stderr,
            )
            held.acquire()
    except OSError as error:
        raise MixlingError(
            disk_message(error)
            or f"{name}: its file system locks no files ({error}). Choose a path on another file system"
        ) from None
    try:
        yield
    finally:
        held.release()


def disk_message(error: BaseException) -> str | None:
    """What a user should know of an error about a disk or a path, or None where it is of another kind."""
    number = error.errno if isinstance(error, OSError) else None
    path = getattr(error, "filename", None)
    place = "" if path is None else _TEMPORARY.sub(r"\1", str(path)) + ": "
    written = _NUMBERED.search(str(error))
    if number is None and written is not None:
        number, path = int(written[1]), path or ""
    if number in _FULL or "no space left" in str(error).lower():
        return (
            f"{place}no space left on the disk. What was written before is kept: make room and run the same command "
            "again"
        )
    if number in _REFUSED and path is not None:
        return f"{place}{_REFUSED[number]}. Choose another path, or change this one's permissions"
    return None


def _temporary(path: Path) -> Path:
    """A name beside `path` for this process, in a folder that is made; files of processes that are gone are removed."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _refused(error, path) or error from None
    for other in path.parent.iterdir():
        parts = other.name.rsplit(".", 2)
        if (
            len(parts) == 3
            and parts[0] == f".{path.name}"
            and parts[2] == "tmp"
            and parts[1].isdigit()
        ):
            gone = not _runs(int(parts[1]))
            if gone and time.time() - other.lstat().st_mtime > _STALE:
                shutil.rmtree(other) if other.is_dir() else other.unlink(missing_ok=True)
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)  # sends nothing
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _refused(
    error: BaseException, path: Path, temporary: Path | None = None
) -> MixlingError | None:
    """What a user should know where `path` could not be written, or None where the error is of another kind."""
    if not isinstance(error, Exception) or isinstance(error, MixlingError):
        return None
    other = getattr(error, "filename", None)
    if other is not None and (temporary is None or not Path(str(other)).is_relative_to(temporary)):
        message = disk_message(
            error
        )  # of a file that was read meanwhile, or a folder on the way to `path`
        return None if message is None else MixlingError(message)
    number = error.errno if isinstance(error, OSError) else None
    if number not in (*_FULL, *_REFUSED):
        # a library may name another reason (torch: "unexpected pos")
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
