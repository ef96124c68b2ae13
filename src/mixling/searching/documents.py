"""Reads documents: JSON lines, Parquet, BEIR folders, and folders of text, Markdown, HTML and PDF.

A row has `text` and, if known, `_id` (or `id`), `title`, `language`, `url`, `group`; its other
fields are kept as metadata. In a folder each file is a document, and its path below the folder is
its id. Files that cannot be read are counted and named. Hidden files and files with other suffixes
are counted by suffix.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mixling.corpora.files import decode_text, open_parquet, read_lines, replace_surrogates
from mixling.corpora.languages import first_known_language, language_field
from mixling.corpora.tables import ROWS, data_suffix, find_rows, read_rows
from mixling.corpora.values import first_text, is_missing, passage_text, value_text
from mixling.errors import BadRowError, MixlingError, Skipped, not_installed

SUFFIXES = (".txt", ".md", ".markdown", ".rst", ".html", ".htm", ".pdf")
HIDDEN = "hidden"
MAX_SIZE = 64 << 20  # bytes of a file, characters of a PDF's text
FIELDS = ("_id", "id", "text", "title", "language", "lang", "url", "address", "group")


@dataclass(frozen=True)
class Document:
    """A document.

    Attributes:
        id: Its id.
        text: Its text.
        title: Its title; the name of a file that has none.
        language: BCP-47; None where the document does not state it.
        address: Path or URL.
        group: Documents of the same group are translations of each other.
        metadata: The other fields of its row.
        embedded_title: The title that a model reads before the text. It is empty where the title is
            the name of a file, or the heading of a Markdown file, with which the text begins.
    """

    id: str
    text: str
    title: str = ""
    language: str | None = None
    address: str = ""
    group: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    embedded_title: str = ""

    def digest(self) -> str:
        """Return a hash of the document's content."""
        content = json.dumps(
            [self.text, self.title, self.language, self.address, self.group, self.metadata],
            ensure_ascii=False,
            sort_keys=True,
            default=str,
        )
        return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()


def open_documents(
    path: Path, skipped: Skipped, language: str | None = None
) -> tuple[int, Iterator[Document]]:
    """Open a source of documents.

    Args:
        path: A .jsonl or .parquet file, a BEIR folder, one document, or a folder of documents.
        skipped: Collects what cannot be read, or raises the first of it.
        language: Language of documents that do not state theirs.

    Returns:
        How many documents or rows there are, and an iterator over those that can be read.

    Raises:
        MixlingError: Nothing is there, or nothing that can be read.
    """
    if path.is_dir():
        corpus = find_rows(path, "corpus")
        if corpus is None:
            return _open_folder(path, skipped, language)
        _count_other_files(path, corpus, skipped)
        path = corpus
    if not path.exists():
        raise MixlingError(
            f"{path}: the file or folder does not exist. Give a .jsonl or .parquet file, or a "
            "folder of documents."
        )
    file_type = data_suffix(path)
    if file_type == ".parquet":
        total = open_parquet(path).metadata.num_rows
        return total, _read_rows(path, read_rows(path, skipped), skipped, language)
    if file_type in ROWS:
        total = sum(1 for _ in read_lines(path))
        return total, _read_rows(path, read_rows(path, skipped), skipped, language)
    if path.suffix.lower() in SUFFIXES:
        return 1, _read_files([path], path.parent, skipped, language)
    raise MixlingError(
        f"{path}: Mixling cannot read files of this type. Expected "
        f"{', '.join((*ROWS, *SUFFIXES))}, or a folder."
    )


def describe_left_out(left_out: Mapping[str, int]) -> str:
    """Return the files that are not read, in words: "2 .csv, 1 hidden"."""
    return ", ".join(f"{n:,} {name}" for name, n in sorted(left_out.items()))


def _read_rows(
    path: Path,
    numbered_rows: Iterator[tuple[int, dict[str, Any]]],
    skipped: Skipped,
    language: str | None,
) -> Iterator[Document]:
    for line, row in numbered_rows:
        try:
            text, title = passage_text(row, path, line)
            stated = first_known_language(row.get("language"), row.get("lang"), language)
            code = None if stated is None else language_field(stated, "language", path, line)
            document_id = first_text(row, ("_id", "id"), path, line) or f"{path.name}:{line}"
            address = first_text(row, ("url", "address"), path, line) or ""
            group = value_text(row.get("group"), "group", path, line)
        except BadRowError as bad:
            skipped(bad)
            continue
        metadata = {k: v for k, v in row.items() if k not in FIELDS and not is_missing(v)}
        yield Document(document_id, text, title or "", code, address, group, metadata, title or "")


def _open_folder(
    path: Path, skipped: Skipped, language: str | None
) -> tuple[int, Iterator[Document]]:
    paths = [file for file in _walk(path, skipped) if _is_readable_type(file, skipped)]
    if not paths:
        contents = f" (it has {describe_left_out(skipped.left_out)})" if skipped.left_out else ""
        raise MixlingError(
            f"{path}: the folder has neither corpus.jsonl nor files of "
            f"{', '.join(SUFFIXES)}{contents}. Give a folder of documents."
        )
    return len(paths), _read_files(paths, path, skipped, language)


def _count_other_files(folder: Path, corpus: Path, skipped: Skipped) -> None:
    """Count the files beside a collection's passages, without its queries and judgments."""
    for path in _walk(folder, skipped):
        top = path.relative_to(folder).parts[0].lower()
        if path != corpus and not top.startswith(("queries", "qrels")):
            skipped.leave_out(_suffix_name(path))


