"""Losses that learn from a frozen teacher: from its vectors, or from its scores of passages."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, log_softmax, mse_loss

from mixling.losses.alignment import masked_kl


def vector_mse(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the mean squared error over texts and dimensions (Reimers and Gurevych 2020).

    Args:
        student: Vectors `[k, dim]`.
        teacher: Vectors `[k, dim]`.
    """
    return mse_loss(student, teacher)


def cosine_distance(student: Tensor, teacher: Tensor) -> Tensor:
    """Return 1 - cosine, mean over texts: the distillation of MIMO (arXiv:2605.31171).

    Args:
        student: Vectors `[k, dim]`, projected to the teacher's size.
        teacher: Vectors `[k, dim]`.
    """
    return (1 - cosine_similarity(student, teacher, dim=1)).mean()


def score_kl(student: Tensor, teacher: Tensor, mask: Tensor, temperature: float) -> Tensor:
    """Return KL(teacher || student) of the softmax over passages, mean over queries.

    Args:
        student: Scores `[n, m]`.
        teacher: Scores `[n, m]`.
        mask: bool `[n, m]`, the passages that count for a query.
        temperature: Divides both scores.
    """
    t, s = (
        log_softmax((x / temperature).masked_fill(~mask, -torch.inf), dim=1)
        for x in (teacher, student)
    )
    return masked_kl(t, s, mask)


def margin_mse(student: Tensor, teacher: Tensor, negatives: Tensor) -> Tensor:
    """Return MarginMSE (arXiv:2010.02666), mean over all negatives of the batch.

    It is the squared difference of student and teacher in the margin s(q, p+) - s(q, p-).

    Args:
        student: Scores `[n, m]`; passage i answers query i.
        teacher: Scores `[n, m]`.
        negatives: bool `[n, m]`, which passage is a negative of which query.
    """
    a, b = (x.diagonal()[:, None] - x for x in (student, teacher))
    return mse_loss(a[negatives], b[negatives])
