"""The end of a run: averaged with the base, a map behind it, the model folder with its card, run.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mixling.corpora.files import write_text
from mixling.machine import library_versions, machine_info
from mixling.models.card import trained_card
from mixling.models.retriever import Retriever
from mixling.training.average import average_with
from mixling.training.base_model import load_base_model
from mixling.training.config import Config
from mixling.training.linear_transform import fit_after_training


def save_run(settings: Config, out: Path, retriever: Retriever, facts: dict[str, Any]) -> None:
    """Write `out`/model and then `out`/run.json, which says that the run is done. facts: steps, best, seconds, plan, precision,
    data, and of a soup its runs."""
    share = settings.training.average_with_base
    if share:
        average_with(retriever, load_base_model(settings.model), share)
    if settings.model.transform is not None:
        fit_after_training(settings, retriever, out, facts["precision"])
    run = {
        **facts,
        "base_stored": retriever.stored,
        "config": settings.model_dump(mode="json"),
        "versions": library_versions(),
        "machine": machine_info(),
    }
    origin = {
        "base": retriever.name,
        "license": retriever.origin.get("license"),
        "plan": facts["plan"],
    }
    retriever.save(out / "model", trained_card({**run, "license": origin["license"]}), origin)
    write_text(out / "run.json", json.dumps(run, indent=1, ensure_ascii=False))
