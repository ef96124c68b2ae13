"""Gaps between scenarios and between languages, from the means of a task."""

from __future__ import annotations

from typing import Any

import numpy as np

from mixling.evaluation.tasks import SCENARIOS

GAPS = {
    "monolingual_less_cross_lingual": (
        "monolingual mAP - cross-lingual mAP",
        "Falls when monolingual search gets worse.",
        "arXiv:2408.10536, table 3",
    ),
    "monolingual_less_multilingual": (
        "monolingual mAP - multilingual mAP",
        "Compares ranks among few passages with ranks among many: it is never 0.",
        "arXiv:2408.10536, table 3",
    ),
    "best_less_worst_language": (
        "largest - smallest multilingual mAP of a query language",
        "Depends on two languages alone.",
        "Mixling",
    ),
    "spread_of_languages": (
        "standard deviation of multilingual mAP over query languages",
        "Is small for a retriever that is equally weak in all languages.",
        "Mixling",
    ),
}
"""Formula of each gap, when it misleads, and its source."""


def gaps(entry: dict[str, Any], metric: str = "mAP") -> dict[str, float]:
    """Compute the gaps between a task's scenarios and between its query languages.

    The gaps between scenarios follow arXiv:2408.10536, table 3.

    Args:
        entry: The task's entry of a summary.
        metric: The metric to compare.

    Returns:
        `monolingual_less_cross_lingual`, `monolingual_less_multilingual`,
        `best_less_worst_language` and `spread_of_languages` (standard deviation over query
        languages in the multilingual scenario), without those that the task cannot have.
    """
    value = {s: entry[s][metric] for s in SCENARIOS if s in entry}
    result: dict[str, float] = {}
    if "monolingual" in value:
        if "cross-lingual" in value:
            result["monolingual_less_cross_lingual"] = value["monolingual"] - value["cross-lingual"]
        if "multilingual" in value:
            result["monolingual_less_multilingual"] = value["monolingual"] - value["multilingual"]
    by_language = entry.get("multilingual", {}).get("by_language", {})
    scores = [v[metric] for v in by_language.values()]
    if len(scores) > 1:
        result["best_less_worst_language"] = max(scores) - min(scores)
        result["spread_of_languages"] = float(np.std(scores))
    return result
