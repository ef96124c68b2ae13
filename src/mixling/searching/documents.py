"""Documents as they lie about: JSON lines, Parquet, BEIR folders, folders of text, Markdown, HTML and PDF.

A row has `text` and, if known, `_id` (or `id`), `title`, `language`, `url`, `group`; what else it has is kept as metadata.
In a folder a file is a document, its path below the folder its id. What cannot be read is counted and named.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mixling.corpora.files import (
    find,
    json_lines,
    parquet_file,
    raw_lines,
    readable,
    text_field,
    title_field,
    whole,
)
from mixling.corpora.languages import said, tag_field
from mixling.errors import BadRow, MixlingError, Skipped

KINDS = (".txt", ".md", ".html", ".htm", ".pdf")
LARGEST = 64 << 20  # bytes of one file


@dataclass(frozen=True)
class Document:
    """language: BCP-47 or None where it is not given; group: documents of one group say the same; address: path or URL."""

    id: str
    text: str
    title: str = ""
    language: str | None = None
    address: str = ""
    group: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)

    def digest(self) -> str:
        """A hash of all that it says."""
        said = json.dumps(
            [self.text, self.title, self.language, self.address, self.group, self.metadata],
            ensure_ascii=False,
            sort_keys=True,
            default=str,
        )
        return hashlib.blake2b(said.encode(), digest_size=16).hexdigest()


def documents(path: Path, skipped: Skipped, language: str | None = None) -> tuple[int, Iterator[Document]]:
    """How many there are, and each. language: of those that do not say theirs. Raises MixlingError."""
    if path.is_dir():
        found = find(path, "corpus.jsonl", "corpus.parquet")
        if found is None:
            return _folder(path, skipped, language)
        path = found
    if not path.exists():
        raise MixlingError(
            f"{path}: no such file or folder; give a .jsonl or .parquet file, or a folder of documents"
        )
    if path.suffix == ".parquet":
        return parquet_file(path).metadata.num_rows, _rows(path, _parquet(path), skipped, language)
    if ".jsonl" in path.name:
        return sum(1 for _ in raw_lines(path)), _rows(path, json_lines(path, skipped), skipped, language)
    if path.suffix in KINDS:
        return 1, _files([path], path.parent, skipped, language)
    raise MixlingError(
        f"{path}: not a kind that is read; there are .jsonl, .parquet, {', '.join(KINDS)}, and folders"
    )


def _parquet(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    line, batches = 0, parquet_file(path).iter_batches(1024)
    while True:
        with readable(path):
            batch = next(batches, None)
            rows = [] if batch is None else batch.to_pylist()
        if batch is None:
            return
        for row in rows:
            line += 1
            yield line, row


def _rows(
    path: Path, rows: Iterator[tuple[int, dict[str, Any]]], skipped: Skipped, language: str | None
) -> Iterator[Document]:
    known = ("_id", "id", "text", "title", "language", "lang", "url", "address", "group")
    for line, row in rows:
        try:
            text, title = text_field(row, "text", path, line), title_field(row, "title", path, line)
            written = said(row.get("language"), row.get("lang"), language)
            code = None if written is None else tag_field(written, "language", path, line)
        except BadRow as bad:
            skipped(bad)
            continue
        key = row.get("_id", row.get("id"))
        yield Document(
            str(key) if key is not None else f"{path.name}:{line}",
            text,
            title or "",
            code,
            str(row.get("url") or row.get("address") or ""),
            None if row.get("group") is None else str(row["group"]),
            {k: v for k, v in row.items() if k not in known and v is not None},
        )


def _folder(path: Path, skipped: Skipped, language: str | None) -> tuple[int, Iterator[Document]]:
    paths = sorted(p for p in path.rglob("*") if p.is_file() and p.suffix.lower() in KINDS)
    if not paths:
        raise MixlingError(f"{path}: holds no corpus.jsonl and no files of {', '.join(KINDS)}")
    return len(paths), _files(paths, path, skipped, language)


def _files(paths: list[Path], root: Path, skipped: Skipped, language: str | None) -> Iterator[Document]:
    for path in paths:
        name = path.relative_to(root).as_posix()
        try:
            if path.stat().st_size > LARGEST:
                raise BadRow(path, 1, "file", path.stat().st_size, f"{LARGEST} bytes at most", "cut it up")
            title, text = _read(path)
            if not text.strip():
                raise BadRow(path, 1, "text", "", "words", "a scanned page needs text recognition first")
        except BadRow as bad:
            skipped(bad)
            continue
        yield Document(whole(name), whole(text), whole(title), language, path.resolve().as_uri())


def _read(path: Path) -> tuple[str, str]:
    """Title and text of a file. Raises BadRow."""
    kind = path.suffix.lower()
    if kind == ".pdf":
        return _pdf(path)
    try:
        raw = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadRow(path, 1, "text", str(error), "UTF-8", "save the file as UTF-8") from None
    if kind in (".html", ".htm"):
        return _html(path, raw)
    first = raw.lstrip().partition("\n")[0].strip()
    title = first.lstrip("# ").strip() if kind == ".md" and first.startswith("#") else path.stem
    return title, raw


def _html(path: Path, raw: str) -> tuple[str, str]:
    try:
        import trafilatura
    except ImportError:
        raise MixlingError("trafilatura is not installed: pip install 'mixling[search]'") from None
    found = trafilatura.bare_extraction(raw, include_comments=False, favor_recall=True, with_metadata=True)
    if found is None:
        raise BadRow(path, 1, "html", raw[:40], "a page with text", "save the page's text")
    said: dict[str, Any] = found if isinstance(found, dict) else found.as_dict()
    return str(said.get("title") or path.stem), str(said.get("text") or "")


def _pdf(path: Path) -> tuple[str, str]:
    try:
        import pypdf
    except ImportError:
        raise MixlingError("pypdf is not installed: pip install 'mixling[search]'") from None
    try:
        reader = pypdf.PdfReader(path)
        text, size = [], 0
        for page in reader.pages:
            text.append(page.extract_text() or "")
            size += len(text[-1])
            if size > LARGEST:
                raise BadRow(path, 1, "pdf", size, f"{LARGEST} characters at most", "cut it up")
        title = str((reader.metadata.title if reader.metadata else None) or path.stem)
    except BadRow:
        raise
    except Exception as error:  # whatever a broken file makes the reader raise
        raise BadRow(
            path, 1, "pdf", type(error).__name__, "a PDF that can be read", "save it again"
        ) from None
    return title, "\n".join(text)
