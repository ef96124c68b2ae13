"""Sentences of a paragraph, where a corpus does not bring its own: cut after . ! ? and their kin.

A full stop ends a sentence when a space and no digit or small Latin letter follow; the full stops of
Chinese, Japanese, Hindi and Amharic always do.
"""

from __future__ import annotations

import re

_END = re.compile(r"[。！？।።]+[」』）]*\s*|[.!?؟…]+[\"'»”)\]]*(?:\s+(?![a-z0-9])|$)|\n+")


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """[start, end) of each sentence, without the space round it; together they hold every word."""
    found, start = [], 0
    for match in [*_END.finditer(text), None]:
        end = len(text) if match is None else match.end()
        piece = text[start:end]
        left = start + len(piece) - len(piece.lstrip())
        if piece.strip():
            found.append((left, left + len(piece.strip())))
        start = end
    return found
