"""Terms that learn from a teacher's vectors or scores.

`distil-vectors`, `distil-cosine`, `distil-scores`, `margin-mse`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mixling.corpora.values import with_titles
from mixling.losses import distillation
from mixling.losses.info_nce import similarity
from mixling.models.reranker import Reranker
from mixling.models.retriever import Retriever
from mixling.training.objective_config import TermConfig
from mixling.training.pairs import Batch
from mixling.training.terms.term import BatchVectors, Teacher, Term


def _teacher_vectors(
    teacher: Retriever, texts: list[str], role: str, titles: Sequence[str | None] | None
) -> Tensor:
    """Return a teacher's vectors of texts, float32 `[n, dim]`."""
    return torch.from_numpy(teacher.encode(texts, role, titles=titles, precision="fp32"))


class DistilVectors(Term):
    """Squared error of query and translation to the teacher's vector of the query.

    Source: Reimers and Gurevych 2020, sentence distillation.
    """

    needs_translations = True
    needs_passages = False
    needs_teacher = True
    needs_same_size = True

    def teacher_targets(self, batch: Batch, device: str) -> Tensor:
        """Return the teacher's vectors of the queries, float `[n, dim]`."""
        return _teacher_vectors(self.retriever, batch.queries, "query", None).to(device)

    def loss(self, vectors: BatchVectors, targets: Tensor) -> Tensor:
        """Return the mean squared error over queries and translations."""
        student = torch.cat([vectors.queries, vectors.translations])
        return distillation.vector_mse(student, torch.cat([targets, targets[vectors.translated]]))


class DistilCosine(Term):
    """Cosine distance to the teacher's vectors in a pivot language, through a projection.

    Source: MIMO, arXiv:2605.31171.
    """

    needs_teacher = True

    def __init__(self, config: TermConfig, teacher: Teacher | None, dimensions: int):
        super().__init__(config, teacher, dimensions)
        self.projection = _projection(dimensions, self.retriever.dimensions)

    @property
    def pivot_language(self) -> str | None:
        """The language in which the teacher reads both texts."""
        return self.config.pivot

    def teacher_targets(self, batch: Batch, device: str) -> list[Tensor]:
        """Return the teacher's vectors of queries and passages in the pivot language.

        Returns:
            Two tensors, float `[l, dim]`. The list is empty if no pair has both texts.
        """
        if not batch.pivots:
            return []
        queries, passages = (list(x) for x in zip(*batch.pivots, strict=True))
        return [
            _teacher_vectors(self.retriever, x, role, titles).to(device)
            for role, x, titles in (
                ("query", queries, None),
                ("passage", passages, batch.pivot_titles),
            )
        ]

    def loss(self, vectors: BatchVectors, targets: list[Tensor]) -> Tensor:
        """Return the mean of the queries' and the passages' distance."""
        if not targets:
            return vectors.zero
        students = (vectors.queries, vectors.passages[: len(vectors.queries)])
        distances = (
            distillation.cosine_distance(self.projection(x[vectors.pivoted]), target)
            for x, target in zip(students, targets, strict=True)
        )
        return sum(distances, vectors.zero) / 2


class ScoreTerm(Term):
    """A term that learns from a teacher's scores, over the batch's passages or over a list."""

    needs_teacher = True
    accepts_reranker = True

    @property
    def scores_lists(self) -> bool:
        """Whether the teacher scores each pair's own passage and hard negatives.

        A cross-encoder always does.
        """
        return self.config.over == "list" or isinstance(self.teacher, Reranker)

    @property
    def list_language(self) -> str | None:
        """The language of the lists, None if the teacher scores the batch."""
        return self.config.pivot if self.scores_lists else None

    def teacher_targets(self, batch: Batch, device: str) -> Tensor:
        """Return the teacher's scores, float `[n, m]`, 0 outside the lists if it scores lists."""
        if self.scores_lists:
            return self._list_scores(batch).to(device)
        titles = [*batch.passage_titles, *batch.negative_titles]
        queries, passages = (
            _teacher_vectors(self.retriever, x, role, headings).to(device)
            for role, x, headings in (
                ("query", batch.queries, None),
                ("passage", [*batch.passages, *batch.negatives], titles),
            )
        )
        return similarity(queries, passages, self.retriever.similarity)

    def _list_scores(self, batch: Batch) -> Tensor:
        """Return the teacher's scores of the lists, float `[n, n + negatives]`."""
        questions = [query for query, texts in batch.lists for _ in texts]
        texts = [text for _, texts in batch.lists for text in texts]
        titles = [title for titles in batch.list_titles for title in titles]
        if isinstance(self.teacher, Reranker):
            pairs = list(zip(questions, with_titles(titles, texts), strict=True))
            flat = torch.from_numpy(self.teacher.scores(pairs))
        else:
            queries = _teacher_vectors(self.retriever, questions, "query", None)
            passages = _teacher_vectors(self.retriever, texts, "passage", titles)
            if self.retriever.similarity == "cosine":
                queries, passages = (
                    torch.nn.functional.normalize(x, dim=1) for x in (queries, passages)
                )
            flat = (queries * passages).sum(1)
        scores = torch.zeros(len(batch.queries), len(batch.queries) + len(batch.negatives))
        # boolean indexing fills row by row: a pair's passage, then its negatives, as in the lists
        scores[listed(batch)] = flat
        return scores

    def compared(self, vectors: BatchVectors) -> Tensor:
        """Return which passages' scores are compared, bool `[n, m]`."""
        return vectors.listed if self.scores_lists else vectors.compared


class DistilScores(ScoreTerm):
    """KL divergence from the teacher's scores."""

    def loss(self, vectors: BatchVectors, targets: Tensor) -> Tensor:
        """Return `losses.distillation.score_kl` over the compared passages."""
        scores = similarity(vectors.queries, vectors.passages, vectors.similarity)
        return distillation.score_kl(
            scores, targets, self.compared(vectors), self.config.temperature
        )


class MarginMse(ScoreTerm):
    """Squared error of margins to the teacher's (arXiv:2010.02666)."""

    def loss(self, vectors: BatchVectors, targets: Tensor) -> Tensor:
        """Return `losses.distillation.margin_mse` over the compared negatives."""
        scores = similarity(vectors.queries, vectors.passages, vectors.similarity)
        negatives = vectors.negatives
        if self.scores_lists:
            n, m = scores.shape
            answers = torch.eye(n, m, dtype=torch.bool, device=scores.device)
            negatives = vectors.listed & ~answers
        return distillation.margin_mse(scores, targets, negatives)


def listed(batch: Batch) -> Tensor:
    """Return which passages are a pair's own or its hard negatives, bool `[n, n + negatives]`."""
    n = len(batch.queries)
    negatives = torch.from_numpy(batch.negative_of)[None, :] == torch.arange(n)[:, None]
    return torch.cat([torch.eye(n, dtype=torch.bool), negatives], 1)


def _projection(size: int, teacher_size: int) -> nn.Linear:
    """Make a linear layer from the student's size to the teacher's.

    If the sizes are equal it starts as the identity.
    """
    projection = nn.Linear(size, teacher_size)
    if size == teacher_size:
        with torch.no_grad():
            projection.weight.copy_(torch.eye(size))
            projection.bias.zero_()
    return projection