def _walk(folder: Path, skipped: Skipped) -> list[Path]:
    """Return the files below a folder, sorted.

    Hidden files are counted. Links to folders are skipped, because they may lead back or out of the
    folder.
    """

    def report(error: OSError) -> None:
        skipped(_unreadable(Path(error.filename or folder), error))

    paths: list[Path] = []
    for root, folders, files in os.walk(folder, onerror=report):
        parent = Path(root)
        in_hidden = any(x.startswith(".") for x in parent.relative_to(folder).parts)
        for name in list(folders):
            if not (parent / name).is_symlink():
                continue
            folders.remove(name)
            if in_hidden or name.startswith("."):
                skipped.leave_out(HIDDEN)
            else:
                skipped(_link(parent / name))
        visible = [] if in_hidden else [x for x in files if not x.startswith(".")]
        if len(visible) < len(files):
            skipped.leave_out(HIDDEN, len(files) - len(visible))
        paths += [parent / x for x in visible]
    return sorted(paths)


def _link(path: Path) -> BadRowError:
    return BadRowError(
        path,
        1,
        "link",
        str(path.readlink()),
        "a folder that is not a link",
        "index that folder in a call of its own",
    )


def _is_readable_type(path: Path, skipped: Skipped) -> bool:
    """Return whether a file has a suffix that is read; otherwise count it."""
    if path.suffix.lower() in SUFFIXES:
        return True
    skipped.leave_out(_suffix_name(path))
    return False


def _suffix_name(path: Path) -> str:
    return path.suffix.lower() or "without suffix"


def _unreadable(path: Path, error: OSError) -> BadRowError:
    return BadRowError(
        path,
        1,
        "file",
        error.strerror or str(error),
        "a file that can be read",
        "check the file and its permissions",
    )


def _read_files(
    paths: list[Path], root: Path, skipped: Skipped, language: str | None
) -> Iterator[Document]:
    for path in paths:
        try:
            _check_file(path)
            title, text, embedded_title = _read_file(path)
            if not text.strip():
                fix = (
                    "recognize the text of the scanned pages first"
                    if path.suffix.lower() == ".pdf"
                    else "fill the file, or remove it"
                )
                raise BadRowError(path, 1, "text", "", "text", fix)
        except BadRowError as bad:
            skipped(bad)
            continue
        except OSError as error:  # a link that leads nowhere or in a circle, no right to read
            skipped(_unreadable(path, error))
            continue
        yield Document(
            replace_surrogates(path.relative_to(root).as_posix()),
            replace_surrogates(text),
            replace_surrogates(title),
            language,
            path.resolve().as_uri(),
            embedded_title=replace_surrogates(embedded_title),
        )


def _check_file(path: Path) -> None:
    """Raise `BadRowError` unless the path is a regular file of at most `MAX_SIZE` bytes."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise BadRowError(
            path, 1, "file", "not a regular file", "a file", "remove it, or write a regular file"
        )
    if status.st_size > MAX_SIZE:
        raise BadRowError(
            path, 1, "file", status.st_size, f"{MAX_SIZE} bytes at most", "split the file"
        )


def _read_file(path: Path) -> tuple[str, str, str]:
    """Return the title of a file, its text, and the title that a model reads before the text.

    The title is the name of the file where it has none.

    Raises:
        BadRowError: The file is broken.
    """
    file_type = path.suffix.lower()
    if file_type == ".pdf":
        return _read_pdf(path)
    text = decode_text(path.read_bytes(), path)
    if file_type in (".html", ".htm"):
        return _read_html(path, text)
    first_line = text.lstrip().partition("\n")[0].strip()
    has_heading = file_type in (".md", ".markdown") and first_line.startswith("#")
    return (first_line.lstrip("# ").strip() if has_heading else path.stem), text, ""


def _read_html(path: Path, html: str) -> tuple[str, str, str]:
    try:
        import trafilatura
    except ImportError:
        raise not_installed("trafilatura", "search") from None
    page = trafilatura.bare_extraction(
        html, include_comments=False, favor_recall=True, with_metadata=True
    )
    if page is None:
        raise BadRowError(path, 1, "html", html[:40], "a page with text", "save the page's text")
    fields: dict[str, Any] = page if isinstance(page, dict) else page.as_dict()
    title = str(fields.get("title") or "")
    return title or path.stem, str(fields.get("text") or ""), title


def _read_pdf(path: Path) -> tuple[str, str, str]:
    try:
        import pypdf
    except ImportError:
        raise not_installed("pypdf", "search") from None
    try:
        reader = pypdf.PdfReader(path)
        pages, size = [], 0
        for page in reader.pages:
            pages.append(page.extract_text() or "")
            size += len(pages[-1])
            if size > MAX_SIZE:
                raise BadRowError(
                    path, 1, "pdf", size, f"{MAX_SIZE} characters at most", "split the file"
                )
        title = str((reader.metadata.title if reader.metadata else None) or "")
    except BadRowError:
        raise
    except Exception as error:  # whatever a broken file makes the reader raise
        raise BadRowError(
            path, 1, "pdf", type(error).__name__, "a PDF that can be read", "save the file again"
        ) from None
    return title or path.stem, "\n".join(pages), title
