"""CSLS, cross-domain similarity local scaling (Conneau et al. 2018, arXiv:1710.04087).

    CSLS(q, p) = 2 cos(q, p) - r_P(q) - r_Q(p)
    r_P(q) = mean of the k highest scores of q with passages
    r_Q(p) = mean of the k highest scores of p with reference queries

A passage that scores high with every query, a hub, loses what it scores with its nearest reference
queries. r_P(q) changes no query's order of passages; it makes scores compare between queries. What
is left is one number a passage, and `mixling.transforms.hub_correction` stores it in the vectors,
so that any store searches by CSLS: HubCorrection(references, k, skipped=0).

The reference queries must not be those that are measured. A query's own score would be part of its
answer's correction, and what answers a reference query would be taken down for it.
"""

from __future__ import annotations

import numpy as np


def mean_of_highest(scores: np.ndarray, k: int, skipped: int = 0) -> np.ndarray:
    """Compute the mean of the k highest scores of each row.

    Args:
        scores: float `[n, m]`, m >= k + skipped.
        k: Number of scores.
        skipped: Number of still higher ones that are left out.

    Returns:
        float `[n]`.
    """
    last = k + skipped
    best = np.sort(np.partition(scores, -last, axis=1)[:, -last:], axis=1)
    return np.asarray(best[:, :k].mean(1))


def csls(scores: np.ndarray, passage_means: np.ndarray, k: int = 10) -> np.ndarray:
    """Compute CSLS from scores.

    Args:
        scores: float `[n_queries, n_passages]`, cosines of queries and all passages.
        passage_means: float `[n_passages]`, r_Q(p) of each passage, or `[n_queries, n_passages]`
            where it differs by query.
        k: Number of passages whose mean score is r_P(q), or all if there are fewer.

    Returns:
        float `[n_queries, n_passages]`.

    Example:
        >>> scores = np.array([[0.9, 0.8], [0.3, 0.7]])
        >>> csls(scores, mean_of_highest(scores.T, 1), k=1).round(1)
        array([[ 0. , -0.1],
               [-1. , -0.1]])
    """
    query_means = mean_of_highest(scores, min(k, scores.shape[1]))
    return np.asarray(2 * scores - query_means[:, None] - passage_means)
