"""All measures of hubs, and what a result holds of them."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import numpy as np

from mixling.evaluation.hubs import reciprocity, share, skew, unanswering
from mixling.evaluation.hubs.neighbors import HubMeasure, K, Neighbors
from mixling.evaluation.hubs.reciprocity import mutual_neighbors, reciprocity_by_pair
from mixling.evaluation.ranks import Ranks
from mixling.evaluation.tasks import Task

MEASURES: dict[str, HubMeasure] = {
    m.MEASURE.name: m.MEASURE for m in (skew, share, unanswering, reciprocity)
}


def find_neighbors(ranks: Ranks, n_passages: int, k: int = K) -> Neighbors:
    """Take the first k passages of each query from ranks.

    Args:
        ranks: The ranks.
        n_passages: Number of passages.
        k: How many.
    """
    top = ranks.top[:, :k]
    mutual = None
    if ranks.query_threshold is not None:
        mutual = mutual_neighbors(top, ranks.top_scores[:, :k], ranks.query_threshold)
    return Neighbors(top, n_passages, mutual)


def hub_entry(task: Task, ranks: Ranks, left_out: Collection[str] = ()) -> dict[str, Any]:
    """Compute what a task's entry of a summary holds of hubs.

    Args:
        task: The task.
        ranks: Its ranks.
        left_out: Measures that the ranks cannot tell.

    Returns:
        Each measure's figure by its name. `at_random` has what random result lists would give,
        `unanswering_by_language` the share of passages in each language that no query finds, and
        `reciprocity_by_pair` the share of mutual neighbors by query and passage language. What
        cannot be told is missing.
    """
    neighbors = find_neighbors(ranks, len(task.passages))
    told = {name: m for name, m in MEASURES.items() if name not in left_out}
    entry: dict[str, Any] = _numbers({name: m.compute(neighbors) for name, m in told.items()})
    entry["at_random"] = _numbers({name: m.at_random(neighbors) for name, m in told.items()})
    if unanswering.MEASURE.name in told:
        never = neighbors.occurrence == 0
        entry["unanswering_by_language"] = {
            task.languages[code]: float(never[task.passage_language == code].mean())
            for code in np.unique(task.passage_language).tolist()
        }
    if reciprocity.MEASURE.name in entry:
        entry["reciprocity_by_pair"] = reciprocity_by_pair(
            neighbors, task.query_language, task.passage_language, task.languages
        )
    return entry


def _numbers(values: dict[str, float]) -> dict[str, float]:
    """Leave out what is not a number."""
    return {name: value for name, value in values.items() if not math.isnan(value)}
