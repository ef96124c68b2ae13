"""Full text in every script: texts and questions folded to one form and cut into the terms that are compared.

A folded text has no case, no accents, no vowel points or tatweel (Arabic, Hebrew), no characters of no width, and one form of each
character: composed Hangul, full-width letters and half-width kana as the usual ones, decimal digits as 0 to 9 (Unicode's NFKD,
case folding and NFC). The text that is shown stays as it is.

Terms of what is written with spaces: each word, and pieces of two and three letters, so that a part of a compound finds it. Terms
of what is not: single characters and pieces of two, and of three where characters are letters (Thai, Lao, Khmer, Burmese).
"""

from __future__ import annotations

import unicodedata

import regex

FORM = 1  # a store says in which form its full text is; counted up where `terms` gives other terms

# accents, points of Hebrew and Arabic, tatweel, variation selectors, characters of no width
_MARKS = regex.compile(
    r"[\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670"
    r"\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u08d3-\u08e1\u08e3-\u08ff\ufe00-\ufe0f\p{Cf}]"
)
_DIGIT = regex.compile(r"(?![0-9])\p{Nd}")
# letters that are written for one another: Turkish i, and Arabic's as in Lucene's ArabicNormalizer and PersianNormalizer
_SAME = str.maketrans(
    {"ı": "i", "ى": "ي", "ی": "ي", "ې": "ي", "ک": "ك", "ة": "ه", "ہ": "ه", "ھ": "ه"}
)
_SYLLABLES = r"\p{Han}\p{Hiragana}\p{Katakana}ー\p{Hangul}\p{Bopomofo}\p{Yi}"
_LETTERS = r"\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}\p{Javanese}\p{Balinese}\p{Tai_Tham}\p{Tai_Le}\p{New_Tai_Lue}"
_RUN = regex.compile(
    rf"(?P<syllables>[{_SYLLABLES}--[\p{{P}}\p{{S}}]]+)|(?P<letters>[{_LETTERS}--[\p{{P}}\p{{S}}]]+)"
    rf"|(?P<word>[[\p{{L}}\p{{M}}\p{{N}}]--[{_SYLLABLES}{_LETTERS}]]+)|(?P<sign>\p{{S}})",
    regex.V1,
)
_HAN = regex.compile(r"\p{Han}")


def fold(text: str) -> str:
    """A text in the form in which it is compared."""
    if text.isascii():
        return text.lower()
    text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    text = _DIGIT.sub(lambda m: str(unicodedata.decimal(m[0])), _MARKS.sub("", text))
    return unicodedata.normalize("NFC", text).translate(_SAME)


def terms(text: str) -> list[str]:
    """The terms of a passage, as often as they stand there; a whole word is `_word`."""
    found = []
    for run, kind in _runs(text):
        if kind == "word":
            found.append(f"_{run}")
        if kind in ("syllables", "letters", "sign"):
            found += run
        if kind != "sign":
            found += _pieces(run, 2)
        if kind in ("word", "letters"):
            found += _pieces(run, 3)
    return found


def asked(text: str) -> list[str]:
    """The terms of a question, each once: the longest that passages have, since shorter ones stand nearly everywhere; Chinese
    characters by themselves too."""
    found = []
    for run, kind in _runs(text):
        if kind == "word":
            found.append(f"_{run}")
        size = 2 if kind == "syllables" else 3
        if len(run) > 1 or kind != "word":
            found += _pieces(run, min(size, len(run)))
        if kind == "syllables":
            found += _HAN.findall(run)
    return list(dict.fromkeys(found))


def _runs(text: str) -> list[tuple[str, str]]:
    return [(m[0], str(m.lastgroup)) for m in _RUN.finditer(fold(text))]


def _pieces(run: str, size: int) -> list[str]:
    return [run[i : i + size] for i in range(len(run) - size + 1)]
