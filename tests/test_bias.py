"""Measures of bias against hand-computed cases, and PEER against its authors' package."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixling.evaluation.bias.consistency import mean_rank_correlation
from mixling.evaluation.bias.gap import gaps
from mixling.evaluation.bias.peer import peer
from mixling.evaluation.bias.pool import MultilingualPool
from mixling.evaluation.bias.table import ALL, MEASURES, bias_measures

EN, DE, ZH = 0, 1, 2


def hand():
    """Six candidates in the order of their ranks: en+ en de+ zh de zh+ (+ relevant).

    The question is in en.
    """
    return MultilingualPool(
        query=np.zeros(3, int),
        rank=np.array([1, 3, 6]),
        passage=np.array([0, 2, 5]),
        grade=np.ones(3, int),
        query_language=np.array([EN]),
        passage_language=np.array([EN, EN, DE, ZH, DE, ZH]),
        top=np.arange(6)[None],
        n_languages=3,
    )


def alone():
    """The question's language has no relevant candidate: de+ is second, after an irrelevant en."""
    return MultilingualPool(
        query=np.zeros(1, int),
        rank=np.array([2]),
        passage=np.array([1]),
        grade=np.ones(1, int),
        query_language=np.array([EN]),
        passage_language=np.array([EN, DE, ZH]),
        top=np.arange(3)[None],
        n_languages=3,
    )


# discounts of ranks 1 to 6
D = 1 / np.log2(np.arange(6) + 2)
EXPOSED = np.array([D[0] + D[1], D[2] + D[4], D[3] + D[5]]) / D.sum()
HAND = {
    "rank_distance": 5,
    "relative_rank_distance": 5 / 6,
    "TLR@10": 1,
    "intrusion@10": 1 / 6,  # the en at rank 2, before de at 3 and zh at 6
    "LPR": 1,
    "same_language_preference": 1 - 1 / 3,
    "Lang-nDCG@10": (2 * D[0] + D[2] + D[5]) / (2 * D[0] + D[1] + D[2]),
    "first_right_same_language": 1,
    "first_right_other_language": 0,
    "first_wrong_same_language": 0,
    "first_wrong_other_language": 0,
    "same_language_share@10_over_relevant": 2 / 6 - 1 / 3,
    "same_language_share@10_over_pool": 2 / 6 - 2 / 6,
    "exposure@10": 1 - np.abs(EXPOSED - 1 / 3).sum() / 2,
    "Max@R": 6,
    "Complete@20": 1,
}
ALONE = {
    "rank_distance": np.nan,
    "LPR": np.nan,
    "same_language_preference": np.nan,
    "intrusion@10": 1 / 3,
    "TLR@10": 1,
    "first_wrong_same_language": 1,
    "first_right_same_language": 0,
    "same_language_share@10_over_relevant": 1 / 3,
    "Max@R": 2,
    "exposure@10": 1 - (D[0] + abs(D[1] - D[:3].sum()) + D[2]) / D[:3].sum() / 2,
}


@pytest.mark.parametrize("name", HAND)
def test_the_hand_example(name):
    assert bias_measures(hand())[name][0] == pytest.approx(HAND[name])


@pytest.mark.parametrize("name", ALONE)
def test_no_right_answer_in_the_own_language(name):
    assert bias_measures(alone())[name][0] == pytest.approx(ALONE[name], nan_ok=True)


def test_recall_of_foreign_answers_within_three():
    from mixling.evaluation.bias.other_language import other_language_recall

    assert other_language_recall(3, hand())[0] == 1 / 2


def test_every_measure_says_what_it_is_and_when_it_misleads():
    for name, m in ALL.items():
        assert m.name == name and m.range and m.meaning.endswith(".") and m.caveat and m.source
        assert m.better in ("high", "low", "")


def made(seed, grades=2):
    rng = np.random.default_rng(seed)
    queries, size, languages = 8, 40, 3
    order = np.stack([rng.permutation(size) for _ in range(queries)])
    relevant = [
        sorted(rng.choice(size, rng.integers(1, 12), replace=False).tolist())
        for _ in range(queries)
    ]
    query = np.repeat(np.arange(queries), [len(r) for r in relevant])
    candidate = np.concatenate(relevant)
    place = np.argsort(order, axis=1)
    return MultilingualPool(
        query,
        place[query, candidate] + 1,
        candidate,
        rng.integers(1, grades + 1, len(query)),
        rng.integers(0, languages, queries),
        rng.integers(0, languages, size),
        order[:, :20],
        languages,
    )


