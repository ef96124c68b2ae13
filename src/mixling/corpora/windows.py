"""Windows of text around answers, which stand for long passages."""

from __future__ import annotations

import numpy as np

from mixling.corpora.corpus import Corpus

_LONGEST_WORD = 40  # characters in which a space is looked for at a window's edge


def link_windows(corpus: Corpus, width: int) -> list[str]:
    """Return for each link the window of its passage around the answer.

    Args:
        corpus: The corpus.
        width: Greatest length of a window in characters.

    Returns:
        One text a link.
    """
    passages, links = corpus.passages["text"].to_pylist(), corpus.links.to_pydict()
    return [
        cut_window(passages[p], -1 if start is None else start, -1 if end is None else end, width)
        for p, start, end in zip(links["passage"], links["start"], links["end"], strict=True)
    ]


def link_titles(corpus: Corpus) -> list[str | None]:
    """Return the title of each link's passage, None where it has none.

    Args:
        corpus: The corpus.
    """
    titles = corpus.passages["title"].to_pylist()
    return [titles[p] for p in corpus.links["passage"].to_pylist()]


def first_links(corpus: Corpus) -> np.ndarray:
    """Return the first link to each passage.

    Args:
        corpus: The corpus.

    Returns:
        A row of `corpus.links` for each passage, -1 if no link leads to it: int64 `[passages]`.
    """
    passage = corpus.links["passage"].to_numpy()
    first = np.full(corpus.passages.num_rows, -1, np.int64)
    # of several links to one passage the last assignment stays, so that the first link comes last
    first[passage[::-1]] = np.arange(len(passage))[::-1]
    return first


def passage_windows(corpus: Corpus, width: int | None) -> list[str]:
    """Return a window of each passage's text.

    The window lies around the answer of the first link to the passage. It begins with the passage
    if that answer's place is not known.

    Args:
        corpus: The corpus.
        width: Greatest length of a window in characters; None: the whole text.

    Returns:
        One text a passage.
    """
    texts: list[str] = corpus.passages["text"].to_pylist()
    if width is None:
        return texts
    start, end = (corpus.links[c].fill_null(-1).to_numpy() for c in ("start", "end"))
    links = first_links(corpus)
    spans = [(int(start[i]), int(end[i])) if i >= 0 else (-1, -1) for i in links]
    return [cut_window(text, *span, width) for text, span in zip(texts, spans, strict=True)]


def cut_window(text: str, start: int, end: int, width: int) -> str:
    """Cut a window around an answer, at spaces if there are any nearby.

    Args:
        text: The text.
        start: The answer's first character; negative: the window begins with the text.
        end: The character after the answer's last.
        width: Greatest length of the window in characters.

    Returns:
        The window; the whole text if it is short enough.
    """
    if len(text) <= width:
        return text
    middle = 0 if start < 0 else (start + end) // 2
    left = int(min(max(0, middle - width // 2), len(text) - width))
    right = left + width
    if left > 0:
        space = text.find(" ", left, left + _LONGEST_WORD)
        left = space + 1 if space >= 0 else left
    if right < len(text):
        space = text.rfind(" ", right - _LONGEST_WORD, right)
        right = space if space > left else right
    return text[left:right]
