"""Measuring a retriever: each text is encoded once, and one ranking serves all scenarios."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mixling.corpora.values import TITLES
from mixling.errors import MixlingError, choose
from mixling.evaluation.baselines import DenseRanker, make_ranker, task_vectors
from mixling.evaluation.benchmarks import load_tasks
from mixling.evaluation.bias.consistency import mean_rank_correlation
from mixling.evaluation.bias.gap import gaps
from mixling.evaluation.bias.table import bias_measures
from mixling.evaluation.examples import example_queries
from mixling.evaluation.hubs.reciprocity import QueryThresholds, query_thresholds
from mixling.evaluation.hubs.table import hub_entry
from mixling.evaluation.orders import ORDERS, compare_orders
from mixling.evaluation.ranks import DotScorer, Ranker, Ranks, Scorer, compute_ranks
from mixling.evaluation.result import EvaluationResult
from mixling.evaluation.rows import task_intervals
from mixling.evaluation.scenario_scores import (
    language_shares,
    macro_means,
    multilingual_metrics,
    multilingual_pool,
    score_table,
    single_language_scores,
    with_first_answers,
)
from mixling.evaluation.soundness import check_task
from mixling.evaluation.tasks import Task
from mixling.evaluation.top_lists import (
    Limits,
    ListScorer,
    SearchSystem,
    TopLists,
    find_limits,
    list_ranks,
)
from mixling.evaluation.trec import write_trec
from mixling.machine import library_versions, machine_info
from mixling.models.precision import Precision
from mixling.models.retriever import Retriever
from mixling.progress import Progress

# number of first answers kept: the deepest that a measure of bias reads, and that of a TREC run
DEPTH, TREC_DEPTH = 100, 1000
# bad rows that a summary names; it counts all
MAX_BAD_ROWS = 100


@dataclass(frozen=True)
class TaskScores:
    """Scores of one task.

    Args:
        entry: The task's entry of a summary.
        table: Scores per query.
        examples: Example queries with their first answers.
    """

    entry: dict[str, Any]
    table: pa.Table
    examples: list[dict[str, Any]]


def measure(
    model: Any,
    tasks: Sequence[str | Task],
    *,
    context: bool = False,
    precision: Precision = "auto",
    trec_dir: Path | None = None,
    vector_cache: Path | None = None,
    language: str | None = None,
    passage_model: Any = None,
    model_options: Mapping[str, Any] | None = None,
    trust_remote_code: bool = False,
    skip_bad: bool = False,
    orders: Sequence[str] = (),
) -> EvaluationResult:
    """Measure a model on tasks, in all three scenarios and with language bias.

    Means are macro means: over languages (monolingual), over ordered pairs of languages
    (cross-lingual), over query languages (multilingual).

    Args:
        model: A name, a Retriever, a baseline (see `mixling.evaluation.baselines`), or a search
            system (see `mixling.evaluation.top_lists`).
        tasks: Names, folders or Tasks.
        context: Passages are sentences followed by their paragraph.
        precision: Number format of the encoder; "auto" takes bf16 where it is faster.
        trec_dir: Folder for TREC run and qrels files; None writes none.
        vector_cache: Folder where vectors stay for the next call.
        language: Language of a folder's rows without a `language` field.
        passage_model: Another model that encodes the passages, as an existing index may have done.
        model_options: Arguments of `Retriever` for every model that is given by its name.
        trust_remote_code: Run the code that a model brings along.
        skip_bad: Skip rows that cannot be used; the summary counts and names them.
        orders: Search orders to measure beside `centered` (`mixling.evaluation.orders`).

    Returns:
        The result.

    Raises:
        MixlingError: There is no task, a task or model cannot be loaded, an order is unknown, or a
            score is not a number.
    """
    for order in orders:
        choose(order, ORDERS, "order to measure")
    if not tasks:
        raise MixlingError("there is no task to measure. Name one, for instance --task sample.")
    loaded = load_tasks(tasks, context, language, skip_bad)
    ranker: Ranker | SearchSystem
    if isinstance(model, SearchSystem):
        ranker = model
        results = {task.name: _measure_system(model, task, trec_dir) for task in loaded}
    else:
        ranker = make_ranker(
            model, precision, vector_cache, passage_model, trust_remote_code, model_options
        )
        if isinstance(ranker, DenseRanker):
            ranker.check_cost(loaded)
        results = {t.name: _measure_task(ranker, t, trec_dir, orders) for t in loaded}
    summary: dict[str, Any] = {
        "model": ranker.name,
        "origin": ranker.origin,
        # number format of the stored weights; they are computed in `precision`
        "stored": getattr(ranker, "stored", ""),
        # how the encoder is used and why, and the same of another encoder of the passages
        **getattr(ranker, "settings", {}),
        "precision": getattr(ranker, "precision", "fp32"),
        "context": context,
        "tasks": {name: scores.entry for name, scores in results.items()},
        "versions": library_versions(),
        "machine": machine_info(),
    }
    table = pa.concat_tables([x.table for x in results.values()], promote_options="default")
    return EvaluationResult(summary, table, {name: x.examples for name, x in results.items()})


def _measure_task(
    ranker: Ranker, task: Task, trec_dir: Path | None, orders: Sequence[str]
) -> TaskScores:
    """Encode, rank and score one task."""
    start_time = time.perf_counter()
    check_task(task)  # before anything is encoded
    scorer, counts = ranker.scorer(task)
    encoded_time = time.perf_counter()
    ranks = rank_task(task, scorer, DEPTH if trec_dir is None else TREC_DEPTH, ranker.name)
    scores = score_task(task, ranks, scorer)
    compared = None
    if isinstance(scorer, DotScorer):
        compared = compare_orders(task, ranks, scorer, orders)
    scores.entry.update(
        counts,
        **({} if compared is None else {"orders": compared}),
        data=task.fingerprint(),
        seconds_encoding=round(encoded_time - start_time, 2),
        seconds_ranking=round(time.perf_counter() - encoded_time, 2),
    )
    if trec_dir is not None:
        write_trec(task, ranks, trec_dir)
    return scores


def _measure_system(system: SearchSystem, task: Task, trec_dir: Path | None) -> TaskScores:
    """Ask a search system for a task's lists, and score them."""
    start_time = time.perf_counter()
    check_task(task)  # before anything is asked
    lists, counts = system.top_lists(task)
    asked_time = time.perf_counter()
    scores, ranks = score_lists(task, lists)
    scores.entry.update(
        counts,
        data=task.fingerprint(),
        seconds_encoding=round(asked_time - start_time, 2),
        seconds_ranking=round(time.perf_counter() - asked_time, 2),
    )
    if trec_dir is not None:
        write_trec(task, ranks, trec_dir)
    return scores


