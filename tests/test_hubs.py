"""Measures of hubs against hand-computed cases, chance, and the whole matrix of scores."""

from dataclasses import replace
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixling.evaluation.benchmarks import load_task
from mixling.evaluation.hubs import reciprocity, share, skew, unanswering
from mixling.evaluation.hubs.neighbors import Neighbors
from mixling.evaluation.hubs.table import MEASURES, find_neighbors, hub_entry
from mixling.evaluation.measure import rank_task, score_lists, score_task
from mixling.evaluation.ranks import DotScorer
from mixling.evaluation.top_lists import make_top_lists

# four queries with two passages each, of six passages: N = 4, 2, 1, 1, 0, 0
TOP = np.array([[0, 1], [0, 1], [0, 2], [0, 3]])
N = np.array([4, 2, 1, 1, 0, 0])


def hand(mutual=None):
    return Neighbors(TOP, 6, mutual)


def test_the_hand_example():
    found = hand(np.array([[1, 0], [1, 0], [0, 1], [0, 1]], bool))
    assert found.occurrence.tolist() == N.tolist()
    moments = [((N - 8 / 6) ** i).mean() for i in (2, 3)]
    assert skew.hub_skew(found) == pytest.approx(moments[1] / moments[0] ** 1.5)
    # a hub is found at least 2 * 8 / 6 times: the first passage alone
    assert share.is_hub(found).tolist() == [True] + 5 * [False]
    assert share.hub_share(found) == 4 / 8
    assert unanswering.unanswering_share(found) == 2 / 6
    assert reciprocity.reciprocity(found) == 4 / 8
    # passage 0 can be mutual with two of the four queries that find it
    assert reciprocity.reciprocity_ceiling(found) == 6 / 8
    languages = np.array([0, 0, 1, 1])
    pairs = reciprocity.reciprocity_by_pair(
        found, languages, np.array([0, 0, 1, 1, 0, 0]), ("de", "en")
    )
    assert pairs == {"de": {"de": 0.5}, "en": {"de": 0.0, "en": 1.0}}


def test_what_random_lists_give():
    found = hand()
    x, queries = 2 / 6, 4
    law = [comb(queries, i) * x**i * (1 - x) ** (queries - i) for i in range(5)]
    mean, counts = queries * x, np.arange(5)
    moments = [np.dot(law, (counts - mean) ** i) for i in (2, 3)]
    assert skew.hub_skew_at_random(found) == pytest.approx(moments[1] / moments[0] ** 1.5)
    assert unanswering.unanswering_share_at_random(found) == pytest.approx(law[0])
    hubs = counts >= 2 * 8 / 6
    expected = np.dot(law, counts * hubs) / mean
    assert share.hub_share_at_random(found) == pytest.approx(expected)
    # and what a simulation of them gives
    rng = np.random.default_rng(0)
    top = np.argsort(rng.random((4000, 300)), axis=1)[:, :10]
    drawn = Neighbors(top, 300)
    assert skew.hub_skew(drawn) == pytest.approx(skew.hub_skew_at_random(drawn), abs=0.3)
    few = Neighbors(top[:30], 300)
    for measure in (share.MEASURE, unanswering.MEASURE):
        assert measure.compute(few) == pytest.approx(measure.at_random(few), abs=0.1)


@given(st.integers(1, 8), st.integers(1, 5), st.integers(1, 4))
@settings(deadline=None, max_examples=30)
def test_even_lists_have_no_hubs(rounds, k, factor):
    """Each passage is found equally often."""
    n = k * factor
    top = np.tile(np.arange(n), rounds).reshape(-1, k)
    found = Neighbors(top, n)
    assert skew.hub_skew(found) == 0
    assert unanswering.unanswering_share(found) == 0
    assert share.hub_share(found) == 0
    assert reciprocity.reciprocity_ceiling(found) == min(1, k / rounds)


def drawn(seed, queries=30, passages=25, k=5):
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(queries, passages)) + rng.gumbel(size=passages)
    return np.round(scores, 1).astype(np.float32), k  # with ties


def neighbors_of(scores, k):
    """The measures' input, from the whole matrix."""
    top = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    higher = (scores[:, None, :] < scores[None, :, :]).sum(1)  # queries that score higher
    return Neighbors(top, scores.shape[1], np.take_along_axis(higher < k, top, 1))


@given(st.integers(0, 10**6))
@settings(deadline=None, max_examples=30)
def test_measures_stay_in_their_range_and_ignore_the_order_of_rows(seed):
    scores, k = drawn(seed)
    found = neighbors_of(scores, k)
    values = {name: m.compute(found) for name, m in MEASURES.items()}
    for name, value in values.items():
        assert name.startswith("hub_skew") or 0 <= value <= 1, name
    # without ties in a row, which ids break, no order matters
    rng = np.random.default_rng(seed)
    scores = scores + np.float32(1e-3) * np.argsort(rng.random(scores.shape), axis=1)
    found = neighbors_of(scores.astype(np.float32), k)
    rows, columns = (rng.permutation(n) for n in scores.shape)
    moved = neighbors_of(scores[rows][:, columns].astype(np.float32), k)
    for name, measure in MEASURES.items():
        assert measure.compute(moved) == pytest.approx(measure.compute(found)), name
        if not np.isnan(measure.at_random(found)):
            assert measure.at_random(moved) == measure.at_random(found)


