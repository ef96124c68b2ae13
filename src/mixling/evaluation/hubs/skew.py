"""Skewness of the k-occurrence (Radovanovic, Nanopoulos and Ivanovic 2010).

    skew = mean over p of ((N(p) - mean N) / standard deviation of N)^3

For the binomial distribution of random lists, with Q queries and x = k / n:

    skew = (1 - 2 x) / sqrt(Q x (1 - x))
"""

import numpy as np

from mixling.evaluation.hubs.neighbors import HubMeasure, K, Neighbors


def hub_skew(neighbors: Neighbors) -> float:
    """Compute the skewness of the k-occurrence.

    Args:
        neighbors: What the queries find.

    Returns:
        The skewness; 0 if all passages are found equally often, NaN without passages.
    """
    occurrence = neighbors.occurrence.astype(np.float64)
    if not len(occurrence):
        return float("nan")
    deviation = occurrence.std()
    # a constant has the deviation 0 only up to rounding
    if np.ptp(occurrence) == 0:
        return 0.0
    return float((((occurrence - occurrence.mean()) / deviation) ** 3).mean())


def hub_skew_at_random(neighbors: Neighbors) -> float:
    """Compute the skewness that random result lists would give.

    Args:
        neighbors: What the queries find; only their numbers matter.

    Returns:
        The skewness; 0 where every list holds all passages.
    """
    x, queries = neighbors.probability, neighbors.n_queries
    return (1 - 2 * x) / (queries * x * (1 - x)) ** 0.5 if 0 < x < 1 else 0.0


MEASURE = HubMeasure(
    f"hub_skew@{K}",
    hub_skew,
    hub_skew_at_random,
    "0 is symmetric; no upper bound",
    "low",
    "Skewness of the number of first tens that a passage is in: high where a few passages are in "
    "very many.",
    "Depends on the number of queries and passages, and one extreme passage can decide it: compare "
    "on one task, beside its value at random.",
    "Radovanovic et al. 2010",
    "mean over passages p of ((N(p) - mean N) / standard deviation of N)^3",
)
