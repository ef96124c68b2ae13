"""What a study's variant reads, by hash, so that no kept result is shown after its data, model or settings have changed."""

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
from mixling.models.weights import DEFAULT, in_hub_cache
from mixling.training.config import Config
from mixling.training.inputs import inputs


def variant_inputs(
    config: Config | None,
    model: str | None,
    debias: dict[str, Any],
    tasks: Sequence[Task],
    precision: str,
    known: dict[str, str],
) -> dict[str, str]:
    """{what: hash, or the setting itself}. config: of what is trained; model: what is measured as it is; known: see
    `training.inputs`."""
    settings = json.dumps(
        [None if config is None else config.model_dump(mode="json"), model, debias], sort_keys=True
    )
    found = {"settings": hashlib.sha256(settings.encode()).hexdigest(), "precision": precision}
    found.update({f"task '{t.name}'": t.fingerprint() for t in tasks})
    found.update(
        inputs(config, known) if config is not None else _of_model(model or DEFAULT, known)
    )
    for name in debias.get("fit", ()):
        if f"fit {name}" not in known:
            known[f"fit {name}"] = read_source(name, debias.get("languages"))[0].fingerprint()
        found[f"fitted source '{name}'"] = known[f"fit {name}"]
    return found


def _of_model(name: str, known: dict[str, str]) -> dict[str, str]:
    """The models of what `evaluate` measures (`late:NAME`, `NAME+bm25:rrf`), those whose files are on this machine."""
    found = {}
    for part in re.split(r"^late:|\+", name):
        folder = (
            part
            if Path(part).is_dir()
            else in_hub_cache(part)
            if re.fullmatch(r"[\w.-]+/[\w.-]+", part)
            else None
        )
        if folder is not None:
            if folder not in known:
                known[folder] = hash_model_files(folder)
            found[f"model '{part}'"] = known[folder]
    return found
