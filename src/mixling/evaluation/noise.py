"""Noise in queries as people type them: typos, missing diacritics, romanization, mixed languages.

typos: With probability `rate`, a letter is replaced by a neighbor on the keyboard of its script,
left
    out, doubled, or swapped with the next one. Han, and scripts without a keyboard below, have no
    replacements.
diacritics: With probability `rate`, a word loses its marks, in scripts where marks are optional in
    practice (Latin, Greek, Arabic, Hebrew). Scripts whose vowels are marks do not change.
romanize: With probability `rate`, a word is written in Latin letters (anyascii).
switch: With probability `rate`, a word is replaced by its translation. The lexicon is learned from
the
    task's own parallel queries (Dice's coefficient), and only words in it are replaced.

Random numbers are seeded by query, so that the noise of a query does not depend on the others.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Literal, get_args

import numpy as np

from mixling.corpora.languages import language_script
from mixling.errors import MixlingError, choose, not_installed
from mixling.evaluation.lexical import tokenize_words
from mixling.evaluation.tasks import Task

NoiseType = Literal["typos", "diacritics", "romanize", "switch"]
NOISE_TYPES: tuple[NoiseType, ...] = get_args(NoiseType)
# names that seed the random numbers where they differ: another one would change the noise
SEED_NAMES = {"romanize": "romanise"}
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


def add_noise(task: Task, noise_type: str, rate: float, seed: int = 0) -> Task:
    """Add noise to the queries of a task.

    Args:
        task: The task.
        noise_type: One of `NOISE_TYPES`.
        rate: Probability of a change, over 0 and up to 1.
        seed: Seed of the random numbers.

    Returns:
        The task with noise; its name ends in `~TYPE:RATE`.

    Raises:
        MixlingError: The type or the rate is invalid, the task lacks parallel queries for `switch`,
            or no query changes.
    """
    choose(noise_type, NOISE_TYPES, "noise")
    if not 0 < rate <= 1:
        raise MixlingError(
            f"noise '{noise_type}:{rate}': the rate is {rate}. Expected a number above 0, up to 1."
        )
    lexicons = _lexicons(task) if noise_type == "switch" else {}
    queries = []
    for text, key, code in zip(task.queries, task.query_ids, task.query_language, strict=True):
        rng = _query_generator(noise_type, key, seed)
        language = task.languages[code]
        if noise_type == "switch":
            noisy = switch_code(text, language, rate, rng, lexicons.get(int(code), {}))
        else:
            change = {"typos": typos, "diacritics": diacritics, "romanize": romanize}[noise_type]
            noisy = change(text, language, rate, rng)
        queries.append(noisy)
    if queries == list(task.queries):
        raise MixlingError(
            f"noise '{noise_type}' changes no query of task '{task.name}'. Leave it out."
        )
    return replace(task, name=f"{task.name}~{noise_type}:{rate:g}", queries=queries)


def _query_generator(noise_type: str, query_id: str, seed: int) -> np.random.Generator:
    """Make the random numbers of a query."""
    name = f"{seed}/{SEED_NAMES.get(noise_type, noise_type)}/{query_id}"
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))


def typos(text: str, language: str, rate: float, rng: np.random.Generator) -> str:
    """Make typing errors on the keyboard of the language's script.

    Args:
        text: The query.
        language: Its language tag.
        rate: Probability of a change at each letter.
        rng: Random numbers.

    Returns:
        The query with noise.
    """
    neighbors = _keyboard_neighbors(language_script(language))
    out: list[str] = []
    letters = list(text)
    i = 0
    while i < len(letters):
        letter = letters[i]
        if not letter.isalpha() or rng.random() >= rate:
            out.append(letter)
            i += 1
            continue
        keys = neighbors.get(letter.lower(), "")
        # 0: a neighboring key, 1: left out, 2: doubled, 3: swapped with the next letter
        error = rng.integers(0 if keys else 1, 4)
        if error == 0:
            key = keys[int(rng.integers(len(keys)))]
            out.append(key.upper() if letter.isupper() else key)
        elif error == 2:
            out += [letter, letter]
        elif error == 3 and i + 1 < len(letters):
            out += [letters[i + 1], letter]
            i += 1
        i += 1
    return "".join(out) if "".join(out).strip() else text


def _keyboard_neighbors(script_name: str) -> dict[str, str]:
    """Return the neighbors of each key: beside it, and in the rows above and below."""
    rows = KEYBOARDS.get(script_name, ())
    neighbors: dict[str, str] = {}
    for number, row in enumerate(rows):
        for i, key in enumerate(row):
            keys = [row[j] for j in (i - 1, i + 1) if 0 <= j < len(row)]
            for other in (number - 1, number + 1):
                if 0 <= other < len(rows):
                    keys += [rows[other][j] for j in (i - 1, i) if 0 <= j < len(rows[other])]
            neighbors[key] = "".join(keys)
    return neighbors


def diacritics(text: str, language: str, rate: float, rng: np.random.Generator) -> str:
    """Leave out diacritics, word by word.

    Args:
        text: The query.
        language: Its language tag.
        rate: Probability of a change of each word.
        rng: Random numbers.

    Returns:
        The query with noise.
    """
    if language_script(language) not in OPTIONAL_MARKS:
        return text

    def without_marks(word: str) -> str:
        base = (c for c in unicodedata.normalize("NFD", word) if not unicodedata.combining(c))
        # letters whose stroke is no combining mark
        return unicodedata.normalize("NFC", "".join(base)).translate(
            str.maketrans("đĐłŁøØ\u0640", "dDlLoO\u0640")
        )

    return _change_words(text, rate, rng, without_marks)


def romanize(text: str, language: str, rate: float, rng: np.random.Generator) -> str:
    """Write words in Latin letters.

    Args:
        text: The query.
        language: Its language tag.
        rate: Probability of a change of each word.
        rng: Random numbers.

    Returns:
        The query with noise.

    Raises:
        MixlingError: anyascii is not installed.
    """
    try:
        from anyascii import anyascii
    except ImportError:
        raise not_installed("anyascii", "benchmarks") from None
    return text if language_script(language) == "Latn" else _change_words(text, rate, rng, anyascii)


def switch_code(
    text: str, language: str, rate: float, rng: np.random.Generator, lexicon: dict[str, str]
) -> str:
    """Replace words by their translations.

    Args:
        text: The query.
        language: Its language tag.
        rate: Probability of a change of each word in the lexicon.
        rng: Random numbers.
        lexicon: Translation of each case-folded word.

    Returns:
        The query with noise.
    """
    words = [w for w in tokenize_words(text, language) if w in lexicon]
    folded = text.casefold()
    for word in dict.fromkeys(words):
        start = folded.find(word)
        # places agree only where case folding does not change the length
        if start >= 0 and len(folded) == len(text) and rng.random() < rate:
            text = text[:start] + lexicon[word] + text[start + len(word) :]
            folded = text.casefold()
    return text


def _change_words(
    text: str, rate: float, rng: np.random.Generator, change: Callable[[str], str]
) -> str:
    """Change each word with probability `rate`."""
    return " ".join(change(w) if rng.random() < rate else w for w in text.split(" "))


def _lexicons(task: Task, pivot: str = "en", minimum: float = 0.5) -> dict[int, dict[str, str]]:
    """Learn, for each query language, translations of its words into another language.

    The other language is the pivot; for the pivot itself it is the language with the most queries
    beside it. A word's translation is the partner with the largest Dice coefficient over parallel
    queries, if that is `minimum` or more.
    """
    words_by_group: dict[str, dict[int, list[str]]] = {}
    for text, group, code in zip(task.queries, task.query_group, task.query_language, strict=True):
        words = tokenize_words(text, task.languages[code])
        words_by_group.setdefault(group, {})[int(code)] = words
    counts = Counter(code for words in words_by_group.values() for code in words)
    if len(counts) < 2 or not any(len(words) > 1 for words in words_by_group.values()):
        raise MixlingError(
            f"noise 'switch' needs parallel queries, and task '{task.name}' has none. Leave it out."
        )
    order = sorted(counts, key=lambda code: (-counts[code], code))
    pivot_code = next((c for c in order if task.languages[c] == pivot), order[0])
    other = next(c for c in order if c != pivot_code)
    return {
        code: _lexicon(words_by_group, code, other if code == pivot_code else pivot_code, minimum)
        for code in counts
    }


def _lexicon(
    words_by_group: dict[str, dict[int, list[str]]], source: int, target: int, minimum: float
) -> dict[str, str]:
    """Learn translations of one language's words into another's: 2 n(x, y) / (n(x) + n(y))."""
    both, left, right = Counter[tuple[str, str]](), Counter[str](), Counter[str]()
    for words in words_by_group.values():
        if source in words and target in words:
            source_words, target_words = set(words[source]), set(words[target])
            left.update(source_words)
            right.update(target_words)
            both.update((x, y) for x in source_words for y in target_words)
    best: dict[str, tuple[float, str]] = {}
    for (x, y), n in both.items():
        # of equally good partners the first in the alphabet: sets and rows have no order to rely on
        dice = (-2 * n / (left[x] + right[y]), y)
        if n >= 2 and -dice[0] >= minimum and x != y and dice < best.get(x, (0.0, "")):
            best[x] = dice
    return {x: y for x, (_, y) in best.items()}
