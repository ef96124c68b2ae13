import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mixling.batches.permutation import mix, permute, uniform


@given(st.integers(1, 2000), st.integers(0, 2**63))
def test_permute_is_a_permutation(n, key):
    values = permute(np.arange(n), n, mix(key))
    assert sorted(values.tolist()) == list(range(n))


def test_keys_give_different_permutations():
    a, b = (permute(np.arange(1000), 1000, mix(k)) for k in (1, 2))
    assert (a == b).mean() < 0.02


def test_the_hash_is_the_same_everywhere():
    assert int(mix(1, 2, 3)) == 15020427595393229491
    assert 0 <= float(uniform(5, 6)) < 1
