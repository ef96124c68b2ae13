"""Scores of an encoder, brought to one scale for every pair of languages."""

from __future__ import annotations

from typing import Any

import numpy as np

from mixling.evaluation.ranks import Scorer
from mixling.evaluation.tasks import Task


class CalibratedScorer:
    """Scores of another scorer, brought to one scale for every pair of languages.

    A score becomes (score - mean) / deviation of its pair of languages.

    Args:
        scorer: The other scorer.
        task: The task that it scores.
        calibration: Content of a model's scores.json: `{"pairs": {"ar-en": [mean, deviation], …},
            "all": [mean, deviation]}`.
    """

    def __init__(self, scorer: Scorer, task: Task, calibration: dict[str, Any]):
        self.inner, self.task = scorer, task
        n = len(task.languages)
        self.mean, self.deviation = (np.full((n, n), x, np.float32) for x in calibration["all"])
        for i, a in enumerate(task.languages):
            for j, b in enumerate(task.languages):
                if f"{a}-{b}" in calibration["pairs"]:
                    self.mean[i, j], self.deviation[i, j] = calibration["pairs"][f"{a}-{b}"]

    def _adjust(self, scores: np.ndarray, queries: Any, passages: Any) -> np.ndarray:
        """Bring scores of some queries (rows) and passages (columns) to one scale."""
        cell = np.ix_(self.task.query_language[queries], self.task.passage_language[passages])
        return np.asarray((scores - self.mean[cell]) / self.deviation[cell])

    def __call__(self, begin: int, end: int) -> np.ndarray:
        """Score consecutive queries against all passages: float32 `[end - begin, n_passages]`."""
        return self._adjust(self.inner(begin, end), slice(begin, end), slice(None))

    def at(self, queries: np.ndarray, passages: np.ndarray) -> np.ndarray:
        """Score some queries against some passages: float32 `[len(queries), len(passages)]`."""
        return self._adjust(self.inner.at(queries, passages), queries, passages)
