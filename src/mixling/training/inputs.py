"""Hashes of the inputs of a run.

Its corpora, model, teachers, excluded tasks, sources of a transform, and validation task.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from mixling.corpora.inputs import INPUTS_FILE, check_unchanged, hash_model_files
from mixling.debiasing.debias import read_source
from mixling.errors import MixlingError
from mixling.evaluation.benchmarks import load_task
from mixling.models.fingerprints import full_fingerprint
from mixling.models.weights import locate_model
from mixling.training.base_model import load_base_model
from mixling.training.config import Config
from mixling.training.linear_transform import fit_sources
from mixling.training.load_config import migrate_config
from mixling.training.run_folder import RunFolder
from mixling.training.training_data import load_source

logger = logging.getLogger(__name__)


def input_hashes(config: Config, cache: dict[str, str] | None = None) -> dict[str, str]:
    """Hash the inputs of a run.

    Args:
        config: The run's configuration.
        cache: Hashes of earlier calls, by what was read. New ones are added.

    Returns:
        The SHA-256 of each input, by a name for people.

    Raises:
        MixlingError: An input cannot be read.
    """
    cache = {} if cache is None else cache

    def cached(key: object, compute: Callable[[], str]) -> str:
        name = repr(key)
        if name not in cache:
            cache[name] = compute()
        return cache[name]

    model, skip_bad = config.model, config.data.skip_bad
    hashes = {
        f"source '{s.name}'": cached(
            (s, skip_bad),
            lambda s=s: load_source(s, skip_bad).fingerprint(),  # type: ignore[misc]
        )
        for s in config.data.sources
    }
    hashes[f"model '{model.name}'"] = cached(
        model, lambda: full_fingerprint(load_base_model(model, "cpu"))
    )
    for term in config.objective.terms:
        if term.teacher is not None:
            compute = partial(_teacher_hash, term.teacher)
            hashes[f"teacher '{term.teacher}'"] = cached(term.teacher, compute)
    for name in config.data.exclude:
        hashes[f"excluded task '{name}'"] = cached(
            ("excluded", name, skip_bad),
            lambda n=name: load_task(n, skip_bad=skip_bad).fingerprint(),  # type: ignore[misc]
        )
    languages = model.transform.languages if model.transform else None
    for name in fit_sources(config):
        hashes[f"transform's source '{name}'"] = cached(
            (name, languages),
            lambda n=name: read_source(n, languages)[0].fingerprint(),  # type: ignore[misc]
        )
    if config.training.validation:
        task = config.training.validation.task
        hashes[f"task '{task}'"] = cached(("task", task), lambda: load_task(task).fingerprint())
    return hashes


def _teacher_hash(name: str) -> str:
    return hash_model_files(locate_model(name)[0])


def claim_run(config: Config, run: RunFolder) -> None:
    """Start a run in its folder, or check that its inputs have not changed.

    If the run is finished and its inputs cannot be read any more, a warning says so.

    Raises:
        MixlingError: The folder holds another run, or an input has changed or cannot be read.
    """
    new = run.claim(config.model_dump(mode="json"), migrate_config)
    recorded = {}
    if run.finished and not (run.path / INPUTS_FILE).exists():  # a version that kept no hashes
        data = run.record().get("data", {})
        recorded = {f"source '{k}'": v["sha256"] for k, v in data.items()}
    try:
        hashes = input_hashes(config)
    except MixlingError as error:
        if not run.finished:
            raise
        logger.warning(
            "%s: the run is finished, but its inputs cannot be read, so it is not known whether "
            "they have changed. %s",
            run.path,
            error,
        )
        return
    check_unchanged(run.path, hashes, new, recorded)
