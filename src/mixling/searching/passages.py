"""Documents cut into passages at sentence ends, in every script (ICU), with some overlap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from mixling.errors import MixlingError


def split_sentences(text: str, language: str) -> list[tuple[int, int]]:
    """[start, end) of each sentence without the space round it; paragraphs end sentences too."""
    try:
        from icu4py.breakers import SentenceBreaker
    except ImportError:
        raise MixlingError("icu4py is not installed: pip install 'mixling[search]'") from None
    found, at = [], 0
    for piece in map(str, SentenceBreaker(text, language)):
        inner = at
        for line in piece.split("\n"):
            words = line.strip()
            if words:
                begin = inner + len(line) - len(line.lstrip())
                found.append((begin, begin + len(words)))
            inner += len(line) + 1
        at += len(piece)
    return found


def split_passages(
    text: str,
    language: str,
    count: Callable[[Sequence[str]], Sequence[int]],
    size: int = 200,
    overlap: int = 40,
) -> list[tuple[int, int]]:
    """[start, end) of each passage: whole sentences of up to `size` tokens, the next one beginning with the last sentences of
    the one before where they have up to `overlap` tokens. count: tokens of texts. A longer sentence is cut at words.
    """
    pieces = []
    found = split_sentences(text, language)
    for (begin, end), tokens in zip(found, count([text[a:b] for a, b in found]), strict=True):
        pieces += [(begin, end, tokens)] if tokens <= size else _cut(text, begin, end, tokens, size)
    out: list[tuple[int, int]] = []
    first = 0
    while first < len(pieces):
        last, used = first, pieces[first][2]
        while last + 1 < len(pieces) and used + pieces[last + 1][2] <= size:
            last += 1
            used += pieces[last][2]
        out.append((pieces[first][0], pieces[last][1]))
        if last + 1 == len(pieces):
            break
        back, kept = last + 1, 0
        while back - 1 > first and kept + pieces[back - 1][2] <= overlap:
            back -= 1
            kept += pieces[back][2]
        # what is repeated must leave room for what is new
        while back <= last and kept + pieces[last + 1][2] > size:
            kept -= pieces[back][2]
            back += 1
        first = back
    return out


def _cut(text: str, begin: int, end: int, tokens: int, size: int) -> list[tuple[int, int, int]]:
    """A long sentence in parts of about equal length, cut at a space where there is one near."""
    parts = -(-tokens // size)
    edges = [begin]
    for i in range(1, parts):
        at = begin + (end - begin) * i // parts
        space = text.rfind(" ", max(edges[-1] + 1, at - 60), at)
        edges.append(space + 1 if space > edges[-1] else max(at, edges[-1] + 1))
    edges.append(end)
    return [(a, b, -(-tokens // parts)) for a, b in pairwise(edges) if text[a:b].strip()]
