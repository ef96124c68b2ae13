"""Measure a retriever: each text encoded once, every setting from one pass over the exact ranks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mixling.corpora.values import TITLES
from mixling.errors import MixlingError
from mixling.evaluation import baselines
from mixling.evaluation.benchmarks import tasks as named
from mixling.evaluation.bias.consistency import mean_rank_correlation
from mixling.evaluation.bias.gap import gaps
from mixling.evaluation.bias.pool import MultilingualPool
from mixling.evaluation.bias.table import bias_measures
from mixling.evaluation.metrics import METRICS, MULTILINGUAL_METRICS
from mixling.evaluation.ranks import DotScorer, Ranks, Scorer, compute_ranks
from mixling.evaluation.result import EvaluationResult
from mixling.evaluation.rows import task_intervals
from mixling.evaluation.soundness import check_task
from mixling.evaluation.tasks import Task
from mixling.evaluation.trec import write_trec
from mixling.machine import library_versions, machine_info
from mixling.models.retriever import Retriever
from mixling.progress import Progress

# first answers kept: the deepest that a measure of bias reads
DEPTH = 100
# bad rows that a summary names; all are counted
NAMED = 100


def measure(
    model: str | Retriever,
    tasks: Sequence[str | Task],
    *,
    context: bool = False,
    precision: str = "fp32",
    trec: Path | None = None,
    vector_cache: Path | None = None,
    language: str | None = None,
    passage_model: str | Retriever | None = None,
    trust_remote_code: bool = False,
    skip_bad: bool = False,
) -> EvaluationResult:
    """Measure a model on tasks: monolingual, cross-lingual and pool, with language bias.

    model: a name, a Retriever, or a baseline (evaluation/baselines.py lists them); documents: another model that encodes
    the candidates, as that of an index which is there already; tasks: names, folders or
    Tasks. context: candidates are sentences with their paragraph; precision: "fp32" or "bf16"; trec: a folder
    for run and qrels files; keep: a folder where vectors stay for the next call; language: of a folder's rows
    that do not say theirs; trust_remote_code: as of Retriever; skip_bad: go on over rows that cannot be used, which the summary
    counts and names. Macro means: monolingual over languages, cross-lingual over ordered pairs, pool over
    question languages. Raises MixlingError.
    """
    if not tasks:
        raise MixlingError("nothing to measure: name a task, for instance --task sample")
    loaded = named(tasks, context, language, skip_bad)
    ranker = baselines.make_ranker(model, precision, vector_cache, passage_model, trust_remote_code)
    summary: dict[str, Any] = {
        "model": ranker.name,
        "origin": ranker.origin,
        "stored": getattr(
            ranker, "stored", ""
        ),  # number format of the weights, computed in `precision`
        "precision": precision,
        "context": context,
        "tasks": {},
    }
    tables, examples = [], {}
    for one in loaded:
        begun = time.perf_counter()
        check_task(one)  # before anything is encoded
        scorer, counted = ranker.scorer(one)
        encoded = time.perf_counter()
        found = rank_task(one, scorer, 1000 if trec is not None else DEPTH, ranker.name)
        entry, table, wrong = score_task(one, found, scorer)
        entry.update(
            counted,
            data=one.fingerprint(),
            seconds_encoding=round(encoded - begun, 2),
            seconds_ranking=round(time.perf_counter() - encoded, 2),
        )
        summary["tasks"][one.name] = entry
        tables.append(table)
        examples[one.name] = wrong
        if trec is not None:
            write_trec(one, found, trec)
    summary.update(versions=library_versions(), machine=machine_info())
    return EvaluationResult(summary, pa.concat_tables(tables, promote_options="default"), examples)


def rank_task(one: Task, scorer: Scorer, depth: int = DEPTH, model: str = "the model") -> Ranks:
    """The ranks of a task's relevant candidates under a scorer. Raises MixlingError where a score is no number."""

    def numbers(begin: int, end: int) -> np.ndarray:
        scores = scorer(begin, end)
        # one pass and no copy: the maximum is NaN where any score is
        if scores.size and not scores.max() < np.inf:
            row, column = np.argwhere(np.isnan(scores) | np.isposinf(scores))[0]
            raise MixlingError(
                f"{model}, task '{one.name}': the score of question '{one.query_ids[begin + row]}' and candidate "
                f"'{one.passage_ids[column]}' is {scores[row, column]}, not a number; nothing was measured. Check the model's "
                "weights (a training that diverged leaves such), or measure with --precision fp32"
            )
        return scores

    check_task(one)
    with Progress(f"{one.name}: ranks") as bar:
        return compute_ranks(
            numbers,
            len(one.queries),
            one.passage_language,
            one.relevant,
            one.passage_ids,
            depth=depth,
            excluded=one.excluded,
            progress=bar,
        )


