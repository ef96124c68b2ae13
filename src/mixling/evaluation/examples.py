"""Example queries of a task with their first answers, for reports."""

from __future__ import annotations

from typing import Any

import numpy as np

from mixling.evaluation.ranks import Ranks
from mixling.evaluation.tasks import Task

# characters of a passage that an example shows
SHOWN_CHARACTERS = 240
# ranks of relevant passages that an example lists
SHOWN_RANKS = 20


def example_queries(
    task: Task, ranks: Ranks, right: np.ndarray, limit: int = 24, depth: int = 5
) -> list[dict[str, Any]]:
    """Select queries whose first answer is wrong, and some whose first answer is right.

    They are spread evenly over the query languages.

    Args:
        task: The task.
        ranks: Its ranks.
        right: bool `[n_queries]`, whether the first answer is relevant.
        limit: Maximum number of queries with a wrong first answer. Queries with a right one are a
            quarter as many, and stand in where fewer first answers are wrong.
        depth: Number of answers shown.

    Returns:
        For each query its text and language, `first_is_right`, the first answers as
        `[text, language, right]`, the best-ranked relevant passage as `[text, language]` (`right`)
        and the ranks of the relevant passages as `[language, rank]` (`right_ranks`).
    """
    first = np.searchsorted(task.relevant[:, 0], np.arange(len(task.queries) + 1))
    wrong = _spread_over_languages(task, np.flatnonzero(~right), limit)
    n_right = limit // 4 + limit - len(wrong)
    queries = [*wrong, *_spread_over_languages(task, np.flatnonzero(right), n_right)]

    def language(passage: int) -> str:
        return task.languages[int(task.passage_language[passage])]

    examples = []
    for query in queries:
        pairs = slice(first[query], first[query + 1])
        order = np.argsort(ranks.multilingual[pairs], kind="stable")
        answers, places = task.relevant[pairs][order, 1], ranks.multilingual[pairs][order]
        relevant = set(answers.tolist())
        examples.append(
            {
                "query": task.queries[query],
                "query_language": task.languages[task.query_language[query]],
                "first_is_right": bool(right[query]),
                "first": [
                    [task.passages[p][:SHOWN_CHARACTERS], language(p), int(p) in relevant]
                    for p in ranks.top[query, :depth]
                    if p >= 0
                ],
                "right": [task.passages[answers[0]][:SHOWN_CHARACTERS], language(answers[0])],
                "right_ranks": [
                    [language(p), int(rank)]
                    for p, rank in list(zip(answers, places, strict=True))[:SHOWN_RANKS]
                    if np.isfinite(rank)
                ],
            }
        )
    return examples


def _spread_over_languages(task: Task, rows: np.ndarray, limit: int) -> list[int]:
    """Select up to `limit` queries, evenly over languages and within each language."""
    codes = np.unique(task.query_language[rows])
    per_language = -(-limit // max(len(codes), 1))
    chosen = []
    for turn in range(per_language):
        for number, code in enumerate(codes):
            queries = rows[task.query_language[rows] == code]
            # evenly spaced, and shifted by language, so that translations do not all stand together
            step = (turn * len(codes) + number) * len(queries) // (per_language * len(codes))
            chosen.append(int(queries[(step + number) % len(queries)]))
    return list(dict.fromkeys(chosen))[:limit]
