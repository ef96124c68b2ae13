import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mixling.batches.interleave import EvenInterleaving, RandomInterleaving

shares = st.lists(st.floats(0.01, 1), min_size=1, max_size=8)


def largest_distances(total, low, high, distance=0.0):
    """How far each count can be from its share: each halving rounds, and passes its distance on."""
    if high - low == 1:
        return [distance]
    middle = low + 1 + np.argmin(abs(total[low + 1 : high] - (total[low] + total[high]) / 2))
    share = (total[middle] - total[low]) / (total[high] - total[low])
    return [
        *largest_distances(total, low, middle, 0.5 + share * distance),
        *largest_distances(total, middle, high, 0.5 + (1 - share) * distance),
    ]


@given(shares)
@settings(deadline=None, max_examples=40)
@example([0.75, 0.01171875, 0.25, 0.01171875, 0.25, 0.125])  # 1.53 steps off
def test_even_counts_are_what_was_seen_and_keep_to_the_shares(drawn_shares):
    order, weight = EvenInterleaving(drawn_shares), np.array(drawn_shares) / np.sum(drawn_shares)
    largest = np.array(largest_distances(order.total, 0, len(weight))) + 1e-9
    assert largest.max() < 2
    seen = np.zeros(len(weight), int)
    for n in range(300):
        choice, before = order.at(n)
        assert before == seen[choice]
        seen[choice] += 1
        assert (np.abs(seen - (n + 1) * weight) <= largest).all()


@given(st.floats(0.05, 0.95), st.integers(0, 1000))
@settings(deadline=None, max_examples=10)
def test_random_draws_know_their_past(alpha, key):
    order, seen = RandomInterleaving([alpha, 1 - alpha], key), [0, 0]
    for n in range(100):
        choice, before = order.at(n)
        assert before == seen[choice]
        seen[choice] += 1


def test_random_draws_have_the_law_of_a_coin():
    runs = np.array(
        [
            [RandomInterleaving([0.3, 0.7], key).at(n)[0] == 0 for n in range(12)]
            for key in range(300)
        ]
    )
    assert abs(runs.mean() - 0.3) < 0.03
    together = (runs[:, :-1] & runs[:, 1:]).mean()
    assert abs(together - 0.09) < 0.02
