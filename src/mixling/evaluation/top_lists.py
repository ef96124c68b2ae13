"""Ranks from the first k passages of a search system, and the measures that they do not allow.

A system that is only asked, or a TREC run, gives a list for each query. A relevant passage that the
list lacks has no rank. It counts as not retrieved, as in trec_eval; its rank is infinite here. A
figure that would depend on ranks beyond the lists is left out:

| figure | computed if |
|---|---|
| mAP | always; a relevant passage without a rank adds nothing, as in trec_eval |
| a figure at depth k | each list has k passages of the task, or ended by itself before |
| rank distance, Max@R | every relevant passage has a rank |
| MRC@20, reciprocity@10 | the lists hold all passages |
| monolingual, cross-lingual | each relevant passage has a rank, or ten passages of its language \
stand in the list without it |

The last two scenarios are the list restricted to the passages of one language, which is what the
system returns with a filter for that language.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from mixling.evaluation.bias.table import ALL
from mixling.evaluation.hubs.table import MEASURES as HUB_MEASURES
from mixling.evaluation.metrics import METRICS, MULTILINGUAL_METRICS
from mixling.evaluation.ranks import Ranks
from mixling.evaluation.tasks import SCENARIOS, Scenario, Task

# depth of the deepest measure of the scenarios in which one language stands alone
SINGLE_LANGUAGE_DEPTH = 10
# first passages that the measures of bias read at most
READ_DEPTH = 100
# measures that need the rank of every relevant passage
NEED_ALL_RANKS = ("rank_distance", "relative_rank_distance", "Max@R")
# measures that need the scores of passages beyond the first k
NEED_ALL_SCORES = ("MRC@20", "reciprocity@10")


@dataclass(frozen=True)
class TopLists:
    """The passages that a system returned for each query of a task, best first.

    Args:
        passages: int32 `[n_queries, k]`, rows of the task's passages, -1 after the last.
        scores: float32 `[n_queries, k]`, their scores, 0 after the last.
        cut: bool `[n_queries]`, whether more passages may follow in the system's ranking.
        depth: Number of passages that were asked for, or the longest list of a file.
        counts: Number of things that were left out, by what they are.
    """

    passages: np.ndarray
    scores: np.ndarray
    cut: np.ndarray
    depth: int
    counts: dict[str, int]

    @property
    def length(self) -> np.ndarray:
        """Number of passages of each list, int64 `[n_queries]`."""
        return np.asarray((self.passages >= 0).sum(1))


@runtime_checkable
class SearchSystem(Protocol):
    """A system that answers a task's queries with lists of passages."""

    name: str
    origin: dict[str, Any]

    def top_lists(self, task: Task) -> tuple[TopLists, dict[str, Any]]:
        """Return the lists of a task.

        Args:
            task: The task.

        Returns:
            The lists, and what was counted on the way, for the summary.
        """


def make_top_lists(
    task: Task,
    lists: Sequence[tuple[Sequence[int] | np.ndarray, Sequence[float] | np.ndarray | None]],
    depth: int,
    counts: dict[str, int],
    returned: Sequence[int] | None = None,
) -> TopLists:
    """Bring the answers of a system into arrays.

    Scores that do not fall along a list are replaced by the places from its end, so that the order
    of the system stays what a TREC file says.

    Args:
        task: The task.
        lists: For each query the rows of its passages, best first, and their scores.
        depth: Number of passages that were asked for.
        counts: Number of things that were left out before, by what they are.
        returned: Number of passages that the system returned for each query, unknown ones among
            them. By default the length of its list.

    Returns:
        The lists, without the passage that is the query itself.
    """
    n_queries, n_passages = len(task.queries), len(task.passages)
    excluded = np.full(n_queries, -1) if task.excluded is None else task.excluded
    width = max(1, max((len(rows) for rows, _ in lists), default=1))
    width = max(width, min(READ_DEPTH, n_passages - bool((excluded >= 0).any())))
    passages = np.full((n_queries, width), -1, np.int32)
    scores = np.zeros((n_queries, width), np.float32)
    cut = np.zeros(n_queries, bool)
    for query, (rows, values) in enumerate(lists):
        row = np.asarray(rows, np.int32)
        score = np.arange(len(row), 0, -1, dtype=np.float32)
        if values is not None and len(values) == len(row):
            given = np.asarray(values, np.float32)
            if np.isfinite(given).all() and (np.diff(given) <= 0).all():
                score = given
        mask = row != excluded[query]
        row, score = row[mask], score[mask]
        passages[query, : len(row)], scores[query, : len(row)] = row, score
        complete = len(row) >= n_passages - (excluded[query] >= 0)
        n_returned = len(rows) if returned is None else returned[query]
        cut[query] = n_returned >= depth and not complete
    return TopLists(passages, scores, cut, depth, counts)


def list_ranks(task: Task, lists: TopLists) -> Ranks:
    """Rank the relevant passages of a task within the lists of a system.

    Args:
        task: The task.
        lists: The lists.

    Returns:
        The ranks as float64, infinite for relevant passages that a list lacks; `top` is -1 after
        the last passage of a list.
    """
    within_language, multilingual = np.full((2, len(task.relevant)), np.inf)
    first = np.searchsorted(task.relevant[:, 0], np.arange(len(task.queries) + 1))
    for query, length in enumerate(lists.length):
        row = lists.passages[query, :length]
        language = task.passage_language[row]
        order = np.argsort(row)
        for pair in range(first[query], first[query + 1]):
            passage = task.relevant[pair, 1]
            place = np.searchsorted(row, passage, sorter=order)
            if place < length and row[order[place]] == passage:
                rank = int(order[place]) + 1
                multilingual[pair] = rank
                same = language[:rank] == task.passage_language[passage]
                within_language[pair] = np.count_nonzero(same)
    return Ranks(within_language, multilingual, lists.passages, lists.scores)


