"""Finds the texts that a corpus lacks in some languages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from mixling.corpora.corpus import Corpus
from mixling.corpora.sentences import sentence_spans

Table = Literal["query", "passage"]


@dataclass(frozen=True)
class MissingText:
    """A text to translate.

    Args:
        table: Whether it is a query or a passage.
        row: Its row in that table of the corpus.
        source_language: Its language, BCP-47.
        target_language: The language to translate into, BCP-47.
        sentences: Its sentences; a query counts as one.
    """

    table: Table
    row: int
    source_language: str
    target_language: str
    sentences: tuple[str, ...]


def missing_texts(corpus: Corpus, targets: Sequence[str], pivot: str) -> list[MissingText]:
    """Return the texts to translate: one for each group that lacks a target language.

    Args:
        corpus: The corpus.
        targets: BCP-47 tags of the target languages.
        pivot: The language to translate from; groups without a text in it use their first.

    Returns:
        The texts, in order of their languages.
    """
    missing: list[MissingText] = []
    tables: tuple[tuple[Table, pa.Table], ...] = (
        ("query", corpus.queries),
        ("passage", corpus.passages),
    )
    for name, table in tables:
        groups, languages, texts = (table[c].to_pylist() for c in ("group", "language", "text"))
        rows: dict[str, dict[str, int]] = {}
        for row, (group, language) in enumerate(zip(groups, languages, strict=True)):
            rows.setdefault(group, {}).setdefault(language, row)
        for row_of_language in rows.values():
            row = row_of_language.get(pivot, next(iter(row_of_language.values())))
            text = texts[row]
            sentences = (
                tuple(text[a:b] for a, b in sentence_spans(text))
                if name == "passage"
                else (" ".join(text.split()),)
            )
            missing += [
                MissingText(name, row, languages[row], target, sentences)
                for target in targets
                if target not in row_of_language
            ]
    order = {target: i for i, target in enumerate(targets)}
    return sorted(missing, key=lambda m: (m.source_language, order[m.target_language]))
