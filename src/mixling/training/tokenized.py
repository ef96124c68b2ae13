"""Batches as tokens: the texts of a step are tokenized while the step before is computed."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from mixling.models.retriever import Retriever
from mixling.training.config import Config
from mixling.training.objective import Objective
from mixling.training.pairs import Batch, PairTexts


@dataclass(frozen=True)
class TokenizedBatch:
    """A batch as token ids.

    Attributes:
        batch: The texts.
        tokens: Token ids of each text, in the order of `Objective.columns`.
        batch_type: Type of the batch in its strategy, for instance "mono" or "cross".
    """

    batch: Batch
    tokens: list[list[int]]
    batch_type: str

    @property
    def n_tokens(self) -> int:
        """The number of tokens of all texts."""
        return sum(len(ids) for ids in self.tokens)


def tokenize_batch(
    config: Config, retriever: Retriever, objective: Objective, texts: PairTexts, micro_batch: int
) -> TokenizedBatch:
    """Tokenize one planned batch.

    Args:
        config: The run's configuration.
        retriever: The model that is trained.
        objective: Says which texts the loss reads.
        texts: The texts of the plan.
        micro_batch: Number of the batch. A step has `gradient_accumulation_steps` of them.
    """
    model, plan = config.model, texts.schedule.plan(micro_batch)
    batch = texts.batch(
        plan, objective.needs_translations, objective.pivot, objective.list_language
    )
    max_length = {"query": model.max_query_length, "passage": model.max_passage_length}
    tokens = [
        ids
        for role, column, titles in objective.columns(batch)
        if column
        for ids in retriever.tokenize(column, role, max_length[role], titles)
    ]
    return TokenizedBatch(batch, tokens, plan.batch_type)


def prefetch_batches(
    config: Config, retriever: Retriever, objective: Objective, texts: PairTexts, first: int
) -> Generator[list[TokenizedBatch], None, None]:
    """Yield the micro-batches of each step from `first` on; a thread prepares the next step's."""
    per_step = config.training.gradient_accumulation_steps

    def prepare(step: int) -> list[TokenizedBatch]:
        numbers = range(step * per_step, (step + 1) * per_step)
        return [tokenize_batch(config, retriever, objective, texts, i) for i in numbers]

    with ThreadPoolExecutor(1) as thread:
        following: Future[list[TokenizedBatch]] | None = thread.submit(prepare, first)
        for step in range(first, config.training.steps):
            assert following is not None
            ready = following.result()
            more = step + 1 < config.training.steps
            following = thread.submit(prepare, step + 1) if more else None
            yield ready