@given(st.integers(0, 10**6), st.sampled_from([5, 10, 20]))
@settings(deadline=None, max_examples=40)
def test_peer_equals_its_package(seed, k):
    from peer_measure import PEER, PEEREvaluator

    pool = made(seed)
    weights = {0: 0.2, 1: 0.3, 2: 0.5}
    # every document judged, for the package counts levels that the qrels name; its ranks break ties
    # as ours do
    qrels = {str(q): {f"d{c}": 0 for c in range(pool.size)} for q in range(pool.n_queries)}
    for q, c, g in zip(pool.query, pool.passage, pool.grade, strict=True):
        qrels[str(q)][f"d{c}"] = int(g)
    run = {
        str(q): {f"d{c}": 100.0 - i for i, c in enumerate(pool.top[q])}
        for q in range(pool.n_queries)
    }
    names = {f"d{c}": str(code) for c, code in enumerate(pool.passage_language)}
    # its evaluator itself: its provider calls a function that ir_measures no longer has
    measure = PEER(weights=weights, lang_mapping=names) @ k
    theirs_of = PEEREvaluator([measure], qrels, {id(names): [(k, measure)]}, {id(names): names})
    theirs = {m.query_id: m.value for m in theirs_of._iter_calc(run)}
    mine = peer(pool, k, weights)
    for q in range(pool.n_queries):
        # where all ranks of a grade tie, the package divides 0 by 0; ours says there is no
        # difference
        assert np.isfinite(mine[q])
        if not np.isnan(theirs[str(q)]):
            assert mine[q] == pytest.approx(theirs[str(q)], abs=1e-9)


@given(st.integers(0, 10**6))
@settings(deadline=None, max_examples=40)
def test_measures_stay_in_their_range_and_the_cases_add_up(seed):
    pool = made(seed)
    found = bias_measures(pool)
    for name, (low, high) in {
        "relative_rank_distance": (0, 1),
        "TLR@10": (0, 1),
        "intrusion@10": (0, 1),
        "LPR": (0, 1),
        "same_language_preference": (-1, 1),
        "Lang-nDCG@10": (0, 1),
        "same_language_share@10_over_relevant": (-1, 1),
        "exposure@10": (0, 1),
        "PEER@20": (0, 1),
    }.items():
        values = found[name][~np.isnan(found[name])]
        assert ((values >= low - 1e-12) & (values <= high + 1e-12)).all(), name
    assert sum(found[n] for n in MEASURES if n.startswith("first_")) == pytest.approx(
        np.ones(pool.n_queries)
    )


def test_rank_correlation_of_translations():
    scores = np.array([[4.0, 3, 2, 1], [40, 30, 20, 10], [1, 2, 3, 4], [9, 9, 9, 9]])
    top = np.argsort(-scores, axis=1, kind="stable")
    value = mean_rank_correlation(top, ["a", "a", "b", "c"], lambda q, c: scores[np.ix_(q, c)], k=4)
    assert value[:2] == pytest.approx([1, 1]) and np.isnan(value[2:]).all()
    value = mean_rank_correlation(top, ["a", "b", "a", "c"], lambda q, c: scores[np.ix_(q, c)], k=4)
    assert value[[0, 2]] == pytest.approx([-1, -1])


def test_gaps_leave_out_what_a_task_cannot_have():
    entry = {
        "monolingual": {"mAP": 0.8},
        "multilingual": {"mAP": 0.3, "by_language": {"en": {"mAP": 0.4}, "de": {"mAP": 0.2}}},
    }
    assert gaps(entry) == pytest.approx(
        {
            "monolingual_less_multilingual": 0.5,
            "best_less_worst_language": 0.2,
            "spread_of_languages": 0.1,
        }
    )
    assert gaps({"monolingual": {"mAP": 0.8}}) == {}
