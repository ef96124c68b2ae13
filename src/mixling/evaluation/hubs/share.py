"""Share of the first k that hubs take.

It is the hub occurrence of scikit-hubness (Feldbauer, Rattei and Flexer 2020), for which a hub is
found at least 2 k times, twice the mean of N among the points of one set. Here the mean is k Q / n,
with Q queries and n passages.

    hubs  = {p: N(p) >= 2 mean N}
    share = sum of N(p) over hubs / sum of N(p) over all passages

At random, with t the smallest number of queries that makes a hub:

    share = P(Binomial(Q - 1, k / n) >= t - 1)
"""

from math import ceil

import numpy as np

from mixling.evaluation.hubs.neighbors import HubMeasure, K, Neighbors

SIZE = 2  # a hub is found so many times as often as the mean


def is_hub(neighbors: Neighbors, size: int = SIZE) -> np.ndarray:
    """Mark the hubs.

    Args:
        neighbors: What the queries find.
        size: How many times as often as the mean a hub is found.

    Returns:
        bool `[n_passages]`.
    """
    occurrence = neighbors.occurrence
    # in integers, so that a passage at the limit is a hub
    at_limit = occurrence * neighbors.n_passages >= size * occurrence.sum()
    return np.asarray(at_limit & (occurrence > 0))


def hub_share(neighbors: Neighbors) -> float:
    """Compute the share of the first k that hubs take.

    Args:
        neighbors: What the queries find.

    Returns:
        The share, 0 to 1; NaN where nothing is found.
    """
    total = neighbors.occurrence.sum()
    if not total:
        return float("nan")
    return float(neighbors.occurrence[is_hub(neighbors)].sum() / total)


def hub_share_at_random(neighbors: Neighbors) -> float:
    """Compute the share that random result lists would give.

    Args:
        neighbors: What the queries find; only their numbers matter.

    Returns:
        The share, 0 to 1; NaN where nothing is found.
    """
    from scipy.stats import binom

    total = int(neighbors.found.sum())
    if not total:
        return float("nan")
    least = max(1, ceil(SIZE * total / neighbors.n_passages))
    return float(binom.sf(least - 2, neighbors.n_queries - 1, neighbors.probability))


MEASURE = HubMeasure(
    f"hub_share@{K}",
    hub_share,
    hub_share_at_random,
    "0 to 1",
    "low",
    "Share of the first ten that hubs take: passages in at least twice as many first tens as the "
    "mean passage.",
    "Is high by chance where there are few queries for the passages, since one more query then "
    "makes a hub: compare with its value at random. A passage that answers many queries counts as "
    "a hub too.",
    "after `hub_occurrence` of scikit-hubness",
    "sum of N(p) over {p: N(p) >= 2 mean N} / sum of N(p) over all p",
)
