"""What `studies.hubs` must not do: measure by references that know the answers."""

import numpy as np
import pytest
from studies.hub_pairs import PREDICTORS, explain, gap_closed, measure_pair
from studies.hubs import around, draw_groups, halve, units_of

from mixling.evaluation.benchmarks import load_task
from mixling.transforms.transforms import normalize


@pytest.fixture(scope="module")
def task():
    return load_task("sample")


def test_halves_share_no_group_and_no_answer(task):
    unit, halves = units_of(task), halve(task)
    assert not set(unit[halves.queries]) & set(unit[halves.references])
    assert sorted([*halves.queries, *halves.references]) == list(range(len(task.queries)))
    known = set(task.relevant[np.isin(task.relevant[:, 0], halves.references), 1].tolist())
    assert not known & set(halves.passages.tolist())
    # what is measured keeps all its answers
    mask = np.isin(task.relevant[:, 0], halves.queries)
    rows = task.relevant[mask]
    pairs = {(task.query_ids[q], task.passage_ids[p]) for q, p in rows}
    kept = halves.task.relevant
    assert pairs == {(halves.task.query_ids[q], halves.task.passage_ids[p]) for q, p in kept}
    assert all(
        halves.task.passages[i] == task.passages[p] for i, p in enumerate(halves.passages.tolist())
    )


def test_a_trial_draws_whole_units(task):
    few, unit = draw_groups(task, 3), units_of(task)
    of_query = dict(zip(task.query_ids, unit, strict=True))
    drawn = {of_query[x] for x in few.query_ids}
    assert len(drawn) == 3 and len(few.queries) == np.isin(unit, list(drawn)).sum()
    assert 0 < len(few.relevant) < len(task.relevant)


def test_a_regression_finds_what_explains():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, len(PREDICTORS)))
    x -= x.mean(0)
    found = explain(2 * x[:, 0], x)
    assert found["R2"] == pytest.approx(1)
    assert found["hub share"]["partial"] == pytest.approx(1)
    parts = [found[name]["dominance"] for name in PREDICTORS]
    assert sum(parts) == pytest.approx(1) and parts[0] > 0.9


def test_a_pair_without_hubs_and_an_interval():
    vectors = normalize(np.random.default_rng(0).normal(size=(60, 16))).astype(np.float32)
    found = measure_pair(vectors[:20], vectors[20:40], vectors[40:])
    assert 0 <= found["reciprocity"] <= found["reciprocity ceiling"] <= 1
    pairs = {"a-a": found, "a-b": {**found, "reciprocity": 0.1}}
    gap = gap_closed(pairs)
    assert gap["worst pair"] == "a-b" and gap["best pair"] == "a-a"
    # the jackknife of a mean is its standard error
    values = np.arange(20.0)
    without = (values.sum() - values) / 19
    low, high = around(values.mean(), without)[1:]
    assert (high - low) / 2 / 1.96 == pytest.approx(values.std(ddof=1) / 20**0.5)
