"""Whether a task can be measured: one that cannot would give figures, and wrong ones (a pair that stands twice counts twice)."""

from __future__ import annotations

from collections import Counter

import numpy as np

from mixling.errors import MixlingError
from mixling.evaluation.tasks import Task


def sound(one: Task) -> None:
    """Raises MixlingError where rows, ids, relevance or grades of a task do not fit together."""
    n, m = len(one.queries), len(one.passages)
    for name, length in (("query_ids", n), ("query_language", n), ("query_group", n), ("passage_ids", m),
                         ("passage_language", m), ("titles", m), ("grades", len(one.relevant))):  # fmt: skip
        if len(getattr(one, name)) != length:
            _refuse(one, f"{name} has {len(getattr(one, name))} rows, expected {length}")
    for ids, what in ((one.query_ids, "queries"), (one.passage_ids, "passages")):
        if len(set(ids)) < len(ids):
            twice = next(x for x, k in Counter(ids).items() if k > 1)
            _refuse(one, f"two {what} have the id '{twice}'; give each its own")
    pairs, grades = np.asarray(one.relevant), np.asarray(one.grades)
    if not len(pairs):
        _refuse(one, "no question has an answer among the candidates; nothing to measure")
    if pairs.ndim != 2 or pairs.shape[1] != 2 or not np.issubdtype(pairs.dtype, np.integer):
        _refuse(one, f"relevant is {pairs.dtype} of shape {pairs.shape}, expected int64 [n, 2]")
    outside = (pairs < 0) | (pairs >= [n, m])
    if outside.any():
        row = int(np.argmax(outside.any(1)))
        _refuse(
            one,
            f"relevant, row {row}: {pairs[row].tolist()} is no query and candidate of {n} and {m}",
        )
    key = pairs[:, 0] * m + pairs[:, 1]
    if (np.diff(key) <= 0).any():
        row = int(np.argmax(np.diff(key) <= 0)) + 1
        _refuse(
            one,
            f"relevant, row {row}: {pairs[row].tolist()} stands twice or out of order; sort the pairs and drop doubles",
        )
    if not np.issubdtype(grades.dtype, np.integer) or (grades < 1).any():
        wrong = grades[int(np.argmax(~(grades >= 1) | (grades % 1 != 0)))]
        _refuse(
            one,
            f"grades has {wrong}, expected whole numbers from 1; what is not relevant is left out of relevant",
        )
    answered = np.unique(pairs[:, 0])
    if len(answered) < n:
        lost = one.query_ids[int(np.setdiff1d(np.arange(n), answered)[0])]
        _refuse(
            one,
            f"{n - len(answered)} queries have no answer, the first is '{lost}'; leave them out",
        )
    if one.excluded is not None:
        own = one.excluded[pairs[:, 0]] == pairs[:, 1]
        if own.any():
            _refuse(
                one,
                f"query '{one.query_ids[int(pairs[np.argmax(own), 0])]}' excludes its own answer",
            )


def _refuse(one: Task, why: str) -> None:
    raise MixlingError(f"task '{one.name}': {why}")
