import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mixling.training.objectives.eq1 import eq1
from mixling.training.objectives.info_nce import allowed, info_nce

# Two questions, two right passages, two hard negatives; unit vectors in the plane, so cosines are known.
Q = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
P = torch.tensor([[0.8, 0.6], [0.6, 0.8], [0.6, -0.8], [-0.8, 0.6]])
EVERY = torch.tensor([[False, True, True, True], [True, False, True, True]])


def test_equation_1_as_printed_by_hand():
    """s(q0, .) = .8 .6 .6 -.8; s(q1, .) = .6 .8 -.8 .6: the sum runs over the two irrelevant documents."""
    e = math.exp
    first = -math.log(e(0.8) / (e(0.8) + e(0.6) + e(-0.8)))
    second = -math.log(e(0.8) / (e(0.8) + e(-0.8) + e(0.6)))
    assert eq1(Q, P, EVERY).item() == pytest.approx(first + second, abs=1e-6)


def test_equation_1_with_all_positives_by_hand():
    e = math.exp
    first = -math.log(e(0.8) / (e(0.8) + e(0.6) + e(0.6) + e(-0.8)))
    second = -math.log(e(0.8) / (e(0.8) + e(0.6) + e(-0.8) + e(0.6)))
    assert eq1(Q, P, EVERY, all_positives=True).item() == pytest.approx(first + second, abs=1e-6)


def test_without_hard_negatives_both_readings_and_info_nce_agree():
    may = allowed(torch.tensor([0, 1]))
    a, b = (eq1(Q, P[:2], may, 0.1, all_positives=x) for x in (False, True))
    assert (
        a.item()
        == pytest.approx(b.item())
        == pytest.approx(2 * info_nce(Q, P[:2], may, 0.1).item(), abs=1e-6)
    )


@given(st.integers(0, 10**6))
@settings(deadline=None, max_examples=25)
def test_what_may_not_be_a_negative_has_no_influence_and_no_gradient(seed):
    g = torch.Generator().manual_seed(seed)
    queries, passages = (torch.randn(6, 5, generator=g).requires_grad_() for _ in range(2))
    group, block = torch.tensor([0, 1, 2, 3, 4, 5]), torch.tensor([0, 0, 1, 2, 3, 3])
    may = allowed(group, block)
    assert not may[0, 1] and not may[4, 5] and may[0, 2]
    loss = info_nce(queries[:1], passages, may[:1], 0.05)
    loss.backward()
    assert passages.grad[1].abs().max() == 0
    changed = passages.detach().clone()
    changed[1] = 100
    assert info_nce(queries[:1], changed, may[:1], 0.05).item() == pytest.approx(loss.item(), abs=1e-6)


def test_info_nce_equals_sentence_transformers():
    from sentence_transformers.losses import MultipleNegativesRankingLoss

    class Given(torch.nn.Module):
        def forward(self, features):
            return {"sentence_embedding": features["v"]}

    torch.manual_seed(1)
    a, b = torch.randn(8, 6), torch.randn(8, 6)
    theirs = MultipleNegativesRankingLoss(Given(), scale=50.0)([{"v": a}, {"v": b}], None)
    assert info_nce(a, b, allowed(torch.arange(8)), 0.02).item() == pytest.approx(theirs.item(), abs=1e-5)


def test_symmetric_is_the_mean_of_both_ways():
    may = allowed(torch.arange(2))
    both = (info_nce(Q, P[:2], may, 0.1) + info_nce(P[:2], Q, may, 0.1)) / 2
    assert info_nce(Q, P[:2], may, 0.1, symmetric=True).item() == pytest.approx(both.item(), abs=1e-6)
