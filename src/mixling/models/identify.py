"""Identify the language of a text by py3langid, whose model comes with it, and the text's script.

py3langid knows languages and not their scripts (zh for zh and zh-Hant, sr for sr and sr-Latn), and
it does not know Tigrinya. So each candidate language stands for a label of py3langid and for a
script. The script of a text decides between tags of one language, and excludes languages in other
scripts.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

import regex

from mixling.corpora.languages import base_language, language_script, language_tag
from mixling.errors import MixlingError

MAX_CHARACTERS = 4000  # of a text; the rest is not read
MIN_SHARE = 0.1  # of the letters of the most frequent script; rarer scripts are quoted words
# languages of two common scripts; the script decides where no candidate languages are given
SCRIPT_VARIANTS = {"zh": ("zh", "zh-Hant"), "sr": ("sr", "sr-Latn")}
# scripts that Unicode writes as another script, or as several
_SCRIPT_PATTERNS = {
    "Jpan": r"[\p{Script=Han}\p{Script=Hira}\p{Script=Kana}]",
    "Kore": r"[\p{Script=Hang}\p{Script=Han}]",
    "Hans": r"\p{Script=Han}",
    "Hant": r"\p{Script=Han}",
    "Hani": r"\p{Script=Han}",
}


def identify_languages(texts: Sequence[str], among: Sequence[str]) -> list[str]:
    """Identify the language of each text.

    Args:
        texts: The texts.
        among: Candidate languages.

    Returns:
        One of `among` for each text, spelled as it is there.

    Raises:
        MixlingError: py3langid is not installed.

    Example:
        >>> identify_languages(["Das Wasser ist kalt.", "The water is cold."], ["de", "en"])
        ['de', 'en']
    """
    try:
        return [identify_language(t, tuple(among))[0] for t in texts]
    except ImportError:
        raise MixlingError(
            "the languages of the texts are not given, and py3langid, which identifies them, is "
            "not installed. Give them (languages=…), or run: pip install 'mixling[language]'"
        ) from None


def identify_language(text: str, among: tuple[str, ...] = ()) -> tuple[str, float]:
    """Identify the language of a text.

    Args:
        text: The text; its first 4,000 characters are read.
        among: Candidate languages. Default: all that py3langid knows.

    Returns:
        One of `among`, spelled as it is there, or a BCP-47 tag without candidates ("zxx" for a
        text without letters), and its probability, 0 where the script alone decided.

    Example:
        >>> identify_language("Das Wasser ist kalt.", ("de", "en"))[0]
        'de'
    """
    text = text[:MAX_CHARACTERS]
    if not among:
        if not any(c.isalpha() for c in text):
            return "zxx", 1.0
        label, probability = language_identifier().classify(text)
        code = language_tag(label)
        return _by_script(text, SCRIPT_VARIANTS.get(code, (code,))), float(probability)
    labels = _labels(among)
    candidates = among
    if len({language_script(x) for x in among}) > 1:
        letters = {x: count_letters(text, language_script(x)) for x in among}
        maximum = max(letters.values())
        candidates = tuple(x for x in among if letters[x] >= MIN_SHARE * maximum)
        main_script = [x for x in candidates if letters[x] == maximum]
        # py3langid knows no language of the text's script: the script decides
        if maximum and not any(labels[x] for x in main_script):
            return main_script[0], 0.0
    candidate_labels = {label for x in candidates for label in labels[x]}
    if not candidate_labels:
        return _by_script(text, candidates), 0.0
    identifier = language_identifier(tuple(sorted({y for x in among for y in labels[x]})))
    ranked = [(y, p) for y, p in identifier.rank(text) if y in candidate_labels]
    best, probability = max(ranked, key=lambda x: x[1])
    variants = tuple(x for x in candidates if best in labels[x])
    return _by_script(text, variants), float(probability / max(sum(p for _, p in ranked), 1e-12))


def can_identify(language: str) -> bool:
    """Return whether py3langid knows a language.

    Args:
        language: A language tag.
    """
    return bool(_labels((language,))[language])


def indistinguishable_languages(among: Sequence[str]) -> list[str]:
    """List the languages that identification cannot tell from the others.

    py3langid does not know such a language, and another one has its script; or an earlier one is
    the same language in the same script (pt and pt-BR).

    Args:
        among: Candidate languages.

    Returns:
        Those of `among` that cannot be told from the others.
    """
    labels = _labels(tuple(among))
    scripts = [language_script(x) for x in among]
    written = [(base_language(x), language_script(x)) for x in among]
    return [
        x
        for i, x in enumerate(among)
        if (not labels[x] and scripts.count(scripts[i]) > 1) or written.index(written[i]) < i
    ]


@lru_cache(maxsize=8)
def language_identifier(among: tuple[str, ...] = ()) -> Any:
    """Load py3langid's identifier.

    Args:
        among: Labels of py3langid to choose from. Default: all.

    Returns:
        A `py3langid.langid.LanguageIdentifier` with normalized probabilities.
    """
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    if among:
        identifier.set_languages(list(among))
    return identifier


@cache
def _labels(among: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Return the labels of py3langid for each language.

    A language has none where py3langid does not know it, or not in its script.
    """
    known = [(str(x), language_tag(str(x))) for x in language_identifier().labels]
    exact = {x: tuple(y for y, t in known if t == language_tag(x)) for x in among}
    return {
        x: exact[x]
        or tuple(
            y
            for y, t in known
            if base_language(t) == base_language(x)
            and (
                language_script(t) == language_script(x)
                or language_tag(x) in SCRIPT_VARIANTS.get(t, ())
            )
        )
        for x in among
    }


def _by_script(text: str, tags: Sequence[str]) -> str:
    """Return the tag whose script a text is written in; the shortest tag where several fit."""
    return (
        min(tags, key=lambda x: (-count_letters(text, language_script(x)), len(x), x))
        if len(tags) > 1
        else tags[0]
    )


def count_letters(text: str, code: str) -> int:
    """Count the letters of a script in a text.

    Hans and Hant do not count the characters that only the other one has.

    Args:
        text: The text.
        code: The script, ISO 15924.

    Returns:
        The number of letters.
    """
    letters = _pattern(code).findall(text)
    if code not in ("Hans", "Hant"):
        return len(letters)
    # GB 2312 has the simplified characters, Big5 the traditional ones
    encoding, other = ("gb2312", "big5") if code == "Hans" else ("big5", "gb2312")
    return sum(_in(encoding, c) or not _in(other, c) for c in letters)


@cache
def _pattern(code: str) -> Any:
    """Return the regular expression of a letter of a script."""
    try:
        return regex.compile(_SCRIPT_PATTERNS.get(code, rf"\p{{Script={code}}}"))
    except regex.error:  # a script that Unicode does not know
        return regex.compile(r"(?!)")


@cache
def _in(encoding: str, character: str) -> bool:
    """Return whether an encoding has a character."""
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
