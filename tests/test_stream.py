import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixling.batches.stream import Stream


@given(st.lists(st.integers(1, 9), min_size=1, max_size=60), st.data())
@settings(deadline=None, max_examples=150)
def test_no_conflict_group_twice_in_a_batch_and_every_group_once_before_any_twice(sizes, data):
    conflict_group = np.random.default_rng(len(sizes)).permutation(
        np.repeat(np.arange(len(sizes)), sizes)
    )
    size = data.draw(st.integers(1, len(sizes)))
    stream = Stream(conflict_group, size, data.draw(st.integers(0, 2**40)))
    visits = np.zeros(len(conflict_group), int)
    for step in range(3 * len(conflict_group) // size + 3):
        groups, _ = stream.batch(step)
        assert len(groups) == size
        assert len(np.unique(conflict_group[groups])) == size
        for g in groups:
            visits[g] += 1
            assert stream.capped or visits.max() - visits.min() <= 1


def test_a_large_conflict_group_that_cannot_keep_up_still_gets_all_its_members_seen():
    conflict_group = np.array([0] * 40 + list(range(1, 12)))
    stream = Stream(conflict_group, 8, 3)
    assert stream.capped == 1
    seen = set()
    for step in range(400):
        seen |= set(stream.batch(step)[0].tolist())
    assert seen == set(range(51))


def test_rounds_are_shuffled():
    stream = Stream(np.arange(640), 32, 1)
    first = {frozenset(stream.batch(s)[0].tolist()) for s in range(20)}
    second = {frozenset(stream.batch(s)[0].tolist()) for s in range(20, 40)}
    assert not first & second


def test_too_few_conflict_groups_are_refused():
    with pytest.raises(ValueError, match="batch of 4 cannot be filled from 3 passage groups"):
        Stream(np.array([0, 0, 1, 2, 2, 2]), 4, 0)
