"""Optimal transport between the token vectors of two texts: OPTICAL (arXiv:2301.12566), batched and masked.

    P* = argmin over plans of <P, C> - eps H(P),  C_ij = 1 - cos(t_i, s_j),  loss = <P*, C>

Marginals are uniform over the tokens that count; P* is a constant in the backward pass (envelope theorem: exact at the
optimum of the unregularised cost).
"""

from __future__ import annotations

import torch
from torch import Tensor

_NEVER = -1e9


def marginals(mask: Tensor) -> Tensor:
    """Log of uniform weights over the tokens that count, [b, n] from bool [b, n]; the others' are very small."""
    count = mask.sum(1, keepdim=True).clamp(min=1)
    return torch.where(
        mask,
        -torch.log(count.to(torch.float32)),
        torch.full_like(mask, _NEVER, dtype=torch.float32),
    )


def sinkhorn(
    cost: Tensor,
    rows: Tensor,
    columns: Tensor,
    epsilon: float = 0.01,
    iterations: int = 50,
    tolerance: float = 1e-4,
) -> Tensor:
    """The entropic plan, in the log domain: [b, m, n] from cost [b, m, n] and masks bool [b, m], [b, n].

    Stops after `iterations`, or when the columns' sums are within `tolerance` of what they should be (looked at every
    tenth time); the rows' are exact. No gradient goes through it.
    """
    with torch.no_grad():
        a, b = marginals(rows).to(cost.dtype), marginals(columns).to(cost.dtype)
        k = -cost / epsilon
        u = torch.zeros_like(a)
        for turn in range(1, iterations + 1):
            v = b - torch.logsumexp(k + u[:, :, None], 1)
            u = a - torch.logsumexp(k + v[:, None, :], 2)
            if turn % 10 == 0:
                off = (torch.exp(k + u[:, :, None] + v[:, None, :]).sum(1) - b.exp()).abs().max()
                if float(off) < tolerance:
                    break
        return torch.exp(k + u[:, :, None] + v[:, None, :])


def ipot(
    cost: Tensor, rows: Tensor, columns: Tensor, beta: float = 0.5, iterations: int = 50
) -> Tensor:
    """The plan by proximal steps (Xie et al., arXiv:1802.04307): tends to the exact one without a small epsilon.

    Shapes as in `sinkhorn`; each step is one scaling of exp(-cost / beta) * the plan before, in the log domain.
    """
    with torch.no_grad():
        a, b = marginals(rows).to(cost.dtype), marginals(columns).to(cost.dtype)
        plan = a[:, :, None] + b[:, None, :]
        v = torch.zeros_like(b)
        for _ in range(iterations):
            q = plan - cost / beta
            u = a - torch.logsumexp(q + v[:, None, :], 2)
            v = b - torch.logsumexp(q + u[:, :, None], 1)
            plan = (q + u[:, :, None] + v[:, None, :]).clamp(min=_NEVER)
        return torch.exp(plan)


def cosine_costs(teacher: Tensor, student: Tensor) -> Tensor:
    """1 - cosine of every pair of tokens: [b, m, d], [b, n, d] -> [b, m, n]."""
    t, s = (torch.nn.functional.normalize(x, dim=2) for x in (teacher, student))
    return 1 - t @ s.transpose(1, 2)


def transport_cost(
    teacher: Tensor, student: Tensor, rows: Tensor, columns: Tensor, epsilon: float = 0.01
) -> Tensor:
    """Transport cost of each pair of texts, [b]: teacher [b, m, d], student [b, n, d], masks of tokens that count."""
    cost = cosine_costs(teacher, student)
    plan = sinkhorn(cost.detach().float(), rows, columns, epsilon)
    return (plan * cost).sum((1, 2))
