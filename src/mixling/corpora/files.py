"""Files: opening data (plain or gzipped, JSON, JSON lines, Parquet), every mistake with its place; writing text whole."""

from __future__ import annotations

import gzip
import io
import json
import re
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mixling.disk import LOCK, new_file
from mixling.errors import BadRow, MixlingError, Skipped

LONGEST = 64 << 20  # bytes of a line
ALWAYS, RATIO = (
    8 << 20,
    50,
)  # bytes that packed data may become, and each byte of it: text seldom has ten, a bomb a thousand
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def read_text(path: Path) -> str:
    """The whole of a UTF-8 file, unpacked if it is gzipped."""
    if not path.exists():
        raise MixlingError(
            f"{path}: no such file; check the path, or set MIXLING_DATA to the folder that holds it"
        )
    try:
        raw = path.read_bytes()
        if raw[:2] == b"\x1f\x8b":
            most = ALWAYS + RATIO * len(raw)
            with gzip.GzipFile(fileobj=io.BytesIO(raw)) as source:
                raw = source.read(most + 1)
            _bounded(path, len(raw), most)
    except (OSError, EOFError) as error:
        raise MixlingError(f"{path}: cannot be read ({error}); fetch it again") from None
    return decode_text(raw, path)


def decode_text(raw: bytes, path: Path, line: int = 1) -> str:
    """Bytes of a file that begin at a line, as text. UTF-16 is refused, with and without its mark. Raises BadRow."""
    try:
        text = raw.decode("utf-8-sig" if line == 1 else "utf-8")
        wrong = raw.find(b"\0")
        if wrong < 0:
            return text
    except UnicodeDecodeError as error:
        wrong = error.start
    where = line + raw[:wrong].count(b"\n")
    found = raw[max(wrong - 1, 0) : wrong + 3]
    looks = " (this looks like UTF-16)" if b"\0" in raw[:200] else ""
    raise BadRow(path, where, "text", found, f"UTF-8{looks}", "save the file as UTF-8")


def table_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Number and text of each line of a table that is not empty, without its line break (LF or CRLF)."""
    for number, text in enumerate(io.StringIO(read_text(path)), 1):
        if text.strip():
            yield number, text.rstrip("\r\n")


def _bounded(path: Path, size: int, most: int) -> None:
    """Refuse a packed file that becomes far larger than texts do."""
    if size > most:
        raise MixlingError(
            f"{path}: unpacks to more than {most:,} bytes, {RATIO} times its size: no text does; fetch the file again"
        )


def has_lone_surrogate(text: str, content: Any) -> bool:
    """Whether JSON holds half a character: a lone surrogate as \\ud83d, which no UTF-8 text can hold."""
    if _SURROGATE.search(text) is None:
        return False
    try:
        json.dumps(content, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def replace_surrogates(text: str) -> str:
    """A text without half characters, which some PDFs and names of files have: they become question marks."""
    return text.encode("utf-8", "replace").decode()


def _half(path: Path, line: int, found: Any) -> BadRow:
    expected = "whole characters (no lone surrogate such as \\ud83d)"
    return BadRow(path, line, "text", found, expected, "write the text anew as UTF-8")


def read_json(path: Path) -> Any:
    """A JSON file's content."""
    text = read_text(path)
    try:
        content = json.loads(text)
        if has_lone_surrogate(text, content):
            raise _half(path, 1, text[:20])
        return content
    except RecursionError:
        raise BadRow(
            path, 1, "json", text[:20], "JSON that is not so deep", "mend the file"
        ) from None
    except json.JSONDecodeError as error:
        raise BadRow(
            path,
            error.lineno,
            "json",
            error.doc[error.pos : error.pos + 20],
            f"JSON ({error.msg})",
            "mend or fetch the file again",
        ) from None


