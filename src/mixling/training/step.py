"""One step: a planned batch as tokens, its loss, and the gradients of all weights.

Vectors first, then the loss on vectors, then each text's gradient back through the encoder. Where the texts fit,
their states are kept for that; where they do not, the encoder runs again, a few texts at a time (GradCache,
arXiv:2101.06983): the same gradients at the memory of a small batch.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor

from mixling.batches.permutation import mix
from mixling.models.forward import batches_by_tokens
from mixling.models.retriever import Retriever
from mixling.training.config import Config
from mixling.training.objective import Objective
from mixling.training.pairs import Batch, PairTexts
from mixling.training.processes import (
    all_gather_vectors,
    all_reduce_sum,
    partition_by_tokens,
    rank_and_world_size,
)


@dataclass(frozen=True)
class TokenizedBatch:
    """A batch as token ids, in the order of the objective's columns; kind of the batch."""

    batch: Batch
    tokens: list[list[int]]
    batch_type: str


def tokenize_batch(
    settings: Config, retriever: Retriever, objective: Objective, pairs: PairTexts, micro_batch: int
) -> TokenizedBatch:
    """The batch of a turn (a step has `accumulate` of them) as tokens."""
    m, plan = settings.model, pairs.schedule.plan(micro_batch)
    batch = pairs.batch(
        plan, objective.needs_translations, objective.pivot, objective.list_language
    )
    longest = {"query": m.max_query_length, "passage": m.max_passage_length}
    tokens = [
        t
        for role, texts in objective.columns(batch)
        if texts
        for t in retriever.tokenize(texts, role, longest[role])
    ]
    return TokenizedBatch(batch, tokens, plan.batch_type)


def prefetch_batches(
    settings: Config, retriever: Retriever, objective: Objective, pairs: PairTexts, begin: int
) -> Generator[list[TokenizedBatch], None, None]:
    """Batches of the steps from `begin` on; the next step's are made while this one is computed."""
    every = settings.training.gradient_accumulation_steps

    def make(step: int) -> list[TokenizedBatch]:
        return [
            tokenize_batch(settings, retriever, objective, pairs, step * every + i)
            for i in range(every)
        ]

    with ThreadPoolExecutor(1) as thread:
        coming: Future | None = thread.submit(make, begin)
        for step in range(begin, settings.training.steps):
            assert coming is not None
            ready = coming.result()
            coming = thread.submit(make, step + 1) if step + 1 < settings.training.steps else None
            yield ready


def token_budgets(device: str, at_once: int | None) -> tuple[int, int]:
    """(tokens of one call of the encoder, tokens whose states are kept at once)."""
    call, kept = (4096, 16384) if device == "cpu" else (32768, 32768)
    return min(call, at_once or kept), at_once or kept


def backward(
    retriever: Retriever,
    tokens: list[list[int]],
    loss: Callable[[Tensor], Tensor],
    *,
    local: Callable[[list[int], list[Tensor]], Tensor] | None = None,
    loss_scale: float = 1.0,
    max_cached_tokens: int | None = None,
    seed: int = 0,
    precision: str = "fp32",
) -> float:
    """Add a batch's gradients to the weights and return its loss.

    loss: of vectors [len(tokens), d]; share: what the loss is multiplied by; at_once: tokens whose states are kept, more
    go through the encoder twice; local: a further loss that adds up over texts, of some texts' numbers and the states of
    their tokens; seed: of dropout; precision: "fp32" or "bf16" (autocast). With several processes
    each adds the gradients of its own texts.
    """
    rank, n = rank_and_world_size()
    device = next(retriever.model.parameters()).device
    call, kept = token_budgets(device.type, max_cached_tokens)
    own = partition_by_tokens([len(t) for t in tokens], n)[rank]
    lengths = [len(tokens[i]) for i in own]
    parts = [
        [own[i] for i in c]
        for c in batches_by_tokens(lengths, call, retriever.first_position is not None)
    ]
    cached = sum(lengths) > kept

    def encode(number: int) -> tuple[Tensor, Tensor | None]:
        torch.manual_seed(int(mix(seed, rank, number) >> 1))
        states: list[Tensor] | None = None if local is None else []
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            vectors = retriever.embed([tokens[i] for i in parts[number]], call, states)
        return vectors, None if local is None or states is None else local(parts[number], states)

    with torch.set_grad_enabled(not cached):
        both = [encode(i) for i in range(len(parts))]
    made = [vectors for vectors, _ in both]
    alone = [value for _, value in both]
    order = [i for part in parts for i in part]
    own_vectors = (
        torch.cat(made).detach() if made else torch.zeros(0, retriever.dimensions, device=device)
    )
    whole = all_gather_vectors(own_vectors, order, len(tokens)).requires_grad_()
    value = loss(whole)
    (value * loss_scale).backward()
    assert whole.grad is not None
    del both
    for i, part in enumerate(parts):
        vectors, further = encode(i) if cached else (made[i], alone[i])
        roots, gradients = [vectors], [whole.grad[torch.tensor(part, device=device)]]
        if further is not None and further.requires_grad:
            roots, gradients = (
                [vectors, further],
                [*gradients, torch.full_like(further, loss_scale)],
            )
        torch.autograd.backward(roots, gradients)
        made[i], alone[i] = (
            vectors.detach(),
            None if further is None else further.detach(),
        )  # frees this call's states
    return float(value.detach()) + all_reduce_sum(
        sum(float(x) for x in alone if x is not None), device
    )
