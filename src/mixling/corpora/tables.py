"""Rows of a file in any of the forms that data come in: JSON lines, JSON, CSV, TSV, Parquet, packed by gzip or not."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mixling.corpora.files import (
    LONGEST,
    decode_text,
    explain_read_errors,
    find_file,
    open_parquet,
    read_lines,
    read_text,
)
from mixling.corpora.json_files import read_json, read_json_lines
from mixling.corpora.values import iter_objects
from mixling.errors import BadRow, MixlingError, Skipped

LINES = (".jsonl", ".ndjson")
# suffixes of files that hold rows with named fields
ROWS = (*LINES, ".parquet", ".json", ".csv", ".tsv")
Row = tuple[int, dict[str, Any]]


def data_suffix(path: Path) -> str:
    """A file's suffix in lower case, that below .gz where it is packed: `A.JSONL.gz` -> .jsonl."""
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix


def find_rows(folder: Path, name: str) -> Path | None:
    """The file of rows that is called so in a folder. Raises MixlingError where there are two."""
    found = [p for p in (find_file(folder, name + kind) for kind in ROWS) if p is not None]
    if len(found) > 1:
        raise MixlingError(
            f"{folder}: has {' and '.join(p.name for p in found)}; keep the one that is meant and remove the others"
        )
    return found[0] if found else None


def read_rows(path: Path, skipped: Skipped) -> Iterator[Row]:
    """Number and content of each row of a file: its line, its place in a list or table. Raises MixlingError."""
    kind = data_suffix(path)
    if kind in LINES:
        yield from read_json_lines(path, skipped)
    elif kind == ".parquet":
        yield from _parquet(path)
    elif kind == ".json":
        yield from _json(path, skipped)
    elif kind in (".csv", ".tsv"):
        yield from _csv(path, "," if kind == ".csv" else "\t", skipped)
    else:
        raise MixlingError(f"{path}: not a file of rows; those end in {', '.join(ROWS)}")


def _parquet(path: Path) -> Iterator[Row]:
    number, batches = 0, open_parquet(path).iter_batches(1024)
    while True:
        with explain_read_errors(path):
            batch = next(batches, None)
            found = [] if batch is None else batch.to_pylist()
        if batch is None:
            return
        for row in found:
            number += 1
            yield number, row


def _json(path: Path, skipped: Skipped) -> Iterator[Row]:
    """A list of objects, one in the field `data`, one object, or objects line by line (as many tools call JSON lines)."""
    text = read_text(path).strip()
    first, _, rest = text.partition("\n")
    if rest.strip() and first.startswith("{") and first.rstrip().endswith("}"):
        yield from read_json_lines(path, skipped)
        return
    content = read_json(path)
    if isinstance(content, dict) and "data" not in content:
        content = [content]
    found = content["data"] if isinstance(content, dict) else content
    yield from ((n + 1, row) for n, row in iter_objects(found, "data", path, 1, skipped))


def _csv(path: Path, delimiter: str, skipped: Skipped) -> Iterator[Row]:
    """The first line names the columns; a text with the delimiter, quotes or line breaks in it stands in quotes."""
    csv.field_size_limit(LONGEST)
    lines = (decode_text(raw, path, number) for number, raw in enumerate(read_lines(path), 1))
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    header: list[str] = []
    try:
        for cells in reader:
            line = reader.line_num
            if not header:
                header = [c.strip() for c in cells]
                if len(set(header)) < len(header):
                    raise BadRow(
                        path, line, "header", header, "columns of different names", "rename one"
                    )
            elif len(cells) == len(header):
                yield line, dict(zip(header, cells, strict=True))
            elif cells:
                expected = f"{len(header)} columns ({', '.join(header)})"
                skipped(
                    BadRow(
                        path, line, "line", cells, expected, "put a text with a delimiter in quotes"
                    )
                )
    except csv.Error as error:
        expected = f"a table with quotes that close ({error})"
        raise BadRow(path, reader.line_num, "line", header, expected, "mend the quotes") from None
