import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mixling.errors import MixlingError
from mixling.losses import alignment, distillation
from mixling.losses.eq1 import eq1
from mixling.losses.info_nce import allowed_negatives, info_nce
from mixling.models.retriever import Retriever
from mixling.training.load_config import load_config
from mixling.training.objective import Objective
from mixling.training.training_data import load_training_data

# Two questions, two right passages, two hard negatives; unit vectors in the plane, so cosines are
# known.
Q = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
P = torch.tensor([[0.8, 0.6], [0.6, 0.8], [0.6, -0.8], [-0.8, 0.6]])
EVERY = torch.tensor([[False, True, True, True], [True, False, True, True]])


def test_equation_1_as_printed_by_hand():
    """s(q0, .) = .8 .6 .6 -.8; s(q1, .) = .6 .8 -.8 .6.

    The sum runs over the two irrelevant documents.
    """
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
    may = allowed_negatives(torch.tensor([0, 1]))
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
    may = allowed_negatives(group, block)
    assert not may[0, 1] and not may[4, 5] and may[0, 2]
    loss = info_nce(queries[:1], passages, may[:1], 0.05)
    loss.backward()
    assert passages.grad[1].abs().max() == 0
    changed = passages.detach().clone()
    changed[1] = 100
    assert info_nce(queries[:1], changed, may[:1], 0.05).item() == pytest.approx(
        loss.item(), abs=1e-6
    )


def test_info_nce_equals_sentence_transformers():
    from sentence_transformers.losses import MultipleNegativesRankingLoss

    class Given(torch.nn.Module):
        def forward(self, features):
            return {"sentence_embedding": features["v"]}

    torch.manual_seed(1)
    a, b = torch.randn(8, 6), torch.randn(8, 6)
    theirs = MultipleNegativesRankingLoss(Given(), scale=50.0)([{"v": a}, {"v": b}], None)
    assert info_nce(a, b, allowed_negatives(torch.arange(8)), 0.02).item() == pytest.approx(
        theirs.item(), abs=1e-5
    )


def test_symmetric_is_the_mean_of_both_ways():
    may = allowed_negatives(torch.arange(2))
    both = (info_nce(Q, P[:2], may, 0.1) + info_nce(P[:2], Q, may, 0.1)) / 2
    assert info_nce(Q, P[:2], may, 0.1, symmetric=True).item() == pytest.approx(
        both.item(), abs=1e-6
    )


A, B = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[0.6, 0.8], [0.8, 0.6]])
BOTH = torch.ones(2, 2, dtype=torch.bool)


def test_lakda_is_scipys_divergence_of_the_two_softmaxes():
    """(Yang et al., MRL 2024): KL(p_B || p_A) without a temperature."""
    from scipy.special import softmax
    from scipy.stats import entropy

    p_a, p_b = (softmax((x @ P[:2].T).numpy(), axis=1) for x in (A, B))
    want = np.mean([entropy(b, a) for a, b in zip(p_a, p_b, strict=True)])
    assert alignment.lakda(A, B, P[:2], BOTH).item() == pytest.approx(want, abs=1e-6)
    only = torch.tensor([[True, False], [True, True]])
    want = entropy(p_b[1], p_a[1]) / 2  # one place alone is no distribution to differ in
    assert alignment.lakda(A, B, P[:2], only).item() == pytest.approx(want, abs=1e-6)


def test_jsd_is_scipys():
    from scipy.spatial.distance import jensenshannon
    from scipy.special import softmax

    a, b = (softmax(x.numpy(), axis=1) for x in (A, B))
    want = np.mean([jensenshannon(x, y) ** 2 for x, y in zip(a, b, strict=True)])
    assert alignment.jsd(A, B).item() == pytest.approx(want, abs=1e-6)
    assert alignment.jsd(A, A).item() == pytest.approx(0, abs=1e-7)


def test_bitext_by_hand():
    """cos = .6 .8 / .8 .6, both ways the same by symmetry."""
    e = math.exp
    want = -math.log(e(0.6 / 0.5) / (e(0.6 / 0.5) + e(0.8 / 0.5)))
    assert alignment.bitext(A, B, 0.5).item() == pytest.approx(want, abs=1e-6)


def test_clear_by_hand():
    """Reverse contrast from passages (.8 .6; .6 .8) to translations (.6 .8.

    .8 .6), and the KL of the two ways.
    """
    from scipy.special import softmax
    from scipy.stats import entropy

    ahead, back = (A @ P[:2].T).numpy() / 0.05, (P[:2] @ B.T).numpy() / 0.05
    reverse = -np.log(softmax(back, axis=1).diagonal()).mean()
    apart = np.mean([entropy(softmax(x), softmax(y)) for x, y in zip(ahead, back, strict=True)])
    got = alignment.clear(A, B, P[:2], BOTH)
    assert got.item() == pytest.approx(0.4 * reverse + 0.2 * apart, rel=1e-5)


