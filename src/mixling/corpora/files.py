"""Files of data and of runs: text, lines, Parquet and arrays, each read or written whole.

Text files may be packed by gzip. Every mistake is reported with its file and line.
"""

from __future__ import annotations

import gzip
import io
import json
import logging
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mixling.disk import LOCK, new_file, read_object
from mixling.errors import BadRowError, MixlingError

LONGEST = 64 << 20  # bytes of a line
# A packed file may become these many bytes, and for each of its own bytes so many more. Text seldom
# grows tenfold; a decompression bomb grows a thousandfold.
_UNPACKED_BASE, _UNPACKED_RATIO = 8 << 20, 50
_GZIP = b"\x1f\x8b"

logger = logging.getLogger(__name__)


def read_text(path: Path) -> str:
    """Read a whole UTF-8 file, plain or packed by gzip.

    Args:
        path: The file.

    Returns:
        Its text, without a byte-order mark.

    Raises:
        MixlingError: The file is not there, cannot be read, or unpacks to far more than text does.
        BadRowError: The file is not UTF-8.
    """
    _require_file(path, path.exists())
    try:
        raw = path.read_bytes()
        if raw[:2] == _GZIP:
            limit = _UNPACKED_BASE + _UNPACKED_RATIO * len(raw)
            with gzip.GzipFile(fileobj=io.BytesIO(raw)) as source:
                raw = source.read(limit + 1)
            _check_unpacked_size(path, len(raw), limit)
    except (OSError, EOFError) as error:
        raise MixlingError(f"{path}: the file cannot be read ({error}). Fetch it again.") from None
    return decode_text(raw, path)


def _require_file(path: Path, is_there: bool) -> None:
    """Raise MixlingError if a file is not there."""
    if not is_there:
        raise MixlingError(
            f"{path}: the file does not exist. Check the path, or set MIXLING_DATA to the folder "
            "that holds the file."
        )


def decode_text(raw: bytes, path: Path, line: int = 1) -> str:
    """Decode UTF-8; UTF-16 is refused, with and without its byte-order mark.

    Args:
        raw: Bytes of a file.
        path: The file, for the error.
        line: The line with which the bytes begin. A byte-order mark is removed from line 1.

    Returns:
        The text.

    Raises:
        BadRowError: The bytes are not UTF-8 or hold a zero byte.
    """
    try:
        text = raw.decode("utf-8-sig" if line == 1 else "utf-8")
        wrong = raw.find(b"\0")
        if wrong < 0:
            return text
    except UnicodeDecodeError as error:
        wrong = error.start
    bad_line = line + raw[:wrong].count(b"\n")
    nearby = raw[max(wrong - 1, 0) : wrong + 3]
    hint = " (this looks like UTF-16)" if b"\0" in raw[:200] else ""
    raise BadRowError(path, bad_line, "text", nearby, f"UTF-8{hint}", "save the file as UTF-8")


def table_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a table that are not blank, with one line in memory at a time.

    Args:
        path: The file, plain or packed by gzip.

    Yields:
        The number of the line, from 1, and its text without the line break (LF or CRLF). Other
        breaks, such as U+2028 or a lone CR, stay in the text.

    Raises:
        MixlingError: The file cannot be read; see `read_lines`.
        BadRowError: A line is not UTF-8.
    """
    for number, raw in enumerate(read_lines(path), 1):
        text = decode_text(raw, path, number)
        if text.strip():
            yield number, text.rstrip("\r\n")


def _check_unpacked_size(path: Path, size: int, limit: int) -> None:
    """Raise MixlingError if a packed file becomes far larger than text does."""
    if size > limit:
        raise MixlingError(
            f"{path}: the file unpacks to more than {limit:,} bytes, {_UNPACKED_RATIO} times its "
            "size, which no text does. Fetch the file again."
        )


def replace_surrogates(text: str) -> str:
    """Replace half characters by question marks; some PDFs and file names hold such surrogates."""
    return text.encode("utf-8", "replace").decode()


def read_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file, plain or packed by gzip, with one line in memory at a time.

    Args:
        path: The file.

    Yields:
        Each line with its line break.

    Raises:
        MixlingError: The file is not there, cannot be read, or unpacks to far more than text does.
        BadRowError: A line is longer than `LONGEST` bytes.
    """
    _require_file(path, path.exists())
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP
        file.seek(0)
        source = gzip.GzipFile(fileobj=file) if packed else file
        number = unpacked = checked = 0
        try:
            while line := source.readline(LONGEST + 1):
                number += 1
                unpacked += len(line)
                if len(line) > LONGEST:
                    raise BadRowError(
                        path,
                        number,
                        "line",
                        line[:20],
                        f"{LONGEST:,} bytes at most",
                        "split the line",
                    )
                if packed and unpacked > checked + _UNPACKED_BASE:
                    checked = unpacked
                    limit = _UNPACKED_BASE + _UNPACKED_RATIO * file.tell()
                    _check_unpacked_size(path, unpacked, limit)
                yield line
        except (OSError, EOFError) as error:
            raise MixlingError(
                f"{path}: the file cannot be read ({error}). Fetch it again."
            ) from None


@contextmanager
def explain_read_errors(path: Path | str) -> Iterator[None]:
    """Turn errors of pyarrow and NumPy about a file into a MixlingError that names the file.

    Args:
        path: The file that the block reads.

    Raises:
        MixlingError: The block could not read the file, or read it not as expected.
    """
    try:
        yield
    except (
        pa.ArrowException,
        zipfile.BadZipFile,
        OSError,
        KeyError,
        ValueError,
        OverflowError,
        MemoryError,
        EOFError,
    ) as error:
        first = (str(error).strip().splitlines() or [""])[0]
        raise MixlingError(
            f"{path}: the file cannot be read ({type(error).__name__}: {first}). Fetch it again, "
            "or write it again."
        ) from None


