"""A file of texts, read a shard at a time: constant memory, any shard without those before it.

*.jsonl or *.parquet with `text` (and `_id` or `id`, `title`, `language`, `group` if there are), *.txt (or no suffix): one text a
line. A folder: its corpus file, as BEIR has it. Other files are refused: their lines are no texts. A title stands before its
text. Empty lines are no texts. A row without an id has its number, from 0.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mixling.corpora.files import decode_text, explain_read_errors, open_parquet
from mixling.corpora.json_files import has_lone_surrogate
from mixling.corpora.languages import first_known_language, language_field
from mixling.corpora.tables import LINES, Row, find_rows
from mixling.corpora.values import first_text, passage_text, value_text, with_title
from mixling.errors import BadRow, MixlingError

_TEXT = (".txt", "")


@dataclass(frozen=True)
class TextFile:
    """rows: how many texts; starts: byte offset of each shard's first line (Parquet: row offset), and the end; lines: the number
    of each shard's first line."""

    path: Path
    n_texts: int
    shard_size: int
    starts: tuple[int, ...]
    lines: tuple[int, ...] = ()

    @property
    def n_shards(self) -> int:
        """How many shards there are."""
        return len(self.starts) - 1

    def read_shard(self, number: int) -> tuple[list[str], list[str], dict[str, list[Any]]]:
        """Ids, texts (titles before them) and further columns (language, group; titled: whether it has a title) of a shard."""
        found = self._numbered(number)
        ids, texts = list[str](), list[str]()
        more: dict[str, list[Any]] = {"language": [], "group": [], "titled": []}
        named = None
        for line, row in found:
            text, title = passage_text(row, self.path, line)
            key = first_text(row, ("_id", "id"), self.path, line)
            if named is not None and named != (key is not None):
                raise BadRow(
                    self.path,
                    line,
                    "_id",
                    key,
                    "an id in every row or in none",
                    "give every row an _id",
                )
            named = key is not None
            language = first_known_language(row.get("language"), row.get("lang"))
            ids.append(str(line - 1) if key is None else key)
            texts.append(with_title(title, text))
            more["language"].append(
                None if language is None else language_field(language, "language", self.path, line)
            )
            more["group"].append(value_text(row.get("group"), "group", self.path, line))
            more["titled"].append(bool(title))
        return ids, texts, {k: v for k, v in more.items() if any(x not in (None, False) for x in v)}

    def _numbered(self, number: int) -> Iterable[Row]:
        begin, end = self.starts[number], self.starts[number + 1]
        if self.path.suffix.lower() == ".parquet":
            return enumerate(_parquet_rows(self.path, begin, end), begin + 1)
        with self.path.open("rb") as source:
            source.seek(begin)
            raw = source.read(end - begin)
        lines = enumerate(raw.split(b"\n"), self.lines[number])
        return ((line, self._row(text, line)) for line, text in lines if text.strip())

    def _row(self, line: bytes, number: int) -> dict[str, Any]:
        text = decode_text(line, self.path, number).rstrip("\r")
        if self.path.suffix.lower() in _TEXT:
            return {"text": text}
        try:
            row = json.loads(text)
            if has_lone_surrogate(text, row):
                raise ValueError("a lone surrogate")
        except (ValueError, RecursionError) as error:
            fix = "mend the line, or save the file as UTF-8"
            raise BadRow(
                self.path, number, "text", line[:40], f"a line of JSON in UTF-8 ({error})", fix
            ) from None
        if not isinstance(row, dict):
            raise BadRow(
                self.path, number, "json", line[:40], "an object with `text`", 'write {"text": …}'
            )
        return row


def open_text_file(path: str | Path, shard_size: int) -> TextFile:
    """Find the shards of a file, in one pass over its lines. Raises MixlingError."""
    path = Path(path)
    if path.is_dir():
        path = find_rows(path, "corpus") or path / "corpus.jsonl"
    if not path.is_file():
        raise MixlingError(
            f"{path}: no such file; give a .jsonl, .parquet or text file, or a BEIR folder"
        )
    kind = path.suffix.lower()
    if kind in (".gz", ".zst", ".bz2"):
        raise MixlingError(
            f"{path}: is packed, and shards are read from their place; unpack it first"
        )
    if kind not in (".jsonl", ".parquet", *_TEXT):
        fix = "rename it to .jsonl" if kind in LINES else "write its rows as .jsonl or .parquet"
        raise MixlingError(
            f"{path}: found {kind}, expected .jsonl, .parquet, or .txt with a text a line; {fix}"
        )
    if kind == ".parquet":
        count = open_parquet(path).metadata.num_rows
        found = TextFile(path, count, shard_size, (*range(0, count, shard_size), count))
    else:
        found = _by_lines(path, shard_size)
    if not found.n_texts:
        raise MixlingError(f"{path}: holds no texts")
    return found


def _by_lines(path: Path, shard: int) -> TextFile:
    """The shards of a file by the places of its lines."""
    starts, lines, count, at = list[int](), list[int](), 0, 0
    with path.open("rb") as source:
        for number, line in enumerate(source, 1):
            if line.strip():
                if count % shard == 0:
                    starts.append(at)
                    lines.append(number)
                count += 1
            at += len(line)
    return TextFile(path, count, shard, (*starts, at), tuple(lines))


def _parquet_rows(path: Path, begin: int, end: int) -> list[dict[str, Any]]:
    file = open_parquet(path)
    wanted = [
        n
        for n in ("_id", "id", "text", "title", "language", "group")
        if n in file.schema_arrow.names
    ]
    groups, at = [], 0
    first = None
    for number in range(file.num_row_groups):
        size = file.metadata.row_group(number).num_rows
        if at < end and at + size > begin:
            first = at if first is None else first
            groups.append(number)
        at += size
    with explain_read_errors(path):
        table = file.read_row_groups(groups, columns=wanted)
        return table.slice(begin - (first or 0), end - begin).to_pylist()
