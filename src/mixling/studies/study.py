"""Runs a study: a grid of trainings (variants x seeds) and their evaluations, with one table.

Every run and every evaluation is kept when it ends. Started again, a study goes on where it was,
and measures a task that was added to its file on every run (trained again where its model was not
kept). All variants run with their first seed, then with the next. See `plan` for a study's file.

A model that is refused or cannot be loaded, and a run that fails, cost their own rows only: the
results name the error, and the next call tries them again.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from mixling.corpora.inputs import INPUTS_FILE, check_unchanged
from mixling.debiasing.debias import debias
from mixling.debiasing.registry import create_method
from mixling.disk import one_writer
from mixling.errors import MixlingError, choose
from mixling.evaluation.benchmarks import load_tasks
from mixling.evaluation.result import EvaluationResult
from mixling.evaluation.tasks import Task
from mixling.machine import library_versions, machine_info
from mixling.reports.evaluate import evaluate, write_result
from mixling.studies.inputs import variant_inputs
from mixling.studies.plan import (
    StudyConfig,
    Variant,
    read_study,
    run_folder,
    runs_folder,
    seeds_of,
    variant_config,
)
from mixling.studies.table import StudyResult, compare_variants, mean_table, run_row
from mixling.training.config import Config
from mixling.training.load_config import load_config
from mixling.training.train import train

logger = logging.getLogger(__name__)
# those arguments of `debias` that a variant may give; all others are options of the method
DEBIAS_ARGUMENTS = ("fit", "languages", "texts", "precision")


def study(
    file: str | Path,
    out: str | Path | None = None,
    *,
    keep_models: bool = False,
    trust_remote_code: bool = False,
) -> StudyResult:
    """Run a study, and write its results beside its file (`NAME.json`, `NAME.md`).

    Args:
        file: The study's file (TOML).
        out: The folder of the runs; default: `runs/NAME`.
        keep_models: Keep every model; otherwise a model is removed once it is measured.
        trust_remote_code: Run Python code that models bring; default: as the base configuration
            says.

    Returns:
        The results.

    Raises:
        MixlingError: The file is wrong, the inputs of an earlier run have changed, or another
            process runs the study. A run that fails is named in `failed` of the results.

    Example:
        >>> result = mixling.study("studies/first.toml")
        >>> result.complete
        True
    """
    file = Path(file)
    plan = read_study(file)
    names = [v.name for v in plan.variants]
    against = choose(plan.study.against or names[0], names, "variant")
    folder = runs_folder(file, out)
    trust = trust_remote_code or (
        bool(plan.base) and load_config(plan.base).model.trust_remote_code
    )
    runs = [
        _Run(plan, v, s, variant_config(plan, v, s, file), run_folder(folder, v.name, s), trust)
        for nth in range(len(plan.study.seeds))
        for v in plan.variants
        for s in seeds_of(plan, v)[nth : nth + 1]
    ]
    with one_writer(folder):
        return _run_all(file, plan, runs, folder / "vectors", against, keep_models)


@dataclass(frozen=True)
class _Run:
    """One variant with one seed; its folder holds `run` and `results`."""

    plan: StudyConfig
    variant: Variant
    seed: int
    config: Config | None
    folder: Path
    trust: bool

    @property
    def model(self) -> str | None:
        """The model that is measured as it is; None where one is trained."""
        if self.config is not None:
            return None
        return self.variant.model or load_config(self.plan.base).model.name


def _run_all(
    file: Path,
    plan: StudyConfig,
    runs: Sequence[_Run],
    vector_cache: Path,
    against: str,
    keep_models: bool,
) -> StudyResult:
    """Run all that is not measured yet, and write the results after each run."""
    tasks = load_tasks(plan.study.tasks)
    plan.study.tasks = [t.name for t in tasks]  # results name a folder otherwise than its path
    hashes: dict[str, str] = {}
    rows, failed = [], []
    refused: dict[str, str] = {}  # models that could not be measured zero-shot, and why
    measured: dict[str, list[EvaluationResult]] = {}
    for number, run in enumerate(runs, 1):
        name, model = run.variant.name, run.model
        logger.info("[%d/%d] %s, seed %d", number, len(runs), name, run.seed)
        missing = _missing_tasks(run, tasks, hashes)
        try:
            if missing and model in refused:
                raise MixlingError(refused[model])
            evaluation = _measure(run, missing, vector_cache, keep_models)
        except (MixlingError, MemoryError, torch.OutOfMemoryError) as error:
            reason = str(error) or "the memory of this machine does not suffice"
            failed.append({"variant": name, "seed": run.seed, "error": reason})
            if not (run.folder / "results").exists() and not (run.folder / "run").exists():
                (run.folder / INPUTS_FILE).unlink()  # nothing was made of these inputs
            if model is not None and not run.variant.debias:
                refused[model] = reason
            logger.warning("%s, seed %d, is left out: %s", name, run.seed, reason)
        else:
            measured.setdefault(name, []).append(evaluation)
            rows.append(run_row(name, run.seed, evaluation, run.folder))
        ended = number == len(runs)
        result = StudyResult(
            study=file.stem,
            file=file.name if file.is_absolute() else file.as_posix(),
            base=plan.base,
            development=plan.study.development,
            runs=rows,
            table=mean_table(plan, rows),
            versions=library_versions(),
            machine=machine_info(),
            complete=ended and not failed,
            failed=failed,
            against=against if ended else None,
            tested=compare_variants(plan, measured, against) if ended else None,
        )
        result.save(file)
    return result


def _missing_tasks(run: _Run, tasks: Sequence[Task], hashes: dict[str, str]) -> list[Task]:
    """Return the tasks that a run has not been measured on; refuse inputs that have changed."""
    folder = run.folder / "results"
    earlier = EvaluationResult.load(folder) if (folder / "summary.json").exists() else None
    inputs = variant_inputs(
        run.config, run.model, run.variant.debias, tasks, run.plan.study.precision, hashes
    )
    earlier_tasks = {} if earlier is None else earlier.summary["tasks"]
    earlier_data = {f"task '{t}'": e["data"] for t, e in earlier_tasks.items()}
    fix = f"remove {run.folder}, or choose another --out"
    check_unchanged(run.folder, inputs, earlier is None, earlier_data, fix)
    return [t for t in tasks if t.name not in earlier_tasks]


def _measure(
    run: _Run, missing: Sequence[Task], vector_cache: Path, keep_models: bool
) -> EvaluationResult:
    """Return the evaluation of a run; train and measure what its folder lacks."""
    folder = run.folder / "results"
    if missing:
        # what is not trained is one model in several variants: it is encoded once
        cache = vector_cache if run.config is None else None
        result = evaluate(
            _model(run, cache),
            missing,
            precision=run.plan.study.precision,
            vector_cache=cache,
            trust_remote_code=run.trust,
        )
        if (folder / "summary.json").exists():
            result = EvaluationResult.load(folder).with_tasks_of(result)
        write_result(result, folder)
        if not keep_models:
            for name in ("model", "debiased", "checkpoints"):
                shutil.rmtree(run.folder / "run" / name, ignore_errors=True)
    return EvaluationResult.load(folder)


def _model(run: _Run, vector_cache: Path | None) -> str:
    """Return the model that a run measures, trained and debiased as its variant says."""
    plan, variant, folder = run.plan, run.variant, run.folder / "run"
    if (folder / "run.json").exists() and not (folder / "model").exists():
        shutil.rmtree(folder)  # it was measured, and its model was not kept
    model = run.model
    if model is None:
        assert run.config is not None  # what names no model is trained
        model = str(train(run.config, folder, trust_remote_code=run.trust))
    if not variant.debias:
        return model
    out = folder / "debiased"
    if not out.exists():
        options = {"precision": plan.study.precision, **variant.debias}
        arguments = {k: options.pop(k) for k in DEBIAS_ARGUMENTS if k in options}
        method = create_method(options.pop("method", "lsar"), options)
        debias(
            model,
            method,
            out=out,
            vector_cache=vector_cache,
            trust_remote_code=run.trust,
            **arguments,
        )
    return str(out)