def score_task(
    one: Task, found: Ranks, scorer: Scorer | None = None
) -> tuple[dict[str, Any], pa.Table, list[dict]]:
    """Summary entry, scores per query, and example questions of a task. scorer: for MRC, where there is a pool."""
    query, candidate = one.relevant.T
    n = len(one.queries)
    entry: dict[str, Any] = {
        "languages": list(one.languages),
        "queries": n,
        "passages": len(one.passages),
        "titles": {"form": TITLES, "passages": sum(map(bool, one.titles))},
        "skipped": dict(one.skipped),
        "bad_rows": list(one.bad_rows[:NAMED]),
        "left_out": one.left_out(),
    }
    by_setting, tables, missing = _alone(one, found)
    entry.update(by_setting)
    if missing:
        entry["skipped"]["pairs of question and corpus language without an answer"] = missing
    examples: list[dict] = []
    if "multilingual" in one.scenarios():
        pool = MultilingualPool(
            query,
            found.multilingual,
            candidate,
            one.grades,
            one.query_language,
            one.passage_language,
            found.top,
            len(one.languages),
        )
        values = _pool_values(one, found)
        measures = bias_measures(pool)
        if scorer is not None and hasattr(scorer, "at"):
            measures["MRC@20"] = mean_rank_correlation(found.top, one.query_group, scorer.at)
        entry["multilingual"] = _pool(
            one, pool, {**values, "rank_distance": measures["rank_distance"]}
        )
        entry["bias"] = _macro(one, measures)
        right = pool.top_grade[:, 0] > 0
        tables.append(
            _table(one, np.arange(n), None, {**values, **measures}, found.top[:, 0], right)
        )
        examples = _examples(one, found, right)
    entry["gaps"] = gaps(entry)
    table = pa.concat_tables(tables, promote_options="default").unify_dictionaries()
    entry["intervals"] = task_intervals(table)
    return entry, table, examples


def scenario_means(
    retriever: Retriever, one: Task, precision: str = "fp32"
) -> dict[str, dict[str, Any]]:
    """Every setting's means and nothing else (no bias, no intervals): what validation reads while training goes on."""
    queries, candidates, _ = baselines.task_vectors(retriever, one, precision)
    found = rank_task(one, DotScorer(queries, candidates), 10, retriever.name)
    entry, _, _ = _alone(one, found)
    if "multilingual" in one.scenarios():
        entry["multilingual"] = _macro(one, _pool_values(one, found))
    return entry


def _pool_values(one: Task, found: Ranks) -> dict[str, np.ndarray]:
    query, n = one.relevant[:, 0], len(one.queries)
    return {
        k: f(found.multilingual, query, n, one.grades)
        for k, f in {**METRICS, **MULTILINGUAL_METRICS}.items()
    }


def _alone(one: Task, found: Ranks) -> tuple[dict[str, dict[str, Any]], list[pa.Table], int]:
    """The settings where passages of one language stand alone: their means; tables; questions without an answer."""
    query, candidate = one.relevant.T
    tables, per_cell, missing = _cells(one, found, query, one.passage_language[candidate])
    entry: dict[str, dict[str, Any]] = {}
    for setting, same in (("monolingual", True), ("cross-lingual", False)):
        cells = {k: v for k, v in per_cell.items() if (k[0] == k[1]) == same}
        if setting in one.scenarios() and cells:
            entry[setting] = {m: float(np.mean([v[m] for v in cells.values()])) for m in METRICS}
            entry[setting]["by_language"] = {
                one.languages[a] if same else f"{one.languages[a]}-{one.languages[b]}": v
                for (a, b), v in cells.items()
            }
    return entry, tables, missing


def _cells(
    one: Task, found: Ranks, query: np.ndarray, language: np.ndarray
) -> tuple[list[pa.Table], dict[tuple[int, int], dict[str, float]], int]:
    """Scores where the passages of one language stand alone: tables, means by (question, passage) language, and
    how many questions have no answer in a language."""
    n = len(one.queries)
    asked = np.unique(one.query_language)
    tables: list[pa.Table] = []
    means: dict[tuple[int, int], dict[str, float]] = {}
    missing = 0
    kept = np.arange(len(query))
    if one.pivot is not None:
        pivot = one.languages.index(one.pivot)
        of = one.query_language[query]
        kept = np.flatnonzero((language == of) | (language == pivot) | (of == pivot))
    kept = kept[np.argsort(language[kept], kind="stable")]
    edges = np.searchsorted(language[kept], np.arange(len(one.languages) + 1))
    for passage_language in np.unique(language[kept]):
        mine = kept[edges[passage_language] : edges[passage_language + 1]]
        has = np.unique(query[mine])
        place = np.searchsorted(has, query[mine])
        values = {
            k: f(found.within_language[mine], place, len(has), one.grades[mine]) for k, f in METRICS.items()
        }
        missing += (n if one.pivot is None else len(has)) - len(has)
        for question_language in asked:
            some = one.query_language[has] == question_language
            if some.any():
                means[int(question_language), int(passage_language)] = {
                    k: float(v[some].mean()) for k, v in values.items()
                }
        tables.append(_table(one, has, passage_language, values))
    return tables, means, missing


