"""A development task measured as training goes on; the best step's weights are kept."""

from __future__ import annotations

import math
from pathlib import Path

from mixling.errors import MixlingError
from mixling.evaluation.measure import scenario_means
from mixling.evaluation.tasks import Task
from mixling.models.retriever import Retriever
from mixling.training import checkpoint
from mixling.training.config import ValidationConfig


def validate(
    v: ValidationConfig,
    one: Task,
    out: Path,
    retriever: Retriever,
    best: dict | None,
    step: int,
    precision: str,
) -> dict:
    retriever.model.eval()
    setting, _, metric = v.metric.partition(".")
    value = scenario_means(retriever, one, precision).get(setting, {}).get(metric, math.nan)
    if math.isnan(value):
        raise MixlingError(
            f"training.validation.metric '{v.metric}' is not among the results of {one.name}; "
            "write for instance multilingual.mAP or monolingual.nDCG@10"
        )
    if best is None or value > best["value"]:
        checkpoint.write_checkpoint(
            out / "checkpoints" / "best.pt", {"model": retriever.model.state_dict()}
        )
        return {
            "step": step,
            "value": value,
            "metric": v.metric,
            "task": one.name,
            "since": 0,
            "stopped": False,
        }
    since = best["since"] + 1
    return {**best, "since": since, "stopped": bool(v.patience and since >= v.patience)}
