"""Plans and costs against POT."""

import numpy as np
import ot
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mixling.losses.transport import cosine_costs, ipot, sinkhorn, transport_cost


def padded(sizes, seed, d=8):
    """Token vectors of texts of these sizes, padded with noise, in double precision, and which
    count.
    """
    g = torch.Generator().manual_seed(seed)
    found = []
    for side in (0, 1):
        lengths = [s[side] for s in sizes]
        x = torch.randn(len(sizes), max(lengths), d, generator=g, dtype=torch.float64)
        found.append((x, torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]))
    return found


SIZES = st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12)), min_size=1, max_size=5)


@given(SIZES, st.integers(0, 10**6))
@settings(deadline=None, max_examples=30)
def test_the_plan_is_pots_and_nothing_goes_to_padding(sizes, seed):
    (t, rows), (s, columns) = padded(sizes, seed)
    cost = cosine_costs(t, s)
    plan = sinkhorn(cost, rows, columns, 0.1, iterations=2000, tolerance=1e-12)
    for i, (m, n) in enumerate(sizes):
        a, b = np.full(m, 1 / m), np.full(n, 1 / n)
        want = ot.bregman.sinkhorn_log(
            a, b, cost[i, :m, :n].numpy(), 0.1, numItermax=5000, stopThr=1e-13, warn=False
        )
        assert np.abs(plan[i, :m, :n].numpy() - want).max() < 1e-5
        assert (
            plan[i].sum() == pytest.approx(1, abs=1e-6)
            and plan[i, m:].sum() == plan[i, :, n:].sum() == 0
        )


@given(SIZES, st.integers(0, 10**6))
@settings(deadline=None, max_examples=15)
def test_ipot_tends_to_the_exact_cost(sizes, seed):
    (t, rows), (s, columns) = padded(sizes, seed)
    cost = cosine_costs(t, s)
    plan = ipot(cost, rows, columns, 0.5, iterations=3000)
    for i, (m, n) in enumerate(sizes):
        exact = ot.emd2(np.full(m, 1 / m), np.full(n, 1 / n), cost[i, :m, :n].numpy())
        assert float((plan[i] * cost[i]).sum()) == pytest.approx(exact, abs=2e-3)
        assert plan[i, m:].sum() == plan[i, :, n:].sum() == 0


def test_a_small_epsilon_tends_to_the_exact_cost():
    (t, rows), (s, columns) = padded([(7, 9), (1, 4), (5, 1)], 3)
    cost = cosine_costs(t, s)
    plan = sinkhorn(cost, rows, columns, 0.005, iterations=20_000, tolerance=1e-9)
    for i, (m, n) in enumerate([(7, 9), (1, 4), (5, 1)]):
        exact = ot.emd2(np.full(m, 1 / m), np.full(n, 1 / n), cost[i, :m, :n].numpy())
        assert float((plan[i] * cost[i]).sum()) == pytest.approx(exact, abs=5e-3)


def test_the_cost_of_a_text_with_itself_is_small_and_its_gradient_is_that_of_a_fixed_plan():
    (t, rows), (s, columns) = padded([(6, 6), (3, 5)], 5)
    s = s.requires_grad_()
    loss = transport_cost(t, s, rows, columns).sum()
    (gradient,) = torch.autograd.grad(loss, s)
    plan = sinkhorn(cosine_costs(t, s).detach().float(), rows, columns)
    (want,) = torch.autograd.grad((plan * cosine_costs(t, s)).sum(), s)
    assert torch.equal(gradient, want) and gradient[1, 5:].abs().sum() == 0
    same = transport_cost(t[:1], t[:1], rows[:1], rows[:1], 0.02)
    assert same.item() < 0.02 < transport_cost(t[:1], s[:1], rows[:1], columns[:1], 0.02).item()