@dataclass(frozen=True)
class Limits:
    """The measures that the lists of a system do not allow.

    Args:
        scenarios: Reason for each scenario that is left out.
        measures: Reason for each measure of the multilingual scenario that is left out.
        notes: Sentences for a reader of the figures.
    """

    scenarios: dict[Scenario, str]
    measures: dict[str, str]
    notes: list[str]


def find_limits(task: Task, lists: TopLists, ranks: Ranks) -> Limits:
    """Find the figures that a task's lists cannot give.

    Args:
        task: The task.
        lists: The lists.
        ranks: The ranks in them.

    Returns:
        What is left out, with reasons, and notes.
    """
    length = lists.length
    missing = np.isinf(ranks.multilingual)
    scenarios = _undecided_scenarios(task, lists, missing)
    measures: dict[str, str] = {}
    shortest = int(length[lists.cut].min()) if lists.cut.any() else None
    for name in (*METRICS, *MULTILINGUAL_METRICS, *ALL, *HUB_MEASURES):
        k = measure_depth(name)
        if name in NEED_ALL_RANKS:
            if missing.any():
                measures[name] = (
                    f"{missing.sum():,} of {len(missing):,} relevant passages have no rank"
                )
        elif name in NEED_ALL_SCORES:
            if (length < len(task.passages) - (task.excluded is not None)).any():
                measures[name] = "it needs the scores of passages beyond the lists"
        elif k is not None and shortest is not None and k > shortest:
            measures[name] = f"a list ends after {shortest:,} of the task's passages"
    notes = [
        f"The lists have up to {lists.depth:,} passages. mAP counts {missing.sum():,} of "
        f"{len(missing):,} relevant passages as not retrieved, as trec_eval does, because no list "
        "holds them."
    ]
    if not missing.any():
        notes = [f"The lists have up to {lists.depth:,} passages and hold all relevant ones."]
    if not length.all():
        notes.append(
            f"{np.count_nonzero(length == 0):,} of {len(length):,} queries have no passages; they "
            "count as not answered."
        )
    unanswered = np.bincount(task.relevant[~missing, 0], minlength=len(length)) == 0
    if unanswered.any():
        notes.append(
            f"LPR and same_language_preference leave out {np.count_nonzero(unanswered):,} queries, "
            "whose lists hold no relevant passage."
        )
    by_reason: dict[str, list[str]] = {}
    for name, reason in measures.items():
        by_reason.setdefault(reason, []).append(name)
    notes += [f"Left out: {', '.join(names)}: {why}." for why, names in by_reason.items()]
    return Limits(scenarios, measures, notes)


def measure_depth(name: str) -> int | None:
    """Return the number of first passages that a measure reads, None where that is not fixed."""
    match = re.search(r"@(\d+)", name)
    return int(match[1]) if match else 1 if name.startswith("first_") else None


def _undecided_scenarios(task: Task, lists: TopLists, missing: np.ndarray) -> dict[Scenario, str]:
    """Find the scenarios of one passage language that the lists are too short for."""
    query, passage = task.relevant[missing].T
    language = task.passage_language[passage]
    length = lists.length
    # passages of that language in the query's list
    seen = np.array(
        [
            np.count_nonzero(task.passage_language[lists.passages[q, : length[q]]] == code)
            for q, code in zip(query, language, strict=True)
        ],
        np.int64,
    )
    undecided = lists.cut[query] & (seen < SINGLE_LANGUAGE_DEPTH)
    same = language == task.query_language[query]
    if task.pivot is not None:
        pivot = task.languages.index(task.pivot)
        undecided &= same | (language == pivot) | (task.query_language[query] == pivot)
    reasons: dict[Scenario, str] = {}
    for scenario, mask in (("monolingual", same), ("cross-lingual", ~same)):
        number = np.count_nonzero(undecided & mask)
        if number and scenario in task.scenarios():
            name = next(s for s in SCENARIOS if s == scenario)
            reasons[name] = (
                f"{number:,} relevant passages have no rank, and fewer than "
                f"{SINGLE_LANGUAGE_DEPTH} passages of their language are in the list of "
                f"{lists.depth:,}; ask for more passages (--depth)"
            )
    return reasons


class ListScorer:
    """Scores of the passages in lists that hold all passages, for MRC and reciprocity.

    Args:
        lists: The lists.
        n_passages: Number of passages of the task.
    """

    def __init__(self, lists: TopLists, n_passages: int):
        self.lists, self.n_passages = lists, n_passages

    def at(self, queries: np.ndarray, passages: np.ndarray) -> np.ndarray:
        """Look up scores: float32 `[len(queries), len(passages)]`."""
        scores = np.full((len(queries), self.n_passages), -np.inf, np.float32)
        for place, query in enumerate(queries):
            mask = self.lists.passages[query] >= 0
            scores[place, self.lists.passages[query, mask]] = self.lists.scores[query, mask]
        return np.asarray(scores[:, passages])