def test_distillation_by_hand():
    assert distillation.vector_mse(A, B).item() == pytest.approx((0.16 + 0.64 + 0.64 + 0.16) / 4)
    assert distillation.cosine_distance(A, B).item() == pytest.approx(1 - 0.6)
    student, teacher = (
        torch.tensor([[3.0, 1.0], [0.0, 2.0]]),
        torch.tensor([[2.0, 1.0], [1.0, 4.0]]),
    )
    off = ~torch.eye(2, dtype=torch.bool)
    assert distillation.margin_mse(student, teacher, off).item() == pytest.approx(
        ((2 - 1) ** 2 + (2 - 3) ** 2) / 2
    )
    from scipy.special import softmax
    from scipy.stats import entropy

    want = np.mean(
        [
            entropy(softmax(t / 2), softmax(s / 2))
            for s, t in zip(student.numpy(), teacher.numpy(), strict=True)
        ]
    )
    assert distillation.score_kl(student, teacher, BOTH, 2.0).item() == pytest.approx(
        want, abs=1e-6
    )


@given(st.integers(0, 10**6))
@settings(deadline=None, max_examples=20)
def test_terms_give_finite_gradients_whatever_is_masked(seed):
    g = torch.Generator().manual_seed(seed)
    a, b, p = (torch.randn(5, 4, generator=g).requires_grad_() for _ in range(3))
    mask = (torch.rand(5, 5, generator=g) > 0.5) | torch.eye(5, dtype=torch.bool)
    total = (
        alignment.lakda(a, b, p, mask) + alignment.jsd(a, b) + alignment.clear(a, b, p, mask)
        + distillation.score_kl(a @ p.T, (b @ p.T).detach(), mask, 0.1)
    )  # fmt: skip
    for x in torch.autograd.grad(total, (a, b, p)):
        assert torch.isfinite(x).all() and x.abs().sum() > 0


@pytest.mark.parametrize("symmetric", [False, True])
def test_each_pair_may_have_its_temperature(symmetric):
    rng = torch.Generator().manual_seed(0)
    a, b = (torch.randn(6, 4, generator=rng) for _ in range(2))
    may = allowed_negatives(torch.arange(6))
    alike = info_nce(a, b, may, torch.full((6, 1), 0.05), symmetric=symmetric)
    assert alike.item() == pytest.approx(info_nce(a, b, may, 0.05, symmetric=symmetric).item())
    temperatures = torch.tensor([0.02, 0.02, 0.02, 0.1, 0.1, 0.1])
    scores = torch.nn.functional.normalize(a) @ torch.nn.functional.normalize(b).T
    expected = [
        torch.logsumexp(row / t, 0) - row[i] / t
        for side in ([scores, scores.T] if symmetric else [scores])
        for i, (row, t) in enumerate(zip(side, temperatures, strict=True))
    ]
    assert info_nce(a, b, may, temperatures[:, None], symmetric=symmetric).item() == pytest.approx(
        torch.stack(expected).mean().item(), rel=1e-5
    )


def test_a_temperature_belongs_to_the_querys_language(chain):
    config = load_config(
        {
            "data": {"sources": ["sample"]},
            "model": {"name": str(chain)},
            "batches": {"size": 8, "strategy": "x-y"},
            "objective": {"temperature": 0.05, "temperatures": {"swa": 0.2}},
        }
    )
    texts = load_training_data(config).texts
    objective = Objective(config, Retriever(str(chain)))
    objective.check(texts)
    batches = [texts.batch(texts.schedule.plan(step)) for step in range(4)]
    for batch in batches:
        found = objective._temperature(batch)
        assert found.flatten().tolist() == pytest.approx(
            [0.2 if x == "sw" else 0.05 for x in batch.query_languages]
        )
    assert {x for batch in batches for x in batch.query_languages} > {"sw"}


@pytest.mark.parametrize(
    "objective, expected",
    [
        ({"temperatures": {"am": 0.05}}, "names am, which no source has.*ar, de"),
        ({"temperatures": {"sw": 0.05}, "name": "eq1"}, "Take info-nce"),
    ],
)
def test_a_temperature_that_nobody_reads_is_refused(chain, objective, expected):
    config = load_config(
        {
            "data": {"sources": ["sample"]},
            "model": {"name": str(chain)},
            "batches": {"size": 8},
            "objective": objective,
        }
    )
    with pytest.raises(MixlingError, match=expected):
        Objective(config, Retriever(str(chain))).check(load_training_data(config).texts)