def score_lists(task: Task, lists: TopLists) -> tuple[TaskScores, Ranks]:
    """Compute the measures of a task that the lists of a search system allow.

    Args:
        task: The task.
        lists: The lists.

    Returns:
        The scores, whose `left_out` and `notes` say what the lists cannot tell, and the ranks.
    """
    ranks = list_ranks(task, lists)
    limits = find_limits(task, lists, ranks)
    scorer = None
    if "MRC@20" not in limits.measures:  # the lists hold all passages
        n_queries, n_passages = len(task.queries), len(task.passages)
        scorer = ListScorer(lists, n_passages)
        if "multilingual" in task.scenarios():
            found = query_thresholds(scorer.at, n_queries, n_passages)
            ranks = replace(ranks, query_threshold=found)
    scores = score_task(task, ranks, scorer, limits)
    scores.entry["skipped"].update(lists.counts)
    scores.entry["lists"] = {
        "depth": lists.depth,
        "queries_without_passages": int((lists.length == 0).sum()),
        "relevant": len(task.relevant),
        "relevant_without_rank": int(np.isinf(ranks.multilingual).sum()),
        "left_out_measures": limits.measures,
    }
    return scores, ranks


def rank_task(task: Task, scorer: Scorer, depth: int = DEPTH, model: str = "the model") -> Ranks:
    """Rank a task's relevant passages under a scorer.

    Args:
        task: The task.
        scorer: Its scores.
        depth: Number of best passages to keep for each query.
        model: Name of the model, for messages.

    Returns:
        The ranks, with the scores from which passages count queries among their nearest, where
        scores compare between queries.

    Raises:
        MixlingError: The task is not sound, or a score is NaN or infinite.
    """
    # as for MRC, only scorers that can look up any pair have scores that compare between queries
    thresholds = None
    if hasattr(scorer, "at") and "multilingual" in task.scenarios():
        thresholds = QueryThresholds(len(task.passages))

    def checked_scores(begin: int, end: int) -> np.ndarray:
        scores = scorer(begin, end)
        # one pass and no copy: the maximum is NaN where any score is
        if scores.size and not scores.max() < np.inf:
            row, column = np.argwhere(np.isnan(scores) | np.isposinf(scores))[0]
            raise MixlingError(
                f"{model}, task '{task.name}': the score of query "
                f"'{task.query_ids[begin + row]}' and passage '{task.passage_ids[column]}' is "
                f"{scores[row, column]}, so nothing was measured. Check the model's weights (a "
                "training that diverged leaves such weights), or measure with --precision fp32."
            )
        if thresholds is not None:
            thresholds.add(scores, None if task.excluded is None else task.excluded[begin:end])
        return scores

    check_task(task)
    with Progress(f"{task.name}: ranks") as bar:
        ranks = compute_ranks(
            checked_scores,
            len(task.queries),
            task.passage_language,
            task.relevant,
            task.passage_ids,
            depth=depth,
            excluded=task.excluded,
            progress=bar,
        )
    return ranks if thresholds is None else replace(ranks, query_threshold=thresholds.lowest)


