"""The objective of a run: a contrastive loss and further terms, weighted, of one batch.

The model encodes the texts of `columns` in this order: queries, passages, hard negatives, and the
queries' translations where a term reads them. A loss sees vectors alone, so that a plain step,
GradCache and several processes are one path. What a teacher gives is computed when the batch's loss
is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from mixling.corpora.languages import language_tag
from mixling.errors import MixlingError
from mixling.losses.eq1 import eq1
from mixling.losses.info_nce import allowed_negatives, info_nce
from mixling.models.reranker import Reranker, is_reranker
from mixling.models.retriever import Retriever
from mixling.training.config import Config
from mixling.training.pairs import Batch, PairTexts
from mixling.training.terms.distillation import listed
from mixling.training.terms.registry import TERMS
from mixling.training.terms.term import BatchVectors, Teacher, Term, TokenTerm


class Objective(nn.Module):
    """The objective of a run. It has the weights of its terms, which are dropped after training.

    Args:
        config: The run's configuration.
        retriever: The model that is trained.

    Attributes:
        needs_passages: Something reads the batch's passages.
        needs_translations: A term reads the queries' translations.
        pivot: The language in which a teacher reads both texts, or None.
        list_language: The language of the lists that a teacher scores, or None.

    Raises:
        MixlingError: A teacher cannot be had, or does not fit its term.
    """

    def __init__(self, config: Config, retriever: Retriever):
        super().__init__()
        self.config, self.similarity = config.objective, retriever.similarity
        self.temperatures = {language_tag(x): t for x, t in self.config.temperatures.items()}
        self.device = str(next(retriever.model.parameters()).device)
        teachers = self._load_teachers(config)
        self.terms = nn.ModuleList(
            TERMS[t.name](t, teachers.get(t.teacher or config.model.name), retriever.dimensions)
            if TERMS[t.name].needs_teacher
            else TERMS[t.name](t, None, retriever.dimensions)
            for t in self.config.terms
        )
        terms = list(self._terms())
        self.needs_passages = self.config.weight > 0 or any(t.needs_passages for t in terms)
        self.needs_translations = any(t.needs_translations for t in terms)
        self.pivot = _single_language(t.pivot_language for t in terms)
        self.list_language = _single_language(t.list_language for t in terms)
        self.to(self.device)

    def _load_teachers(self, config: Config) -> dict[str, Teacher]:
        """Load each teacher once.

        The model itself, as its own teacher, has its configured pooling, prompts and similarity.
        """
        base, trust = config.model, config.model.trust_remote_code
        names = {t.teacher or base.name for t in self.config.terms if TERMS[t.name].needs_teacher}
        teachers: dict[str, Teacher] = {}
        for name in sorted(names):
            if name == base.name:
                teachers[name] = Retriever(
                    name,
                    device=self.device,
                    pooling=base.pooling,
                    prompts=base.prompts,
                    similarity=base.similarity,
                    trust_remote_code=trust,
                )
            elif is_reranker(name, trust):
                teachers[name] = Reranker(name, self.device, trust)
            else:
                teachers[name] = Retriever(name, device=self.device, trust_remote_code=trust)
        return teachers

    def _terms(self) -> Iterable[Term]:
        for term in self.terms:
            assert isinstance(term, Term)
            yield term

    def check(self, pairs: PairTexts) -> None:
        """Check that the sources hold what the terms read.

        Raises:
            MixlingError: A term finds nothing to read in any source, or a temperature belongs to no
                query.
        """
        self._check_temperatures(pairs)
        sources = pairs.schedule.sources
        known = ", ".join(f"{s.name} ({' '.join(s.languages)})" for s in sources)
        if self.pivot is not None and not any(
            (s.has_query & s.has_passage)[:, s.languages.index(self.pivot)].any()
            for s in sources
            if self.pivot in s.languages
        ):
            raise MixlingError(
                f"objective.terms: distil-cosine reads both texts in '{self.pivot}', but no "
                f"source has such pairs: {known}. Set the term's pivot to a language that the "
                "sources have."
            )
        if self.list_language is not None and not pairs.n_negatives:
            raise MixlingError(
                "objective.terms: a teacher of lists scores hard negatives, but there are none. "
                "Set batches.negatives (5 in arXiv:2404.08118), and take a source that has hard "
                "negatives (`mixling mine-negatives`)."
            )
        if self.needs_translations and not any((s.has_query.sum(1) > 1).any() for s in sources):
            names = ", ".join(t.config.name for t in self._terms() if t.needs_translations)
            raise MixlingError(
                f"objective.terms: {names} read a query in two languages, but no source has one: "
                f"{known}. Add a parallel source."
            )

    def _check_temperatures(self, pairs: PairTexts) -> None:
        """Raise MixlingError if a language's temperature would be used nowhere."""
        if self.temperatures and self.config.name != "info-nce":
            raise MixlingError(
                f"objective.temperatures is set, but objective.name is '{self.config.name}', which "
                "has one temperature. Take info-nce, or leave temperatures out."
            )
        known = sorted({x for s in pairs.schedule.sources for x in s.languages})
        unknown = sorted(self.temperatures.keys() - set(known))
        if unknown:
            raise MixlingError(
                f"objective.temperatures names {', '.join(unknown)}, which no source has. The "
                f"sources' languages are: {', '.join(known)}"
            )

    def columns(self, batch: Batch) -> list[tuple[str, list[str], Sequence[str | None] | None]]:
        """Return the texts that the model encodes, in order, as (role, texts, titles).

        Passages are left out if nothing reads them.
        """
        columns: list[tuple[str, list[str], Sequence[str | None] | None]] = [
            ("query", batch.queries, None)
        ]
        if self.needs_passages:
            columns += [
                ("passage", batch.passages, batch.passage_titles),
                ("passage", list(batch.negatives), batch.negative_titles),
            ]
        if self.needs_translations:
            columns.append(("query", list(batch.translations), None))
        return columns

    def _first_translation(self, batch: Batch) -> int:
        """Return the number of texts before the translations in `columns`."""
        n = len(batch.queries)
        return 2 * n + len(batch.negatives) if self.needs_passages else n

    def loss_of(self, batch: Batch) -> Callable[[Tensor], Tensor]:
        """Return the loss of a batch as a function of its vectors.

        The vectors are float `[n_texts, dim]`, in the order of `columns`.
        """
        targets = [
            None if isinstance(t, TokenTerm) else t.teacher_targets(batch, self.device)
            for t in self._terms()
        ]

        def loss(vectors: Tensor) -> Tensor:
            parts = self._batch_vectors(batch, vectors)
            value = self._contrastive(parts) * self.config.weight
            for term, target in zip(self._terms(), targets, strict=True):
                value = value + term.config.weight * term.loss(parts, target)
            return value

        return loss

    def _batch_vectors(self, batch: Batch, vectors: Tensor) -> BatchVectors:
        """Split the vectors of a batch into queries, passages, negatives and translations."""
        n, end, device = len(batch.queries), self._first_translation(batch), vectors.device
        group, conflict_group, negative_conflict_group = (
            torch.from_numpy(x)
            for x in (batch.group, batch.conflict_group, batch.negative_conflict_group)
        )
        # a hard negative is masked for every query of a conflict group that it would answer
        hard = conflict_group[:, None] != negative_conflict_group[None, :]
        negatives = torch.cat([allowed_negatives(group, conflict_group), hard], 1).to(device)
        if not self.needs_passages:
            negatives = negatives.new_zeros(n, 0)
        return BatchVectors(
            queries=vectors[:n],
            passages=vectors[n:end],
            translations=vectors[end:],
            translated=torch.from_numpy(batch.translated).to(device),
            pivoted=torch.from_numpy(batch.pivoted).to(device),
            negatives=negatives,
            listed=listed(batch).to(device),
            similarity=self.similarity,
            temperature=self._temperature(batch),
        )

    def _temperature(self, batch: Batch) -> float | Tensor:
        """Return the temperature, or one of each pair by its query's language, `[n, 1]`."""
        if not self.temperatures:
            return self.config.temperature
        values = [self.temperatures.get(x, self.config.temperature) for x in batch.query_languages]
        return torch.tensor(values, device=self.device)[:, None]

    def _contrastive(self, vectors: BatchVectors) -> Tensor:
        """Return the contrastive loss, zero if it has no weight."""
        config = self.config
        if not config.weight:
            return vectors.zero
        texts = (vectors.queries, vectors.passages, vectors.negatives)
        if config.name == "info-nce":
            return info_nce(*texts, vectors.temperature, vectors.similarity, config.symmetric)
        return eq1(
            *texts, config.temperature, vectors.similarity, config.name == "eq1-all-positives"
        )

    def token_loss_of(self, batch: Batch) -> Callable[[list[int], list[Tensor]], Tensor] | None:
        """Return the part of the loss that is a sum over texts, None if the batch has none.

        Returns:
            A function of texts' numbers, in the order of `columns`, and of their token states,
            `[tokens, dim]` each.
        """
        terms = [t for t in self._terms() if isinstance(t, TokenTerm)]
        if not terms or not len(batch.translated):
            return None
        first = self._first_translation(batch)
        targets = [t.teacher_targets(batch, self.device) for t in terms]

        def loss(texts: list[int], states: list[Tensor]) -> Tensor:
            rows = [k for k, i in enumerate(texts) if i >= first]
            total = torch.zeros((), device=states[0].device)
            if not rows:
                return total
            translations = [texts[k] - first for k in rows]
            for term, target in zip(terms, targets, strict=True):
                part = term.token_loss([states[k] for k in rows], translations, target)
                total = total + term.config.weight * part
            return total

        return loss


def _single_language(languages: Iterable[str | None]) -> str | None:
    """The one language that some terms' teachers read, None if they read none.

    Raises:
        MixlingError: They read several.
    """
    names = sorted({language_tag(x) for x in languages if x is not None})
    if len(names) > 1:
        raise MixlingError(
            "objective.terms: teachers read one language in a run, but the terms name "
            f"{' and '.join(names)}. Give all terms one pivot."
        )
    return names[0] if names else None
