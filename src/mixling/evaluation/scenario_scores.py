"""Means of a task's scenarios, and the table of scores per query behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mixling.evaluation.bias.pool import MultilingualPool
from mixling.evaluation.metrics import METRICS, MULTILINGUAL_METRICS
from mixling.evaluation.ranks import Ranks
from mixling.evaluation.tasks import Scenario, Task

# depth at which the languages of the first answers are counted
SHARE_DEPTH = 10


@dataclass(frozen=True)
class SingleLanguageScores:
    """Scores of the scenarios in which the passages of one language stand alone.

    Args:
        entry: Means of the monolingual and the cross-lingual scenario, where the task has them.
        tables: Scores per query, one table a passage language.
        missing: Number of pairs of query and passage language without an answer.
    """

    entry: dict[str, dict[str, Any]]
    tables: list[pa.Table]
    missing: int


def single_language_scores(
    task: Task, ranks: Ranks, leave_out: Sequence[Scenario] = ()
) -> SingleLanguageScores:
    """Score the monolingual and the cross-lingual scenario.

    Args:
        task: The task.
        ranks: Its ranks.
        leave_out: Scenarios that are not scored.

    Returns:
        Means over languages (monolingual) and over ordered pairs of languages (cross-lingual), and
        the scores per query.
    """
    tables, cells, missing = _language_pairs(task, ranks)
    if leave_out:
        tables = [
            t.filter(
                pc.invert(pc.is_in(t["scenario"].cast(pa.string()), value_set=pa.array(leave_out)))
            )
            for t in tables
        ]
    entry: dict[str, dict[str, Any]] = {}
    possible = [s for s in task.scenarios() if s not in leave_out]
    for scenario in ("monolingual", "cross-lingual"):
        same = scenario == "monolingual"
        chosen = {pair: v for pair, v in cells.items() if (pair[0] == pair[1]) == same}
        if scenario in possible and chosen:
            entry[scenario] = {m: float(np.mean([v[m] for v in chosen.values()])) for m in METRICS}
            entry[scenario]["by_language"] = {
                task.languages[a] if same else f"{task.languages[a]}-{task.languages[b]}": v
                for (a, b), v in chosen.items()
            }
    return SingleLanguageScores(entry, tables, missing)


def _language_pairs(
    task: Task, ranks: Ranks
) -> tuple[list[pa.Table], dict[tuple[int, int], dict[str, float]], int]:
    """Score each pair of query and passage language.

    Returns a table of scores per query for each passage language, the means of each pair, and the
    number of queries and passage languages without an answer.
    """
    query, language = task.relevant[:, 0], task.passage_language[task.relevant[:, 1]]
    tables: list[pa.Table] = []
    means: dict[tuple[int, int], dict[str, float]] = {}
    missing = 0
    pairs = np.arange(len(query))
    if task.pivot is not None:
        pivot, spoken = task.languages.index(task.pivot), task.query_language[query]
        pairs = np.flatnonzero((language == spoken) | (language == pivot) | (spoken == pivot))
    # stable, so that the pairs of a language stay sorted by query
    pairs = pairs[np.argsort(language[pairs], kind="stable")]
    edges = np.searchsorted(language[pairs], np.arange(len(task.languages) + 1))
    for passage_language in np.unique(language[pairs]):
        rows = pairs[edges[passage_language] : edges[passage_language + 1]]
        answered = np.unique(query[rows])
        place = np.searchsorted(answered, query[rows])
        values = {
            name: metric(ranks.within_language[rows], place, len(answered), task.grades[rows])
            for name, metric in METRICS.items()
        }
        if task.pivot is None:
            missing += len(task.queries) - len(answered)
        for query_language in np.unique(task.query_language):
            mask = task.query_language[answered] == query_language
            if mask.any():
                means[int(query_language), int(passage_language)] = {
                    name: float(v[mask].mean()) for name, v in values.items()
                }
        tables.append(score_table(task, answered, values, passage_language))
    return tables, means, missing


def multilingual_pool(task: Task, rank: np.ndarray, top: np.ndarray) -> MultilingualPool:
    """Return the ranks of relevant passages in the multilingual scenario, as measures read them.

    Args:
        task: The task.
        rank: Rank of each relevant passage, as `MultilingualPool` has it.
        top: First passages of each query, likewise.
    """
    return MultilingualPool(
        query=task.relevant[:, 0],
        rank=rank,
        passage=task.relevant[:, 1],
        grade=task.grades,
        query_language=task.query_language,
        passage_language=task.passage_language,
        top=top,
        n_languages=len(task.languages),
    )


def multilingual_metrics(task: Task, ranks: Ranks) -> dict[str, np.ndarray]:
    """Score the multilingual scenario.

    Args:
        task: The task.
        ranks: Its ranks.

    Returns:
        float64 `[n_queries]` for each metric.
    """
    query, n_queries = task.relevant[:, 0], len(task.queries)
    return {
        name: metric(ranks.multilingual, query, n_queries, task.grades)
        for name, metric in {**METRICS, **MULTILINGUAL_METRICS}.items()
    }


def macro_means(task: Task, values: dict[str, np.ndarray]) -> dict[str, Any]:
    """Compute means over query languages.

    Args:
        task: The task.
        values: float64 `[n_queries]` for each measure; NaN is left out.

    Returns:
        The mean of the languages' means for each measure, and the latter under `by_language`.
    """
    by_language = {
        int(code): {k: _nanmean(v[task.query_language == code]) for k, v in values.items()}
        for code in np.unique(task.query_language)
    }
    means: dict[str, Any] = {
        k: _nanmean(np.array([v[k] for v in by_language.values()])) for k in values
    }
    means["by_language"] = {task.languages[code]: v for code, v in by_language.items()}
    return means


def language_shares(task: Task, pool: MultilingualPool) -> dict[str, dict[str, dict[str, float]]]:
    """Count the languages of the first answers.

    Args:
        task: The task.
        pool: Its ranks in the multilingual pool.

    Returns:
        For each query language, each language's share of the first ten (`top10_share`) and of the
        relevant passages (`fair_share`).
    """
    top, relevant_query = pool.top_language[:, :SHARE_DEPTH], task.query_language[pool.query]
    codes = np.unique(task.query_language)
    return {
        "top10_share": {
            task.languages[c]: _shares(top[task.query_language == c], task.languages) for c in codes
        },
        "fair_share": {
            task.languages[c]: _shares(pool.language[relevant_query == c], task.languages)
            for c in codes
        },
    }


def _shares(codes: np.ndarray, languages: Sequence[str]) -> dict[str, float]:
    """Compute the share of each language that occurs."""
    # -1 stands after the last passage of a list that is shorter
    count = np.bincount(codes[codes >= 0].ravel(), minlength=len(languages))
    return {languages[int(i)]: float(count[i] / max(count.sum(), 1)) for i in np.flatnonzero(count)}


def _nanmean(values: np.ndarray) -> float:
    """Compute the mean of the values that are not NaN; NaN where there is none."""
    numbers = values[~np.isnan(values)]
    return float(numbers.mean()) if len(numbers) else float("nan")


def score_table(
    task: Task,
    rows: np.ndarray,
    values: dict[str, np.ndarray],
    passage_language: int | None = None,
) -> pa.Table:
    """Make the table of scores per query.

    Args:
        task: The task.
        rows: int64 `[n]`, its queries.
        values: float64 `[n]` for each measure.
        passage_language: Code of the only passage language; None for the multilingual scenario.

    Returns:
        Columns `task`, `scenario`, `query`, `group`, `query_language`, `passage_language` ("" in
        the multilingual scenario), and one for each measure, null where it is not defined.
    """
    languages = np.array(task.languages)
    query_language = languages[task.query_language[rows]]
    answer = "" if passage_language is None else languages[passage_language]
    answers = np.full(len(rows), answer)
    scenario = np.where(
        answers == "",
        "multilingual",
        np.where(answers == query_language, "monolingual", "cross-lingual"),
    )
    columns: dict[str, Any] = {
        "task": pa.array([task.name] * len(rows)).dictionary_encode(),
        "scenario": pa.array(scenario).dictionary_encode(),
        "query": pa.array([task.query_ids[i] for i in rows]),
        "group": pa.array([task.query_group[i] for i in rows]),
        "query_language": pa.array(query_language).dictionary_encode(),
        "passage_language": pa.array(answers).dictionary_encode(),
    }
    columns.update({k: pa.array(v, from_pandas=True) for k, v in values.items()})
    return pa.table(columns)


def with_first_answers(
    table: pa.Table, task: Task, first: np.ndarray, right: np.ndarray
) -> pa.Table:
    """Add each query's first answer to a table of scores.

    Args:
        table: Scores of all queries.
        task: The task.
        first: int64 `[n_queries]`, passage of the first answer, -1 where there is none.
        right: bool `[n_queries]`, whether it is relevant.

    Returns:
        The table with the columns `first`, `first_language` and `first_is_relevant`.
    """
    languages = np.array(task.languages)
    for name, column in (
        ("first", pa.array([task.passage_ids[i] if i >= 0 else "" for i in first])),
        (
            "first_language",
            pa.array(np.where(first >= 0, languages[task.passage_language[first]], "")),
        ),
        ("first_is_relevant", pa.array(right)),
    ):
        table = table.append_column(name, column)
    return table
