"""Loss and gradients of one batch.

The encoder gives vectors, the loss is computed on the vectors, and each text's gradient goes back
through the encoder. If all texts fit, the encoder's states are kept for the backward pass. If they
do not, the encoder runs a second time, a few texts at once (GradCache, arXiv:2101.06983): the
gradients are the same, and the memory is that of a small batch.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mixling.batches.permutation import mix
from mixling.models.forward import batches_by_tokens, token_budgets
from mixling.models.retriever import Retriever
from mixling.training.processes import (
    all_gather_vectors,
    all_reduce_sum,
    partition_by_tokens,
    rank_and_world_size,
)


def backward(
    retriever: Retriever,
    tokens: list[list[int]],
    loss: Callable[[Tensor], Tensor],
    *,
    token_loss: Callable[[list[int], list[Tensor]], Tensor] | None = None,
    loss_scale: float = 1.0,
    max_cached_tokens: int | None = None,
    seed: int = 0,
    precision: str = "fp32",
) -> float:
    """Add the gradients of a batch to the weights.

    Of several processes each encodes a part of the texts, sees all vectors, and adds the gradients
    of its own texts.

    Args:
        retriever: The model that is trained.
        tokens: Token ids of each text.
        loss: The loss as a function of the vectors, float `[n_texts, dim]`.
        token_loss: A further loss that is a sum over texts, as a function of some texts' numbers
            and their token states, float `[n_tokens, hidden]` each.
        loss_scale: Factor of both losses.
        max_cached_tokens: Tokens whose states are kept. A larger batch goes through the encoder
            twice.
        seed: Seed of dropout.
        precision: Number format of the encoder, "fp32" or "bf16".

    Returns:
        The loss, before `loss_scale`.
    """
    rank, n_processes = rank_and_world_size()
    device = next(retriever.model.parameters()).device
    budgets = token_budgets(device)
    cached = max_cached_tokens or budgets.cached
    call = min(budgets.train, cached)
    texts = partition_by_tokens([len(ids) for ids in tokens], n_processes)[rank]
    lengths = [len(tokens[i]) for i in texts]
    packed = retriever.first_position is not None
    chunks = [[texts[i] for i in rows] for rows in batches_by_tokens(lengths, call, packed)]
    encode_again = sum(lengths) > cached

    def encode(number: int) -> tuple[Tensor, Tensor | None]:
        """Encode a chunk: its vectors, and its part of the token loss."""
        # The same seed the second time: dropout must drop the same.
        torch.manual_seed(int(mix(seed, rank, number) >> 1))
        states: list[Tensor] | None = None if token_loss is None else []
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            vectors = retriever.embed([tokens[i] for i in chunks[number]], call, states)
        if token_loss is None or states is None:
            return vectors, None
        return vectors, token_loss(chunks[number], states)

    with torch.set_grad_enabled(not encode_again):
        encoded = [encode(i) for i in range(len(chunks))]
    part = (
        torch.cat([vectors for vectors, _ in encoded]).detach()
        if encoded
        else torch.zeros(0, retriever.dimensions, device=device)
    )
    order = [i for chunk in chunks for i in chunk]
    vectors = all_gather_vectors(part, order, len(tokens)).requires_grad_()
    value = loss(vectors)
    (value * loss_scale).backward()  # type: ignore[no-untyped-call]
    assert vectors.grad is not None
    total = 0.0
    for i, chunk in enumerate(chunks):
        chunk_vectors, chunk_loss = encode(i) if encode_again else encoded[i]
        encoded[i] = (chunk_vectors.detach(), None)  # frees the states of this chunk
        roots = [chunk_vectors]
        gradients = [vectors.grad[torch.tensor(chunk, device=device)]]
        if chunk_loss is not None:
            total += float(chunk_loss.detach())
            if chunk_loss.requires_grad:
                roots.append(chunk_loss)
                gradients.append(torch.full_like(chunk_loss, loss_scale))
        torch.autograd.backward(roots, gradients)
        del chunk_vectors, chunk_loss, roots
    return float(value.detach()) + all_reduce_sum(total, device)
