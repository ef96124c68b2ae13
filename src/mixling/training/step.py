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
from mixling.models.forward import calls
from mixling.models.retriever import Retriever
from mixling.training.config import Config
from mixling.training.objectives.eq1 import eq1
from mixling.training.objectives.info_nce import allowed, info_nce
from mixling.training.pairs import Batch, Pairs
from mixling.training.processes import processes, shares, together


@dataclass(frozen=True)
class Tokens:
    """A batch as token ids: questions first, then passages; kind of the batch."""

    batch: Batch
    tokens: list[list[int]]
    kind: str


def tokens_of(settings: Config, retriever: Retriever, pairs: Pairs, turn: int) -> Tokens:
    """The batch of a turn (a step has `accumulate` of them) as tokens."""
    m, plan = settings.model, pairs.schedule.plan(turn)
    batch = pairs.batch(plan)
    tokens = [
        *retriever.tokenize(batch.questions, "query", m.max_query_length),
        *retriever.tokenize(batch.passages, "passage", m.max_passage_length),
    ]
    return Tokens(batch, tokens, plan.kind)


def ahead(
    settings: Config, retriever: Retriever, pairs: Pairs, begin: int
) -> Generator[list[Tokens], None, None]:
    """Batches of the steps from `begin` on; the next step's are made while this one is computed."""
    every = settings.training.accumulate

    def make(step: int) -> list[Tokens]:
        return [tokens_of(settings, retriever, pairs, step * every + i) for i in range(every)]

    with ThreadPoolExecutor(1) as thread:
        coming: Future | None = thread.submit(make, begin)
        for step in range(begin, settings.training.steps):
            assert coming is not None
            ready = coming.result()
            coming = thread.submit(make, step + 1) if step + 1 < settings.training.steps else None
            yield ready


def loss_of(settings: Config, retriever: Retriever, batch: Batch) -> Callable[[Tensor], Tensor]:
    """The objective of a batch as a function of its vectors, [2 n, d], questions first."""
    o, n = settings.objective, len(batch.questions)
    may = allowed(torch.from_numpy(batch.group), torch.from_numpy(batch.block))

    def loss(vectors: Tensor) -> Tensor:
        q, p, negatives = vectors[:n], vectors[n:], may.to(vectors.device)
        if o.name == "info-nce":
            return info_nce(q, p, negatives, o.temperature, retriever.similarity, o.symmetric)
        return eq1(q, p, negatives, o.temperature, retriever.similarity, o.name == "eq1-all-positives")

    return loss


def tokens_a_call(device: str, at_once: int | None) -> tuple[int, int]:
    """(tokens of one call of the encoder, tokens whose states are kept at once)."""
    call, kept = (4096, 16384) if device == "cpu" else (32768, 32768)
    return min(call, at_once or kept), at_once or kept


def backward(
    retriever: Retriever,
    tokens: list[list[int]],
    loss: Callable[[Tensor], Tensor],
    *,
    share: float = 1.0,
    at_once: int | None = None,
    seed: int = 0,
    precision: str = "fp32",
) -> float:
    """Add a batch's gradients to the weights and return its loss.

    loss: of vectors [len(tokens), d]; share: what the loss is multiplied by; at_once: tokens whose states are kept, more
    go through the encoder twice; seed: of dropout; precision: "fp32" or "bf16" (autocast). With several processes
    each adds the gradients of its own texts.
    """
    rank, n = processes()
    device = next(retriever.model.parameters()).device
    call, kept = tokens_a_call(device.type, at_once)
    own = shares([len(t) for t in tokens], n)[rank]
    lengths = [len(tokens[i]) for i in own]
    parts = [[own[i] for i in c] for c in calls(lengths, call, retriever.first_position is not None)]
    cached = sum(lengths) > kept

    def encode(number: int) -> Tensor:
        torch.manual_seed(int(mix(seed, rank, number) >> 1))
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            return retriever.embed([tokens[i] for i in parts[number]], call)

    with torch.set_grad_enabled(not cached):
        made = [encode(i) for i in range(len(parts))]
    order = [i for part in parts for i in part]
    own_vectors = torch.cat(made).detach() if made else torch.zeros(0, retriever.dimensions, device=device)
    whole = together(own_vectors, order, len(tokens)).requires_grad_()
    value = loss(whole)
    (value * share).backward()
    assert whole.grad is not None
    for i, part in enumerate(parts):
        vectors = encode(i) if cached else made[i]
        vectors.backward(whole.grad[torch.tensor(part, device=device)])
        made[i] = vectors.detach()  # frees the states of this call before the next
    return float(value.detach())
