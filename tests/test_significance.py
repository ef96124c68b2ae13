"""Tests and intervals against exact enumeration, scipy, and simulated nulls."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.stats import ttest_1samp, ttest_ind

from mixling.evaluation.seed_test import paired_variance, pooled_variance, seed_test
from mixling.evaluation.significance import (
    compare_scores,
    contributions,
    group_sums,
    holm,
    interval,
    permutation_test,
    significance_mark,
)


@given(st.integers(0, 10**6), st.integers(1, 9))
@settings(deadline=None, max_examples=40)
def test_the_permutation_test_equals_exact_enumeration(seed, n):
    d = np.random.default_rng(seed).normal(0.3, 1, n).round(2)
    exact = np.mean([abs(np.dot(s, d)) >= abs(d.sum()) - 1e-9 for s in product((-1, 1), repeat=n)])
    assert permutation_test(d) == pytest.approx(exact)


def test_it_equals_scipy_where_scipy_is_exact_and_comes_near_where_it_draws():
    d = np.random.default_rng(1).normal(0.4, 1, 10)
    theirs = stats.permutation_test(
        (d,), np.mean, permutation_type="samples", n_resamples=np.inf
    ).pvalue
    assert permutation_test(d) == pytest.approx(theirs)
    assert permutation_test(d, permutations=1000) == pytest.approx(theirs, abs=0.05)


def grouped(rng, groups=40, translations=11, within=0.05):
    """A null.

    Two systems whose difference has mean 0 and is shared by the translations of a question.
    """
    shared = np.repeat(rng.normal(0, 0.3, groups), translations)
    difference = shared + rng.normal(0, within, groups * translations)
    return (
        difference,
        np.repeat(np.arange(groups), translations),
        np.tile(np.arange(translations), groups),
    )


def test_false_positives_stay_at_the_level_with_groups_and_do_not_with_queries():
    rng = np.random.default_rng(0)
    by_group = by_query = 0
    trials = 1000
    for trial in range(trials):
        difference, group, cell = grouped(rng)
        d = contributions(group_sums(difference, group, cell))
        by_group += permutation_test(d, 999, trial) < 0.05
        by_query += permutation_test(difference, 999, trial) < 0.05
    assert by_group / trials <= 0.055
    assert by_query / trials > 0.4


def test_macro_means_weigh_cells_alike_and_contributions_add_up_to_the_difference():
    values = np.array([1.0, 1, 1, 0, 0.5])
    group, cell = np.array([0, 1, 2, 0, 1]), np.array(["en", "en", "en", "sw", "sw"])
    assert group_sums(values, group, cell).mean() == pytest.approx((1 + 0.25) / 2)
    assert contributions(group_sums(values, group, cell)).sum() == pytest.approx((1 + 0.25) / 2)


def test_the_interval_of_one_cell_is_scipys():
    values = np.random.default_rng(3).random(200)
    low, high = interval(group_sums(values, np.arange(200), np.zeros(200)), 5000)
    theirs = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=5000, rng=1)
    assert (low, high) == pytest.approx(tuple(theirs.confidence_interval), abs=0.004)


def test_intervals_cover():
    rng = np.random.default_rng(5)
    held = 0
    for trial in range(300):
        shared = np.repeat(rng.normal(0.5, 0.2, 60), 4)
        values = shared + rng.normal(0, 0.02, 240)
        low, high = interval(
            group_sums(values, np.repeat(np.arange(60), 4), np.tile(np.arange(4), 60)),
            400,
            seed=trial,
        )
        held += low <= 0.5 <= high
    assert 0.9 < held / 300 < 0.98


def test_a_comparison_of_runs_and_of_seeds():
    rng = np.random.default_rng(2)
    group, cell = np.repeat(np.arange(50), 3), np.tile(np.arange(3), 50)
    first = rng.random(150)
    found = compare_scores(first, first + 0.1, group, cell)
    assert found.difference == pytest.approx(0.1) and found.p < 0.001 and found.p_seeds is None
    assert found.low == pytest.approx(0.1) and found.groups == 50
    noise = rng.normal(0, 0.01, (6, 1))
    found = compare_scores(first + noise[:3], first + 0.1 + noise[3:], group, cell)
    # every query moves alike, so the seeds alone vary: the two-sample t-test
    expected = ttest_ind(noise[3:, 0] + 0.1, noise[:3, 0])
    assert found.p_seeds == pytest.approx(expected.pvalue)
    ends = expected.confidence_interval()
    assert (found.low_seeds, found.high_seeds) == pytest.approx((ends.low, ends.high))


def test_seeds_that_do_not_differ_leave_the_test_over_groups():
    d = np.random.default_rng(3).normal(0.001, 0.01, 80)
    found = seed_test(d, pooled_variance([[0.5, 0.5], [0.6, 0.6]]), (2, 2))
    assert found.p == pytest.approx(ttest_1samp(d, 0).pvalue)
    assert seed_test(np.zeros(5), pooled_variance([[0.5, 0.5]] * 2), (2, 2)).p == 1


def test_the_test_over_seeds_keeps_its_level():
    """Two methods that are equal, whose seeds differ: the test over groups alone finds too much."""
    rng, found, over_groups = np.random.default_rng(4), 0, 0
    for _ in range(400):
        queries = rng.normal(0.5, 0.1, 60)
        runs = queries + rng.normal(0, 0.02, (6, 1)) + rng.normal(0, 0.02, (6, 60))
        result = compare_scores(
            runs[:3], runs[3:], np.arange(60), np.zeros(60), permutations=200, resamples=10
        )
        found += result.p_seeds < 0.05
        over_groups += result.p < 0.05
    assert 0.02 < found / 400 < 0.09
    assert over_groups / 400 > 0.3


def test_more_methods_make_the_variance_over_seeds_surer():
    few = pooled_variance([[0.1, 0.2], [0.3, 0.5]])
    assert few.freedom == 2 and few.value == pytest.approx((0.005 + 0.02) / 2)
    assert np.isnan(pooled_variance([[0.1], [0.2]]).value)


def test_undefined_scores_are_left_out_of_both():
    first, second = np.array([np.nan, 0.2, 0.4]), np.array([0.9, 0.3, np.nan])
    found = compare_scores(first, second, np.arange(3), np.zeros(3))
    assert found.first == pytest.approx(0.2) and found.second == pytest.approx(0.3)


def test_holm():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert [significance_mark(p) for p in (0.2, 0.04, 0.005, 0.0001)] == ["", "*", "**", "***"]


@given(st.integers(2, 5), st.integers(2, 5), st.integers(0, 2**32 - 1), st.floats(-1, 1, width=32))
def test_what_a_seed_does_to_all_methods_does_not_count(methods, seeds, number, shift):
    x = np.random.default_rng(number).normal(size=(methods, seeds))
    found = paired_variance([x])
    assert found.freedom == (methods - 1) * (seeds - 1)
    moved = x + shift * np.arange(seeds)
    assert paired_variance([moved]).value == pytest.approx(found.value, rel=1e-6, abs=1e-12)
    if methods == 2:  # then it is half of the variance of the differences
        assert found.value == pytest.approx((x[0] - x[1]).var(ddof=1) / 2)
    assert paired_variance([x, x]).value == pytest.approx(found.value)


def test_a_lone_method_or_seed_has_no_paired_variance():
    assert np.isnan(paired_variance([np.ones((1, 3)), np.ones((3, 1))]).value)
