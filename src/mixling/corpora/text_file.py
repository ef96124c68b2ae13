"""A file of texts that is read shard by shard.

A shard is read in constant memory and without reading those before it. The file is *.jsonl or
*.parquet with the fields `text` and, if there are any, `_id` or `id`, `title`, `language` and
`group`; or *.txt (or no suffix) with one text a line; or a BEIR folder, whose corpus file is read.
Other files are refused, because their lines are no texts. Blank lines are no texts. A row without
an id gets its number, from 0.
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
from mixling.corpora.values import first_text, passage_text, value_text
from mixling.errors import BadRowError, MixlingError

_PLAIN_TEXT = (".txt", "")
_COLUMNS = ("_id", "id", "text", "title", "language", "group")


@dataclass(frozen=True)
class TextFile:
    """A file of texts and the places of its shards.

    Args:
        path: The file.
        n_texts: Number of its texts.
        shard_size: Number of texts of each shard but the last.
        starts: Byte offset of the first line of each shard (Parquet: its first row), and of the
            end.
        lines: Number of the first line of each shard; empty for Parquet.
    """

    path: Path
    n_texts: int
    shard_size: int
    starts: tuple[int, ...]
    lines: tuple[int, ...] = ()

    @property
    def n_shards(self) -> int:
        """Number of shards."""
        return len(self.starts) - 1

    def read_shard(self, number: int) -> tuple[list[str], list[str], dict[str, list[Any]]]:
        """Read one shard.

        Args:
            number: The shard, from 0.

        Returns:
            Ids; texts; and further columns that hold any value: language (BCP-47), group, and
            title.

        Raises:
            BadRowError: A row has no text, or some rows have ids and others have none.
            MixlingError: The file cannot be read.
        """
        ids, texts = list[str](), list[str]()
        columns: dict[str, list[Any]] = {"language": [], "group": [], "title": []}
        has_ids = None
        for line, row in self._numbered_rows(number):
            text, title = passage_text(row, self.path, line)
            key = first_text(row, ("_id", "id"), self.path, line)
            if has_ids is not None and has_ids != (key is not None):
                expected, fix = "an id in every row or in none", "give every row an _id"
                raise BadRowError(self.path, line, "_id", key, expected, fix)
            has_ids = key is not None
            language = first_known_language(row.get("language"), row.get("lang"))
            ids.append(str(line - 1) if key is None else key)
            texts.append(text)
            columns["language"].append(
                None if language is None else language_field(language, "language", self.path, line)
            )
            columns["group"].append(value_text(row.get("group"), "group", self.path, line))
            columns["title"].append(title)
        columns = {
            name: values
            for name, values in columns.items()
            if any(value is not None for value in values)
        }
        return ids, texts, columns

    def _numbered_rows(self, number: int) -> Iterable[Row]:
        """Return the rows of a shard, each with its number in the file, from 1."""
        begin, end = self.starts[number], self.starts[number + 1]
        if self.path.suffix.lower() == ".parquet":
            return enumerate(_read_parquet_rows(self.path, begin, end), begin + 1)
        with self.path.open("rb") as source:
            source.seek(begin)
            raw = source.read(end - begin)
        lines = enumerate(raw.split(b"\n"), self.lines[number])
        return ((line, self._parse_line(text, line)) for line, text in lines if text.strip())

    def _parse_line(self, line: bytes, number: int) -> dict[str, Any]:
        """Return the row that a line holds; raise BadRowError if it holds none."""
        text = decode_text(line, self.path, number).rstrip("\r")
        if self.path.suffix.lower() in _PLAIN_TEXT:
            return {"text": text}
        try:
            row = json.loads(text)
            if has_lone_surrogate(text, row):
                raise ValueError("a lone surrogate")
        except (ValueError, RecursionError) as error:
            fix = "correct the line, or save the file as UTF-8"
            raise BadRowError(
                self.path, number, "text", line[:40], f"a line of JSON in UTF-8 ({error})", fix
            ) from None
        if not isinstance(row, dict):
            raise BadRowError(
                self.path, number, "json", line[:40], "an object with `text`", 'write {"text": …}'
            )
        return row


def open_text_file(path: str | Path, shard_size: int) -> TextFile:
    """Find the shards of a file of texts, in one pass over its lines.

    Args:
        path: The file, or a BEIR folder.
        shard_size: Number of texts a shard.

    Returns:
        The file with the places of its shards.

    Raises:
        MixlingError: The file is not there, has another form, is packed, or holds no texts.
    """
    path = Path(path)
    if path.is_dir():
        path = find_rows(path, "corpus") or path / "corpus.jsonl"
    if not path.is_file():
        raise MixlingError(
            f"{path}: the file does not exist. Give a .jsonl, .parquet or text file, or a BEIR "
            "folder."
        )
    suffix = path.suffix.lower()
    if suffix in (".gz", ".zst", ".bz2"):
        raise MixlingError(
            f"{path}: the file is packed, and shards cannot be read from a packed file. Unpack "
            "it first."
        )
    if suffix not in (".jsonl", ".parquet", *_PLAIN_TEXT):
        fix = "rename it to .jsonl" if suffix in LINES else "write its rows as .jsonl or .parquet"
        raise MixlingError(
            f"{path}: found {suffix}, expected .jsonl, .parquet, or .txt with one text per line. "
            f"{fix[0].upper()}{fix[1:]}."
        )
    if suffix == ".parquet":
        count = open_parquet(path).metadata.num_rows
        file = TextFile(path, count, shard_size, (*range(0, count, shard_size), count))
    else:
        file = _find_line_shards(path, shard_size)
    if not file.n_texts:
        raise MixlingError(f"{path}: the file holds no texts. Give a file with texts.")
    return file


def _find_line_shards(path: Path, shard_size: int) -> TextFile:
    """Find the shards of a file of lines."""
    starts, lines, count, offset = list[int](), list[int](), 0, 0
    with path.open("rb") as source:
        for number, line in enumerate(source, 1):
            if line.strip():
                if count % shard_size == 0:
                    starts.append(offset)
                    lines.append(number)
                count += 1
            offset += len(line)
    return TextFile(path, count, shard_size, (*starts, offset), tuple(lines))


def _read_parquet_rows(path: Path, begin: int, end: int) -> list[dict[str, Any]]:
    """Read rows `begin` to `end` of a Parquet file, from the row groups that hold them alone."""
    file = open_parquet(path)
    columns = [name for name in _COLUMNS if name in file.schema_arrow.names]
    groups, first_row, group_start = list[int](), 0, 0
    for number in range(file.num_row_groups):
        size = file.metadata.row_group(number).num_rows
        if group_start < end and group_start + size > begin:
            if not groups:
                first_row = group_start
            groups.append(number)
        group_start += size
    with explain_read_errors(path):
        table = file.read_row_groups(groups, columns=columns)
        rows: list[dict[str, Any]] = table.slice(begin - first_row, end - begin).to_pylist()
        return rows
