"""Terms that draw a question and its translation together, by vectors or by what they find.

All take vectors of texts that say the same: questions [k, d], and the same questions in another language,
translations [k, d]. Scores are cosines (or dot products) with the batch's passages [m, d].
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div, log_softmax

from mixling.losses.info_nce import similarity


def lakda(
    queries: Tensor,
    translations: Tensor,
    passages: Tensor,
    mask: Tensor,
    similarity_type: str = "cosine",
) -> Tensor:
    """KL(p_B || p_A), mean over questions: p softmax of the scores over the passages, A the question, B its translation.

    LaKDA (Yang et al., MRL 2024): no temperature, gradients through both. keep: bool [k, m], passages that count for
    a question (its own and its negatives).
    """
    a, b = (
        log_softmax(similarity(x, passages, similarity_type).masked_fill(~mask, -torch.inf), dim=1)
        for x in (queries, translations)
    )
    return masked_kl(b, a, mask)


def jsd(queries: Tensor, translations: Tensor) -> Tensor:
    """Jensen-Shannon divergence of the two vectors, mean over pairs: each a distribution by softmax over dimensions.

    The alignment term of arXiv:2604.05684, whose abstract says no more than that; softmax is our reading. In nats.
    """
    a, b = (log_softmax(x, dim=1) for x in (queries, translations))
    middle = torch.logaddexp(a, b) - torch.log(torch.tensor(2.0, device=a.device))
    every = torch.ones_like(a, dtype=torch.bool)
    return (masked_kl(a, middle, every) + masked_kl(b, middle, every)) / 2


def bitext(
    queries: Tensor, translations: Tensor, temperature: float, similarity_type: str = "cosine"
) -> Tensor:
    """Contrast of a question with its translation among the batch's other translations, both ways, mean."""
    scores = similarity(queries, translations, similarity_type) / temperature
    target = torch.arange(len(scores), device=scores.device)
    return (cross_entropy(scores, target) + cross_entropy(scores.T, target)) / 2


def clear(
    queries: Tensor,
    translations: Tensor,
    passages: Tensor,
    mask: Tensor,
    temperature: float = 0.05,
    similarity_type: str = "cosine",
    reverse: float = 0.4,
    divergence: float = 0.2,
) -> Tensor:
    """CLEAR's two further terms (arXiv:2604.05821): reverse contrast, and a KL between the two ways of looking.

    reverse * InfoNCE(passage -> translated questions) + divergence * KL(question -> passages || passage -> translated
    questions), means. passages: [k, d], passage i answers question i; keep: bool [k, k], who counts for whom. The
    paper's first term, InfoNCE(question -> passages), is the objective itself, with weight 1 - reverse - divergence.
    """
    ahead = (similarity(queries, passages, similarity_type) / temperature).masked_fill(
        ~mask, -torch.inf
    )
    back = (similarity(passages, translations, similarity_type) / temperature).masked_fill(
        ~mask.T, -torch.inf
    )
    target = torch.arange(len(ahead), device=ahead.device)
    both = mask & mask.T
    apart = masked_kl(
        log_softmax(ahead.masked_fill(~both, -torch.inf), 1),
        log_softmax(back.masked_fill(~both, -torch.inf), 1),
        both,
    )
    return reverse * cross_entropy(back, target) + divergence * apart


def masked_kl(p: Tensor, q: Tensor, keep: Tensor) -> Tensor:
    """KL(p || q) of log probabilities [k, m] over the kept places, mean over rows."""
    each = kl_div(
        q.masked_fill(~keep, 0), p.masked_fill(~keep, 0), reduction="none", log_target=True
    )
    return each.masked_fill(~keep, 0).sum(1).mean()
