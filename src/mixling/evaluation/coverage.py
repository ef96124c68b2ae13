"""How a tokenizer cuts up each language: it explains many gaps, and what is cut off at the end.

fertility               pieces / words (words by ICU, so also for scripts without spaces)
unknown                 share of pieces that are the unknown piece
characters_per_piece    characters without spaces / pieces
split_to_characters     share of words of three characters or more that become one piece a character, or more
truncated               share of texts longer than the model reads
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mixling.evaluation.lexical import tokenize_words
from mixling.evaluation.tasks import Task
from mixling.models.retriever import Retriever

SAMPLE = 200


def coverage(retriever: Retriever, one: Task, sample: int = SAMPLE) -> dict[str, dict[str, float]]:
    """The figures above by language, over up to `sample` texts of each, candidates before questions."""
    return count_subwords(
        retriever, {name: _texts(one, code, sample) for code, name in enumerate(one.languages)}
    )


def count_subwords(
    retriever: Retriever, texts_of: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, float]]:
    """The figures above of some texts of each language."""
    tokenizer = retriever.tokenizer
    found = {}
    for name, some in texts_of.items():
        texts = list(some)
        listed = [w for t in texts for w in tokenize_words(t, name)]
        if not listed:
            continue
        cut = tokenizer(listed, add_special_tokens=False, return_attention_mask=False)["input_ids"]
        counts = np.array([len(p) for p in cut])
        lengths = np.array([len(w) for w in listed])
        unknown = tokenizer.unk_token_id
        long = lengths >= 3
        whole = tokenizer(texts, add_special_tokens=True, return_attention_mask=False)["input_ids"]
        found[name] = {
            "fertility": float(counts.sum() / len(counts)),
            "unknown": float(sum(p.count(unknown) for p in cut) / max(counts.sum(), 1)),
            "characters_per_piece": float(lengths.sum() / max(counts.sum(), 1)),
            "split_to_characters": float((counts[long] >= lengths[long]).mean())
            if long.any()
            else 0.0,
            "truncated": float(np.mean([len(t) > retriever.max_length for t in whole])),
        }
    return found


def _texts(one: Task, code: int, sample: int) -> list[str]:
    """Evenly drawn candidates of a language, or its questions where it has no candidate."""
    rows, texts = np.flatnonzero(one.passage_language == code), one.titled_passages()
    if not len(rows):
        rows, texts = np.flatnonzero(one.query_language == code), one.queries
    chosen = (
        rows if len(rows) <= sample else rows[np.linspace(0, len(rows) - 1, sample).astype(int)]
    )
    return [texts[i] for i in chosen]