def read_lines(path: Path) -> Iterator[bytes]:
    """The lines of a file, unpacked if it is gzipped, in the memory of one: no line is longer than LONGEST."""
    if not path.exists():
        raise MixlingError(
            f"{path}: no such file; check the path, or set MIXLING_DATA to the folder that holds it"
        )
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        source = gzip.GzipFile(fileobj=file) if packed else file
        number = 0
        try:
            while line := source.readline(LONGEST + 1):
                number += 1
                if len(line) > LONGEST:
                    raise BadRow(
                        path, number, "line", line[:20], f"{LONGEST:,} bytes at most", "cut it up"
                    )
                if packed and number % 8192 == 0:
                    _bounded(path, source.tell(), ALWAYS + RATIO * file.tell())
                yield line
        except (OSError, EOFError) as error:
            raise MixlingError(f"{path}: cannot be read ({error}); fetch it again") from None


def read_json_lines(path: Path, skipped: Skipped) -> Iterator[tuple[int, dict]]:
    """Line number and object of each line that is not empty."""
    for number, raw in enumerate(read_lines(path), 1):
        if not raw.strip():
            continue
        try:
            text = decode_text(raw, path, number)
            row = json.loads(text)
        except BadRow as bad:
            skipped(bad)
            continue
        except json.JSONDecodeError as error:
            expected = f"one JSON object a line ({error.msg})"
            skipped(BadRow(path, number, "json", error.doc.strip(), expected, "mend the line"))
            continue
        except RecursionError:
            skipped(
                BadRow(path, number, "json", raw[:20], "JSON that is not so deep", "mend the line")
            )
            continue
        if not isinstance(row, dict):
            skipped(
                BadRow(path, number, "json", row, "a JSON object", 'write {"_id": …, "text": …}')
            )
            continue
        if has_lone_surrogate(text, row):
            skipped(_half(path, number, text[:40]))
            continue
        yield number, row


@contextmanager
def explain_read_errors(path: Path | str) -> Iterator[None]:
    """Turns what pyarrow or NumPy says of a file that it cannot read, or not as expected, into a MixlingError."""
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
            f"{path}: cannot be read ({type(error).__name__}: {first}); fetch or write it again"
        ) from None


def parse_record(
    raw: bytes, where: Path | str, needed: Mapping[str, type | tuple[type, ...]]
) -> dict[str, Any]:
    """A JSON object that Mixling wrote, with fields of these types. Raises MixlingError."""
    try:
        content = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise MixlingError(
            f"{where}: not JSON ({error}); fetch it again, or make it anew"
        ) from None
    if not isinstance(content, dict):
        raise MixlingError(f"{where}: not a JSON object; fetch it again, or make it anew")
    for name, kind in needed.items():
        if (
            name not in content
            or not isinstance(content[name], kind)
            or isinstance(content[name], bool)
        ):
            raise MixlingError(
                f"{where}: field '{name}' is {repr(content.get(name))[:80]}; Mixling writes another kind there. Fetch the file "
                "again, or make it anew"
            )
    return content


def open_parquet(path: Path) -> pq.ParquetFile:
    """A Parquet file to be read by parts. Raises MixlingError."""
    if not path.is_file():
        raise MixlingError(
            f"{path}: no such file; check the path, or set MIXLING_DATA to the folder that holds it"
        )
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise MixlingError(
            f"{path}: not a Parquet file ({error}); fetch or write it again"
        ) from None


def read_parquet(path: Path, columns: Iterable[str] = ()) -> pa.Table:
    """A Parquet file that has some columns (and maybe others). Raises MixlingError."""
    with explain_read_errors(path):
        table = open_parquet(path).read()
    wanted = list(columns)
    for column in wanted:
        if column not in table.column_names:
            raise MixlingError(
                f"{path}: no column '{column}'; there are: {', '.join(table.column_names)}; expected "
                f"{', '.join(wanted)}"
            )
    return table


def text_field(row: Any, field: str, path: Path | str, line: int | str) -> str:
    """A field of an object that must hold words. Raises BadRow."""
    if not isinstance(row, dict):
        raise BadRow(
            path, line, field, row, f"an object with '{field}'", "mend the row or leave it out"
        )
    value = row.get(field)
    if not isinstance(value, str) or not value.strip():
        raise BadRow(
            path,
            line,
            field,
            value,
            "text that is not empty",
            f"fill '{field}' or leave the row out",
        )
    return value


