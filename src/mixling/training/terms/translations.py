"""Terms that pull a query and its translation together: `lakda`, `jsd`, `bitext`, `clear`."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from mixling.losses import alignment
from mixling.training.terms.term import BatchVectors, Term


class TranslationTerm(Term):
    """A term of the queries that have a translation in the batch, zero if none has."""

    needs_translations = True

    def loss(self, vectors: BatchVectors, targets: Any) -> Tensor:
        """Return the loss of the translated queries, a scalar."""
        return self.translation_loss(vectors) if len(vectors.translated) else vectors.zero

    def translation_loss(self, vectors: BatchVectors) -> Tensor:
        """Return the loss of a batch that has translations, a scalar."""
        raise NotImplementedError


class Lakda(TranslationTerm):
    """KL divergence between the scores of a query and of its translation (LaKDA, MRL 2024)."""

    def translation_loss(self, vectors: BatchVectors) -> Tensor:
        """Return `losses.alignment.lakda` over the batch's passages."""
        rows = vectors.translated
        return alignment.lakda(
            vectors.queries[rows],
            vectors.translations,
            vectors.passages,
            vectors.compared[rows],
            vectors.similarity,
        )


class Jsd(TranslationTerm):
    """Jensen-Shannon divergence of the two vectors (arXiv:2604.05684)."""

    needs_passages = False

    def translation_loss(self, vectors: BatchVectors) -> Tensor:
        """Return `losses.alignment.jsd` of queries and translations."""
        return alignment.jsd(vectors.queries[vectors.translated], vectors.translations)


class Bitext(TranslationTerm):
    """InfoNCE between queries and their translations, both ways."""

    needs_passages = False

    def translation_loss(self, vectors: BatchVectors) -> Tensor:
        """Return `losses.alignment.bitext` of queries and translations."""
        return alignment.bitext(
            vectors.queries[vectors.translated],
            vectors.translations,
            self.config.temperature,
            vectors.similarity,
        )


class Clear(TranslationTerm):
    """CLEAR's reverse contrast and divergence (arXiv:2604.05821)."""

    def translation_loss(self, vectors: BatchVectors) -> Tensor:
        """Return `losses.alignment.clear` of the translated queries and their passages."""
        rows = vectors.translated
        return alignment.clear(
            vectors.queries[rows],
            vectors.translations,
            vectors.passages[: len(vectors.queries)][rows],
            vectors.compared[rows][:, rows],
            self.config.temperature,
            vectors.similarity,
        )
