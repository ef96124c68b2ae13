"""Equation 1 of arXiv:2408.10536, to the letter, in both readings.

    L = sum_i -log [ e^{s(q_i, d_i+)} / ( e^{s(q_i, d_i+)} + sum_{j=1..|B|} e^{s(q_i, d_j-)} ) ]

As printed, the sum runs over the batch's irrelevant documents d_j- alone ("eq1"): one for each
pair. The text calls it in-batch negative mining, so the other pairs' relevant documents may be
meant as well ("eq1-all-positives"). The paper prints no temperature: T = 1 is its form. Where there
are no hard negatives, the other pairs' relevant documents take the place of d_j- in both readings.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mixling.losses.info_nce import Similarity, similarity


def eq1(
    queries: Tensor,
    passages: Tensor,
    negatives: Tensor,
    temperature: float = 1.0,
    similarity_type: Similarity = "cosine",
    all_positives: bool = False,
) -> Tensor:
    """Return the sum of the losses of a batch.

    Args:
        queries: float `[n, dim]`.
        passages: float `[m, dim]`, m >= n; passage i answers query i, those after n are hard
            negatives.
        negatives: bool `[n, m]`, which passages may be negatives of which query.
        temperature: Divides the scores.
        similarity_type: "cosine" or "dot".
        all_positives: Whether the other pairs' relevant documents are negatives beside hard ones.

    Returns:
        The loss, a scalar.
    """
    n = len(queries)
    scores = similarity(queries, passages, similarity_type) / temperature
    mask = negatives.clone()
    if scores.shape[1] > n and not all_positives:
        mask[:, :n] = False
    mask = mask & ~torch.eye(n, scores.shape[1], dtype=torch.bool, device=scores.device)
    positive = scores.diagonal()
    denominator = torch.cat([positive[:, None], scores.masked_fill(~mask, -torch.inf)], dim=1)
    return (torch.logsumexp(denominator, dim=1) - positive).sum()
