"""Questions as people type them: slips, missing diacritics, romanized, mixed with another language.

    typos       a slip at each letter with probability `rate`: a neighbouring key, a letter left out, doubled, or two
                swapped; keyboards by script (Han, and scripts without one here: left out, doubled or swapped only)
    diacritics  a word loses its marks with probability `rate` (Latin, Greek, Arabic, Hebrew: where marks are optional
                in practice; in scripts whose vowels are marks nothing is taken)
    romanize    a word is written in Latin letters with probability `rate` (anyascii)
    switch      a word is replaced by its translation with probability `rate`; the lexicon is learnt from the task's
                own parallel questions (Dice's coefficient), so that only words which it knows are switched

Seeded by question, so that a question's noise does not depend on the others.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from mixling.corpora.languages import language_script
from mixling.errors import MixlingError, choose
from mixling.evaluation.lexical import tokenize_words
from mixling.evaluation.tasks import Task

NOISE_TYPES = ("typos", "diacritics", "romanize", "switch")
RATES = (0.05, 0.1, 0.2)
KEYBOARDS = {
    "Latn": ("qwertyuiop", "asdfghjkl", "zxcvbnm"),
    "Cyrl": ("йцукенгшщзхъ", "фывапролджэ", "ячсмитьбю"),
    "Grek": ("ςερτυθιοπ", "ασδφγηξκλ", "ζχψωβνμ"),
    "Arab": ("ضصثقفغعهخحجد", "شسيبلاتنمكط", "ئءؤرىةوزظ"),
    "Hebr": ("קראטוןםפ", "שדגכעיחלך", "זסבהנמצתץ"),
    "Deva": ("ौैाीूबहगदज", "ोे्िुपरकतच", "ॆंमनवलस"),
    "Thai": ("ๆไำพะัีรนยบล", "ฟหกดเ้่าสวง", "ผปแอิืทมใฝ"),
}
OPTIONAL_MARKS = ("Latn", "Grek", "Arab", "Hebr")


def add_noise(one: Task, noise_type: str, rate: float, seed: int = 0) -> Task:
    """The task with noise in its queries; its name says which. rate: 0 to 1. Raises MixlingError."""
    choose(noise_type, NOISE_TYPES, "noise")
    if not 0 < rate <= 1:
        raise MixlingError(f"noise {noise_type}:{rate}: expected a rate over 0, up to 1")
    lexicons = _lexicons(one) if noise_type == "switch" else {}
    queries = []
    for text, key, code in zip(one.queries, one.query_ids, one.query_language, strict=True):
        rng = np.random.default_rng(
            int.from_bytes(
                hashlib.blake2b(f"{seed}/{noise_type}/{key}".encode(), digest_size=8).digest(),
                "big",
            )
        )
        language = one.languages[code]
        queries.append(
            switch_code(text, language, rate, rng, lexicons.get(int(code), {}))
            if noise_type == "switch"
            else {"typos": typos, "diacritics": diacritics, "romanize": romanize}[noise_type](
                text, language, rate, rng
            )
        )
    changed = sum(a != b for a, b in zip(queries, one.queries, strict=True))
    if not changed:
        raise MixlingError(
            f"noise {noise_type} changes no question of task '{one.name}'; leave it out"
        )
    return replace(one, name=f"{one.name}~{noise_type}:{rate:g}", queries=queries)


def typos(text: str, language: str, rate: float, rng: np.random.Generator) -> str:
    """Slips of the keyboard of the language's script."""
    near = _neighbours(language_script(language))
    out: list[str] = []
    letters = list(text)
    i = 0
    while i < len(letters):
        c = letters[i]
        if not c.isalpha() or rng.random() >= rate:
            out.append(c)
            i += 1
            continue
        keys = near.get(c.lower(), "")
        slip = rng.integers(0 if keys else 1, 4)
        if slip == 0:
            other = keys[int(rng.integers(len(keys)))]
            out.append(other.upper() if c.isupper() else other)
        elif slip == 2:
            out += [c, c]
        elif slip == 3 and i + 1 < len(letters):
            out += [letters[i + 1], c]
            i += 1
        i += 1
    return "".join(out) if "".join(out).strip() else text


