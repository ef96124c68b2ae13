"""Terms that learn from a frozen teacher: its vectors, or its scores over the batch's passages."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, log_softmax, mse_loss

from mixling.losses.alignment import masked_kl


def vector_mse(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared error of vectors [k, d], the mean over texts and dimensions (Reimers and Gurevych 2020)."""
    return mse_loss(student, teacher)


def cosine_distance(student: Tensor, teacher: Tensor) -> Tensor:
    """1 - cosine of student (projected) and teacher, [k, d] each, mean: MIMO's distillation (arXiv:2605.31171)."""
    return (1 - cosine_similarity(student, teacher, dim=1)).mean()


def score_kl(student: Tensor, teacher: Tensor, keep: Tensor, temperature: float) -> Tensor:
    """KL(teacher || student) of the softmax over passages, mean over questions.

    student, teacher: scores [n, m]; keep: bool [n, m], passages that count for a question.
    """
    t, s = (
        log_softmax((x / temperature).masked_fill(~keep, -torch.inf), dim=1)
        for x in (teacher, student)
    )
    return masked_kl(t, s, keep)


def margin_mse(student: Tensor, teacher: Tensor, negatives: Tensor) -> Tensor:
    """MarginMSE (arXiv:2010.02666): squared error of s(q, p+) - s(q, p-), mean over all negatives of the batch.

    student, teacher: scores [n, m], passage i answers question i; negatives: bool [n, m].
    """
    a, b = (x.diagonal()[:, None] - x for x in (student, teacher))
    return mse_loss(a[negatives], b[negatives])
