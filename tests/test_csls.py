"""CSLS against plain NumPy, in a store's vectors, and as an order of a task's own queries."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixling.debiasing.collection import CollectionVectors, fit_on_collection, parse_steps
from mixling.errors import MixlingError
from mixling.evaluation import csls as own
from mixling.evaluation import orders
from mixling.evaluation.benchmarks import load_task
from mixling.evaluation.measure import measure, rank_task
from mixling.evaluation.ranks import DotScorer
from mixling.evaluation.result import EvaluationResult
from mixling.reports.evaluate import evaluate
from mixling.transforms.csls import csls, mean_of_highest
from mixling.transforms.hub_correction import HubCorrection
from mixling.transforms.transforms import normalize


def unit(rng, n, dim=8):
    return normalize(rng.normal(size=(n, dim))).astype(np.float32)


def plain(queries, passages, references, k):
    """CSLS, pair by pair."""
    scores = np.zeros((len(queries), len(passages)))
    for i, q in enumerate(queries):
        of_query = np.mean(sorted((q @ p for p in passages), reverse=True)[:k])
        for j, p in enumerate(passages):
            of_passage = np.mean(sorted((x @ p for x in references), reverse=True)[:k])
            scores[i, j] = 2 * (q @ p) - of_query - of_passage
    return scores


@given(st.integers(0, 10**6), st.integers(1, 5))
@settings(deadline=None, max_examples=20)
def test_csls_is_its_formula_and_any_store_orders_by_it(seed, k):
    rng = np.random.default_rng(seed)
    queries, passages, references = (unit(rng, n) for n in (4, 9, 7))
    expected = plain(queries, passages, references, k)
    means = mean_of_highest(passages @ references.T, k)
    found = csls(queries @ passages.T, means, k)
    assert found == pytest.approx(expected, abs=1e-5)
    scorer = own.CslsScorer(DotScorer(queries, passages), means, k)
    assert scorer(1, 3) == pytest.approx(expected[1:3], abs=1e-5)
    some = scorer.at(np.array([3, 0]), np.array([8, 1]))
    assert some == pytest.approx(expected[np.ix_([3, 0], [8, 1])], abs=1e-5)
    # one number a passage, in the vectors: the same but for what a query has in common
    stored = HubCorrection(references, k, skipped=0)
    dots = stored.transform(queries, None, "query") @ stored.transform(passages).T
    rest = found - 2 * np.sqrt(2.5) * dots
    assert rest == pytest.approx(np.tile(rest[:, :1], len(passages)), abs=1e-5)


def test_the_step_csls_is_hub_correction_that_leaves_nothing_out():
    rng = np.random.default_rng(0)
    vectors = CollectionVectors(
        unit(rng, 200), np.full(200, "en"), unit(rng, 50), np.array(["de", "en"] * 25)
    )
    found = fit_on_collection("language+csls", vectors)
    assert found.parts[1].skipped == 0 and found.parts[1].metadata["method"] == "csls"
    with pytest.raises(MixlingError, match="step csls must be the last"):
        parse_steps("csls+language")


@pytest.fixture(scope="module")
def planted():
    """The sample set with vectors of topics, noise, and a hub: what every query has a part of."""
    task, rng = load_task("sample"), np.random.default_rng(0)
    group = {g: i for i, g in enumerate(dict.fromkeys(task.query_group))}
    topic, common = rng.normal(size=(len(group), 32)), 2 * rng.normal(size=32)
    passages = np.zeros((len(task.passages), 32))
    for query, passage in task.relevant:
        passages[passage] += topic[group[task.query_group[query]]]
    passages += rng.normal(size=(len(passages), 1)) * common + rng.normal(size=passages.shape)
    queries = np.stack([topic[group[g]] for g in task.query_group])
    queries += common + rng.normal(size=queries.shape)
    return task, DotScorer(normalize(queries), normalize(passages))


def by_hand(task, scorer, k, without_group=True, without_answered=True):
    """r_Q(p) of each query and passage, pair by pair."""
    groups = np.array(task.query_group)
    answers = [set() for _ in task.passages]
    for query, passage in task.relevant:
        answers[passage].add(groups[query])
    scores = scorer(0, len(groups))
    means = np.zeros(scores.shape)
    for p in range(scores.shape[1]):
        for group in np.unique(groups):
            allowed = groups != group if without_group else np.ones(len(groups), bool)
            if without_answered:
                allowed = allowed & ~np.isin(groups, list(answers[p]))
            means[groups == group, p] = np.sort(scores[allowed, p])[-k:].mean()
    return means


def test_a_tasks_own_references_leave_out_the_query_and_what_is_known_of_the_passage(planted):
    task, scorer = planted
    references = own.own_references(task, scorer)
    assert references.means(3, 60) == pytest.approx(by_hand(task, scorer, 10)[3:60], abs=1e-6)
    found, n = own.own_csls(task, scorer), len(task.queries)
    expected = csls(scorer(0, n), by_hand(task, scorer, 10))
    assert found(0, n) == pytest.approx(expected, abs=1e-5)
    some = found.at(np.array([9, 4]), np.array([2, 0]))
    assert some == pytest.approx(expected[np.ix_([9, 4], [2, 0])], abs=1e-5)


def test_own_queries_as_references_are_a_trap(planted):
    """What the references know of the answers would decide."""
    task, scorer = planted
    n, answers = len(task.queries), tuple(task.relevant.T)

    def lead(scores):
        """By how much answers are ahead of other passages."""
        return (
            scores[answers].mean()
            - np.delete(scores, np.ravel_multi_index(answers, scores.shape)).mean()
        )

    honest = lead(own.own_csls(task, scorer)(0, n))
    # a passage is taken down for what it answers, and only the measured query's answers are not
    known = lead(csls(scorer(0, n), by_hand(task, scorer, 10, without_answered=False)))
    # the query's own score counts against a passage, unless it is the answer
    measured = lead(csls(scorer(0, n), by_hand(task, scorer, 10, without_group=False)))
    assert known > honest + 0.03 and measured > honest
    # what a query scores with a passage moves its CSLS twice, and is in no passage's number
    group = np.array(task.query_group)
    other = scorer.queries.numpy().copy()
    mine = group == group[0]
    other[mine] = -other[mine]
    before = own.own_references(task, scorer).means(0, n)
    after = own.own_references(task, DotScorer(other, scorer.passages.numpy())).means(0, n)
    assert after[mine].tolist() == before[mine].tolist()
    assert not np.allclose(after[~mine], before[~mine])


def test_few_references_and_many_passages():
    task, rng = load_task("sample"), np.random.default_rng(0)
    one = np.array(task.query_group) == task.query_group[0]
    alone = task.with_queries(np.flatnonzero(one), "alone")
    vectors = DotScorer(unit(rng, one.sum()), unit(rng, len(task.passages)))
    # every reference is of the query's own group
    assert not own.own_references(alone, vectors).means(0, 3).any()


def test_the_order_csls_is_measured_where_it_is_asked_for(planted, monkeypatch):
    task, scorer = planted
    ranks = rank_task(task, scorer, 10)
    without = orders.compare_orders(task, ranks, scorer)
    assert "csls" not in without
    found = orders.compare_orders(task, ranks, scorer, ["csls", "centered"])
    assert {k: v for k, v in found.items() if k not in ("csls", "csls_gain")} == without
    # a hub that every query finds is taken down, and answers come up
    gain, low, high = found["csls_gain"]
    assert gain == pytest.approx(found["csls"]["mAP"] - found["score"]["mAP"])
    assert 0 < low <= gain <= high
    monkeypatch.setattr(own, "MAX_SCORES", 10)
    assert orders.compare_orders(task, ranks, scorer, ["csls"]) == without
    with pytest.raises(MixlingError, match="unknown order to measure 'cslx'"):
        measure("random", ["sample"], orders=["cslx"])


def test_evaluate_measures_csls_of_an_encoder(chain, tmp_path, run):
    status, out, _ = run("evaluate", chain, "--task", "sample", "--order", "csls", "-o", tmp_path)
    assert status == 0, out
    found = EvaluationResult.load(tmp_path).summary["tasks"]["sample"]["orders"]
    assert set(found["csls"]) == set(found["centered"]) and len(found["csls_gain"]) == 3
    with pytest.raises(MixlingError, match="a search order to measure cannot be used with a run"):
        evaluate(run=tmp_path / "no.run", tasks=["sample"], orders=["csls"])
