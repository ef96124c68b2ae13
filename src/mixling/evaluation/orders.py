"""Measures the search order `centered`: the same vectors, ranked without language offsets.

`mixling search --order centered` subtracts from each score the mean score that the query has with
all passages of that language (the language offset). A task's scores are at hand when it is
measured, so the effect can be measured too, on a sample of its queries: no text is encoded for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from mixling.evaluation.bias.intrusion import intrusion
from mixling.evaluation.bias.pool import MultilingualPool
from mixling.evaluation.bias.share import same_language_share
from mixling.evaluation.metrics import average_precision
from mixling.evaluation.ranks import DotScorer, Ranks, compute_ranks
from mixling.evaluation.scenario_scores import SHARE_DEPTH, macro_means
from mixling.evaluation.significance import group_sums, interval
from mixling.evaluation.tasks import Task

# queries that are ranked a second time, and passages up to which this is cheap
MAX_QUERIES, MAX_PASSAGES = 2_000, 1 << 16


def centered_order(task: Task, ranks: Ranks, scorer: DotScorer) -> dict[str, Any] | None:
    """Measure the order `centered` beside the order by score, on the same queries.

    Args:
        task: The task.
        ranks: Its ranks by score.
        scorer: Its vectors.

    Returns:
        `queries` (their number), and for `score` and `centered` the multilingual `mAP`,
        `intrusion@10` and `same_language_share@10`; `gain` is the difference of mAP with its 95 %
        interval, `[value, low, high]`. None where the task has no multilingual scenario or too many
        passages.
    """
    if "multilingual" not in task.scenarios() or len(task.passages) > MAX_PASSAGES:
        return None
    rows = _sample_groups(task)
    sample = task.with_queries(rows, task.name)
    pairs = np.isin(task.relevant[:, 0], rows)
    other = compute_ranks(
        _centered_scores(sample, DotScorer(scorer.queries[rows].numpy(), scorer.passages.numpy())),
        len(rows),
        sample.passage_language,
        sample.relevant,
        sample.passage_ids,
        depth=SHARE_DEPTH,
        excluded=sample.excluded,
    )
    before = _measures(sample, ranks.multilingual[pairs], ranks.top[rows])
    after = _measures(sample, other.multilingual, other.top)
    difference = group_sums(
        after["mAP"] - before["mAP"], np.array(sample.query_group), sample.query_language
    )
    return {
        "queries": len(rows),
        "score": _means(sample, before),
        "centered": _means(sample, after),
        "gain": [difference.mean(), *interval(difference)],
    }


def _centered_scores(task: Task, scorer: DotScorer) -> Callable[[int, int], np.ndarray]:
    """Return scores less the language offset, the mean score of a language's passages."""
    indicator = np.zeros((len(task.passages), len(task.languages)), np.float32)
    indicator[np.arange(len(task.passages)), task.passage_language] = 1
    indicator /= np.maximum(indicator.sum(0), 1)

    def score(begin: int, end: int) -> np.ndarray:
        scores = scorer(begin, end)
        return np.asarray(scores - (scores @ indicator)[:, task.passage_language])

    return score


def _measures(task: Task, rank: np.ndarray, top: np.ndarray) -> dict[str, np.ndarray]:
    """Compute the measures of an order for each query, float64 `[n_queries]`."""
    pool = MultilingualPool(
        query=task.relevant[:, 0],
        rank=rank,
        passage=task.relevant[:, 1],
        grade=task.grades,
        query_language=task.query_language,
        passage_language=task.passage_language,
        top=top,
        n_languages=len(task.languages),
    )
    return {
        "mAP": average_precision(rank, pool.query, pool.n_queries),
        "intrusion@10": intrusion(pool, SHARE_DEPTH),
        "same_language_share@10": same_language_share(pool, SHARE_DEPTH),
    }


def _means(task: Task, values: dict[str, np.ndarray]) -> dict[str, float]:
    """Compute means over query languages, without measures that the task cannot have."""
    means = macro_means(task, values)
    return {k: means[k] for k in values if not math.isnan(means[k])}


def _sample_groups(task: Task) -> np.ndarray:
    """Draw whole translation groups, `MAX_QUERIES` queries at most: int64 `[n]`, ascending."""
    n_queries = len(task.queries)
    if n_queries <= MAX_QUERIES:
        return np.arange(n_queries)
    _, group = np.unique(np.array(task.query_group), return_inverse=True)
    order = np.random.default_rng(0).permutation(group.max() + 1)
    position = np.empty_like(order)
    position[order] = np.arange(len(order))
    size = np.bincount(group)[order].cumsum()
    return np.flatnonzero(position[group] < max(1, np.searchsorted(size, MAX_QUERIES, "right")))
