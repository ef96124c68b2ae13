"""InfoNCE over the passages of a batch; pairs of one group are never negatives of each other.

    L = mean_i -log [ exp(s_ii / T) / sum_{j allowed for i} exp(s_ij / T) ],  s = cosine (or dot
    product)

j is allowed for i if j = i, or if the two share neither translation group nor passage group.
Columns after the batch's passages are hard negatives. A hard negative belongs to the group of the
pair that it comes with, unless it is known to be relevant to another.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

Similarity = Literal["cosine", "dot"]


def similarity(a: Tensor, b: Tensor, similarity_type: Similarity) -> Tensor:
    """Return the cosine or dot product of all pairs.

    Args:
        a: float `[n, dim]`.
        b: float `[m, dim]`.
        similarity_type: "cosine" or "dot".

    Returns:
        float `[n, m]`.
    """
    if similarity_type == "cosine":
        a, b = (torch.nn.functional.normalize(x, dim=1) for x in (a, b))
    return a @ b.T


def allowed_negatives(group: Tensor, passage_group: Tensor | None = None) -> Tensor:
    """Return which pair's passage may be a negative of which pair's query.

    Args:
        group: The translation group of each pair, int64 `[n]`.
        passage_group: The passage group of each pair, int64 `[n]`.

    Returns:
        bool `[n, n]`.
    """
    same = group[:, None] == group[None, :]
    if passage_group is not None:
        same |= passage_group[:, None] == passage_group[None, :]
    return ~same


def info_nce(
    queries: Tensor,
    passages: Tensor,
    negatives: Tensor,
    temperature: float | Tensor,
    similarity_type: Similarity = "cosine",
    symmetric: bool = False,
) -> Tensor:
    """Return the mean loss of a batch.

    Args:
        queries: float `[n, dim]`.
        passages: float `[m, dim]`, m >= n; passage i answers query i, those after n are hard
            negatives.
        negatives: bool `[n, m]`, which passages may be negatives of which query.
        temperature: Divides the scores; one number, or one for each pair, float `[n, 1]`.
        similarity_type: "cosine" or "dot".
        symmetric: Add the loss of passages that look for their query, and take the mean of both.

    Returns:
        The loss, a scalar.
    """
    n = len(queries)
    similarities = similarity(queries, passages, similarity_type)
    scores = similarities / temperature
    mask = negatives | torch.eye(n, scores.shape[1], dtype=torch.bool, device=scores.device)
    target = torch.arange(n, device=scores.device)
    loss = cross_entropy(scores.masked_fill(~mask, -torch.inf), target)
    if symmetric:
        backward = (similarities[:, :n].T / temperature).masked_fill(~mask[:, :n].T, -torch.inf)
        loss = (loss + cross_entropy(backward, target)) / 2
    return loss
