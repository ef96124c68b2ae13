"""Hashes of the inputs of a study's variant.

No earlier result is shown after its data, model or configuration has changed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mixling.corpora.inputs import hash_model_files
from mixling.debiasing.debias import read_source
from mixling.evaluation.tasks import Task
from mixling.models.hub_cache import in_hub_cache
from mixling.models.weights import DEFAULT
from mixling.training.config import Config
from mixling.training.inputs import input_hashes


def variant_inputs(
    config: Config | None,
    model: str | None,
    debias: dict[str, Any],
    tasks: Sequence[Task],
    precision: str,
    cache: dict[str, str],
) -> dict[str, str]:
    """Return hashes of all that a variant reads.

    Args:
        config: The configuration of a training, or None.
        model: The model that is measured where nothing is trained.
        debias: Arguments of `mixling.debias`.
        tasks: Tasks that are measured.
        precision: Precision of the evaluation.
        cache: Hashes of files that were read before; new ones are added.

    Returns:
        A hash, or the value itself, by the name of the input.
    """
    options = json.dumps(
        [None if config is None else config.model_dump(mode="json"), model, debias], sort_keys=True
    )
    hashes = {"settings": hashlib.sha256(options.encode()).hexdigest(), "precision": precision}
    hashes.update({f"task '{t.name}'": t.fingerprint() for t in tasks})
    hashes.update(
        input_hashes(config, cache)
        if config is not None
        else _model_inputs(model or DEFAULT, cache)
    )
    for name in debias.get("fit", ()):
        key = f"fit {name}"
        if key not in cache:
            cache[key] = read_source(name, debias.get("languages"))[0].fingerprint()
        hashes[f"fitted source '{name}'"] = cache[key]
    return hashes


def _model_inputs(name: str, cache: dict[str, str]) -> dict[str, str]:
    """Return hashes of a ranker's models (`late:NAME`, `NAME+bm25:rrf`) on this machine."""
    hashes = {}
    for part in re.split(r"^late:|\+", name):
        folder: str | None = None
        if Path(part).is_dir():
            folder = part
        elif re.fullmatch(r"[\w.-]+/[\w.-]+", part):
            folder = in_hub_cache(part)
        if folder is not None:
            if folder not in cache:
                cache[folder] = hash_model_files(folder)
            hashes[f"model '{part}'"] = cache[folder]
    return hashes
