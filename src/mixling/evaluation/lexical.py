"""BM25 over all languages at once, and its fusion with an encoder.

Words are ICU's, so that Thai, Lao, Khmer, Burmese, Chinese and Japanese, which write no spaces, have words too;
NFKC and case folding, no stemming, no stop words: the same for every language. Lucene's BM25 through bm25s with
the parameters of the published multilingual baselines (k1 = .9, b = .4: Anserini, MIRACL).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np

from mixling.errors import MixlingError
from mixling.evaluation.ranks import Ranker, Rows, Scorer
from mixling.evaluation.tasks import Task
from mixling.progress import Progress

K1, B = 0.9, 0.4


def words(text: str, language: str = "en") -> list[str]:
    """The words of a text: segments of ICU's word breaker that hold a letter or a digit, folded."""
    try:
        from icu4py.breakers import WordBreaker
    except ImportError:
        raise MixlingError("icu4py is not installed: pip install 'mixling[benchmarks]'") from None
    folded = unicodedata.normalize("NFKC", text).casefold()
    return [w for w in map(str, WordBreaker(folded, language)) if any(c.isalnum() for c in w)]


class Lexical:
    """BM25 as a ranker."""

    name, origin = "bm25", {"k1": K1, "b": B, "words": "ICU, NFKC, case folded"}

    def scorer(self, one: Task) -> tuple[Scorer, dict[str, Any]]:
        texts = one.titled()
        names = one.languages
        with Progress(f"{one.name}: words") as bar:
            total = len(texts) + len(one.queries)
            made: list[list[list[str]]] = []
            for all_texts, of in ((texts, one.candidate_language), (one.queries, one.query_language)):
                rows = []
                for text, code in zip(all_texts, of, strict=True):
                    rows.append(words(text, names[code]))
                    bar(len(made) * len(texts) + len(rows), total)
                made.append(rows)
        return Bm25(made[0], made[1]), {"texts": len(texts) + len(one.queries)}


class Bm25(Rows):
    """Scores of word lists. documents, queries: words of each."""

    def __init__(
        self, documents: Sequence[list[str]], queries: Sequence[list[str]], k1: float = K1, b: float = B
    ):
        try:
            import bm25s
        except ImportError:
            raise MixlingError("bm25s is not installed: pip install 'mixling[benchmarks]'") from None
        self.index = bm25s.BM25(k1=k1, b=b, method="lucene")
        # an empty document breaks bm25s' vocabulary only if all are: give each a word that no query has
        self.index.index([d or ["\0"] for d in documents], show_progress=False)
        known = self.index.vocab_dict
        self.queries = [[w for w in q if w in known] for q in queries]
        self.n = len(documents)

    def __call__(self, begin: int, end: int) -> np.ndarray:
        scores = np.zeros((end - begin, self.n), np.float32)
        for row, q in enumerate(self.queries[begin:end]):
            if q:
                scores[row] = self.index.get_scores(q)
        return scores


class Fused:
    """An encoder and BM25 together. form: "mean" of scores brought to 0 … 1, or "rrf"."""

    def __init__(self, other: Ranker, form: str = "mean"):
        self.other, self.form = other, form
        self.name, self.origin = f"{other.name}+bm25{':rrf' if form == 'rrf' else ''}", dict(other.origin)

    def scorer(self, one: Task) -> tuple[Scorer, dict[str, Any]]:
        dense, counted = self.other.scorer(one)
        lexical, _ = Lexical().scorer(one)
        return _Both((dense, lexical), self.form), counted


class _Both(Rows):
    def __init__(self, parts: tuple[Scorer, Scorer], form: str):
        self.parts, self.prepare = parts, reciprocal if form == "rrf" else normalised

    def __call__(self, begin: int, end: int) -> np.ndarray:
        first, second = (self.prepare(p(begin, end)) for p in self.parts)
        return (first + second) / np.float32(2)


def normalised(scores: np.ndarray, depth: int = 1000) -> np.ndarray:
    """Scores of a query brought to 0 … 1 over its first `depth`; a document beyond takes the least: 0."""
    depth = min(depth, scores.shape[1])
    least = np.partition(scores, -depth, axis=1)[:, -depth][:, None]
    most = scores.max(1, keepdims=True)
    return np.maximum(scores - least, 0) / np.maximum(most - least, 1e-9)


def reciprocal(scores: np.ndarray, depth: int = 1000, k: int = 60) -> np.ndarray:
    """1 / (k + rank) within a query's first `depth`, 0 beyond (Cormack et al. 2009)."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :depth]
    value = np.zeros_like(scores)
    np.put_along_axis(value, order, 1 / (k + 1 + np.arange(order.shape[1], dtype=np.float32))[None], 1)
    return value
