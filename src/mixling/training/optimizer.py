"""Parts of the optimizer.

Weight decay by parameter, gradient clipping, the learning rate of a step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from mixling.training.embedding_gradient import EmbeddingGradient, without_embedding


def param_groups(
    weights: Sequence[torch.nn.Parameter], weight_decay: float
) -> list[dict[str, Any]]:
    """Group weights for AdamW: matrices decay, biases and layer norms do not.

    Args:
        weights: The weights that are trained.
        weight_decay: AdamW's decay of matrices.
    """
    return [
        {"params": [w for w in weights if w.ndim > 1], "weight_decay": weight_decay},
        {"params": [w for w in weights if w.ndim <= 1], "weight_decay": 0.0},
    ]


def clip_gradients(
    weights: Sequence[torch.nn.Parameter],
    embedding_gradient: EmbeddingGradient | None,
    max_norm: float,
) -> float:
    """Scale all gradients so that their norm is at most `max_norm`.

    Args:
        weights: The weights that are trained.
        embedding_gradient: The gradient of the embedding table, if it is kept by rows.
        max_norm: The largest norm, 0 for no limit.

    Returns:
        The norm before scaling.
    """
    dense = without_embedding(weights, embedding_gradient)
    gradients = [w.grad for w in dense if w.grad is not None]
    rows = None if embedding_gradient is None else embedding_gradient.rows()
    if embedding_gradient is not None and rows is not None:
        gradients.append(embedding_gradient.gradient[rows])
    norm = torch.nn.utils.get_total_norm(gradients)
    if max_norm:
        torch.nn.utils.clip_grads_with_norm_(dense, max_norm, norm)
        if embedding_gradient is not None and rows is not None:
            # as clip_grads_with_norm_ scales, for the touched rows alone
            factor = torch.clamp(max_norm / (norm + 1e-6), max=1.0)
            embedding_gradient.gradient[rows] = gradients[-1] * factor
    return float(norm)


def learning_rate_factor(
    step: int, steps: int, warmup: float, schedule: str, decay: float = 0.2
) -> float:
    """Return the learning rate of a step as a fraction of its peak.

    It rises linearly during the warm-up. Then it is constant, or falls to 0: linearly, as a cosine,
    or after a constant phase as 1 - sqrt of the share of the decay that is over ("wsd", Hägele et
    al. 2024, arXiv:2405.18392).

    Args:
        step: Number of the step, from 0.
        steps: The number of steps.
        warmup: The warm-up: a fraction of the steps, or a number of steps above 1.
        schedule: "constant", "linear", "cosine" or "wsd".
        decay: The fraction of the steps in which the learning rate of "wsd" falls.
    """
    warmup_steps = math.ceil(warmup * steps if warmup <= 1 else warmup)
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    if schedule == "constant":
        return 1.0
    if schedule == "wsd":
        stable = stable_steps(steps, decay)
        return 1.0 if step < stable else 1 - math.sqrt((step - stable) / (steps - stable))
    remaining = (steps - step) / max(steps - warmup_steps, 1)
    return remaining if schedule == "linear" else (1 - math.cos(math.pi * remaining)) / 2


def stable_steps(steps: int, decay: float) -> int:
    """Return the number of steps before the decay of the schedule "wsd".

    Args:
        steps: The number of steps.
        decay: The fraction of the steps in which the learning rate falls.
    """
    return steps - math.ceil(decay * steps)
