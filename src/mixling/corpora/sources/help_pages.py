"""Pages of LibreOffice's help, parsed from HTML; what is parsed is kept in the cache.

Parsing all languages takes minutes, and training that leaves out what tests hold reads them several
times. So the pages of a folder are kept as a table, under a name that follows the parser's code and
each file's path, size and time of change.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mixling.corpora.files import read_text
from mixling.disk import new_file
from mixling.errors import MixlingError
from mixling.machine import cache_folder

_HEADINGS = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))
_BLOCKS = _HEADINGS.union(
    ("p", "pre", "li", "td", "th", "div", "table", "tr", "ul", "ol", "br", "dt", "dd")
)
_SILENT = frozenset(("script", "style", "noscript"))
_END = ("SearchFrame", "DonationFrame", "DEBUG")  # ids of what follows a page's text
_NAVIGATION = ("howtogetheader", "related")  # classes of headers that lead to other pages
_SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("tag", pa.string()),
        ("id", pa.string()),
        ("text", pa.string()),
        ("is_navigation", pa.bool_()),
    ]
)


@dataclass
class Block:
    """A heading or paragraph of a page.

    Args:
        tag: Its element, such as "p" or "h2".
        id: Its id, the same in all languages; "" where it has none.
        text: Its text, with single blanks.
        is_navigation: Whether it leads to other pages and says nothing itself.
    """

    tag: str
    id: str
    text: str
    is_navigation: bool


@dataclass
class Page:
    """A page: its title, and its headings and paragraphs in order."""

    title: str
    blocks: list[Block]

    def body(self) -> str:
        """Return the text of the page without its title and without navigation."""
        return " ".join(b.text for b in self.blocks if b.tag != "h1" and not b.is_navigation)

    def sections(self) -> list[tuple[str, str, str]]:
        """Return the id, the heading and the text of each section, down to the next heading."""
        found: list[tuple[str, str, list[str]]] = []
        for block in self.blocks:
            if block.tag in _HEADINGS:
                key = "" if block.tag == "h1" else block.id  # what has no id is no section
                found.append((key, block.text, []))
            elif found and not block.is_navigation:
                found[-1][2].append(block.text)
        return [(key, heading, " ".join(texts)) for key, heading, texts in found if key]


class _PageParser(HTMLParser):
    """Collects the title and the blocks of a page between its display area and its foot."""

    def __init__(self) -> None:
        super().__init__()
        self.title = ""
        self.blocks: list[Block] = []
        self._in_title, self._in_text, self._silent, self._links = False, False, 0, 0
        self._tag, self._id, self._class = "", "", ""
        self._texts: list[str] = []
        self._linked = 0  # characters of this block inside links

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        key = values.get("id") or ""
        self._in_title = tag == "title"
        self._silent += tag in _SILENT
        self._links += tag == "a" and "href" in values
        if key == "DisplayArea":
            self._in_text = True
        elif key in _END or tag == "footer":
            self.end_block()
            self._in_text = False
        if tag in _BLOCKS:
            self.end_block()
            self._tag, self._id, self._class = tag, key, values.get("class") or ""

    def handle_endtag(self, tag: str) -> None:
        self._in_title &= tag != "title"
        self._silent -= tag in _SILENT
        if tag == "a":
            self._links = 0  # links do not nest; an anchor (<a name>) ends here too
        if tag in _BLOCKS:
            self.end_block()

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title += data
        elif self._in_text and self._silent <= 0:
            self._texts.append(data)
            if self._links:
                self._linked += len("".join(data.split()))

    def end_block(self) -> None:
        """Keep the block that ends here, if it has text."""
        text = " ".join("".join(self._texts).split())
        if text:
            only_links = self._linked >= len("".join(text.split()))
            is_navigation = self._class in _NAVIGATION or (
                only_links and self._tag not in _HEADINGS
            )
            self.blocks.append(Block(self._tag, self._id, text, is_navigation))
        self._tag, self._id, self._class, self._texts, self._linked = "", "", "", [], 0


def parse_page(html: str) -> Page:
    """Read the title and the text of a page.

    Args:
        html: The file.
    """
    parser = _PageParser()
    parser.feed(html)
    parser.close()
    parser.end_block()
    return Page(" ".join(parser.title.split()), parser.blocks)


def read_pages(files: Mapping[str, Path]) -> dict[str, Page]:
    """Read pages, from the cache where they have been read before.

    Args:
        files: The file of each page by its path.
    """
    kept = cache_folder() / "help-pages" / f"{_fingerprint(files)}.parquet"
    with contextlib.suppress(OSError, pa.ArrowInvalid):  # a cut or damaged file is read anew
        return _from_table(pq.read_table(kept))
    pages = {path: parse_page(read_text(file)) for path, file in files.items()}
    with contextlib.suppress(OSError, MixlingError):  # a cache that cannot be written costs time
        kept.parent.mkdir(parents=True, exist_ok=True)
        with new_file(kept) as part:
            pq.write_table(_to_table(pages), part, compression="zstd")
    return pages


def _fingerprint(files: Mapping[str, Path]) -> str:
    """Return a name for what parsing some files gives."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for path, file in files.items():
        facts = file.stat()
        digest.update(f"{path}\0{facts.st_size}\0{facts.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _to_table(pages: Mapping[str, Page]) -> pa.Table:
    """Return pages as a table: a row for each block, and one without a tag for each page."""
    rows = [
        (path, block.tag, block.id, block.text, block.is_navigation)
        for path, page in pages.items()
        for block in (Block("", "", page.title, False), *page.blocks)
    ]
    columns = zip(*rows, strict=True) if rows else ([] for _ in _SCHEMA.names)
    return pa.table([pa.array(list(c)) for c in columns], schema=_SCHEMA)


def _from_table(table: pa.Table) -> dict[str, Page]:
    """Return the pages of a table."""
    pages: dict[str, Page] = {}
    rows: Iterator[tuple[str, str, str, str, bool]] = zip(
        *(table[name].to_pylist() for name in _SCHEMA.names), strict=True
    )
    for path, tag, key, text, is_navigation in rows:
        if path not in pages:
            pages[path] = Page(text, [])
        else:
            pages[path].blocks.append(Block(tag, key, text, is_navigation))
    return pages
