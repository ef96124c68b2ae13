"""BM25 over all languages at once, and its fusion with an encoder.

ICU cuts texts into words, so that Thai, Lao, Khmer, Burmese, Chinese and Japanese, which write no
spaces, have words too. Words are normalized (NFKC) and case-folded; there is no stemming and there
are no stop words, the same for every language. The scores are Lucene's BM25 through bm25s, with the
parameters of the published multilingual baselines (k1 = 0.9, b = 0.4: Anserini, MIRACL).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from mixling.errors import not_installed
from mixling.evaluation.ranks import Ranker, Scorer, ScoreRows, best_first, by_ids
from mixling.evaluation.tasks import Task
from mixling.progress import Progress

K1, B = 0.9, 0.4


def tokenize_words(text: str, language: str = "en") -> list[str]:
    """Cut a text into words: segments of ICU's word breaker that hold a letter or a digit.

    Args:
        text: The text.
        language: Its language tag.

    Returns:
        The words, normalized by NFKC and case-folded.

    Raises:
        MixlingError: icu4py is not installed.
    """
    try:
        from icu4py.breakers import WordBreaker
    except ImportError:
        raise not_installed("icu4py", "benchmarks") from None
    folded = unicodedata.normalize("NFKC", text).casefold()
    return [w for w in map(str, WordBreaker(folded, language)) if any(c.isalnum() for c in w)]


class Bm25Ranker:
    """BM25 as a ranker."""

    def __init__(self) -> None:
        self.name = "bm25"
        self.origin: dict[str, Any] = {"k1": K1, "b": B, "words": "ICU, NFKC, case folded"}

    def scorer(self, task: Task) -> tuple[Scorer, dict[str, Any]]:
        """Index a task.

        Args:
            task: The task.

        Returns:
            The scorer, and the number of texts.
        """
        passages = task.titled_passages()
        total = len(passages) + len(task.queries)
        words: list[list[list[str]]] = []
        n_texts = 0
        with Progress(f"{task.name}: words") as bar:
            for texts, codes in (
                (passages, task.passage_language),
                (task.queries, task.query_language),
            ):
                words.append([])
                for text, code in zip(texts, codes, strict=True):
                    words[-1].append(tokenize_words(text, task.languages[code]))
                    n_texts += 1
                    bar(n_texts, total)
        return Bm25Scorer(words[0], words[1]), {"texts": total}


class Bm25Scorer(ScoreRows):
    """BM25 scores of word lists.

    Args:
        passages: Words of each passage.
        queries: Words of each query.
        k1: Saturation of a word's count.
        b: Strength of the length normalization, 0 to 1.

    Raises:
        MixlingError: bm25s is not installed.
    """

    def __init__(
        self,
        passages: Sequence[list[str]],
        queries: Sequence[list[str]],
        k1: float = K1,
        b: float = B,
    ):
        try:
            import bm25s
        except ImportError:
            raise not_installed("bm25s", "benchmarks") from None
        self.index = bm25s.BM25(k1=k1, b=b, method="lucene")
        # bm25s fails if all passages are empty: an empty one gets a word that no query has
        self.index.index([words or ["\0"] for words in passages], show_progress=False)
        vocabulary = self.index.vocab_dict
        self.queries = [[w for w in words if w in vocabulary] for words in queries]
        self.n_passages = len(passages)

    def __call__(self, begin: int, end: int) -> np.ndarray:
        """Score consecutive queries against all passages: float32 `[end - begin, n_passages]`."""
        scores = np.zeros((end - begin, self.n_passages), np.float32)
        for row, words in enumerate(self.queries[begin:end]):
            if words:
                scores[row] = self.index.get_scores(words)
        return scores


class FusedRanker:
    """An encoder and BM25 together.

    A passage that shares no word with the query has no rank in BM25's list and gets nothing from
    it, so that the encoder's order stays where BM25 finds nothing. Equal scores stand in falling
    order of ids in the ranks of each part.

    Args:
        dense: The encoder's ranker.
        form: "mean" of scores scaled to 0 … 1, or "rrf", reciprocal rank fusion.
    """

    def __init__(self, dense: Ranker, form: Literal["mean", "rrf"] = "mean"):
        self.dense, self.form = dense, form
        self.name = f"{dense.name}+bm25{':rrf' if form == 'rrf' else ''}"
        self.origin = dict(dense.origin)
        self.precision = getattr(dense, "precision", "fp32")
        self.settings: dict[str, Any] = getattr(dense, "settings", {})

    def scorer(self, task: Task) -> tuple[Scorer, dict[str, Any]]:
        """Prepare both scorers.

        Args:
            task: The task.

        Returns:
            The scorer, and what the encoder counted.
        """
        dense, counts = self.dense.scorer(task)
        lexical, _ = Bm25Ranker().scorer(task)
        return _FusedScorer(dense, lexical, self.form, by_ids(task.passage_ids)[1]), counts


class _FusedScorer(ScoreRows):
    """Mean of two scorers' scaled scores or reciprocal ranks. place: uint64, place of each id."""

    def __init__(self, dense: Scorer, lexical: Scorer, form: str, place: np.ndarray):
        self.dense, self.lexical, self.form, self.place = dense, lexical, form, place

    def __call__(self, begin: int, end: int) -> np.ndarray:
        dense, lexical = self.dense(begin, end), self.lexical(begin, end)
        if self.form == "rrf":
            # a BM25 score of 0 is no shared word
            mask = lexical > 0
            dense = reciprocal_rank_scores(dense, self.place)
            lexical = reciprocal_rank_scores(lexical, self.place, mask=mask)
        else:
            dense, lexical = minmax_normalize(dense), minmax_normalize(lexical)
        return np.asarray((dense + lexical) / np.float32(2))


def minmax_normalize(scores: np.ndarray, depth: int = 1000) -> np.ndarray:
    """Scale the scores of each query's first passages to 0 … 1; a passage beyond them gets 0.

    Args:
        scores: float32 `[n_queries, n_passages]`.
        depth: Number of passages that span the scale.

    Returns:
        float32 `[n_queries, n_passages]`.
    """
    depth = min(depth, scores.shape[1])
    minimum = np.partition(scores, -depth, axis=1)[:, -depth][:, None]
    maximum = scores.max(1, keepdims=True)
    return np.asarray(np.maximum(scores - minimum, 0) / np.maximum(maximum - minimum, 1e-9))


def reciprocal_rank_scores(
    scores: np.ndarray,
    place: np.ndarray | None = None,
    depth: int = 1000,
    k: int = 60,
    mask: np.ndarray | None = None,
) -> np.ndarray:
    """Replace scores by 1 / (k + rank) within a query's first passages, 0 beyond.

    Source: Cormack et al. 2009.

    Args:
        scores: float32 `[n_queries, n_passages]`.
        place: uint64 `[n_passages]`, place of each passage's id; equal scores stand in its falling
            order. By default they stand in the order of columns.
        depth: Number of passages that have a rank.
        k: Constant of the formula.
        mask: bool `[n_queries, n_passages]`, passages that may have a rank, by default all.

    Returns:
        float32 `[n_queries, n_passages]`.
    """
    if place is None:
        place = np.arange(scores.shape[1], dtype=np.uint64)[::-1]
    order = best_first(scores, place, min(depth, scores.shape[1]))
    value = np.zeros_like(scores)
    np.put_along_axis(
        value, order, 1 / (k + 1 + np.arange(order.shape[1], dtype=np.float32))[None], 1
    )
    return value if mask is None else np.where(mask, value, np.float32(0))