def open_parquet(path: Path) -> pq.ParquetFile:
    """Open a Parquet file that is read in parts.

    Args:
        path: The file.

    Returns:
        The open file.

    Raises:
        MixlingError: The file is not there or no Parquet file.
    """
    _require_file(path, path.is_file())
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise MixlingError(
            f"{path}: the file is not a Parquet file ({error}). Fetch it again, or write it again."
        ) from None


def read_parquet(path: Path, columns: Iterable[str] = ()) -> pa.Table:
    """Read a Parquet file.

    Args:
        path: The file.
        columns: Columns that it must have; it may have others.

    Returns:
        The table, with all of its columns.

    Raises:
        MixlingError: The file cannot be read or lacks a column.
    """
    with explain_read_errors(path):
        table = open_parquet(path).read()
    required = list(columns)
    for column in required:
        if column not in table.column_names:
            raise MixlingError(
                f"{path}: the file has no column '{column}'. Its columns are: "
                f"{', '.join(table.column_names)}. Expected {', '.join(required)}."
            )
    return table


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file that is complete or absent: under a temporary name, then renamed."""
    with new_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_array(path: Path, array: np.ndarray) -> None:
    """Write a .npy file that is complete or absent: under a temporary name, then renamed."""
    with new_file(path) as temporary, temporary.open("wb") as out:
        np.save(out, array)


def read_array(path: Path) -> np.ndarray:
    """Read a .npy file.

    Objects, which would be unpickled, are refused.

    Args:
        path: The file.

    Returns:
        The array, in memory.

    Raises:
        MixlingError: The file cannot be read, holds objects, or is shorter than its header claims.
    """
    with explain_read_errors(path):
        # a memory map of a file that is too short fails before memory is taken for it
        return np.array(np.load(path, mmap_mode="r", allow_pickle=False))


def open_run_dir(
    folder: Path,
    job: dict[str, Any],
    name: str = "job.json",
    migrate: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
) -> bool:
    """Begin a job in a folder, or check that the folder holds this same job, which then goes on.

    Args:
        folder: The folder.
        job: What the job depends on, as JSON.
        name: The file of the folder that holds the job.
        migrate: Completes a job that an earlier version wrote. None: fields that the earlier job
            lacks are not compared, and a warning names them.

    Returns:
        True if the job begins, False if it goes on.

    Raises:
        MixlingError: The folder holds another job, or files that are no job.
    """
    path, job = folder / name, json.loads(json.dumps(job))
    if path.exists():
        earlier = read_object(path)
        if migrate is None:
            compared = list(earlier)
        else:
            earlier = migrate(earlier)
            compared = list({**earlier, **job})
        wrong = [k for k in compared if earlier.get(k) != job.get(k)]
        if wrong:
            raise MixlingError(
                f"{folder}: the folder holds a run of another configuration, which differs in "
                f"{', '.join(wrong)}. Choose another --out, or remove the folder."
            )
        _warn_of_missing_fields(folder, earlier, job)
        return False
    if folder.exists() and any(p.name != LOCK for p in folder.iterdir()):
        raise MixlingError(
            f"{folder}: the folder is not empty and holds no run. Choose another --out."
        )
    write_text(path, json.dumps(job, indent=1, ensure_ascii=False))
    return True


def _warn_of_missing_fields(folder: Path, earlier: dict[str, Any], job: dict[str, Any]) -> None:
    """Warn of fields that an earlier version did not write, and that may differ therefore."""
    missing = [k for k in job if k not in earlier]
    if missing:
        logger.warning(
            "%s: an earlier version of Mixling began this and did not record %s, so the options "
            "may differ",
            folder,
            ", ".join(missing),
        )


def finished_report(report: Path, job: dict[str, Any], action: str) -> dict[str, Any] | None:
    """Return the report of a job that has ended.

    Args:
        report: The report's file.
        job: What the job depends on, as JSON; the report repeats it.
        action: What such a job does, as a participle for the error: "mined", "translated".

    Returns:
        The report; None if its folder is not there yet.

    Raises:
        MixlingError: The folder holds another job's result or something else.
    """
    folder = report.parent
    if report.exists():
        finished = read_object(report)
        wrong = [k for k, v in job.items() if finished.get(k, v) != v]
        if wrong:
            raise MixlingError(
                f"{folder}: the folder holds what another call {action}, which differs in "
                f"{', '.join(wrong)}. Choose another --out, or remove the folder."
            )
        _warn_of_missing_fields(folder, finished, job)
        return finished
    if folder.exists():
        raise MixlingError(
            f"{folder}: the folder exists already, and its content was not {action}. Choose "
            "another --out."
        )
    return None


def find_file(folder: Path, *names: str) -> Path | None:
    """Return the first file of a folder that has one of some names.

    Args:
        folder: The folder.
        *names: The names, in the order in which they are tried. A file may have them with `.gz`, in
            upper or lower case.

    Returns:
        The file; None if there is none.
    """
    by_name = (
        {p.name.lower(): p for p in sorted(folder.iterdir(), reverse=True)}
        if folder.is_dir()
        else {}
    )
    for name in names:
        for path in (folder / name, folder / f"{name}.gz"):
            if path.exists():
                return path
            if path.name.lower() in by_name:
                return by_name[path.name.lower()]
    return None
