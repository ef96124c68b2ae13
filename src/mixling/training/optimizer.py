"""What the optimizer is told: which weights decay, the rate of a step, gradients of a bounded norm."""

from __future__ import annotations

import math

import torch

from mixling.training.embedding_gradient import EmbeddingGradient, others


def param_groups(some: list[torch.nn.Parameter], decay: float) -> list[dict]:
    """Weight decay on matrices only, as usual: not on biases and layer norms."""
    return [
        {"params": [p for p in some if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in some if p.ndim <= 1], "weight_decay": 0.0},
    ]


def clip_gradients(
    weights: list[torch.nn.Parameter], table: EmbeddingGradient | None, most: float
) -> float:
    """Scale the gradients so that their norm is `most` at most (0: leave them); the norm before."""
    own = [w.grad for w in others(weights, table) if w.grad is not None]
    some = [] if table is None else [table.gradient[table.rows()]]
    norm = torch.nn.utils.get_total_norm([*own, *some])
    share = torch.clamp(most / (norm + 1e-6), max=1.0) if most else torch.ones_like(norm)
    if own:
        torch._foreach_mul_(own, share)
    if table is not None:
        table.gradient[table.rows()] = some[0] * share
    return float(norm)


def learning_rate_factor(step: int, steps: int, warmup: float, schedule: str) -> float:
    """The learning rate of a step as a share of its peak: linear warm-up, then constant, linear or cosine to 0."""
    rise = math.ceil(warmup * steps)
    if step < rise:
        return (step + 1) / rise
    if schedule == "constant":
        return 1.0
    left = (steps - step) / max(steps - rise, 1)
    return left if schedule == "linear" else (1 - math.cos(math.pi * left)) / 2
