"""All that a run reads, by hash: its corpora, its model, teachers, what its map is fitted on, what it is validated on."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from mixling.corpora.inputs import INPUTS_FILE, check_unchanged, hash_model_files
from mixling.debiasing.debias import read_source
from mixling.encoding.vectors import identity
from mixling.errors import MixlingError
from mixling.evaluation.benchmarks import load_task
from mixling.models.weights import locate_model
from mixling.training.base_model import load_base_model
from mixling.training.config import Config
from mixling.training.linear_transform import fitted_on
from mixling.training.prepare import corpus_of


def inputs(settings: Config, known: dict[str, str] | None = None) -> dict[str, str]:
    """{what: SHA-256 of its content}. known: hashes of earlier calls by what was read, to be filled and read from."""
    known = {} if known is None else known

    def once(key: object, digest: Callable[[], str]) -> str:
        name = repr(key)
        if name not in known:
            known[name] = digest()
        return known[name]

    m, skip = settings.model, settings.data.skip_bad
    found = {
        f"source '{s.name}'": once((s, skip), lambda s=s: corpus_of(s, skip).fingerprint())  # type: ignore[misc]
        for s in settings.data.sources
    }
    found[f"model '{m.name}'"] = once(m, lambda: identity(load_base_model(m, "cpu")))
    for term in settings.objective.terms:
        if term.teacher is not None:
            found[f"teacher '{term.teacher}'"] = once(term.teacher, partial(_teacher, term.teacher))
    languages = m.transform.languages if m.transform else None
    for name in fitted_on(settings):
        found[f"map's source '{name}'"] = once(
            (name, languages),
            lambda n=name: read_source(n, languages)[0].fingerprint(),  # type: ignore[misc]
        )
    if settings.training.validation:
        name = settings.training.validation.task
        found[f"task '{name}'"] = once(("task", name), lambda: load_task(name).fingerprint())
    return found


def _teacher(name: str) -> str:
    return hash_model_files(locate_model(name)[0])


def same_inputs(settings: Config, out: Path, new: bool) -> None:
    """See that a run in a folder reads what it was begun with; raises MixlingError. Where it is done and what it read cannot be
    read any more, one line says so."""
    done = out / "run.json"
    before = {}
    if done.exists() and not (out / INPUTS_FILE).exists():
        data = json.loads(done.read_text(encoding="utf-8")).get("data", {})
        before = {f"source '{k}'": v["sha256"] for k, v in data.items()}
    try:
        now = inputs(settings)
    except MixlingError as error:
        if not done.exists():
            raise
        print(
            f"mixling: {out}: is done; whether what it read has changed is not known ({error})",
            file=sys.stderr,
        )
        return
    check_unchanged(out, now, new, before)