def _macro(one: Task, values: dict[str, np.ndarray]) -> dict[str, Any]:
    """Means over question languages, and each language's."""
    asked = np.unique(one.query_language)
    per = {
        int(a): {k: _nanmean(v[one.query_language == a]) for k, v in values.items()} for a in asked
    }
    found: dict[str, Any] = {k: _nanmean(np.array([p[k] for p in per.values()])) for k in values}
    found["by_language"] = {one.languages[a]: v for a, v in per.items()}
    return found


def _pool(one: Task, pool: MultilingualPool, values: dict[str, np.ndarray]) -> dict[str, Any]:
    entry = _macro(one, values)
    n, names = len(one.languages), one.languages
    top, of = pool.top_language[:, :10], one.query_language[pool.query]
    asked = np.unique(one.query_language)
    entry["top10_share"] = {names[a]: _share(top[one.query_language == a], n, names) for a in asked}
    entry["fair_share"] = {names[a]: _share(pool.language[of == a], n, names) for a in asked}
    return entry


def _nanmean(values: np.ndarray) -> float:
    kept = values[~np.isnan(values)]
    return float(kept.mean()) if len(kept) else float("nan")


def _share(codes: np.ndarray, n: int, names: Sequence[str]) -> dict[str, float]:
    count = np.bincount(codes.ravel(), minlength=n)
    return {names[int(i)]: float(count[i] / max(count.sum(), 1)) for i in np.flatnonzero(count)}


def _table(
    one: Task,
    rows: np.ndarray,
    passage_language: int | None,
    values: dict[str, np.ndarray],
    first: np.ndarray | None = None,
    right: np.ndarray | None = None,
) -> pa.Table:
    names = np.array(one.languages)
    asked = names[one.query_language[rows]]
    answer = np.full(len(rows), "" if passage_language is None else names[passage_language])
    setting = np.where(
        answer == "", "multilingual", np.where(answer == asked, "monolingual", "cross-lingual")
    )
    columns: dict[str, Any] = {
        "task": pa.array([one.name] * len(rows)).dictionary_encode(),
        "scenario": pa.array(setting).dictionary_encode(),
        "query": pa.array([one.query_ids[i] for i in rows]),
        "group": pa.array([one.query_group[i] for i in rows]),
        "query_language": pa.array(asked).dictionary_encode(),
        "passage_language": pa.array(answer).dictionary_encode(),
    }
    columns.update({k: pa.array(v, from_pandas=True) for k, v in values.items()})
    if first is not None and right is not None:
        columns["first"] = pa.array([one.passage_ids[i] for i in first])
        columns["first_language"] = pa.array(names[one.passage_language[first]])
        columns["first_is_relevant"] = pa.array(right)
    return pa.table(columns)


def _examples(
    one: Task, found: Ranks, right: np.ndarray, most: int = 24, shown: int = 5
) -> list[dict]:
    """Questions whose first answer is wrong (and a few where it is right), spread over question languages: the
    first answers with their languages, and where the right ones are."""
    first = np.searchsorted(one.relevant[:, 0], np.arange(len(one.queries) + 1))
    wrong, good = (
        _spread(one, np.flatnonzero(x), n) for x, n in ((~right, most), (right, most // 4))
    )
    rows = []
    for q in [*wrong, *good]:
        pairs = slice(first[q], first[q + 1])
        order = np.argsort(found.multilingual[pairs], kind="stable")
        answers, places = one.relevant[pairs][order, 1], found.multilingual[pairs][order]
        mine = set(answers.tolist())
        rows.append(
            {
                "question": one.queries[q],
                "query_language": one.languages[one.query_language[q]],
                "first_is_right": bool(right[q]),
                "first": [
                    [one.passages[c][:240], one.languages[one.passage_language[c]], int(c) in mine]
                    for c in found.top[q, :shown]
                ],
                "right": [
                    one.passages[answers[0]][:240],
                    one.languages[one.passage_language[answers[0]]],
                ],
                "right_ranks": [
                    [one.languages[one.passage_language[c]], int(r)]
                    for c, r in list(zip(answers, places, strict=True))[:20]
                ],
            }
        )
    return rows


def _spread(one: Task, rows: np.ndarray, most: int) -> list[int]:
    """Up to `most` of some queries, evenly over their languages and over each language's queries."""
    asked = np.unique(one.query_language[rows])
    each = -(-most // max(len(asked), 1))
    chosen = []
    for turn in range(each):
        for number, code in enumerate(asked):
            mine = rows[one.query_language[rows] == code]
            chosen.append(
                int(
                    mine[
                        ((turn * len(asked) + number) * len(mine) // (each * len(asked)) + number)
                        % len(mine)
                    ]
                )
            )
    return list(dict.fromkeys(chosen))[:most]
