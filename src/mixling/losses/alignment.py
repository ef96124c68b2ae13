"""Losses that draw a query and its translation together, by their vectors or by their scores.

All take vectors of texts that say the same: queries `[k, dim]`, and the same queries in another
language, translations `[k, dim]`. Scores are cosines (or dot products) with the batch's passages
`[m, dim]`.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div, log_softmax

from mixling.losses.info_nce import Similarity, similarity


def lakda(
    queries: Tensor,
    translations: Tensor,
    passages: Tensor,
    mask: Tensor,
    similarity_type: Similarity = "cosine",
) -> Tensor:
    """Return KL(p_B || p_A), mean over queries (LaKDA, Yang et al., MRL 2024).

    p is the softmax of the scores over the passages, A the query and B its translation. There is no
    temperature, and gradients go through both.

    Args:
        queries: float `[k, dim]`.
        translations: float `[k, dim]`, of the same queries in another language.
        passages: float `[m, dim]`.
        mask: bool `[k, m]`, the passages that count for a query: its own and its negatives.
        similarity_type: "cosine" or "dot".

    Returns:
        The loss in nats, a scalar.
    """
    a, b = (
        log_softmax(similarity(x, passages, similarity_type).masked_fill(~mask, -torch.inf), dim=1)
        for x in (queries, translations)
    )
    return masked_kl(b, a, mask)


def jsd(queries: Tensor, translations: Tensor) -> Tensor:
    """Return the Jensen-Shannon divergence of two vectors, mean over pairs.

    Each vector is a distribution by softmax over its dimensions. This is the alignment loss of
    arXiv:2604.05684, whose abstract says no more than its name; softmax is our reading.

    Args:
        queries: float `[k, dim]`.
        translations: float `[k, dim]`.

    Returns:
        The loss in nats, a scalar.
    """
    a, b = (log_softmax(x, dim=1) for x in (queries, translations))
    middle = torch.logaddexp(a, b) - torch.log(torch.tensor(2.0, device=a.device))
    mask = torch.ones_like(a, dtype=torch.bool)
    return (masked_kl(a, middle, mask) + masked_kl(b, middle, mask)) / 2


def bitext(
    queries: Tensor,
    translations: Tensor,
    temperature: float,
    similarity_type: Similarity = "cosine",
) -> Tensor:
    """Return the symmetric InfoNCE of queries and their translations, the mean of both directions.

    The negatives of a query are the other translations of the batch.

    Args:
        queries: float `[k, dim]`.
        translations: float `[k, dim]`.
        temperature: Divides the scores.
        similarity_type: "cosine" or "dot".

    Returns:
        The loss, a scalar.
    """
    scores = similarity(queries, translations, similarity_type) / temperature
    target = torch.arange(len(scores), device=scores.device)
    return (cross_entropy(scores, target) + cross_entropy(scores.T, target)) / 2


def clear(
    queries: Tensor,
    translations: Tensor,
    passages: Tensor,
    mask: Tensor,
    temperature: float = 0.05,
    similarity_type: Similarity = "cosine",
    reverse: float = 0.4,
    divergence: float = 0.2,
) -> Tensor:
    """Return CLEAR's two further losses (arXiv:2604.05821): a reverse contrast, and a KL.

        reverse * InfoNCE(passage -> translated queries)
        + divergence * KL(query -> passages || passage -> translated queries)

    Both are means. The paper's first loss, InfoNCE(query -> passages), is the objective itself,
    with weight 1 - reverse - divergence.

    Args:
        queries: float `[k, dim]`.
        translations: float `[k, dim]`.
        passages: float `[k, dim]`; passage i answers query i.
        mask: bool `[k, k]`, which passage counts for which query.
        temperature: Divides the scores.
        similarity_type: "cosine" or "dot".
        reverse: Weight of the reverse contrast.
        divergence: Weight of the KL.

    Returns:
        The loss, a scalar.
    """
    forward = similarity(queries, passages, similarity_type) / temperature
    backward = similarity(passages, translations, similarity_type) / temperature
    forward = forward.masked_fill(~mask, -torch.inf)
    backward = backward.masked_fill(~mask.T, -torch.inf)
    target = torch.arange(len(forward), device=forward.device)
    shared = mask & mask.T
    kl = masked_kl(
        log_softmax(forward.masked_fill(~shared, -torch.inf), 1),
        log_softmax(backward.masked_fill(~shared, -torch.inf), 1),
        shared,
    )
    return reverse * cross_entropy(backward, target) + divergence * kl


def masked_kl(p: Tensor, q: Tensor, mask: Tensor) -> Tensor:
    """Return KL(p || q) over the masked places, mean over rows.

    Args:
        p: Log probabilities `[k, m]`.
        q: Log probabilities `[k, m]`.
        mask: bool `[k, m]`, the places that count. The others may be -inf: they are set to 0 first,
            or the gradient would be NaN.

    Returns:
        The divergence in nats, a scalar.
    """
    terms = kl_div(
        q.masked_fill(~mask, 0), p.masked_fill(~mask, 0), reduction="none", log_target=True
    )
    return terms.masked_fill(~mask, 0).sum(1).mean()
