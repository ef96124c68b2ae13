"""Validation.

A development task is measured during training, and the best step's weights are kept.
"""

from __future__ import annotations

import math
from typing import Any

from accelerate.utils import broadcast_object_list

from mixling.errors import MixlingError
from mixling.evaluation.benchmarks import load_task
from mixling.evaluation.measure import scenario_means
from mixling.models.precision import Precision
from mixling.models.retriever import Retriever
from mixling.training.config import ValidationConfig
from mixling.training.run_folder import RunFolder


class Validation:
    """Measures a development task every few steps and keeps the weights of the best step.

    Args:
        config: What to measure and how often, or None for no validation.
        run: The run's folder, where the best weights are saved.
        retriever: The model that is trained.
        precision: Number format of encoding, "fp32" or "bf16".
        measures: Whether this process measures. Of several processes one does, and tells the
            others.

    Attributes:
        best: The best measurement so far: step, value, metric, task, the number of measurements
            since then, and whether the run has stopped. None before the first measurement.
    """

    def __init__(
        self,
        config: ValidationConfig | None,
        run: RunFolder,
        retriever: Retriever,
        precision: Precision,
        measures: bool,
    ):
        self.config, self.run, self.retriever, self.precision = config, run, retriever, precision
        self.task = load_task(config.task) if config is not None and measures else None
        self.best: dict[str, Any] | None = None

    @property
    def stopped(self) -> bool:
        """Whether as many measurements as `patience` have passed without a new best."""
        return self.best is not None and bool(self.best["stopped"])

    def is_due(self, done: int) -> bool:
        """Whether to measure after `done` steps."""
        return self.config is not None and done % self.config.every == 0

    def measure(self, done: int) -> None:
        """Measure the task after `done` steps, on all processes at once.

        Raises:
            MixlingError: The metric is not among the task's results.
        """
        best = None if self.task is None else self._measure(done)
        self.best = broadcast_object_list([best])[0]

    def _measure(self, done: int) -> dict[str, Any]:
        assert self.config is not None and self.task is not None
        metric, patience = self.config.metric, self.config.patience
        scenario, _, name = metric.partition(".")
        self.retriever.model.eval()
        means = scenario_means(self.retriever, self.task, self.precision)
        value = means.get(scenario, {}).get(name, math.nan)
        if math.isnan(value):
            raise MixlingError(
                f"training.validation.metric is '{metric}', which is not among the results of "
                f"{self.task.name}. Write for instance multilingual.mAP or monolingual.nDCG@10."
            )
        if self.best is None or value > self.best["value"]:
            self.run.save_best(self.retriever.model.state_dict())
            return {
                "step": done,
                "value": value,
                "metric": metric,
                "task": self.task.name,
                "since": 0,
                "stopped": False,
            }
        since = self.best["since"] + 1
        return {**self.best, "since": since, "stopped": bool(patience and since >= patience)}

    def state_dict(self) -> dict[str, Any]:
        """Return the state that a checkpoint keeps."""
        return {"best": self.best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state of a checkpoint."""
        self.best = state["best"]
