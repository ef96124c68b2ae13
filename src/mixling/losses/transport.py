"""Optimal transport between the token vectors of two texts: OPTICAL (arXiv:2301.12566), batched.

    P* = argmin over plans of <P, C> - eps H(P),  C_ij = 1 - cos(t_i, s_j),  loss = <P*, C>

Marginals are uniform over the tokens that count. P* is a constant in the backward pass, which is
exact at the optimum of the unregularized cost (envelope theorem).
"""

from __future__ import annotations

import torch
from torch import Tensor

_NEVER = -1e9  # log of a weight that is 0; -inf would make NaN of inf - inf


def marginals(mask: Tensor) -> Tensor:
    """Return the log of uniform weights over the tokens that count; those of others are very small.

    Args:
        mask: bool `[batch, n]`, the tokens that count.

    Returns:
        float32 `[batch, n]`.
    """
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
    """Return the entropic plan (Cuturi 2013), computed in the log domain without a gradient.

    The iteration ends early when the column sums are within `tolerance` of their marginals, which
    is checked every tenth time; the row sums are exact.

    Args:
        cost: float `[batch, m, n]`.
        rows: bool `[batch, m]`, the tokens that count.
        columns: bool `[batch, n]`, the tokens that count.
        epsilon: Weight of the entropy.
        iterations: Greatest number of iterations.
        tolerance: Greatest error of a column sum.

    Returns:
        float `[batch, m, n]`.
    """
    with torch.no_grad():
        a, b = marginals(rows).to(cost.dtype), marginals(columns).to(cost.dtype)
        k = -cost / epsilon
        u = torch.zeros_like(a)
        for iteration in range(1, iterations + 1):
            v = b - torch.logsumexp(k + u[:, :, None], 1)
            u = a - torch.logsumexp(k + v[:, None, :], 2)
            if iteration % 10 == 0:
                column_sums = torch.exp(k + u[:, :, None] + v[:, None, :]).sum(1)
                if float((column_sums - b.exp()).abs().max()) < tolerance:
                    break
        return torch.exp(k + u[:, :, None] + v[:, None, :])


def ipot(
    cost: Tensor, rows: Tensor, columns: Tensor, beta: float = 0.5, iterations: int = 50
) -> Tensor:
    """Return the plan by proximal steps (IPOT, Xie et al., arXiv:1802.04307).

    It tends to the exact plan without a small epsilon. Each step is one scaling of
    exp(-cost / beta) times the last plan, in the log domain.

    Args:
        cost: float `[batch, m, n]`.
        rows: bool `[batch, m]`, the tokens that count.
        columns: bool `[batch, n]`, the tokens that count.
        beta: Step size.
        iterations: Number of steps.

    Returns:
        float `[batch, m, n]`.
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
    """Return 1 - cosine of every pair of tokens.

    Args:
        teacher: float `[batch, m, dim]`.
        student: float `[batch, n, dim]`.

    Returns:
        float `[batch, m, n]`.
    """
    t, s = (torch.nn.functional.normalize(x, dim=2) for x in (teacher, student))
    return 1 - t @ s.transpose(1, 2)


def transport_cost(
    teacher: Tensor, student: Tensor, rows: Tensor, columns: Tensor, epsilon: float = 0.01
) -> Tensor:
    """Return the transport cost of each pair of texts.

    Args:
        teacher: Token vectors, float `[batch, m, dim]`.
        student: Token vectors, float `[batch, n, dim]`.
        rows: bool `[batch, m]`, the teacher's tokens that count.
        columns: bool `[batch, n]`, the student's tokens that count.
        epsilon: Weight of the entropy.

    Returns:
        float `[batch]`.
    """
    cost = cosine_costs(teacher, student)
    plan = sinkhorn(cost.detach().float(), rows, columns, epsilon)
    return (plan * cost).sum((1, 2))
