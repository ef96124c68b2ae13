"""All that a run reads, by hash: its corpora, its model, teachers, what its map is fitted on, what it is validated on."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

from mixling.corpora.inputs import NAME, unchanged
from mixling.debiasing.debias import read_source
from mixling.encoding.vectors import identity
from mixling.errors import MixlingError
from mixling.evaluation.benchmarks import task
from mixling.models.weights import locate
from mixling.training.begin import begin
from mixling.training.config import Config
from mixling.training.mapped import fitted_on
from mixling.training.prepare import corpus_of


def inputs(settings: Config) -> dict[str, str]:
    """{what: SHA-256 of its content}."""
    found = {
        f"source '{s.name}'": corpus_of(s, settings.data.skip_bad).fingerprint()
        for s in settings.data.sources
    }
    found[f"model '{settings.model.name}'"] = identity(begin(settings.model, "cpu"))
    for term in settings.objective.terms:
        if term.teacher is not None:
            found[f"teacher '{term.teacher}'"] = files_hash(locate(term.teacher)[0])
    languages = settings.model.map.languages if settings.model.map else None
    for name in fitted_on(settings):
        found[f"map's source '{name}'"] = read_source(name, languages)[0].fingerprint()
    if settings.training.validation:
        name = settings.training.validation.task
        found[f"task '{name}'"] = task(name).fingerprint()
    return found


def same_inputs(settings: Config, out: Path, new: bool) -> None:
    """See that a run in a folder reads what it was begun with; raises MixlingError. Where it is done and what it read cannot be
    read any more, one line says so."""
    done = out / "run.json"
    before = {}
    if done.exists() and not (out / NAME).exists():
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
    unchanged(out, now, new, before)


def files_hash(folder: str) -> str:
    """SHA-256 of a model folder's files but its README; of the name where it is none."""
    digest, path = hashlib.sha256(folder.encode() if not Path(folder).is_dir() else b""), Path(folder)
    for file in sorted(p for p in path.rglob("*") if p.is_file() and p.name != "README.md"):
        digest.update(file.relative_to(path).as_posix().encode())
        with file.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()
