"""Splits documents into overlapping passages at the ends of sentences, in every script (ICU)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from mixling.corpora.sentences import sentence_spans

SPACE_SEARCH = 60  # characters before an even cut in which a space is looked for


def split_passages(
    text: str,
    language: str,
    count_tokens: Callable[[Sequence[str]], Sequence[int]],
    size: int = 200,
    overlap: int = 40,
) -> list[tuple[int, int]]:
    """Split a text into passages of whole sentences.

    Each passage has up to `size` tokens. It begins with the last sentences of the passage before
    it, as far as they have up to `overlap` tokens. A sentence of more than `size` tokens is cut
    between words.

    Args:
        text: The text.
        language: Its language, BCP-47.
        count_tokens: Counts the tokens of each of several texts.
        size: Tokens of a passage.
        overlap: Tokens that a passage repeats of the one before it.

    Returns:
        The passages as characters `[begin, end)`.
    """
    sentences = sentence_spans(text, language)
    token_counts = count_tokens([text[begin:end] for begin, end in sentences])
    segments: list[tuple[int, int, int]] = []  # begin, end, tokens
    for (begin, end), tokens in zip(sentences, token_counts, strict=True):
        if tokens <= size:
            segments.append((begin, end, tokens))
        else:
            segments += _cut_sentence(text, begin, end, tokens, size)
    passages: list[tuple[int, int]] = []
    first = 0
    while first < len(segments):
        last, used = first, segments[first][2]
        while last + 1 < len(segments) and used + segments[last + 1][2] <= size:
            last += 1
            used += segments[last][2]
        passages.append((segments[first][0], segments[last][1]))
        if last + 1 == len(segments):
            break
        following, repeated = last + 1, 0
        while following - 1 > first and repeated + segments[following - 1][2] <= overlap:
            following -= 1
            repeated += segments[following][2]
        # The repeated sentences must leave room for at least one new sentence.
        while following <= last and repeated + segments[last + 1][2] > size:
            repeated -= segments[following][2]
            following += 1
        first = following
    return passages


def _cut_sentence(
    text: str, begin: int, end: int, tokens: int, size: int
) -> list[tuple[int, int, int]]:
    """Cut a long sentence into segments of about equal length, at a space where one is near."""
    n_segments = -(-tokens // size)
    edges = [begin]
    for i in range(1, n_segments):
        even = begin + (end - begin) * i // n_segments
        space = text.rfind(" ", max(edges[-1] + 1, even - SPACE_SEARCH), even)
        edges.append(space + 1 if space > edges[-1] else max(even, edges[-1] + 1))
    edges.append(end)
    tokens_each = -(-tokens // n_segments)
    return [(a, b, tokens_each) for a, b in pairwise(edges) if text[a:b].strip()]
