"""The interface of a term of the objective: its inputs, its teacher, its loss."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from mixling.errors import MixlingError
from mixling.losses.info_nce import Similarity
from mixling.models.reranker import Reranker
from mixling.models.retriever import Retriever
from mixling.training.pairs import Batch

if TYPE_CHECKING:
    from mixling.training.objective_config import TermConfig

Teacher = Retriever | Reranker


@dataclass(frozen=True)
class BatchVectors:
    """The model's vectors of one batch, as the terms read them.

    Attributes:
        queries: float `[n, dim]`.
        passages: float `[m, dim]`, m >= n, or 0 if nothing reads them. Passage i
            answers query i; those after n are hard
            negatives.
        translations: float `[k, dim]`, the queries `translated` in another language.
        translated: int64 `[k]`, the queries that have a translation.
        pivoted: int64 `[l]`, the pairs that have both texts in the pivot language.
        negatives: bool `[n, m]`, which passages may be negatives of which query.
        listed: bool `[n, m]`, the passage and the hard negatives that come with each query.
        similarity: "cosine" or "dot".
        temperature: Temperature of the contrastive loss, or one of each pair, float `[n, 1]`.
    """

    queries: Tensor
    passages: Tensor
    translations: Tensor
    translated: Tensor
    pivoted: Tensor
    negatives: Tensor
    listed: Tensor
    similarity: Similarity
    temperature: float | Tensor = 1.0

    @cached_property
    def compared(self) -> Tensor:
        """Passages that count for a query, its answer and its negatives: bool `[n, m]`."""
        n, m = self.negatives.shape
        return self.negatives | torch.eye(n, m, dtype=torch.bool, device=self.queries.device)

    @property
    def zero(self) -> Tensor:
        """A loss of zero that is connected to the vectors, so that it can be differentiated."""
        return self.queries.sum() * 0


class Term(nn.Module):
    """A weighted term of the objective.

    A subclass sets the class attributes, which say what the trainer must gather for it, and defines
    `loss`. A term with a teacher defines `teacher_targets` too.

    Args:
        config: The term's table of the configuration.
        teacher: The frozen teacher, or None where the term has none.
        dimensions: Size of the model's vectors.

    Raises:
        MixlingError: The teacher does not fit the term.
    """

    #: reads queries and their translations
    needs_translations: ClassVar[bool] = False
    #: reads the batch's passages
    needs_passages: ClassVar[bool] = True
    #: learns from a frozen model
    needs_teacher: ClassVar[bool] = False
    #: the teacher may be a cross-encoder
    accepts_reranker: ClassVar[bool] = False
    #: the teacher's vectors must have the model's size
    needs_same_size: ClassVar[bool] = False

    def __init__(self, config: TermConfig, teacher: Teacher | None, dimensions: int):
        super().__init__()
        self.config, self.teacher, self.dimensions = config, teacher, dimensions
        if isinstance(teacher, Reranker) and not self.accepts_reranker:
            raise MixlingError(
                f"objective.terms: {config.name} needs a teacher that gives vectors, but "
                f"{teacher.name} is a cross-encoder, which gives scores. Use distil-scores or "
                "margin-mse, or another teacher."
            )
        if self.needs_same_size and self.retriever.dimensions != dimensions:
            raise MixlingError(
                f"objective.terms: {config.name} compares vectors of one size, but the teacher's "
                f"vectors have {self.retriever.dimensions} numbers and the model's have "
                f"{dimensions}. Use distil-cosine, which projects, or another teacher."
            )

    @property
    def retriever(self) -> Retriever:
        """The teacher of a term that reads vectors."""
        assert isinstance(self.teacher, Retriever)
        return self.teacher

    @property
    def pivot_language(self) -> str | None:
        """The language in which the teacher reads query and passage, None for their own."""
        return None

    @property
    def list_language(self) -> str | None:
        """The language of the lists that the teacher scores, None if it scores no lists."""
        return None

    def teacher_targets(self, batch: Batch, device: str) -> Any:
        """Return the teacher's targets for a batch.

        It is computed once a batch, without gradients.

        Args:
            batch: The texts of the batch.
            device: The device of the targets.
        """
        return None

    def loss(self, vectors: BatchVectors, targets: Any) -> Tensor:
        """Return the loss of a batch, a scalar.

        Args:
            vectors: The model's vectors.
            targets: What `teacher_targets` gave for the batch.
        """
        raise NotImplementedError


class TokenTerm(Term):
    """A term that is a sum over texts and reads their token states."""

    def loss(self, vectors: BatchVectors, targets: Any) -> Tensor:
        """Return zero: the loss is that of `token_loss`."""
        return vectors.zero

    def token_loss(self, states: list[Tensor], translations: list[int], targets: Any) -> Tensor:
        """Return the loss of some of the batch's translations, a scalar.

        Args:
            states: The model's token states of each translation, `[tokens, dim]`.
            translations: Which of the batch's translations they are.
            targets: What `teacher_targets` gave for the batch.
        """
        raise NotImplementedError
