"""The figures of `studies.same_language`: recall in the query's language and in others."""

from __future__ import annotations

from typing import Any

import numpy as np
from studies.language_pools import counts_of

from mixling.evaluation.bias.other_language import other_language_recall
from mixling.evaluation.bias.pool import MultilingualPool, nan_where_not
from mixling.evaluation.metrics import METRICS, average_precision
from mixling.evaluation.ranks import Ranks
from mixling.evaluation.scenario_scores import multilingual_pool
from mixling.evaluation.significance import compare_scores, group_sums, holm, intervals
from mixling.evaluation.tasks import Task

DEPTH = 10
RECALLS = ("recall", "same", "other")
FIGURES = (*RECALLS, "monolingual mAP", "multilingual mAP")
COMPARISONS = ("from zero-shot", "from the vendor's SHIFT")
Row = dict[str, Any]


def same_language_recall(k: int, pool: MultilingualPool) -> np.ndarray:
    """Compute the recall at k of the relevant passages in the query's language.

    Args:
        k: Depth.
        pool: Ranks in the multilingual pool.

    Returns:
        float64 `[n_queries]`, 0 to 1; NaN for queries without a relevant passage in their language.
    """
    total = pool.count(pool.same_language)
    retrieved = pool.count(pool.same_language & (pool.rank <= k))
    return nan_where_not(total > 0, retrieved / np.maximum(total, 1))


def scores_of(task: Task, ranks: Ranks) -> dict[str, np.ndarray]:
    """Compute every figure for each query, float64 `[n_queries]`, NaN where it is not defined."""
    query, n_queries = task.relevant[:, 0], len(task.queries)
    pool = multilingual_pool(task, ranks.multilingual, ranks.top)
    same = pool.same_language
    within = average_precision(ranks.within_language[same], query[same], n_queries)
    return {
        "recall": METRICS[f"R@{DEPTH}"](ranks.multilingual, query, n_queries),
        "same": same_language_recall(DEPTH, pool),
        "other": other_language_recall(DEPTH, pool),
        "monolingual mAP": nan_where_not(pool.count(same) > 0, within),
        "multilingual mAP": average_precision(ranks.multilingual, query, n_queries),
    }


def labels(task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Return the translation group and the language of each query."""
    return np.array(task.query_group), np.array(task.languages)[task.query_language]


def mean_of(task: Task, values: np.ndarray) -> float:
    """Return the mean of the query languages' means."""
    return group_sums(values, *labels(task)).mean()


def describe(task: Task) -> Row:
    """Count a collection's passages, queries, and the languages of the answers."""
    same = task.query_language[task.relevant[:, 0]] == task.passage_language[task.relevant[:, 1]]
    n = len(task.queries)
    has_same, has_other = (
        np.bincount(task.relevant[mask, 0], minlength=n) > 0 for mask in (same, ~same)
    )
    asked = np.bincount(task.query_language, minlength=len(task.languages))
    answers = np.bincount(task.relevant[:, 0], minlength=n)
    return {
        "queries": n,
        "groups": len(set(task.query_group)),
        "queries by language": {x: int(k) for x, k in zip(task.languages, asked, strict=True) if k},
        "passages": len(task.passages),
        "passages by language": counts_of(task),
        "answers in both": int((has_same & has_other).sum()),
        "answers in the same language alone": int((has_same & ~has_other).sum()),
        "answers in other languages alone": int((~has_same & has_other).sum()),
        "answers, mean": float(answers.mean()),
        "answers, most": int(answers.max()),
        # ten places cannot hold more than ten answers
        "highest recall": float(np.mean(np.minimum(answers, DEPTH) / answers)),
        "skipped": dict(task.skipped),
        "data": task.fingerprint(),
    }


def compare(task: Task, first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> Row:
    """Compare a method with another: each figure's change, its interval and its p-value."""
    found = {}
    for name in FIGURES:
        compared = compare_scores(first[name], second[name], *labels(task))
        found[name] = {k: getattr(compared, k) for k in ("difference", "low", "high", "p")}
    return found


def figures_of(task: Task, values: dict[str, np.ndarray]) -> Row:
    """Return each figure with its interval, and by query language."""
    group, language = labels(task)
    groups = np.unique(group)
    sums = {name: group_sums(values[name], group, language, groups) for name in FIGURES}
    ends = intervals(list(sums.values()))
    return {
        "figures": {k: [x.mean(), *end] for (k, x), end in zip(sums.items(), ends, strict=True)},
        "by query language": {
            name: {
                str(x): mean
                for x in np.unique(language)
                if not np.isnan(mean := nan_mean(values[name][language == x]))
            }
            for name in RECALLS
        },
    }


def nan_mean(values: np.ndarray) -> float:
    """Return the mean of the numbers, NaN where there is none."""
    numbers = values[~np.isnan(values)]
    return float(numbers.mean()) if len(numbers) else float("nan")


def correct(rows: list[Row]) -> None:
    """Write Holm's p-value beside each p-value of an encoder and a collection."""
    for part in COMPARISONS:
        families: dict[tuple[str, str], list[Row]] = {}
        for row in rows:
            tests = families.setdefault((row["encoder"], row["collection"]), [])
            tests.extend(row.get(part, {}).values())
        for tests in families.values():
            for test, p in zip(tests, holm([x["p"] for x in tests]), strict=True):
                test["p_holm"] = p
