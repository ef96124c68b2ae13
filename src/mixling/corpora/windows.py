"""A window of text round an answer: what stands for a long passage."""

from __future__ import annotations

import numpy as np

from mixling.corpora.corpus import Corpus
from mixling.corpora.values import with_title


def link_windows(corpus: Corpus, width: int, titles: bool = False) -> list[str]:
    """For each link of a corpus, the window of its passage round the answer; titles: with the passage's title before it."""
    passages, links = corpus.passages["text"].to_pylist(), corpus.links.to_pydict()
    heads = corpus.passages["title"].to_pylist() if titles else [None] * len(passages)
    return [
        with_title(
            heads[p], cut_window(passages[p], -1 if a is None else a, -1 if b is None else b, width)
        )
        for p, a, b in zip(links["passage"], links["start"], links["end"], strict=True)
    ]


def first_links(corpus: Corpus) -> np.ndarray:
    """The first link to each passage, -1 where there is none: int64 [passages]."""
    passage = corpus.links["passage"].to_numpy()
    first = np.full(corpus.passages.num_rows, -1, np.int64)
    first[passage[::-1]] = np.arange(len(passage))[::-1]
    return first


def passage_windows(corpus: Corpus, width: int | None) -> list[str]:
    """For each passage its title and the window round the first answer that is known in it (from its beginning if none is);
    None: all."""
    texts, titles = (corpus.passages[c].to_pylist() for c in ("text", "title"))
    if width is None:
        return [with_title(*both) for both in zip(titles, texts, strict=True)]
    start, end = (corpus.links[c].fill_null(-1).to_numpy() for c in ("start", "end"))
    link = first_links(corpus)
    spans = [(int(start[i]), int(end[i])) if i >= 0 else (-1, -1) for i in link]
    return [
        with_title(title, cut_window(text, *span, width))
        for title, text, span in zip(titles, texts, spans, strict=True)
    ]


def cut_window(text: str, start: int, end: int, width: int) -> str:
    """`width` characters of text round [start, end) (from the beginning if start < 0), cut at spaces if there are."""
    if len(text) <= width:
        return text
    middle = 0 if start < 0 else (start + end) // 2
    left = int(min(max(0, middle - width // 2), len(text) - width))
    right = left + width
    if left > 0:
        space = text.find(" ", left, left + 40)
        left = space + 1 if space >= 0 else left
    if right < len(text):
        space = text.rfind(" ", right - 40, right)
        right = space if space > left else right
    return text[left:right]
