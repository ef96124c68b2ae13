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

from mixling.corpora.files import decoded, parquet_file, raw_lines, whole
from mixling.corpora.languages import said, tag_field
from mixling.corpora.tables import ROWS, find_rows, rows, suffix
from mixling.corpora.values import first_text, missing, passage_text, value_text
from mixling.errors import BadRow, MixlingError, Skipped

KINDS = (".txt", ".md", ".html", ".htm", ".pdf")
LARGEST = 64 << 20  # bytes of one file


@dataclass(frozen=True)
class Document:
    """language: BCP-47 or None where it is not given; group: documents of one group say the same; address: path or URL.
    said: the title where a model reads it before the text: not the name of a file, nor the heading of a Markdown file, with which
    its text begins."""

    id: str
    text: str
    title: str = ""
    language: str | None = None
    address: str = ""
    group: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    said: str = ""

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
        found = find_rows(path, "corpus")
        if found is None:
            return _folder(path, skipped, language)
        path = found
    if not path.exists():
        raise MixlingError(
            f"{path}: no such file or folder; give a .jsonl or .parquet file, or a folder of documents"
        )
    kind = suffix(path)
    if kind == ".parquet":
        return parquet_file(path).metadata.num_rows, _rows(path, rows(path, skipped), skipped, language)
    if kind in ROWS:
        return sum(1 for _ in raw_lines(path)), _rows(path, rows(path, skipped), skipped, language)
    if path.suffix.lower() in KINDS:
        return 1, _files([path], path.parent, skipped, language)
    raise MixlingError(
        f"{path}: not a kind that is read; there are {', '.join((*ROWS, *KINDS))}, and folders"
    )


def _rows(
    path: Path, found: Iterator[tuple[int, dict[str, Any]]], skipped: Skipped, language: str | None
) -> Iterator[Document]:
    known = ("_id", "id", "text", "title", "language", "lang", "url", "address", "group")
    for line, row in found:
        try:
            text, title = passage_text(row, path, line)
            written = said(row.get("language"), row.get("lang"), language)
            code = None if written is None else tag_field(written, "language", path, line)
            key = first_text(row, ("_id", "id"), path, line) or f"{path.name}:{line}"
            address = first_text(row, ("url", "address"), path, line) or ""
            group = value_text(row.get("group"), "group", path, line)
        except BadRow as bad:
            skipped(bad)
            continue
        more = {k: v for k, v in row.items() if k not in known and not missing(v)}
        yield Document(key, text, title or "", code, address, group, more, title or "")


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
            title, text, said = _read(path)
            if not text.strip():
                raise BadRow(path, 1, "text", "", "words", "a scanned page needs text recognition first")
        except BadRow as bad:
            skipped(bad)
            continue
        address = path.resolve().as_uri()
        yield Document(whole(name), whole(text), whole(title), language, address, said=whole(said))


def _read(path: Path) -> tuple[str, str, str]:
    """Title (its name where it has none), text, and what is read before the text of a file. Raises BadRow."""
    kind = path.suffix.lower()
    if kind == ".pdf":
        return _pdf(path)
    raw = decoded(path.read_bytes(), path)
    if kind in (".html", ".htm"):
        return _html(path, raw)
    first = raw.lstrip().partition("\n")[0].strip()
    title = first.lstrip("# ").strip() if kind == ".md" and first.startswith("#") else path.stem
    return title, raw, ""


def _html(path: Path, raw: str) -> tuple[str, str, str]:
    try:
        import trafilatura
    except ImportError:
        raise MixlingError("trafilatura is not installed: pip install 'mixling[search]'") from None
    found = trafilatura.bare_extraction(raw, include_comments=False, favor_recall=True, with_metadata=True)
    if found is None:
        raise BadRow(path, 1, "html", raw[:40], "a page with text", "save the page's text")
    said: dict[str, Any] = found if isinstance(found, dict) else found.as_dict()
    title = str(said.get("title") or "")
    return title or path.stem, str(said.get("text") or ""), title


def _pdf(path: Path) -> tuple[str, str, str]:
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
        title = str((reader.metadata.title if reader.metadata else None) or "")
    except BadRow:
        raise
    except Exception as error:  # whatever a broken file makes the reader raise
        raise BadRow(
            path, 1, "pdf", type(error).__name__, "a PDF that can be read", "save it again"
        ) from None
    return title or path.stem, "\n".join(text), title
