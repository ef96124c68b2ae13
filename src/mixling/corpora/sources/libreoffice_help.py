"""LibreOffice's help: the pages of an office suite's manual in 32 languages, half of them English.

Debian's packages `libreoffice-help-LL` hold a page a file, and every language has the same paths:

    usr/share/libreoffice/help/<language>/text/<module>/<path>.html

The publication needs cleaning, since an honest reading of it would measure the wrong thing:

- Pages that nobody has translated stand in English in every language's folder. A heading or a
  paragraph keeps its id in all languages, so the share of a page's text that equals English is
  known exactly; a page is left out from half of its text on.
- A title that equals the English one is no query of its language.
- The foot of a page repeats its title and its path, in all languages. It is not part of the text.
- The folder of Slovak is a link to the Czech one, so there is no help in Slovak.
- Lists of links to other pages, and headers that stand on every other page, are left out.
- A title or heading that several pages have in one language asks for none of them.

Two sources are read from the same files: `libreoffice-help` (a title asks for the text of its page)
and `libreoffice-sections` (a heading asks for the text below it). Pages are split by their path, so
that all languages of a page, and all of its sections, are in one split.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mixling.corpora.corpus import Corpus, CorpusBuilder
from mixling.corpora.languages import language_tag
from mixling.corpora.source import (
    Languages,
    Packages,
    Source,
    is_wanted,
    parse_languages,
    require_languages,
)
from mixling.corpora.sources.help_pages import Page, read_pages
from mixling.errors import MixlingError
from mixling.progress import Progress

MIN_PAGE, MIN_SECTION = 200, 80  # characters of a passage
UNTRANSLATED = 0.5  # share of a page's text that equals English from which on it is left out
# the first digit of the MD5 of a page's path; the other three quarters are `train`
PARTS = {"dev": "0", "test": "123"}

_PACKAGES = parse_languages(
    "ca cs da de dz el en-us es et eu fi fr gl hi hu id it ja km ko nl om pl pt pt-br ru sl sv "
    "tr vi zh-cn zh-tw"
)
_VARIETIES = ("ca-valencia", "en-gb")  # the pages of ca and en-us in another spelling
_PREFIXES = ("", "*/", "usr/share/libreoffice/help/", "*/usr/share/libreoffice/help/")
_HOW_TO_GET = (
    "Debian's packages libreoffice-help-LL (libreoffice-help-en-us is always needed): "
    "apt-get download PACKAGE, dpkg -x FILE FOLDER"
)


def untranslated_share(page: Page, english: Page) -> float:
    """Return the share of a page's characters in blocks that equal the English block of their id.

    Args:
        page: The page.
        english: The English page of its path.
    """
    texts = {b.id: b.text for b in english.blocks if b.id}
    written = [b for b in page.blocks if any(c.isalpha() for c in b.text) and b.tag != "pre"]
    equal = sum(len(b.text) for b in written if texts.get(b.id) == b.text)
    return equal / max(sum(len(b.text) for b in written), 1)


def in_split(path: str, split: str) -> bool:
    """Return whether a page belongs to a split.

    Args:
        path: Its path below `text/`.
        split: "train", "dev", "test" or "all".
    """
    if split == "all":
        return True
    digit = hashlib.md5(path.encode(), usedforsecurity=False).hexdigest()[0]
    return next((name for name, digits in PARTS.items() if digit in digits), "train") == split


@dataclass
class _Text:
    """A query, the passage that answers it, and the group that their translations share."""

    group: str
    query: str
    passage: str


def _page_texts(path: str, page: Page) -> Iterator[_Text]:
    """Yield the title and the body of a page."""
    yield _Text(path, page.title, page.body())


def _section_texts(path: str, page: Page) -> Iterator[_Text]:
    """Yield the heading and the text of each section of a page.

    A section that several pages show has one id, and so one group.
    """
    for key, heading, text in page.sections():
        yield _Text(key, heading, text)


def _reader(
    name: str, texts: Callable[[str, Page], Iterator[_Text]], min_size: int
) -> Callable[[Path, str, Languages, bool], Corpus]:
    """Return the reader of a source.

    Args:
        name: The source.
        texts: Yields the queries and passages of a page.
        min_size: Characters of the shortest passage.
    """

    def read(folder: Path, split: str, languages: Languages, skip_bad: bool) -> Corpus:
        folders = _language_folders(folder)
        require_languages(name, languages, folders)
        wanted = [x for x in folders if is_wanted(x, languages)]
        builder, left_out = CorpusBuilder(name), Counter[str]()
        with Progress(f"reading {name}") as progress:
            english = _read_pages(folders["en"], split)
            english_texts = list(_unique(english, texts))
            english_queries = {t.group: t.query for t in english_texts}
            for done, language in enumerate(wanted):
                if language == "en":
                    found = english_texts
                else:
                    pages = _read_pages(folders[language], split)
                    kept = _translated(pages, english)
                    left_out["untranslated pages"] += len(pages) - len(kept)
                    found = list(_unique(kept, texts))
                _add(builder, language, found, english_queries, min_size, left_out)
                progress(done + 1, len(wanted))
        return replace(builder.build(), left_out=dict(sorted(left_out.items())))

    return read


def _unique(
    pages: Mapping[str, Page], texts: Callable[[str, Page], Iterator[_Text]]
) -> Iterator[_Text]:
    """Yield the texts of pages; of several with one group, the first."""
    seen = set[str]()
    for path, page in pages.items():
        for text in texts(path, page):
            if text.group not in seen:
                seen.add(text.group)
                yield text


def _add(
    builder: CorpusBuilder,
    language: str,
    found: Sequence[_Text],
    english: Mapping[str, str],
    min_size: int,
    left_out: Counter[str],
) -> None:
    """Add the passages of a language that are long enough, and the queries that ask for one.

    Args:
        builder: The builder of the corpus.
        language: The language.
        found: Its texts.
        english: The English query of each group.
        min_size: Characters of the shortest passage.
        left_out: Counts what is left out.
    """
    long = [t for t in found if len(t.passage) >= min_size]
    left_out["short passages"] += len(found) - len(long)
    repeats = Counter(t.query.casefold() for t in long)
    for text in long:
        passage = builder.add_passage(text.group, text.passage, language, text.group)
        if not text.query or repeats[text.query.casefold()] > 1:
            left_out["queries that several passages have"] += 1
        elif language != "en" and english.get(text.group) == text.query:
            left_out["queries that stand in English"] += 1
        else:
            builder.add_query(text.group, text.query, language, text.group)
        builder.add_link(text.group, passage)


def _translated(pages: Mapping[str, Page], english: Mapping[str, Page]) -> dict[str, Page]:
    """Return the pages that are translated, or that English does not have."""
    return {
        path: page
        for path, page in pages.items()
        if path not in english or untranslated_share(page, english[path]) < UNTRANSLATED
    }


def _read_pages(folder: Path, split: str) -> dict[str, Page]:
    """Read the pages of a split from the folder `text` of a language, in the order of paths."""
    paths = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*.html")}
    return read_pages({x: paths[x] for x in sorted(paths) if in_split(x, split)})


def _language_folders(folder: Path) -> dict[str, Path]:
    """Return the folder `text` of each language by its tag; raise MixlingError without English."""
    found: dict[str, Path] = {}
    for prefix in _PREFIXES:
        for path in sorted(folder.glob(f"{prefix}*/text")):
            # a further variety of a language, or a link to another language's pages (Slovak)
            if path.parent.name.lower() in _VARIETIES or path.parent.is_symlink():
                continue
            tag = language_tag(path.parent.name)
            if found.setdefault(tag, path) != path:
                raise MixlingError(
                    f"{folder}: the folders {found[tag].parent} and {path.parent} are both of the "
                    f"language '{tag}'. Remove one of them."
                )
    if "en" not in found:
        raise MixlingError(
            f"{folder}: the folder en-US/text is missing, whose English pages decide what is "
            f"translated. Get {_HOW_TO_GET}"
        )
    return found


def _packages(languages: Languages) -> list[str]:
    """Return the packages that some languages need; English is always among them."""
    return [
        f"libreoffice-help-{code}"
        for code in _PACKAGES
        if code == "en-us" or is_wanted(language_tag(code), languages)
    ]


def _source(
    name: str, description: str, texts: Callable[[str, Page], Iterator[_Text]], min_size: int
) -> Source:
    return Source(
        name,
        description,
        tuple(map(language_tag, _PACKAGES)),
        ("test", "dev", "train", "all"),
        "MPL-2.0",
        "The Document Foundation, LibreOffice 7.4 Help",
        _HOW_TO_GET,
        _reader(name, texts, min_size),
        "libreoffice-help",
        packages=(Packages("apt", _packages, "usr/share/libreoffice/help"),),
        pivot="en",
    )


LIBREOFFICE_HELP = _source(
    "libreoffice-help",
    "help of an office suite in 32 languages; a title asks for its page",
    _page_texts,
    MIN_PAGE,
)
LIBREOFFICE_SECTIONS = _source(
    "libreoffice-sections",
    "the same help in sections; a heading asks for the text below it",
    _section_texts,
    MIN_SECTION,
)
