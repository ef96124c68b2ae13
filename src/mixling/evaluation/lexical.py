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
from mixling.evaluation.ranks import Ranker, Scorer, ScoreRows, best_first, by_ids
from mixling.evaluation.tasks import Task
from mixling.progress import Progress

K1, B = 0.9, 0.4


def tokenize_words(text: str, language: str = "en") -> list[str]:
    """The words of a text: segments of ICU's word breaker that hold a letter or a digit, folded."""
    try:
        from icu4py.breakers import WordBreaker
    except ImportError:
        raise MixlingError("icu4py is not installed: pip install 'mixling[benchmarks]'") from None
    folded = unicodedata.normalize("NFKC", text).casefold()
    return [w for w in map(str, WordBreaker(folded, language)) if any(c.isalnum() for c in w)]


class Bm25Ranker:
    """BM25 as a ranker."""

    name, origin = "bm25", {"k1": K1, "b": B, "words": "ICU, NFKC, case folded"}

    def scorer(self, one: Task) -> tuple[Scorer, dict[str, Any]]:
        texts = one.titled_passages()
        names = one.languages
        with Progress(f"{one.name}: words") as bar:
            total = len(texts) + len(one.queries)
            made: list[list[list[str]]] = []
            for all_texts, of in ((texts, one.passage_language), (one.queries, one.query_language)):
                rows = []
                for text, code in zip(all_texts, of, strict=True):
                    rows.append(tokenize_words(text, names[code]))
                    bar(len(made) * len(texts) + len(rows), total)
                made.append(rows)
        return Bm25(made[0], made[1]), {"texts": len(texts) + len(one.queries)}


class Bm25(ScoreRows):
    """Scores of word lists. documents, queries: words of each."""

    def __init__(
        self,
        documents: Sequence[list[str]],
        queries: Sequence[list[str]],
        k1: float = K1,
        b: float = B,
    ):
        try:
            import bm25s
        except ImportError:
            raise MixlingError(
                "bm25s is not installed: pip install 'mixling[benchmarks]'"
            ) from None
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


class FusedRanker:
    """An encoder and BM25 together. form: "mean" of scores brought to 0 … 1, or "rrf".

    A passage that shares no word with the question has no rank of BM25's and gets nothing from it, so that the encoder's order
    stands where BM25 finds nothing. Equal scores stand in falling order of ids in each part's ranks.
    """

    def __init__(self, other: Ranker, form: str = "mean"):
        self.other, self.form = other, form
        self.name, self.origin = (
            f"{other.name}+bm25{':rrf' if form == 'rrf' else ''}",
            dict(other.origin),
        )

    def scorer(self, one: Task) -> tuple[Scorer, dict[str, Any]]:
        dense, counted = self.other.scorer(one)
        lexical, _ = Bm25Ranker().scorer(one)
        return _Both(dense, lexical, self.form, by_ids(one.passage_ids)[1]), counted


class _Both(ScoreRows):
    """place: uint64 [candidates], of each one's id among all."""

    def __init__(self, dense: Scorer, lexical: Scorer, form: str, place: np.ndarray):
        self.dense, self.lexical, self.form, self.place = dense, lexical, form, place

    def __call__(self, begin: int, end: int) -> np.ndarray:
        first, second = self.dense(begin, end), self.lexical(begin, end)
        if self.form == "rrf":
            first, second = (
                reciprocal_rank_scores(first, self.place),
                reciprocal_rank_scores(second, self.place, found=second > 0),
            )
        else:
            first, second = minmax_normalize(first), minmax_normalize(second)
        return (first + second) / np.float32(2)


def minmax_normalize(scores: np.ndarray, depth: int = 1000) -> np.ndarray:
    """Scores of a query brought to 0 … 1 over its first `depth`; a document beyond takes the least: 0."""
    depth = min(depth, scores.shape[1])
    least = np.partition(scores, -depth, axis=1)[:, -depth][:, None]
    most = scores.max(1, keepdims=True)
    return np.maximum(scores - least, 0) / np.maximum(most - least, 1e-9)


def reciprocal_rank_scores(
    scores: np.ndarray,
    place: np.ndarray | None = None,
    depth: int = 1000,
    k: int = 60,
    found: np.ndarray | None = None,
) -> np.ndarray:
    """1 / (k + rank) within a query's first `depth`, 0 beyond (Cormack et al. 2009).

    place: uint64 [candidates], of each one's id: equal scores stand in its falling order (None: in their own); found: bool as
    scores, candidates that have a rank (None: all).
    """
    if place is None:
        place = np.arange(scores.shape[1], dtype=np.uint64)[::-1]
    order = best_first(scores, place, min(depth, scores.shape[1]))
    value = np.zeros_like(scores)
    np.put_along_axis(
        value, order, 1 / (k + 1 + np.arange(order.shape[1], dtype=np.float32))[None], 1
    )
    return value if found is None else np.where(found, value, np.float32(0))
