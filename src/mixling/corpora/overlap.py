"""Texts that a corpus shares with others, and the corpus without the groups that hold them.

Texts are compared by their letters and digits: case, blanks, punctuation and Unicode's compatible
forms make no difference. Two texts meet if they are equal. Two passages meet as well if one holds
the other and the shorter has `MIN_LETTERS` letters, because one publication cuts sentences where
another has paragraphs. A rolling hash finds the places where a passage may begin in another
(Karp and Rabin 1987), and the texts themselves decide, so there are no false alarms.
"""

from __future__ import annotations

import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pyarrow as pa

from mixling.corpora.components import connected_components
from mixling.corpora.corpus import Corpus

# of the shorter of two passages of which one holds the other; a power of two, by which the hash
# grows
MIN_LETTERS = 32
_BASE = np.full(1, 0x9E3779B97F4A7C15, np.uint64)  # odd: no weight is 0 modulo 2^64
_LETTERS_AT_ONCE = 1 << 22  # letters whose hashes are in memory at a time: 32 MB
_SEPARATOR = "\n"  # stands in no normalized text


@dataclass(frozen=True)
class OtherTexts:
    """Texts that corpora are compared with, indexed for the comparison; see `index_texts`.

    Args:
        names: Whose texts they are.
        whole: For each normalized text, the first of the names that has it, as a number.
        passages: Normalized passages.
        owner: The number of the name of each passage, int64 `[n]`.
    """

    names: tuple[str, ...]
    whole: Mapping[str, int]
    passages: Sequence[str]
    owner: np.ndarray


def index_texts(others: Mapping[str, tuple[Sequence[str], Sequence[str]]]) -> OtherTexts:
    """Index the texts that corpora are compared with.

    Args:
        others: Queries and passages by name.
    """
    whole: dict[str, int] = {}
    all_passages: list[str] = []
    owner: list[int] = []
    for number, (queries, passages) in enumerate(others.values()):
        normalized = _normalize(passages)
        for text in (*_normalize(queries), *normalized):
            if text:
                whole.setdefault(text, number)
        all_passages += normalized
        owner += [number] * len(normalized)
    return OtherTexts(tuple(others), whole, all_passages, np.array(owner, np.int64))


def without_overlap(corpus: Corpus, others: OtherTexts) -> Corpus:
    """Return a corpus without what it shares with other texts.

    A query or passage that meets one of the other texts takes along its translations, and all that
    links join to them: queries on one passage would give it away as well.

    Args:
        corpus: The corpus.
        others: The other texts.

    Returns:
        The rest of the corpus, which may be empty. Its `left_out` has the numbers of queries and
        passages that were left out for each name; what meets several counts for the first.
    """
    queries, passages = (
        _normalize(t["text"].to_pylist()) for t in (corpus.queries, corpus.passages)
    )
    query_component, passage_component = _components(corpus)
    nothing = len(others.names)
    n_components = int(max(query_component.max(initial=-1), passage_component.max(initial=-1))) + 1
    # the first of the names that each component meets
    reason = np.full(n_components, nothing)
    for texts, component in ((queries, query_component), (passages, passage_component)):
        met = np.array([others.whole.get(x, nothing) for x in texts], np.int64)
        np.minimum.at(reason, component, met)
    for passage, other in _overlapping(passages, others.passages):
        component = passage_component[passage]
        reason[component] = min(reason[component], others.owner[other])
    if (reason == nothing).all():
        return corpus
    left_out = Counter(corpus.left_out)
    for number, name in enumerate(others.names):
        for what, component in (("queries", query_component), ("passages", passage_component)):
            count = int((reason[component] == number).sum())
            if count:
                left_out[f"{what} that meet {name}"] += count
    groups = corpus.passages["group"].filter(pa.array(reason[passage_component] == nothing))
    kept = corpus.select(passage_groups=groups.unique().to_pylist())
    return replace(kept, left_out=dict(left_out))


