"""Folds text to one form in every script and cuts it into the terms of full text.

A folded text has no case, no accents, no vowel points or tatweel (Arabic, Hebrew), no characters of
no width, and one form of each character: composed Hangul, full-width letters and half-width kana in
their usual form, decimal digits as 0 to 9 (Unicode's NFKD, case folding and NFC). The text that
users see stays as it is.

Scripts that separate words by spaces give whole words, and n-grams of two and three letters, so
that a part of a compound finds it. Scripts without spaces give single characters and n-grams of
two; Thai, Lao, Khmer and Burmese, whose characters are letters, also give n-grams of three.
"""

from __future__ import annotations

import unicodedata

import pyarrow as pa
import regex

from mixling.corpora.values import with_title

# A store names the version of its terms; raised whenever `passage_terms` returns other terms.
TERMS_VERSION = 1
OLD_FULL_TEXT = (  # a warning about a store that names no version
    "an earlier version of Mixling indexed the full text, which finds no single characters and "
    "no other spellings of a word. Run the same `mixling index` again: it renews the full text "
    "and encodes nothing again"
)

# accents, points of Hebrew and Arabic, tatweel, variation selectors, characters of no width
_MARKS = regex.compile(
    r"[\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670"
    r"\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u08d3-\u08e1\u08e3-\u08ff\ufe00-\ufe0f\p{Cf}]"
)
_DIGIT = regex.compile(r"(?![0-9])\p{Nd}")
# Letters that are written for one another: Turkish i, and Arabic's as in Lucene's ArabicNormalizer
# and PersianNormalizer.
_EQUAL_LETTERS = str.maketrans(
    {"ı": "i", "ى": "ي", "ی": "ي", "ې": "ي", "ک": "ك", "ة": "ه", "ہ": "ه", "ھ": "ه"}
)
_SYLLABLES = r"\p{Han}\p{Hiragana}\p{Katakana}ー\p{Hangul}\p{Bopomofo}\p{Yi}"
_LETTERS = (
    r"\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}\p{Javanese}\p{Balinese}\p{Tai_Tham}\p{Tai_Le}"
    r"\p{New_Tai_Lue}"
)
_RUN = regex.compile(
    rf"(?P<syllables>[{_SYLLABLES}--[\p{{P}}\p{{S}}]]+)|(?P<letters>[{_LETTERS}--[\p{{P}}\p{{S}}]]+)"
    rf"|(?P<word>[[\p{{L}}\p{{M}}\p{{N}}]--[{_SYLLABLES}{_LETTERS}]]+)|(?P<sign>\p{{S}})",
    regex.V1,
)
_HAN = regex.compile(r"\p{Han}")


def fold_text(text: str) -> str:
    """Return a text in the form in which full text compares it."""
    if text.isascii():
        return text.lower()
    text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    text = _DIGIT.sub(lambda m: str(unicodedata.decimal(m[0])), _MARKS.sub("", text))
    return unicodedata.normalize("NFC", text).translate(_EQUAL_LETTERS)


def passage_terms(text: str) -> list[str]:
    """Return the terms of a passage, each as often as it occurs; a whole word is `_word`."""
    terms = []
    for run, run_type in _runs(text):
        if run_type == "word":
            terms.append(f"_{run}")
        if run_type in ("syllables", "letters", "sign"):
            terms += run
        if run_type != "sign":
            terms += _ngrams(run, 2)
        if run_type in ("word", "letters"):
            terms += _ngrams(run, 3)
    return terms


def query_terms(text: str) -> list[str]:
    """Return the terms of a query, each once.

    A query has only the longest n-grams that passages have, because shorter ones occur in nearly
    every passage. Chinese characters are terms by themselves too.
    """
    terms = []
    for run, run_type in _runs(text):
        if run_type == "word":
            terms.append(f"_{run}")
        size = 2 if run_type == "syllables" else 3
        if len(run) > 1 or run_type != "word":
            terms += _ngrams(run, min(size, len(run)))
        if run_type == "syllables":
            terms += _HAN.findall(run)
    return list(dict.fromkeys(terms))


def _runs(text: str) -> list[tuple[str, str]]:
    """Return the runs of a folded text that are of one type, with the type (a group of `_RUN`)."""
    return [(m[0], str(m.lastgroup)) for m in _RUN.finditer(fold_text(text))]


def _ngrams(run: str, size: int) -> list[str]:
    return [run[i : i + size] for i in range(len(run) - size + 1)]


def terms_column(rows: pa.Table | pa.RecordBatch) -> pa.Array:
    """Return the terms of passages and their titles, separated by spaces.

    Args:
        rows: `title` and `text`.
    """
    texts = [
        with_title(row["title"], row["text"]) for row in rows.select(["title", "text"]).to_pylist()
    ]
    return pa.array([" ".join(passage_terms(text)) for text in texts], pa.string())