def _neighbours(name: str) -> dict[str, str]:
    rows = {"Jpan": (), "Kore": ()}.get(name, KEYBOARDS.get(name, ()))
    near: dict[str, str] = {}
    for r, row in enumerate(rows):
        for i, key in enumerate(row):
            around = [row[j] for j in (i - 1, i + 1) if 0 <= j < len(row)]
            for other in (r - 1, r + 1):
                if 0 <= other < len(rows):
                    around += [rows[other][j] for j in (i - 1, i) if 0 <= j < len(rows[other])]
            near[key] = "".join(around)
    return near


def diacritics(text: str, language: str, rate: float, rng: np.random.Generator) -> str:
    """Marks left out, word by word."""
    if language_script(language) not in OPTIONAL_MARKS:
        return text

    def bare(word: str) -> str:
        kept = (c for c in unicodedata.normalize("NFD", word) if not unicodedata.combining(c))
        return unicodedata.normalize("NFC", "".join(kept)).translate(
            str.maketrans("đĐłŁøØ\u0640", "dDlLoO\u0640")
        )

    return _by_word(text, rate, rng, bare)


def romanize(text: str, language: str, rate: float, rng: np.random.Generator) -> str:
    """Latin letters in place of others, word by word."""
    try:
        from anyascii import anyascii
    except ImportError:
        raise MixlingError("anyascii is not installed: pip install 'mixling[benchmarks]'") from None
    return text if language_script(language) == "Latn" else _by_word(text, rate, rng, anyascii)


def switch_code(
    text: str, language: str, rate: float, rng: np.random.Generator, lexicon: dict[str, str]
) -> str:
    """Words of a lexicon (folded word -> translation) replaced, in place."""
    listed = [w for w in tokenize_words(text, language) if w in lexicon]
    folded = text.casefold()
    for word in dict.fromkeys(listed):
        at = folded.find(word)
        if at >= 0 and len(folded) == len(text) and rng.random() < rate:
            text = text[:at] + lexicon[word] + text[at + len(word) :]
            folded = text.casefold()
    return text


def _by_word(text: str, rate: float, rng: np.random.Generator, change: Callable[[str], str]) -> str:
    return " ".join(change(w) if rng.random() < rate else w for w in text.split(" "))


def _lexicons(one: Task, pivot: str = "en", least: float = 0.5) -> dict[int, dict[str, str]]:
    """For each query language, words and their translation into the pivot (English; for English, the language with
    most questions beside it): the partner with the largest Dice coefficient over parallel questions, if over `least`."""
    by_group: dict[str, dict[int, list[str]]] = {}
    for text, group, code in zip(one.queries, one.query_group, one.query_language, strict=True):
        by_group.setdefault(group, {})[int(code)] = tokenize_words(text, one.languages[code])
    counts = Counter(c for members in by_group.values() for c in members)
    if len(counts) < 2 or not any(len(m) > 1 for m in by_group.values()):
        raise MixlingError(f"noise switch needs parallel questions, and task '{one.name}' has none")
    order = sorted(counts, key=lambda c: (-counts[c], c))
    home = next((c for c in order if one.languages[c] == pivot), order[0])
    other = next(c for c in order if c != home)
    found = {}
    for code in counts:
        target = other if code == home else home
        both, left, right = Counter(), Counter(), Counter()  # type: ignore[var-annotated]
        for members in by_group.values():
            if code in members and target in members:
                a, b = set(members[code]), set(members[target])
                left.update(a)
                right.update(b)
                both.update((x, y) for x in a for y in b)
        best: dict[str, tuple[float, str]] = {}
        for (x, y), n in both.items():
            # of equally good partners the first in the alphabet: sets and rows have no order to rely on
            dice = (-2 * n / (left[x] + right[y]), y)
            if n >= 2 and -dice[0] >= least and x != y and dice < best.get(x, (0.0, "")):
                best[x] = dice
        found[code] = {x: y for x, (_, y) in best.items()}
    return found
