"""The gradient of the embedding table by rows.

A step touches a few thousand of the 250,037 rows of multilingual-e5-small. The backward pass of a
plain embedding makes a new dense gradient, 384 MB, in every call of every step. Here one dense
gradient stays allocated: a call adds to the rows that it used, and after the step only those rows
are set to zero. The optimizer sees the dense gradient, so it computes what it always computes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn


class _Lookup(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, ids: Tensor, owner: EmbeddingGradient) -> Tensor:
        ctx.save_for_backward(ids)
        ctx.owner = owner
        return weight[ids]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, None, None]:
        ctx.owner.add(*ctx.saved_tensors, gradient)
        return None, None, None


class EmbeddingGradient:
    """An embedding whose gradient is kept by rows.

    It replaces the embedding's `forward` until `close` is called.

    Args:
        embedding: The embedding, `[n_subwords, hidden]`.
    """

    def __init__(self, embedding: nn.Embedding):
        self.embedding, self.weight = embedding, embedding.weight
        self.weight.grad = torch.zeros_like(self.weight)
        self._rows: list[Tensor] = []

        def forward(ids: Tensor) -> Any:
            return _Lookup.apply(self.weight, ids, self)  # type: ignore[no-untyped-call]

        embedding.forward = forward  # type: ignore[method-assign, assignment]

    def add(self, ids: Tensor, gradient: Tensor) -> None:
        """Add the gradient of looked-up rows.

        Args:
            ids: The rows, int64 `[...]`.
            gradient: Their gradients, float `[..., hidden]`.
        """
        rows, place = torch.unique(ids.reshape(-1), return_inverse=True)
        hidden = gradient.shape[-1]
        added = torch.zeros(len(rows), hidden, device=gradient.device, dtype=self.weight.dtype)
        added.index_add_(0, place, gradient.reshape(-1, hidden).to(added.dtype))
        if self.embedding.padding_idx is not None:
            added[rows == self.embedding.padding_idx] = 0
        self.gradient.index_add_(0, rows, added)
        self._rows.append(rows)

    @property
    def gradient(self) -> Tensor:
        """The dense gradient, `[n_subwords, hidden]`."""
        assert self.weight.grad is not None
        return self.weight.grad

    def rows(self) -> Tensor:
        """Return the rows that this step has touched, int64, each once."""
        if not self._rows:
            return torch.zeros(0, dtype=torch.long, device=self.weight.device)
        if len(self._rows) > 1:
            self._rows = [torch.unique(torch.cat(self._rows))]
        return self._rows[0]

    def put(self, rows: Tensor, values: Tensor) -> None:
        """Replace the gradient by the sum over several processes.

        Args:
            rows: The rows that are touched, int64 `[n]`.
            values: Their gradients, float `[n, hidden]`.
        """
        self.gradient[self.rows()] = 0
        self.gradient[rows] = values
        self._rows = [rows]

    def clear(self) -> None:
        """Set the gradient of the touched rows to zero."""
        self.gradient[self.rows()] = 0
        self._rows = []

    def close(self) -> None:
        """Restore the embedding's own `forward`."""
        del self.embedding.forward
        self.weight.grad = None


def without_embedding(
    weights: Iterable[nn.Parameter], embedding_gradient: EmbeddingGradient | None
) -> list[nn.Parameter]:
    """Return the weights except the embedding whose gradient is kept by rows."""
    return [w for w in weights if embedding_gradient is None or w is not embedding_gradient.weight]


def zero_grad(
    weights: Iterable[nn.Parameter], embedding_gradient: EmbeddingGradient | None
) -> None:
    """Drop the gradients of a step."""
    for weight in without_embedding(weights, embedding_gradient):
        weight.grad = None
    if embedding_gradient is not None:
        embedding_gradient.clear()


def sparse_embedding_gradient(model: Any) -> EmbeddingGradient | None:
    """Keep the gradient of a model's embedding table by rows.

    Args:
        model: A sentence-transformers model.

    Returns:
        The gradient, or None if the embedding is frozen, tied to another layer, or not an ordinary
        one.
    """
    encoder: Any = getattr(model[0], "model", None)
    if not hasattr(encoder, "get_input_embeddings"):
        return None
    embedding = encoder.get_input_embeddings()
    if type(embedding) is not nn.Embedding or not embedding.weight.requires_grad:
        return None
    if embedding.max_norm is not None or embedding.sparse or embedding.scale_grad_by_freq:
        return None
    uses = sum(p is embedding.weight for m in model.modules() for p in m.parameters(recurse=False))
    return EmbeddingGradient(embedding) if uses == 1 else None