@given(st.integers(0, 10**6), st.integers(1, 9), st.booleans())
@settings(deadline=None, max_examples=40)
def test_blocks_of_scores_give_the_thresholds_of_the_whole_matrix(seed, block, exclude):
    scores, k = drawn(seed)
    rng = np.random.default_rng(seed)
    excluded = rng.integers(-1, scores.shape[1], len(scores)) if exclude else None
    thresholds = reciprocity.QueryThresholds(scores.shape[1], k)
    for begin in range(0, len(scores), block):
        part = slice(begin, begin + block)
        thresholds.add(scores[part], None if excluded is None else excluded[part])
    whole = scores.copy()
    if excluded is not None:
        rows = np.flatnonzero(excluded >= 0)
        whole[rows, excluded[rows]] = -np.inf
    assert thresholds.lowest.tolist() == np.sort(whole, axis=0)[-k].tolist()
    found = neighbors_of(whole, k)
    top_scores = np.take_along_axis(whole, found.top, 1)
    mutual = reciprocity.mutual_neighbors(found.top, top_scores, thresholds.lowest)
    assert mutual.tolist() == found.mutual.tolist()


@pytest.fixture(scope="module")
def ranked():
    task, rng = load_task("sample"), np.random.default_rng(0)
    vectors = [rng.normal(size=(len(x), 16)) for x in (task.queries, task.passages)]
    scorer = DotScorer(*vectors)
    return task, scorer, rank_task(task, scorer)


def test_a_result_holds_the_measures_beside_chance(ranked):
    task, scorer, ranks = ranked
    entry = score_task(task, ranks, scorer).entry["hubs"]
    found = neighbors_of(scorer(0, len(task.queries)), 10)
    for name, measure in MEASURES.items():
        assert entry[name] == pytest.approx(measure.compute(found)), name
    assert set(entry["at_random"]) == set(MEASURES) - {"reciprocity@10"}
    share_by_language = entry["unanswering_by_language"]
    sizes = np.bincount(task.passage_language) / len(task.passages)
    mean = np.dot([share_by_language[x] for x in task.languages], sizes)
    assert mean == pytest.approx(entry["unanswering_share@10"])
    pairs = entry["reciprocity_by_pair"]
    assert set(pairs) == set(task.languages)
    assert all(0 <= v <= 1 for row in pairs.values() for v in row.values())


def test_lists_of_a_system_tell_all_but_reciprocity_unless_they_hold_all_passages(ranked):
    task, scorer, ranks = ranked
    scores = scorer(0, len(task.queries))
    order = np.argsort(-scores, axis=1, kind="stable")
    whole = score_task(task, ranks, scorer).entry["hubs"]
    for depth in (len(task.passages), 20, 5):
        rows = [(order[i, :depth], scores[i, order[i, :depth]]) for i in range(len(scores))]
        entry = score_lists(task, make_top_lists(task, rows, depth, {}))[0].entry
        if depth == 5:
            assert not set(MEASURES) & set(entry["hubs"])
            assert set(MEASURES) <= set(entry["lists"]["left_out_measures"])
            continue
        told = dict(entry["hubs"])
        if depth == 20:
            assert "reciprocity@10" in entry["lists"]["left_out_measures"]
            assert "reciprocity@10" not in told and "reciprocity_by_pair" not in told
        for name, value in told.items():
            assert value == whole[name], name


def test_scores_that_do_not_compare_between_queries_have_no_reciprocity(ranked):
    task, scorer, _ = ranked
    ranks = rank_task(task, lambda begin, end: scorer(begin, end))
    assert "reciprocity@10" not in hub_entry(task, ranks)
    # a passage that is the query itself is nobody's neighbor
    excluded = np.full(len(task.queries), -1)
    answers = task.relevant[task.relevant[:, 0] == 0, 1]
    other = int(np.setdiff1d(np.arange(len(task.passages)), answers)[0])
    excluded[0] = other
    found = rank_task(replace(task, excluded=excluded), scorer)
    scores = scorer(0, len(task.queries))
    scores[0, other] = -np.inf
    assert found.query_threshold.tolist() == np.sort(scores, axis=0)[-10].tolist()
    assert not (find_neighbors(found, len(task.passages)).top[0] == other).any()


def test_every_measure_says_what_it_is_and_when_it_misleads():
    for name, m in MEASURES.items():
        assert m.name == name and m.range and m.meaning.endswith(".") and m.caveat.endswith(".")
        assert m.source and m.formula and m.better in ("high", "low")