def iter_objects(
    found: Any, field: str, path: Path | str, line: int | str, skipped: Skipped
) -> Iterator[tuple[int, dict]]:
    """Number, from 0, and object of each entry of a list that stands at a field; what is no object is skipped."""
    if not isinstance(found, list):
        skipped(BadRow(path, line, field, found, "a list of objects", "mend it or leave it out"))
        return
    for number, entry in enumerate(found):
        if isinstance(entry, dict):
            yield number, entry
        else:
            skipped(
                BadRow(
                    path, line, f"{field}[{number}]", entry, "an object", "mend it or leave it out"
                )
            )


def write_text(path: Path, text: str) -> None:
    """Write a file under a temporary name and rename it: it is complete or absent."""
    with new_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_array(path: Path, array: np.ndarray) -> None:
    """Write a .npy file under a temporary name and rename it: it is complete or absent."""
    with new_file(path) as temporary, temporary.open("wb") as out:
        np.save(out, array)


def read_array(path: Path) -> np.ndarray:
    """A .npy file; objects, which would be unpickled, are refused, and what its head claims must be there. Raises MixlingError."""
    with explain_read_errors(path):
        return np.array(np.load(path, mmap_mode="r", allow_pickle=False))


def open_run_dir(
    folder: Path,
    job: dict[str, Any],
    name: str = "job.json",
    migrate: Callable[[dict], dict] | None = None,
) -> bool:
    """Begin a job in a folder, or see that the folder holds this very job, which then goes on: whether it begins. older: reads a
    job that an earlier version wrote, with what it lacks. Raises MixlingError."""
    path, job = folder / name, json.loads(json.dumps(job))
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        before = before if migrate is None else migrate(before)
        # a job that nobody has migrated may lack what newer versions keep
        known = before if migrate is None else {**before, **job}
        wrong = [k for k in known if before.get(k) != job.get(k)]
        if wrong:
            raise MixlingError(
                f"{folder}: holds a run of another configuration ({', '.join(wrong)}); choose another --out or remove "
                "the folder"
            )
        _not_known(folder, before, job)
        return False
    if folder.exists() and any(p.name != LOCK for p in folder.iterdir()):
        raise MixlingError(f"{folder}: is not empty and holds no run; choose another --out")
    write_text(path, json.dumps(job, indent=1, ensure_ascii=False))
    return True


def _not_known(folder: Path, before: dict[str, Any], job: dict[str, Any]) -> None:
    lacking = [k for k in job if k not in before]
    if lacking:
        print(
            f"mixling: {folder}: an earlier version began it and did not keep {', '.join(lacking)}, which may differ",
            file=sys.stderr,
        )


def finished_report(report: Path, job: dict[str, Any], what: str) -> dict[str, Any] | None:
    """The report of a job that is done, None where its folder is not there yet. Raises MixlingError where the folder holds
    something else. what: "mined", "translated"."""
    folder = report.parent
    if report.exists():
        done = json.loads(report.read_text(encoding="utf-8"))
        wrong = [k for k, v in job.items() if done.get(k, v) != v]
        if wrong:
            raise MixlingError(
                f"{folder}: holds what another call {what} ({', '.join(wrong)}); choose another --out or remove it"
            )
        _not_known(folder, done, job)
        return done
    if folder.exists():
        raise MixlingError(f"{folder}: exists already and was not {what}; choose another --out")
    return None


def find_file(folder: Path, *names: str) -> Path | None:
    """The first of `names` in `folder`, plain or with .gz, in upper or lower case."""
    there = (
        {p.name.lower(): p for p in sorted(folder.iterdir(), reverse=True)}
        if folder.is_dir()
        else {}
    )
    for name in names:
        for path in (folder / name, folder / f"{name}.gz"):
            if path.exists() or path.name.lower() in there:
                return path if path.exists() else there[path.name.lower()]
    return None