def _components(corpus: Corpus) -> tuple[np.ndarray, np.ndarray]:
    """Return the component of each query and of each passage, int64 each.

    Links, and groups of queries and of passages, join them.
    """
    names, of_text = np.unique(
        [f"q{x}" for x in corpus.queries["group"].to_pylist()]
        + [f"p{x}" for x in corpus.passages["group"].to_pylist()],
        return_inverse=True,
    )
    number = {name: i for i, name in enumerate(names.tolist())}
    n_queries = corpus.queries.num_rows
    passage_group = of_text[n_queries:]
    query = np.array([number.get(f"q{x}", -1) for x in corpus.links["group"].to_pylist()], np.int64)
    passage = passage_group[corpus.links["passage"].to_numpy()]
    has_query = query >= 0
    component = connected_components(query[has_query], passage[has_query], len(names), len(names))
    # a passage group stands on the right side alone, so that its number there tells its component
    right = component[len(names) :]
    return component[of_text[:n_queries]].astype(np.int64), right[passage_group].astype(np.int64)


@cache
def _ignored() -> dict[int, None]:
    """Return the characters that are left out: separators, punctuation, symbols and controls."""
    return {
        code: None
        for code in range(sys.maxunicode + 1)
        if unicodedata.category(chr(code))[0] in "CPSZ"
    }


def _normalize(texts: Sequence[str]) -> list[str]:
    """Return texts as they are compared."""
    return [unicodedata.normalize("NFKC", x).casefold().translate(_ignored()) for x in texts]


def _overlapping(texts: Sequence[str], others: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield each text and other text of which one holds the other."""
    yield from _find_parts(texts, others)
    yield from ((text, other) for other, text in _find_parts(others, texts))


def _find_parts(texts: Sequence[str], parts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield each text and part where the text holds the part, of `MIN_LETTERS` letters or more."""
    by_hash: dict[int, dict[str, list[int]]] = {}
    long = [i for i, part in enumerate(parts) if len(part) >= MIN_LETTERS]
    starts = _rolling_hash([parts[i][:MIN_LETTERS] for i in long])[1]
    for i, start in zip(long, starts.tolist(), strict=True):
        by_hash.setdefault(start, {}).setdefault(parts[i], []).append(i)
    keys = np.array(sorted(by_hash), np.uint64)
    if not len(keys):
        return
    for first, last in _chunks(texts):
        places, hashes = _rolling_hash(texts[first:last])
        nearest = keys[np.minimum(np.searchsorted(keys, hashes), len(keys) - 1)]
        joined_ends = np.cumsum([len(x) + 1 for x in texts[first:last]])
        for row in np.flatnonzero(nearest == hashes).tolist():
            text = int(np.searchsorted(joined_ends, places[row], "right"))
            place = int(places[row]) - int(joined_ends[text] - len(texts[first + text]) - 1)
            for part, numbers in by_hash[int(hashes[row])].items():
                if texts[first + text].startswith(part, place):
                    yield from ((first + text, i) for i in numbers)


def _chunks(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield the first and last row of stretches of texts that fit into memory."""
    first = size = 0
    for row, text in enumerate(texts):
        size += len(text)
        if size >= _LETTERS_AT_ONCE:
            yield first, row + 1
            first, size = row + 1, 0
    if first < len(texts):
        yield first, len(texts)


def _rolling_hash(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Hash every stretch of `MIN_LETTERS` letters that lies within one text.

    Args:
        texts: Normalized texts.

    Returns:
        Where each stretch begins in the texts joined by one separator, int64 `[n]`; its hash, the
        polynomial of its letters in `_BASE` modulo 2^64, uint64 `[n]`.
    """
    joined = "".join(x + _SEPARATOR for x in texts)
    letters = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32).astype(
        np.uint64
    )
    if len(letters) < MIN_LETTERS:
        return np.zeros(0, np.int64), np.zeros(0, np.uint64)
    # hashes of n letters and of the n after them make those of 2 n: h(i) * base^n + h(i + n)
    hashes, size, weight = letters, 1, _BASE
    while size < MIN_LETTERS:
        hashes = hashes[:-size] * weight + hashes[size:]
        size, weight = 2 * size, weight * weight
    separators = np.concatenate([[0], np.cumsum(letters == ord(_SEPARATOR))])
    places = np.flatnonzero(separators[MIN_LETTERS:] == separators[:-MIN_LETTERS])
    return places, hashes[places]
