"""Measures how a tokenizer cuts texts in each language, which explains many gaps.

| figure | formula |
|---|---|
| `fertility` | subwords / words (words by ICU, so also for scripts without spaces) |
| `unknown` | share of subwords that are the unknown token |
| `characters_per_subword` | characters without spaces / subwords |
| `split_to_characters` | share of words of three or more characters that are cut to characters |
| `truncated` | share of texts longer than the model reads |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from mixling.evaluation.lexical import tokenize_words
from mixling.evaluation.tasks import Task
from mixling.models.retriever import Retriever

SAMPLE_SIZE = 200


def coverage(
    retriever: Retriever, task: Task, sample_size: int = SAMPLE_SIZE
) -> dict[str, dict[str, float]]:
    """Compute the figures above for each language of a task.

    Args:
        retriever: The model whose tokenizer is measured.
        task: The task.
        sample_size: Maximum number of texts a language; passages, or queries where a language has
            no passage.

    Returns:
        The figures by language.
    """
    texts = {name: _sample(task, code, sample_size) for code, name in enumerate(task.languages)}
    return count_subwords(retriever, texts)


def count_subwords(
    retriever: Retriever, texts_by_language: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, float]]:
    """Compute the figures above for texts of each language.

    Args:
        retriever: The model whose tokenizer is measured.
        texts_by_language: Texts of each language.

    Returns:
        The figures by language, without languages whose texts have no word.
    """
    # texts are counted whole, so the library's warning of texts longer than the model is no fault
    tokenizer = partial(
        retriever.tokenizer, return_attention_mask=False, return_token_type_ids=False, verbose=False
    )
    result = {}
    for language, texts in texts_by_language.items():
        texts = list(texts)
        words = [w for t in texts for w in tokenize_words(t, language)]
        if not words:
            continue
        subwords = tokenizer(words, add_special_tokens=False)["input_ids"]
        counts = np.array([len(x) for x in subwords])
        lengths = np.array([len(w) for w in words])
        unknown = retriever.tokenizer.unk_token_id
        long = lengths >= 3
        whole = tokenizer(texts, add_special_tokens=True)["input_ids"]
        result[language] = {
            "fertility": float(counts.sum() / len(counts)),
            "unknown": float(sum(x.count(unknown) for x in subwords) / max(counts.sum(), 1)),
            "characters_per_subword": float(lengths.sum() / max(counts.sum(), 1)),
            "split_to_characters": float((counts[long] >= lengths[long]).mean())
            if long.any()
            else 0.0,
            "truncated": float(np.mean([len(x) > retriever.max_length for x in whole])),
        }
    return result


def _sample(task: Task, code: int, size: int) -> list[str]:
    """Draw passages of a language evenly, or its queries where it has no passage."""
    rows, texts = np.flatnonzero(task.passage_language == code), task.titled_passages()
    if not len(rows):
        rows, texts = np.flatnonzero(task.query_language == code), task.queries
    if len(rows) > size:
        rows = rows[np.linspace(0, len(rows) - 1, size).astype(int)]
    return [texts[i] for i in rows]
