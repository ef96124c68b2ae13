"""A file of texts, read a shard at a time: constant memory, any shard without those before it.

*.jsonl with `text` (and `_id` or `id`, `title`, `language`, `group` if there are), *.parquet with such columns,
any other name: one text a line. A folder: its corpus.jsonl, as BEIR has it. A title stands before its text.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mixling.corpora.files import halved, parquet_file, readable
from mixling.errors import BadRow, MixlingError

_KEPT = ("language", "group")


@dataclass(frozen=True)
class TextFile:
    """rows: how many texts; starts: byte offset of each shard's first line (Parquet: row offset), and the end."""

    path: Path
    rows: int
    shard: int
    starts: tuple[int, ...]

    @property
    def shards(self) -> int:
        """How many shards there are."""
        return len(self.starts) - 1

    def read(self, number: int) -> tuple[list[str], list[str], dict[str, list[Any]]]:
        """Ids, texts and further columns (language, group) of a shard."""
        first = number * self.shard
        if self.path.suffix == ".parquet":
            rows = _parquet_rows(self.path, self.starts[number], self.starts[number + 1])
        else:
            with self.path.open("rb") as source:
                source.seek(self.starts[number])
                raw = source.read(self.starts[number + 1] - self.starts[number])
            lines = raw.split(b"\n")[: min(self.shard, self.rows - first)]
            rows = [self._row(line, first + i) for i, line in enumerate(lines)]
        ids, texts = [], []
        for i, row in enumerate(rows):
            ids.append(str(row.get("_id", row.get("id", first + i))))
            texts.append(_text(self.path, first + i + 1, row))
        return ids, texts, {k: [r.get(k) for r in rows] for k in _KEPT if any(k in r for r in rows)}

    def _row(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            text = line.decode("utf-8-sig" if number == 0 else "utf-8").rstrip("\r")
            row = json.loads(text) if self.path.suffix == ".jsonl" else {"text": text}
            if halved(text, row):
                raise ValueError("a lone surrogate")
        except (ValueError, RecursionError) as error:
            fix = "mend the line, or save the file as UTF-8"
            raise BadRow(
                self.path, number + 1, "text", line[:40], f"a line of JSON in UTF-8 ({error})", fix
            ) from None
        if not isinstance(row, dict):
            raise BadRow(
                self.path, number + 1, "json", line[:40], "an object with `text`", 'write {"text": …}'
            )
        return row


def text_file(path: str | Path, shard: int) -> TextFile:
    """Find the shards of a file, in one pass over its lines. Raises MixlingError."""
    path = Path(path)
    if path.is_dir():
        path = path / "corpus.jsonl"
    if not path.is_file():
        raise MixlingError(f"{path}: no such file; give a .jsonl, .parquet or text file, or a BEIR folder")
    if path.suffix in (".gz", ".zst", ".bz2"):
        raise MixlingError(f"{path}: is packed, and shards are read from their place; unpack it first")
    if path.suffix == ".parquet":
        rows = parquet_file(path).metadata.num_rows
        edges = (*range(0, rows, shard), rows)
    else:
        starts, rows, at = [], 0, 0
        with path.open("rb") as source:
            for line in source:
                if rows % shard == 0:
                    starts.append(at)
                rows, at = rows + 1, at + len(line)
        edges = (*starts, at)
    if not rows:
        raise MixlingError(f"{path}: holds no texts")
    return TextFile(path, rows, shard, edges)


def _parquet_rows(path: Path, begin: int, end: int) -> list[dict[str, Any]]:
    file = parquet_file(path)
    wanted = [n for n in ("_id", "id", "text", "title", *_KEPT) if n in file.schema_arrow.names]
    groups, at = [], 0
    first = None
    for number in range(file.num_row_groups):
        size = file.metadata.row_group(number).num_rows
        if at < end and at + size > begin:
            first = at if first is None else first
            groups.append(number)
        at += size
    with readable(path):
        table = file.read_row_groups(groups, columns=wanted)
        return table.slice(begin - (first or 0), end - begin).to_pylist()


def _text(path: Path, line: int, row: dict[str, Any]) -> str:
    text, title = row.get("text"), row.get("title")
    if not isinstance(text, str):
        raise BadRow(path, line, "text", text, "a text", 'give each row a column "text"')
    return f"{title} {text}" if title else text
