"""Rows of a file of JSON lines, JSON, CSV, TSV or Parquet, plain or packed by gzip."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
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
from mixling.errors import BadRowError, MixlingError, Skipped

LINES = (".jsonl", ".ndjson")
# suffixes of files that hold rows with named fields
ROWS = (*LINES, ".parquet", ".json", ".csv", ".tsv")
Row = tuple[int, dict[str, Any]]


def data_suffix(path: Path) -> str:
    """Return a file's suffix in lower case, without `.gz`: `A.JSONL.gz` gives `.jsonl`."""
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix


def find_rows(folder: Path, name: str) -> Path | None:
    """Return the file of rows that has a name in a folder.

    Args:
        folder: The folder.
        name: The name without its suffix; the suffix may be any of `ROWS`.

    Returns:
        The file; None if there is none.

    Raises:
        MixlingError: The folder has two such files.
    """
    paths = [p for p in (find_file(folder, name + suffix) for suffix in ROWS) if p is not None]
    if len(paths) > 1:
        raise MixlingError(
            f"{folder}: the folder has {' and '.join(p.name for p in paths)}. Keep one of them, "
            "and remove the others."
        )
    return paths[0] if paths else None


def read_rows(path: Path, skipped: Skipped, columns: Sequence[str] = ()) -> Iterator[Row]:
    """Yield the rows of a file.

    Args:
        path: The file; its suffix tells its form.
        skipped: Receives an error for each row that cannot be read.
        columns: Columns that a Parquet file must have; then no others are read. (): all.

    Yields:
        The number of the row, from 1 (its line, or its place in a list or table), and its fields.

    Raises:
        MixlingError: The file cannot be read, has another suffix, or lacks a column.
        BadRowError: A row cannot be read, and `skipped` does not skip bad rows.
    """
    suffix = data_suffix(path)
    if suffix in LINES:
        yield from read_json_lines(path, skipped)
    elif suffix == ".parquet":
        yield from _read_parquet(path, columns)
    elif suffix == ".json":
        yield from _read_json(path, skipped)
    elif suffix in (".csv", ".tsv"):
        yield from _read_csv(path, "," if suffix == ".csv" else "\t", skipped)
    else:
        raise MixlingError(
            f"{path}: this is not a file of rows. Expected a file that ends in {', '.join(ROWS)}."
        )


def _read_parquet(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    """Yield the rows of a Parquet file, a batch in memory at a time."""
    file = open_parquet(path)
    names = file.schema_arrow.names
    for column in columns:
        if column not in names:
            raise MixlingError(
                f"{path}: the file has no column '{column}'. Its columns are: "
                f"{', '.join(names)}. Expected {', '.join(columns)}."
            )
    number, batches = 0, file.iter_batches(1024, columns=list(columns) or None)
    while True:
        with explain_read_errors(path):
            batch = next(batches, None)
            rows = [] if batch is None else batch.to_pylist()
        if batch is None:
            return
        for row in rows:
            number += 1
            yield number, row


def _read_json(path: Path, skipped: Skipped) -> Iterator[Row]:
    """Yield the objects of a JSON file.

    The file holds a list of objects, an object with such a list in the field `data`, one object, or
    an object a line (many tools give JSON lines the suffix `.json`).
    """
    text = read_text(path).strip()
    first, _, further = text.partition("\n")
    if further.strip() and first.startswith("{") and first.rstrip().endswith("}"):
        yield from read_json_lines(path, skipped)
        return
    content = read_json(path)
    if isinstance(content, dict):
        content = content.get("data", [content])
    yield from ((n + 1, row) for n, row in iter_objects(content, "data", path, 1, skipped))


def _read_csv(path: Path, delimiter: str, skipped: Skipped) -> Iterator[Row]:
    """Yield the rows of a table whose first line names the columns.

    A text that holds the delimiter, quotes or line breaks stands in quotes.
    """
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
                    raise BadRowError(
                        path,
                        line,
                        "header",
                        header,
                        "columns of different names",
                        "rename one of the columns",
                    )
            elif len(cells) == len(header):
                yield line, dict(zip(header, cells, strict=True))
            elif cells:
                expected = f"{len(header)} columns ({', '.join(header)})"
                fix = "put a text with a delimiter in quotes"
                skipped(BadRowError(path, line, "line", cells, expected, fix))
    except csv.Error as error:
        expected = f"a table with quotes that close ({error})"
        raise BadRowError(
            path, reader.line_num, "line", header, expected, "correct the quotes"
        ) from None
