"""Documents as they lie about: JSON lines, Parquet, BEIR folders, folders of text, Markdown, HTML and PDF.

A row has `text` and, if known, `_id` (or `id`), `title`, `language`, `url`, `group`; what else it has is kept as metadata.
In a folder a file is a document, its path below the folder its id. What cannot be read is counted and named, and files of other
kinds and hidden ones are counted by suffix.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mixling.corpora.files import decode_text, open_parquet, read_lines, replace_surrogates
from mixling.corpora.languages import first_known_language, language_field
from mixling.corpora.tables import ROWS, data_suffix, find_rows, read_rows
from mixling.corpora.values import first_text, is_missing, passage_text, value_text
from mixling.errors import BadRow, MixlingError, Skipped

SUFFIXES = (".txt", ".md", ".markdown", ".rst", ".html", ".htm", ".pdf")
HIDDEN = "hidden"
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


def open_documents(
    path: Path, skipped: Skipped, language: str | None = None
) -> tuple[int, Iterator[Document]]:
    """How many there are, and each. language: of those that do not say theirs. Raises MixlingError."""
    if path.is_dir():
        found = find_rows(path, "corpus")
        if found is None:
            return _folder(path, skipped, language)
        _beside(path, found, skipped)
        path = found
    if not path.exists():
        raise MixlingError(
            f"{path}: no such file or folder; give a .jsonl or .parquet file, or a folder of documents"
        )
    kind = data_suffix(path)
    if kind == ".parquet":
        return open_parquet(path).metadata.num_rows, _rows(
            path, read_rows(path, skipped), skipped, language
        )
    if kind in ROWS:
        return sum(1 for _ in read_lines(path)), _rows(
            path, read_rows(path, skipped), skipped, language
        )
    if path.suffix.lower() in SUFFIXES:
        return 1, _files([path], path.parent, skipped, language)
    raise MixlingError(
        f"{path}: not a kind that is read; there are {', '.join((*ROWS, *SUFFIXES))}, and folders"
    )


def _rows(
    path: Path, found: Iterator[tuple[int, dict[str, Any]]], skipped: Skipped, language: str | None
) -> Iterator[Document]:
    known = ("_id", "id", "text", "title", "language", "lang", "url", "address", "group")
    for line, row in found:
        try:
            text, title = passage_text(row, path, line)
            written = first_known_language(row.get("language"), row.get("lang"), language)
            code = None if written is None else language_field(written, "language", path, line)
            key = first_text(row, ("_id", "id"), path, line) or f"{path.name}:{line}"
            address = first_text(row, ("url", "address"), path, line) or ""
            group = value_text(row.get("group"), "group", path, line)
        except BadRow as bad:
            skipped(bad)
            continue
        more = {k: v for k, v in row.items() if k not in known and not is_missing(v)}
        yield Document(key, text, title or "", code, address, group, more, title or "")


def _folder(path: Path, skipped: Skipped, language: str | None) -> tuple[int, Iterator[Document]]:
    paths = [p for p in _walk(path, skipped) if _wanted(p, skipped)]
    if not paths:
        there = f" (it has {named(skipped.left_out)})" if skipped.left_out else ""
        raise MixlingError(
            f"{path}: holds no corpus.jsonl and no files of {', '.join(SUFFIXES)}{there}"
        )
    return len(paths), _files(paths, path, skipped, language)


def _beside(folder: Path, read: Path, skipped: Skipped) -> None:
    """Count what lies beside a collection's file of passages, but for its questions and judgments."""
    for path in _walk(folder, skipped):
        inside = path.relative_to(folder).parts[0].lower()
        if path != read and not inside.startswith(("queries", "qrels")):
            skipped.leave_out(_suffix(path))


def _walk(folder: Path, skipped: Skipped) -> list[Path]:
    """The files below a folder, sorted. Hidden ones are counted; links to folders are skipped, since they may lead back or out."""

    def unreadable(error: OSError) -> None:
        skipped(_not_read(Path(error.filename or folder), error))

    found: list[Path] = []
    for place, folders, files in os.walk(folder, onerror=unreadable):
        here = Path(place)
        hidden = any(x.startswith(".") for x in here.relative_to(folder).parts)
        for name in list(folders):
            if (here / name).is_symlink():
                folders.remove(name)
                if hidden or name.startswith("."):
                    skipped.leave_out(HIDDEN)
                else:
                    expected, fix = (
                        "a folder, not a link to one",
                        "give that folder to a call of its own",
                    )
                    skipped(
                        BadRow(here / name, 1, "link", str((here / name).readlink()), expected, fix)
                    )
        shown = [] if hidden else [x for x in files if not x.startswith(".")]
        if len(shown) < len(files):
            skipped.leave_out(HIDDEN, len(files) - len(shown))
        found += [here / x for x in shown]
    return sorted(found)


def _wanted(path: Path, skipped: Skipped) -> bool:
    """Whether a file is of a kind that is read; else it is counted."""
    if path.suffix.lower() in SUFFIXES:
        return True
    skipped.leave_out(_suffix(path))
    return False


def _suffix(path: Path) -> str:
    return path.suffix.lower() or "without suffix"


def named(left_out: dict[str, int]) -> str:
    """Files that are not read, in words: 2 .csv, 1 hidden."""
    return ", ".join(f"{n:,} {what}" for what, n in sorted(left_out.items()))


def _not_read(path: Path, error: OSError) -> BadRow:
    return BadRow(
        path,
        1,
        "file",
        error.strerror or str(error),
        "a file that can be read",
        "check it and its rights",
    )


def _files(
    paths: list[Path], root: Path, skipped: Skipped, language: str | None
) -> Iterator[Document]:
    for path in paths:
        name = path.relative_to(root).as_posix()
        try:
            if not stat.S_ISREG(path.stat().st_mode):
                raise BadRow(
                    path, 1, "file", "no regular file", "a file", "remove it, or write a file"
                )
            if path.stat().st_size > LARGEST:
                raise BadRow(
                    path, 1, "file", path.stat().st_size, f"{LARGEST} bytes at most", "cut it up"
                )
            title, text, said = _read(path)
            if not text.strip():
                fix = (
                    "a scanned page needs text recognition first"
                    if path.suffix.lower() == ".pdf"
                    else "fill the file or remove it"
                )
                raise BadRow(path, 1, "text", "", "words", fix)
        except BadRow as bad:
            skipped(bad)
            continue
        except OSError as error:  # a link that leads nowhere or in a circle, no right to read
            skipped(_not_read(path, error))
            continue
        address = path.resolve().as_uri()
        yield Document(
            replace_surrogates(name),
            replace_surrogates(text),
            replace_surrogates(title),
            language,
            address,
            said=replace_surrogates(said),
        )


def _read(path: Path) -> tuple[str, str, str]:
    """Title (its name where it has none), text, and what is read before the text of a file. Raises BadRow."""
    kind = path.suffix.lower()
    if kind == ".pdf":
        return _pdf(path)
    raw = decode_text(path.read_bytes(), path)
    if kind in (".html", ".htm"):
        return _html(path, raw)
    first = raw.lstrip().partition("\n")[0].strip()
    title = (
        first.lstrip("# ").strip()
        if kind in (".md", ".markdown") and first.startswith("#")
        else path.stem
    )
    return title, raw, ""


def _html(path: Path, raw: str) -> tuple[str, str, str]:
    try:
        import trafilatura
    except ImportError:
        raise MixlingError("trafilatura is not installed: pip install 'mixling[search]'") from None
    found = trafilatura.bare_extraction(
        raw, include_comments=False, favor_recall=True, with_metadata=True
    )
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
