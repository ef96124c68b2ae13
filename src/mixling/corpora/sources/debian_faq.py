"""Debian's FAQ: people's questions on an operating system, and their answers, in ten languages.

Debian's packages `debian-faq` and `debian-faq-LL` hold a chapter a file:

    usr/share/doc/debian/FAQ/<chapter>.en.html
    usr/share/doc/debian/FAQ/<language>/<chapter>.<language>.html

A section is a question with its number, and the answer below it; its anchor is the same in all
languages. What equals English in another language's chapter is left out and counted: an answer that
nobody has translated, and a question that stands in English.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

from mixling.corpora.corpus import Corpus, CorpusBuilder
from mixling.corpora.files import read_text
from mixling.corpora.languages import language_tag
from mixling.corpora.source import (
    Languages,
    Packages,
    Source,
    is_wanted,
    parse_languages,
    require_languages,
)
from mixling.errors import MixlingError

MIN_ANSWER = 80  # characters
_CODES = parse_languages("de en fr it ja ko nl pt ru zh-cn")
_NUMBER = re.compile(r"^[\d.\s]+")  # of a section, before its question
_CHAPTER = re.compile(r"([\w-]+)\.([a-z]{2}(?:-[a-z]{2})?)\.html")
_OUTSIDE = ("navfooter", "navheader", "toc")
_HOW_TO_GET = (
    "Debian's packages debian-faq (English, always needed) and debian-faq-LL: "
    "apt-get download PACKAGE, dpkg -x FILE FOLDER"
)


class _ChapterParser(HTMLParser):
    """Collects anchor, question and answer of each section of a chapter."""

    def __init__(self) -> None:
        super().__init__()
        self.sections: list[list[str]] = []
        self._in_heading, self._in_answer = False, False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        classes = values.get("class") or ""
        if tag in ("h2", "h3") and "title" in classes:
            self.sections.append(["", "", ""])
            self._in_heading = self._in_answer = True
        elif tag == "a" and self._in_heading and values.get("id"):
            self.sections[-1][0] = values["id"] or ""
        elif tag == "div" and classes in _OUTSIDE:
            self._in_answer = False

    def handle_endtag(self, tag: str) -> None:
        self._in_heading &= tag not in ("h2", "h3")

    def handle_data(self, data: str) -> None:
        if self._in_heading:
            self.sections[-1][1] += data
        elif self._in_answer:
            self.sections[-1][2] += data


def read_debian_faq(folder: Path, split: str, languages: Languages, skip_bad: bool) -> Corpus:
    """Read the chapters of all languages.

    Args:
        folder: A folder that holds the packages' files, whatever lies above them.
        split: "test"; there is no other.
        languages: The languages; None: all.
        skip_bad: Nothing in the files can be bad.

    Returns:
        The corpus. `left_out` counts answers and questions that are left out.

    Raises:
        MixlingError: There is no chapter in English, or none in a language that is asked for.
    """
    chapters: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.rglob("FAQ/**/*.html")):
        match = _CHAPTER.fullmatch(path.name)
        if match:
            chapters.setdefault(language_tag(match[2]), {})[match[1]] = path
    if "en" not in chapters:
        raise MixlingError(
            f"{folder}: the file FAQ/<chapter>.en.html is missing, which decides what is "
            f"translated. Get {_HOW_TO_GET}"
        )
    require_languages("debian-faq", languages, sorted(chapters))
    english = dict(_sections(chapters["en"]))
    builder, left_out = CorpusBuilder("debian-faq"), Counter[str]()
    for language in sorted(chapters):
        if not is_wanted(language, languages):
            continue
        for group, (question, answer) in _sections(chapters[language]):
            original = ("", "") if language == "en" else english.get(group, ("", ""))
            if answer == original[1]:
                left_out["untranslated answers"] += 1
            elif len(answer) < MIN_ANSWER:
                left_out["short passages"] += 1
            else:
                passage = builder.add_passage(group, answer, language, group)
                builder.add_link(group, passage)
                if question and question != original[0]:
                    builder.add_query(group, question, language, group)
                else:
                    left_out["queries that stand in English"] += 1
    return replace(builder.build(), left_out=dict(sorted(left_out.items())))


def _sections(chapters: dict[str, Path]) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield the group, the question and the answer of each section of a language."""
    for chapter, path in sorted(chapters.items()):
        parser = _ChapterParser()
        parser.feed(read_text(path))
        for anchor, heading, answer in parser.sections:
            question = _NUMBER.sub("", " ".join(heading.split()))
            if anchor:
                yield f"{chapter}#{anchor}", (question, " ".join(answer.split()))


def _packages(languages: Languages) -> list[str]:
    """Return the packages that some languages need; the English one is always among them."""
    others = [x for x in _CODES if x != "en" and is_wanted(language_tag(x), languages)]
    return ["debian-faq", *(f"debian-faq-{x}" for x in others)]


DEBIAN_FAQ = Source(
    "debian-faq",
    "people's questions on an operating system in ten languages; a question asks for its answer",
    tuple(map(language_tag, _CODES)),
    ("test",),
    "copies and changes under the same terms (Software in the Public Interest)",
    "The Debian FAQ, debian.org/doc/manuals/debian-faq",
    _HOW_TO_GET,
    read_debian_faq,
    "debian-faq",
    packages=(Packages("apt", _packages, "usr/share/doc/debian"),),
    pivot="en",
)
