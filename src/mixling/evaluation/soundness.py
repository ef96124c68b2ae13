"""Checks of a task before it is measured.

A task that is not sound would give wrong figures: a pair that stands twice would count twice.
"""

from __future__ import annotations

from collections import Counter
from typing import NoReturn

import numpy as np

from mixling.errors import MixlingError
from mixling.evaluation.tasks import Task


def check_task(task: Task) -> None:
    """Check that rows, ids, relevance and grades of a task fit together.

    Args:
        task: The task.

    Raises:
        MixlingError: They do not; the message names the first row that is wrong.
    """
    _check_lengths(task)
    for ids, what in ((task.query_ids, "queries"), (task.passage_ids, "passages")):
        if len(set(ids)) < len(ids):
            twice = next(x for x, n in Counter(ids).items() if n > 1)
            _refuse(task, f"two {what} have the id '{twice}'. Give each its own id")
    _check_relevant(task)
    _check_grades(task)
    _check_answers(task)


def _check_lengths(task: Task) -> None:
    """Check that each field has one row a query, passage or relevant pair."""
    n_queries, n_passages = len(task.queries), len(task.passages)
    for name, length in (
        ("query_ids", n_queries),
        ("query_language", n_queries),
        ("query_group", n_queries),
        ("passage_ids", n_passages),
        ("passage_language", n_passages),
        ("titles", n_passages),
        ("grades", len(task.relevant)),
    ):
        if len(getattr(task, name)) != length:
            _refuse(task, f"{name} has {len(getattr(task, name))} rows. Expected {length}")


def _check_relevant(task: Task) -> None:
    """Check that the relevant pairs are of the right type, within bounds, sorted and different."""
    pairs, n_queries, n_passages = np.asarray(task.relevant), len(task.queries), len(task.passages)
    if not len(pairs):
        _refuse(
            task,
            "no query has a relevant passage, so there is nothing to measure. Check the ids in "
            "relevant",
        )
    if pairs.ndim != 2 or pairs.shape[1] != 2 or not np.issubdtype(pairs.dtype, np.integer):
        _refuse(
            task,
            f"relevant has the type {pairs.dtype} and the shape {pairs.shape}. Expected int64 "
            "[n, 2]",
        )
    outside = (pairs < 0) | (pairs >= [n_queries, n_passages])
    if outside.any():
        row = int(np.argmax(outside.any(1)))
        _refuse(
            task,
            f"row {row} of relevant is {pairs[row].tolist()}. Expected a query below {n_queries} "
            f"and a passage below {n_passages}, both from 0",
        )
    key = pairs[:, 0] * n_passages + pairs[:, 1]
    if (np.diff(key) <= 0).any():
        row = int(np.argmax(np.diff(key) <= 0)) + 1
        _refuse(
            task,
            f"row {row} of relevant is {pairs[row].tolist()}, which is repeated or out of order. "
            "Sort the pairs, and remove repeated ones",
        )


def _check_grades(task: Task) -> None:
    """Check that the grades are whole numbers from 1."""
    grades = np.asarray(task.grades)
    if not np.issubdtype(grades.dtype, np.integer) or (grades < 1).any():
        wrong = grades[int(np.argmax(~(grades >= 1) | (grades % 1 != 0)))]
        _refuse(
            task,
            f"grades has {wrong}. Expected whole numbers from 1; leave passages that are not "
            "relevant out of relevant",
        )


def _check_answers(task: Task) -> None:
    """Check that each query has an answer and does not exclude it."""
    pairs = np.asarray(task.relevant)
    answered = np.unique(pairs[:, 0])
    if len(answered) < len(task.queries):
        unanswered = np.setdiff1d(np.arange(len(task.queries)), answered)
        _refuse(
            task,
            f"{len(unanswered)} queries have no relevant passage; the first is "
            f"'{task.query_ids[int(unanswered[0])]}'. Leave them out",
        )
    if task.excluded is not None:
        excludes_answer = task.excluded[pairs[:, 0]] == pairs[:, 1]
        if excludes_answer.any():
            query = int(pairs[np.argmax(excludes_answer), 0])
            _refuse(
                task,
                f"query '{task.query_ids[query]}' excludes its own relevant passage. Correct "
                "`excluded` or `relevant`",
            )


def _refuse(task: Task, reason: str) -> NoReturn:
    """Raise MixlingError with the task's name."""
    raise MixlingError(f"task '{task.name}': {reason}.")