def score_task(
    task: Task,
    ranks: Ranks,
    scorer: Scorer | ListScorer | None = None,
    limits: Limits | None = None,
) -> TaskScores:
    """Compute a task's metrics, measures of bias and intervals.

    Args:
        task: The task.
        ranks: Its ranks.
        scorer: Its scores, which MRC needs in the multilingual scenario; without them there is no
            MRC.
        limits: What the ranks cannot tell, where they are those of lists that end early.

    Returns:
        The scores.
    """
    limits = limits or Limits({}, {}, [])
    notes = [*task.notes, *limits.notes]
    entry: dict[str, Any] = {
        "languages": list(task.languages),
        "queries": len(task.queries),
        "passages": len(task.passages),
        "titles": {"form": TITLES, "passages": sum(map(bool, task.titles))},
        "skipped": dict(task.skipped),
        "bad_rows": list(task.bad_rows[:MAX_BAD_ROWS]),
        "left_out": {**task.left_out(), **limits.scenarios},
        "origin": dict(task.origin),
        **({"notes": notes} if notes else {}),
    }
    single = single_language_scores(task, ranks, leave_out=list(limits.scenarios))
    entry.update(single.entry)
    if single.missing:
        entry["skipped"]["pairs of query and passage language without an answer"] = single.missing
    tables, examples = list(single.tables), list[dict[str, Any]]()
    if "multilingual" in task.scenarios():
        multilingual, table, examples = _score_multilingual(task, ranks, scorer, limits)
        entry.update(multilingual)
        tables.append(table)
    entry["gaps"] = gaps(entry)
    scores = pa.concat_tables(tables, promote_options="default").unify_dictionaries()
    entry["intervals"] = task_intervals(scores)
    return TaskScores(entry, scores, examples)


def _score_multilingual(
    task: Task, ranks: Ranks, scorer: Scorer | ListScorer | None, limits: Limits
) -> tuple[dict[str, Any], pa.Table, list[dict[str, Any]]]:
    """Score the multilingual scenario: summary entries, scores per query, example queries."""
    pool = multilingual_pool(task, ranks.multilingual, ranks.top)
    with np.errstate(invalid="ignore"):  # relevant passages that a list lacks have no rank
        metrics, measures = multilingual_metrics(task, ranks), bias_measures(pool)
    if scorer is not None and hasattr(scorer, "at"):
        measures["MRC@20"] = mean_rank_correlation(ranks.top, task.query_group, scorer.at)
    for values in (metrics, measures):
        for name in set(limits.measures).intersection(values):
            values[name] = np.full(len(task.queries), np.nan)
    means = macro_means(task, {**metrics, "rank_distance": measures["rank_distance"]})
    entry = {
        "multilingual": {**means, **language_shares(task, pool)},
        "bias": macro_means(task, measures),
        "hubs": hub_entry(task, ranks, limits.measures),
    }
    right = pool.top_grade[:, 0] > 0
    table = score_table(task, np.arange(len(task.queries)), {**metrics, **measures})
    table = with_first_answers(table, task, ranks.top[:, 0], right)
    return entry, table, example_queries(task, ranks, right)


def scenario_means(
    retriever: Retriever, task: Task, precision: Precision = "auto"
) -> dict[str, dict[str, Any]]:
    """Compute the means of every scenario, without bias or intervals, as validation needs them.

    Args:
        retriever: The model.
        task: The task.
        precision: Number format of the encoder; "auto" takes bf16 where it is faster.

    Returns:
        The means of each scenario that the task has.

    Raises:
        MixlingError: A score is not a number.
    """
    queries, passages, _ = task_vectors(retriever, task, precision)
    ranks = rank_task(task, DotScorer(queries, passages), 10, retriever.name)
    entry = single_language_scores(task, ranks).entry
    if "multilingual" in task.scenarios():
        entry["multilingual"] = macro_means(task, multilingual_metrics(task, ranks))
    return entry
