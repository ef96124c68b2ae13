"""Equation 1 of arXiv:2408.10536, to the letter, in both readings.

    L = sum_i -log [ e^{s(q_i, d_i+)} / ( e^{s(q_i, d_i+)} + sum_{j=1..|B|} e^{s(q_i, d_j-)} ) ]

As printed the sum runs over the batch's irrelevant documents d_j- alone ("eq1"): one for each pair. The text
calls it in-batch negative mining, so the other pairs' relevant documents may be meant as well
("eq1-all-positives"). Printed without a temperature; dividing s by T = 1 is the paper's form. Where no hard
negatives are given, the other pairs' relevant documents take the place of d_j- in both readings.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mixling.losses.info_nce import similarity


def eq1(
    queries: Tensor,
    passages: Tensor,
    negatives: Tensor,
    temperature: float = 1.0,
    similarity_type: str = "cosine",
    all_positives: bool = False,
) -> Tensor:
    """Sum of the losses of a batch; arguments as in `info_nce`."""
    n = len(queries)
    scores = similarity(queries, passages, similarity_type) / temperature
    keep = negatives.clone()
    if scores.shape[1] > n and not all_positives:
        keep[:, :n] = False
    keep = keep & ~torch.eye(n, scores.shape[1], dtype=torch.bool, device=scores.device)
    right = scores.diagonal()
    below = torch.cat([right[:, None], scores.masked_fill(~keep, -torch.inf)], dim=1)
    return (torch.logsumexp(below, dim=1) - right).sum()
