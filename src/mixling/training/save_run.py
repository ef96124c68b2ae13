"""The end of a run.

Weights averaged with the base model, a transform, the model folder, run.json.
"""

from __future__ import annotations

from typing import Any

from mixling.machine import library_versions, machine_info
from mixling.models.card import trained_card
from mixling.models.retriever import Retriever
from mixling.training.average import average_with
from mixling.training.base_model import load_base_model
from mixling.training.config import Config
from mixling.training.linear_transform import fit_after_training
from mixling.training.run_folder import RunFolder


def save_run(
    config: Config, prepared: Config, run: RunFolder, retriever: Retriever, facts: dict[str, Any]
) -> None:
    """Write the model folder and then run.json, which marks the run as finished.

    Args:
        config: The configuration as the user gave it: model card and run.json show it.
        prepared: The configuration with prepared inputs in place of what they were made from.
        run: The run's folder.
        retriever: The trained model; it is averaged and transformed in place as configured.
        facts: What the record holds beside configuration, versions and machine: steps, best,
            seconds, plan, precision, processes, data, and the runs of a soup.
    """
    base_weight = config.training.average_with_base
    if base_weight:
        average_with(retriever, load_base_model(prepared.model), base_weight)
    if prepared.model.transform is not None:
        fit_after_training(prepared, retriever, run.path, facts["precision"])
    record = {
        **facts,
        "base_stored": retriever.stored,
        "config": config.model_dump(mode="json"),
        "versions": library_versions(),
        "machine": machine_info(),
    }
    license = retriever.origin.get("license")
    origin = {"base": config.model.name, "license": license, "plan": facts["plan"]}
    retriever.save(run.model, trained_card({**record, "license": license}), origin)
    run.finish(record)
