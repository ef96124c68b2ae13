"""What other search orders would change: the same vectors, ranked in another way.

    centered  Each score less the language offset, the mean score that the query has with all
              passages of that language: `mixling search --order centered`.
    csls      CSLS, with the task's other queries as references (`mixling.evaluation.csls`). A
              search has this order behind a transform of the collection with the step `csls`.

A task's scores are at hand when it is measured, so the effect can be measured too, on a sample of
its queries: no text is encoded for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

import numpy as np

from mixling.errors import choose
from mixling.evaluation.bias.intrusion import intrusion
from mixling.evaluation.bias.share import same_language_share
from mixling.evaluation.csls import own_csls
from mixling.evaluation.metrics import average_precision
from mixling.evaluation.ranks import DotScorer, Ranks, compute_ranks
from mixling.evaluation.scenario_scores import SHARE_DEPTH, macro_means, multilingual_pool
from mixling.evaluation.significance import group_sums, interval
from mixling.evaluation.tasks import Task

# queries that are ranked a second time, and passages up to which this is cheap
MAX_QUERIES, MAX_PASSAGES = 2_000, 1 << 16


Order = Literal["centered", "csls"]
ORDERS: tuple[Order, ...] = get_args(Order)


def compare_orders(
    task: Task, ranks: Ranks, scorer: DotScorer, further: Sequence[str] = ()
) -> dict[str, Any] | None:
    """Measure the order `centered`, and others, beside the order by score, on the same queries.

    Args:
        task: The task.
        ranks: Its ranks by score.
        scorer: Its vectors.
        further: Orders to measure beside `centered`; see `ORDERS`.

    Returns:
        `queries` (their number), and for `score`, `centered` and each further order the
        multilingual `mAP`, `intrusion@10` and `same_language_share@10`; `gain` is the difference of
        mAP from `score` to `centered` with its 95 % interval, `[value, low, high]`, and `csls_gain`
        that to `csls`. None where the task has no multilingual scenario or too many passages.

    Raises:
        MixlingError: An order is unknown.
    """
    names = ["centered", *(choose(x, ORDERS, "order to measure") for x in further)]
    if "multilingual" not in task.scenarios() or len(task.passages) > MAX_PASSAGES:
        return None
    rows = _sample_groups(task)
    sample = task.with_queries(rows, task.name)
    pairs = np.isin(task.relevant[:, 0], rows)
    before = _measures(sample, ranks.multilingual[pairs], ranks.top[rows])
    found: dict[str, Any] = {"queries": len(rows), "score": _means(sample, before)}
    vectors = DotScorer(scorer.queries[rows].numpy(), scorer.passages.numpy())
    for name in dict.fromkeys(names):
        rescored = _centered_scores if name == "centered" else own_csls
        scores = rescored(sample, vectors)
        if scores is None:
            continue
        other = compute_ranks(
            scores,
            len(rows),
            sample.passage_language,
            sample.relevant,
            sample.passage_ids,
            depth=SHARE_DEPTH,
            excluded=sample.excluded,
        )
        after = _measures(sample, other.multilingual, other.top)
        difference = group_sums(
            after["mAP"] - before["mAP"], np.array(sample.query_group), sample.query_language
        )
        found[name] = _means(sample, after)
        key = "gain" if name == "centered" else f"{name}_gain"
        found[key] = [difference.mean(), *interval(difference)]
    return found


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
    pool = multilingual_pool(task, rank, top)
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
