"""Measures of one ranking, computed from the ranks of its relevant passages alone.

Their values are equal to those of trec_eval. All have the signature of `Metric`:

    rank: int64 `[n]`, 1-based rank of each relevant passage.
    query: int64 `[n]`, ascending, the query of each relevant passage, 0 to n_queries - 1.
    n_queries: Number of queries.
    gain: float64 `[n]`, grade of each relevant passage, None for 1; only nDCG reads it.
    Returns float64 `[n_queries]`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Metric = Callable[..., np.ndarray]


def average_precision(
    rank: np.ndarray, query: np.ndarray, n_queries: int, gain: np.ndarray | None = None
) -> np.ndarray:
    """Compute average precision, trec_eval's `map`.

    It is the mean, over the relevant passages, of the number of relevant passages up to each one
    divided by its rank.

    Args:
        rank: int64 `[n]`, 1-based ranks.
        query: int64 `[n]`, query of each rank, ascending.
        n_queries: Number of queries.
        gain: Not read.

    Returns:
        float64 `[n_queries]`, 0 to 1.
    """
    order = np.lexsort((rank, query))
    rank, query = rank[order], query[order]
    # the first row of a query in the sorted rows is searchsorted's, so this counts 1, 2, ... in
    # each query
    nth = np.arange(len(rank)) - np.searchsorted(query, query) + 1
    return _query_means(nth / rank, query, n_queries)


def recall(k: int) -> Metric:
    """Make recall at k, the share of the relevant passages among the first k (`recall_k`).

    Args:
        k: Depth.

    Returns:
        The metric.
    """

    def metric(
        rank: np.ndarray, query: np.ndarray, n_queries: int, gain: np.ndarray | None = None
    ) -> np.ndarray:
        return _query_means((rank <= k).astype(float), query, n_queries)

    return metric


def ndcg(k: int) -> Metric:
    """Make nDCG at k, the discounted gain of the first k over the best possible (`ndcg_cut_k`).

    Args:
        k: Depth.

    Returns:
        The metric.
    """

    def metric(
        rank: np.ndarray, query: np.ndarray, n_queries: int, gain: np.ndarray | None = None
    ) -> np.ndarray:
        gain = np.ones(len(rank)) if gain is None else gain.astype(float)
        dcg = np.bincount(query, np.where(rank <= k, gain / np.log2(rank + 1.0), 0), n_queries)
        # the ideal ranking has the relevant passages first, by falling gain
        order = np.lexsort((-gain, query))
        nth = np.arange(len(rank)) - np.searchsorted(query, query)
        ideal = np.bincount(
            query, np.where(nth < k, gain[order] / np.log2(nth + 2.0), 0), n_queries
        )
        return np.asarray(dcg / np.maximum(ideal, 1e-12))

    return metric


def reciprocal_rank(k: int) -> Metric:
    """Make 1 / rank of the first relevant passage, 0 beyond k (`recip_rank` of a run cut at k).

    Args:
        k: Depth.

    Returns:
        The metric.
    """

    def metric(
        rank: np.ndarray, query: np.ndarray, n_queries: int, gain: np.ndarray | None = None
    ) -> np.ndarray:
        best = np.full(n_queries, np.inf)
        np.minimum.at(best, query, rank.astype(float))
        return np.where(best <= k, 1 / best, 0.0)

    return metric


def _query_means(value: np.ndarray, query: np.ndarray, n_queries: int) -> np.ndarray:
    """Compute the mean of the values of each query."""
    count = np.bincount(query, minlength=n_queries)
    return np.asarray(np.bincount(query, value, n_queries) / np.maximum(count, 1))


METRICS: dict[str, Metric] = {
    "mAP": average_precision,
    "R@1": recall(1),
    "R@10": recall(10),
    "nDCG@10": ndcg(10),
    "MRR@10": reciprocal_rank(10),
}
# of the multilingual scenario only: published benchmarks report these
MULTILINGUAL_METRICS: dict[str, Metric] = {
    "nDCG@20": ndcg(20),
    "R@20": recall(20),
    "R@100": recall(100),
}


@dataclass(frozen=True)
class MetricDescription:
    """The documentation of a metric for readers.

    Args:
        range: Range of its values, in words.
        meaning: One sentence for a search engineer.
        caveat: When the metric misleads, in one sentence.
        source: Name of the same figure in trec_eval.
        formula: Formula for one query q with relevant passages R(q).
    """

    range: str
    meaning: str
    caveat: str
    source: str
    formula: str


DESCRIPTIONS = {
    "mAP": MetricDescription(
        "0 to 1",
        "Mean precision at the ranks of the relevant passages.",
        "Weighs every relevant passage, also where a user reads the first alone.",
        "trec_eval `map`",
        "1 / |R(q)| * sum over p in R(q) of |{r in R(q): rank(r) <= rank(p)}| / rank(p)",
    ),
    "R": MetricDescription(
        "0 to 1",
        "Share of the relevant passages among the first k.",
        "Cannot reach 1 with more than k relevant passages, and ignores their order.",
        "trec_eval `recall_k`",
        "|{p in R(q): rank(p) <= k}| / |R(q)|",
    ),
    "nDCG": MetricDescription(
        "0 to 1",
        "Discounted gain of the first k passages, relative to the best order.",
        "Small differences near rank k hardly show; without grades every gain is 1.",
        "trec_eval `ndcg_cut_k`",
        "sum over p in R(q), rank(p) <= k, of gain(p) / log2(rank(p) + 1), over the best such sum",
    ),
    "MRR": MetricDescription(
        "0 to 1",
        "Reciprocal rank of the first relevant passage, 0 beyond rank k.",
        "Ignores all relevant passages after the first, so it hides language bias in a pool.",
        "trec_eval `recip_rank` of the first k",
        "1 / min rank(R(q)) if min rank(R(q)) <= k, else 0",
    ),
}


def description(metric: str) -> MetricDescription:
    """Return the description of a metric.

    Args:
        metric: Name in `METRICS` or `MULTILINGUAL_METRICS`.
    """
    return DESCRIPTIONS[metric.partition("@")[0]]
