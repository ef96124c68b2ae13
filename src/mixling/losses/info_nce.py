"""InfoNCE over the passages of the batch, with pairs of one group never negatives of each other.

    L = mean_i -log [ exp(s_ii / T) / sum_{j allowed for i} exp(s_ij / T) ],  s = cosine (or dot product)

j is allowed for i when j = i or the two share neither question group nor passage group. Columns after the
batch's own passages are hard negatives; their group is that of the pair they come with where they are not
known to be right.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy


def similarity(a: Tensor, b: Tensor, similarity_type: str) -> Tensor:
    """Cosine or dot product of all pairs: [n, d], [m, d] -> [n, m]."""
    if similarity_type == "cosine":
        a, b = (torch.nn.functional.normalize(x, dim=1) for x in (a, b))
    return a @ b.T


def allowed_negatives(group: Tensor, passage_group: Tensor | None = None) -> Tensor:
    """bool [n, n]: who may be a negative of whom. group, passage_group: int64 [n]."""
    same = group[:, None] == group[None, :]
    if passage_group is not None:
        same |= passage_group[:, None] == passage_group[None, :]
    return ~same


def info_nce(
    queries: Tensor,
    passages: Tensor,
    negatives: Tensor,
    temperature: float,
    similarity_type: str = "cosine",
    symmetric: bool = False,
) -> Tensor:
    """Mean loss of a batch.

    queries: [n, d]; passages: [m, d], m >= n, passage i answers query i, those after n are hard negatives;
    negatives: bool [n, m], which passages may be negatives of which query.
    """
    n = len(queries)
    scores = similarity(queries, passages, similarity_type) / temperature
    keep = negatives | torch.eye(n, scores.shape[1], dtype=torch.bool, device=scores.device)
    target = torch.arange(n, device=scores.device)
    loss = cross_entropy(scores.masked_fill(~keep, -torch.inf), target)
    if symmetric:
        back = scores[:, :n].T.masked_fill(~keep[:, :n].T, -torch.inf)
        loss = (loss + cross_entropy(back, target)) / 2
    return loss
