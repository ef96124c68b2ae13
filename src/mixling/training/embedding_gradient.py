"""The word table's gradient by rows: a step touches a few thousand of its 250,037 rows.

A plain embedding's backward pass makes a dense gradient, 384 MB for multilingual-e5-small, anew in every call of
every step. Here one dense gradient stays; a call adds to the rows it used, and after the step those alone are zeroed.
The optimizer sees the dense gradient, so what it computes is what it always computes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn


class _Lookup(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, ids: Tensor, table: EmbeddingGradient) -> Tensor:
        ctx.save_for_backward(ids)
        ctx.table = table
        return weight[ids]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, None, None]:
        ctx.table.add(*ctx.saved_tensors, gradient)
        return None, None, None


class EmbeddingGradient:
    """An embedding whose gradient is kept by rows. It takes the embedding's `forward` over until `close`."""

    def __init__(self, embedding: nn.Embedding):
        self.embedding, self.weight = embedding, embedding.weight
        self.weight.grad = torch.zeros_like(self.weight)
        self._rows: list[Tensor] = []
        embedding.forward = lambda ids: _Lookup.apply(self.weight, ids, self)  # type: ignore[method-assign, assignment]

    def add(self, ids: Tensor, gradient: Tensor) -> None:
        """Add the gradient of some looked-up rows: ids int64 [...], gradient [..., size]."""
        rows, place = ids.reshape(-1).unique(return_inverse=True)
        some = torch.zeros(
            len(rows), gradient.shape[-1], device=gradient.device, dtype=self.weight.dtype
        )
        some.index_add_(0, place, gradient.reshape(-1, gradient.shape[-1]).to(some.dtype))
        if self.embedding.padding_idx is not None:
            some[rows == self.embedding.padding_idx] = 0
        self.gradient.index_add_(0, rows, some)
        self._rows.append(rows)

    @property
    def gradient(self) -> Tensor:
        """The dense gradient, [words, size]."""
        assert self.weight.grad is not None
        return self.weight.grad

    def rows(self) -> Tensor:
        """Rows that this step has touched, int64, each once."""
        if not self._rows:
            return torch.zeros(0, dtype=torch.long, device=self.weight.device)
        if len(self._rows) > 1:
            self._rows = [torch.cat(self._rows).unique()]
        return self._rows[0]

    def put(self, rows: Tensor, values: Tensor) -> None:
        """Let these be the rows touched, with these gradients (what several processes have added up)."""
        self.gradient[self.rows()] = 0
        self.gradient[rows] = values
        self._rows = [rows]

    def clear(self) -> None:
        """Zero what the step has touched."""
        self.gradient[self.rows()] = 0
        self._rows = []

    def close(self) -> None:
        """Give the embedding its own `forward` back."""
        del self.embedding.forward
        self.weight.grad = None


def others(weights: Iterable[nn.Parameter], table: EmbeddingGradient | None) -> list[nn.Parameter]:
    """The weights whose gradient is made anew in each step: all but the table's."""
    return [w for w in weights if table is None or w is not table.weight]


def zero_grad(weights: Iterable[nn.Parameter], table: EmbeddingGradient | None) -> None:
    """Drop a step's gradients."""
    for weight in others(weights, table):
        weight.grad = None
    if table is not None:
        table.clear()


def sparse_embedding_gradient(model: Any) -> EmbeddingGradient | None:
    """The word table of a sentence-transformers chain by rows, if it is trained and an ordinary embedding."""
    encoder: Any = getattr(model[0], "model", None)
    found = encoder.get_input_embeddings() if hasattr(encoder, "get_input_embeddings") else None
    if (
        type(found) is not nn.Embedding
        or not found.weight.requires_grad
        or found.max_norm is not None
    ):
        return None
    if found.sparse or found.scale_grad_by_freq:
        return None
    shared = sum(p is found.weight for m in model.modules() for p in m.parameters(recurse=False))
    return EmbeddingGradient(found) if shared == 1 else None
