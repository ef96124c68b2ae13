"""The language of a text: py3langid, whose model comes with it, and the text's script.

py3langid knows languages and not their scripts (zh for zh and zh-Hant, sr for sr and sr-Latn), and no Tigrinya. So each of
the languages that are wanted stands for py3langid's language and for a script: what a text is written in decides between
tags of one language, and leaves out languages that are written otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

import regex

from mixling.corpora.languages import base_language, language_script, language_tag
from mixling.errors import MixlingError

READ = 4000  # characters of a text that are looked at
SHARE = 0.1  # of the commonest script's letters: what is rarer is a word quoted
# languages which are told apart by script where no languages are given: both are written every day
BOTH = {"zh": ("zh", "zh-Hant"), "sr": ("sr", "sr-Latn")}
_MIXED = {
    "Jpan": r"[\p{Script=Han}\p{Script=Hira}\p{Script=Kana}]",
    "Kore": r"[\p{Script=Hang}\p{Script=Han}]",
    "Hans": r"\p{Script=Han}",
    "Hant": r"\p{Script=Han}",
    "Hani": r"\p{Script=Han}",
}


def identify_languages(texts: Sequence[str], among: Sequence[str]) -> list[str]:
    """The language of each text: one of `among`, as it stands there. Raises MixlingError where py3langid is not installed."""
    try:
        return [identify_language(t, tuple(among))[0] for t in texts]
    except ImportError:
        raise MixlingError(
            "the texts' languages must be named: give them (languages=…), or pip install 'mixling[language]'"
        ) from None


def identify_language(text: str, among: tuple[str, ...] = ()) -> tuple[str, float]:
    """The language of a text, one of `among` as it stands there (none given: BCP-47), and its probability, 0 where the script
    alone decided."""
    text = text[:READ]
    if not among:
        if not any(c.isalpha() for c in text):
            return "zxx", 1.0
        found, probability = language_identifier().classify(text)
        code = language_tag(found)
        return _by_script(text, BOTH.get(code, (code,))), float(probability)
    labels = _labels(among)
    here = among
    if len({language_script(x) for x in among}) > 1:
        letters = {x: _letters(text, language_script(x)) for x in among}
        most = max(letters.values())
        here = tuple(x for x in among if letters[x] >= SHARE * most)
        first = [x for x in here if letters[x] == most]
        if most and not any(labels[x] for x in first):
            return first[0], 0.0
    known = {y: x for x in here for y in labels[x]}
    if not known:
        return _by_script(text, here), 0.0
    inner = language_identifier(tuple(sorted({y for x in among for y in labels[x]})))
    ranked = [(y, p) for y, p in inner.rank(text) if y in known]
    best, probability = max(ranked, key=lambda x: x[1])
    meant = tuple(x for x in here if best in labels[x])
    return _by_script(text, meant), float(probability / max(sum(p for _, p in ranked), 1e-12))


def can_identify(language: str) -> bool:
    """Whether py3langid can tell a language."""
    return bool(_labels((language,))[language])


def indistinguishable_languages(among: Sequence[str]) -> list[str]:
    """Those of some languages that cannot be told from the others: py3langid does not know them, and their script is
    another's too; or another is the same language in the same script (pt and pt-BR)."""
    labels = _labels(tuple(among))
    scripts, same = (
        [language_script(x) for x in among],
        [(base_language(x), language_script(x)) for x in among],
    )
    return [
        x
        for i, x in enumerate(among)
        if (not labels[x] and scripts.count(scripts[i]) > 1) or same.index(same[i]) < i
    ]


@lru_cache(maxsize=8)
def language_identifier(among: tuple[str, ...] = ()) -> Any:
    """py3langid's identifier, which gives language and probability, among some of its own labels (none: all)."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    found = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    if among:
        found.set_languages(list(among))
    return found


@cache
def _labels(among: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """py3langid's labels of each language that may be; none where it does not know it, or not in this script."""
    every = [(str(x), language_tag(str(x))) for x in language_identifier().labels]
    exact = {x: tuple(y for y, t in every if t == language_tag(x)) for x in among}
    return {
        x: exact[x]
        or tuple(
            y
            for y, t in every
            if base_language(t) == base_language(x)
            and (language_script(t) == language_script(x) or language_tag(x) in BOTH.get(t, ()))
        )
        for x in among
    }


def _by_script(text: str, same: Sequence[str]) -> str:
    """Which of some tags of one language a text is written in; the shortest where that does not show."""
    return (
        min(same, key=lambda x: (-_letters(text, language_script(x)), len(x), x))
        if len(same) > 1
        else same[0]
    )


def _letters(text: str, code: str) -> int:
    """How many letters of a script a text has. Hans, Hant: without those that the other alone has."""
    found = _pattern(code).findall(text)
    if code not in ("Hans", "Hant"):
        return len(found)
    other, own = ("big5", "gb2312") if code == "Hans" else ("gb2312", "big5")
    return sum(_in(own, c) or not _in(other, c) for c in found)


@cache
def _pattern(code: str) -> Any:
    try:
        return regex.compile(_MIXED.get(code, rf"\p{{Script={code}}}"))
    except regex.error:  # a script that Unicode does not know
        return regex.compile(r"(?!)")


@cache
def _in(encoding: str, character: str) -> bool:
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
