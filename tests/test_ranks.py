import numpy as np
import pytest
import pytrec_eval
from hypothesis import given, settings
from hypothesis import strategies as st

from mixling.evaluation.metrics import METRICS, average_precision, rank_distance
from mixling.evaluation.ranks import ranks

NAMES = {"mAP": "map", "R@1": "recall_1", "R@10": "recall_10", "nDCG@10": "ndcg_cut_10"}


def made(seed, ties):
    rng = np.random.default_rng(seed)
    queries, candidates = (
        rng.normal(size=(9, 4)).astype(np.float32),
        rng.normal(size=(60, 4)).astype(np.float32),
    )
    if ties:
        candidates[10:30] = candidates[rng.integers(0, 4, 20)]
    language = rng.integers(0, 3, 60)
    relevant = np.array(
        sorted({(q, int(c)) for q in range(9) for c in rng.integers(0, 60, rng.integers(1, 7))})
    )
    return queries, candidates, language, relevant, [f"{'abc'[x]}-{i}" for i, x in enumerate(language)]


@given(st.integers(0, 10**6), st.booleans())
@settings(deadline=None, max_examples=25)
def test_metrics_equal_pytrec_eval_in_the_pool_and_in_each_language(seed, ties):
    queries, candidates, language, relevant, ids = made(seed, ties)
    found = ranks(queries, candidates, language, relevant, ids, block=4)
    scores = queries @ candidates.T
    for code in (None, 0, 1, 2):
        some = np.flatnonzero(np.ones(60, bool) if code is None else language == code)
        run = {str(q): {ids[c]: float(scores[q, c]) for c in some} for q in range(9)}
        qrel: dict = {}
        for q, c in relevant:
            if c in some:
                qrel.setdefault(str(q), {})[ids[c]] = 1
        if not qrel:
            continue
        wanted = pytrec_eval.RelevanceEvaluator(
            qrel, {"map", "recall.1,10", "ndcg_cut.10", "recip_rank"}
        ).evaluate({q: run[q] for q in qrel})
        mine = np.isin(relevant[:, 1], some)
        has = np.unique(relevant[mine, 0])
        rank = (found.pool if code is None else found.within)[mine]
        query = np.searchsorted(has, relevant[mine, 0])
        for name, metric in METRICS.items():
            values = metric(rank, query, len(has))
            for q, value in zip(has, values, strict=True):
                theirs = wanted[str(q)]
                expected = (
                    theirs[NAMES[name]]
                    if name in NAMES
                    else theirs["recip_rank"] * (theirs["recip_rank"] >= 0.1)
                )
                assert value == pytest.approx(expected, abs=1e-6), (name, q, code)


def test_the_hand_example():
    """Pool of six, question in en; right: en at 1, de at 3, zh at 6 (facts: AP .7222, distance 5)."""
    rank, query = np.array([3, 1, 6]), np.zeros(3, int)
    assert average_precision(rank, query, 1)[0] == pytest.approx((1 + 2 / 3 + 3 / 6) / 3)
    assert rank_distance(rank, query, 1)[0] == 5
    assert np.isnan(rank_distance(np.array([2]), np.array([0]), 1)[0])


def test_equal_scores_stand_in_falling_order_of_their_ids():
    queries = np.ones((1, 2), np.float32)
    found = ranks(
        queries,
        np.ones((4, 2), np.float32),
        np.zeros(4, int),
        np.array([[0, 0], [0, 3]]),
        ["a", "b", "c", "d"],
    )
    assert found.pool.tolist() == [4, 1]


def test_blocks_do_not_change_ranks():
    queries, candidates, language, relevant, ids = made(3, True)
    a, b = (ranks(queries, candidates, language, relevant, ids, block=n) for n in (1, 100))
    assert np.array_equal(a.pool, b.pool) and np.array_equal(a.within, b.within)
