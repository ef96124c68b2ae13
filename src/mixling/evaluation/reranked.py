"""Measures a retriever whose first passages a reranker reads: `NAME>RERANKER`.

The reranker puts the retriever's first passages of the multilingual pool into a new order; the
others follow as they were. So every passage has a rank, in every scenario. Scores of the two are
not comparable: measures that read scores (MRC) are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np

from mixling.errors import MixlingError, check_at_least
from mixling.evaluation.baselines import DenseRanker, make_ranker
from mixling.evaluation.measure import rank_task
from mixling.evaluation.ranks import Ranker, Scorer
from mixling.evaluation.tasks import Task
from mixling.models.precision import Precision
from mixling.models.reranker import PairScorer, load_reranker, pair_scores, reranker_input
from mixling.progress import Progress

DEPTH = 100  # first passages that are reranked


def is_reranked(model: Any) -> bool:
    """Return whether a name is one of a retriever and a reranker, `NAME>RERANKER`."""
    return isinstance(model, str) and ">" in model


def reranked_ranker(
    name: str,
    depth: int = DEPTH,
    *,
    precision: Precision = "auto",
    vector_cache: Path | None = None,
    passage_model: Any = None,
    trust_remote_code: bool = False,
    model_options: Mapping[str, Any] | None = None,
) -> RerankedRanker:
    """Make a ranker of a retriever and a reranker.

    Args:
        name: `NAME>RERANKER`: what `make_ranker` and `load_reranker` take.
        depth: First passages that are reranked.
        precision: Number format of the encoder; "auto" takes bf16 where it is faster.
        vector_cache: Folder where vectors stay.
        passage_model: Another model that encodes the passages.
        trust_remote_code: Run the code that a model brings along.
        model_options: Arguments of `Retriever`.

    Returns:
        The ranker.

    Raises:
        MixlingError: One of the two is missing or cannot be loaded.
    """
    inner, _, reranker = (part.strip() for part in name.rpartition(">"))
    if not inner or not reranker:
        raise MixlingError(
            f"'{name}': the retriever or the reranker is missing. Expected RETRIEVER>RERANKER, "
            "in quotation marks."
        )
    options: dict[str, Any] = {
        "precision": precision,
        "vector_cache": vector_cache,
        "passage_model": passage_model,
        "trust_remote_code": trust_remote_code,
        "model_options": model_options,
    }
    make = reranked_ranker(inner, depth, **options) if ">" in inner else None
    return RerankedRanker(
        make or make_ranker(inner, **options),
        load_reranker(reranker, trust_remote_code, keep_scores=True),
        depth,
    )


class RerankedRanker:
    """A ranker whose first passages a reranker puts into a new order.

    Args:
        inner: The retriever.
        reranker: The reranker.
        depth: First passages that are reranked.

    Raises:
        MixlingError: The depth is no positive number.
    """

    def __init__(self, inner: Ranker, reranker: PairScorer, depth: int = DEPTH):
        check_at_least(1, rerank_depth=depth)
        self.inner, self.reranker, self.depth = inner, reranker, depth
        self.name = f"{inner.name}>{reranker.name}"
        self.origin = {**inner.origin, "reranker": reranker.name, "rerank_depth": depth}
        self.precision = getattr(inner, "precision", "fp32")
        self.stored = getattr(inner, "stored", "")
        self.settings: dict[str, Any] = getattr(inner, "settings", {})

    def scorer(self, task: Task) -> tuple[Scorer, dict[str, Any]]:
        """Rank a task, and rerank the first passages of each query.

        Args:
            task: The task.

        Returns:
            The scorer, and what the retriever counts with the pairs that were reranked.
        """
        if isinstance(self.inner, DenseRanker):
            self.inner.check_cost([task])
        scorer, counts = self.inner.scorer(task)
        first = rank_task(task, scorer, self.depth, self.inner.name).top
        best = np.empty_like(first)
        passages = [reranker_input(*x) for x in zip(task.titles, task.passages, strict=True)]
        with Progress(f"{task.name}: reranking") as bar:
            for row, (query, candidates) in enumerate(zip(task.queries, first, strict=True)):
                pairs = [(query, passages[i]) for i in candidates]
                scores = pair_scores(self.reranker, pairs)
                # equal scores stay in the retriever's order
                best[row] = candidates[np.argsort(-scores, kind="stable")]
                bar(row + 1, len(first))
        reranked = {"reranker": self.reranker.name, "depth": self.depth, "pairs": int(first.size)}
        return cast(Scorer, _RerankedScorer(scorer, best)), {**counts, "reranked": reranked}


class _RerankedScorer:
    """Scores that put some passages before all others; only their order has a meaning.

    There is no `at`, by which MRC would compare scores.

    Args:
        inner: Scores of all passages.
        best: int64 `[n_queries, k]`, the passages that come first, in their order.
    """

    def __init__(self, inner: Scorer, best: np.ndarray):
        self.inner, self.best = inner, best

    def __call__(self, begin: int, end: int) -> np.ndarray:
        """Score consecutive queries against all passages: float32 `[end - begin, n_passages]`."""
        scores = np.array(self.inner(begin, end), np.float32)
        highest = scores.max(1, keepdims=True)
        places = np.arange(self.best.shape[1], 0, -1, dtype=np.float32)
        above = highest + places * np.maximum(1, np.abs(highest))
        np.put_along_axis(scores, self.best[begin:end], above, 1)
        return scores
