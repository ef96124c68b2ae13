"""A study: a grid of runs (variants x seeds) and their evaluations, with one table at its end.

    [study]
    tasks = ["xquad-r"]
    development = "mlqa-held-out"       # where the settings below were chosen: never a test set
    seeds = [0, 1]
    precision = "fp32"                  # of the evaluations
    against = "none"                    # the variant that all others are tested against; default: the first
    [base]                              # a training configuration, as in `mixling train`
    data = { sources = ["mlqa"] }
    [[variants]]
    name = "none"
    train = false                       # the base model as it is
    [[variants]]
    name = "hybrid(0.5)"
    set = { "batches.strategy" = "hybrid" }
    [[variants]]
    name = "LSAR"
    train = false
    debias = { method = "lsar", fit = ["sib-200"] }   # a map fitted afterwards, as `mixling debias`; also on what was trained
    [[variants]]
    name = "BM25"
    train = false
    model = "bm25"                      # what else `mixling evaluate` measures

Every run and every evaluation is kept as it ends; started again, a study goes on where it was, and measures a task that was
added to its file on every run (trained again where its model was not kept). All variants run with their first seed, then with
the next.
"""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from mixling.corpora.files import write_text
from mixling.corpora.inputs import check_unchanged
from mixling.debiasing.debias import debias
from mixling.disk import one_writer
from mixling.errors import MixlingError, choose
from mixling.evaluation.benchmarks import DEVELOPMENT, TASKS
from mixling.evaluation.benchmarks import tasks as named
from mixling.evaluation.result import EvaluationResult
from mixling.evaluation.rows import task_comparison, task_rows
from mixling.machine import library_versions, machine_info
from mixling.reports.evaluate import evaluate, write_result
from mixling.studies.inputs import variant_inputs
from mixling.training.load_config import load_config, read_toml, validate_config
from mixling.training.train import train

COLUMNS = (
    ("monolingual", "mAP"),
    ("cross-lingual", "mAP"),
    ("multilingual", "mAP"),
    ("multilingual", "rank_distance"),
)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Variant(_Part):
    """One row of the table. set: settings by dotted name over the study's base; model: what is measured where nothing is
    trained (default: the base's); debias: arguments of `mixling.debias` for a map that is fitted afterwards; seeds: of the
    study's, those that it is trained with (default: all)."""

    name: str
    train: bool = True
    set: dict[str, Any] = Field(default_factory=dict)
    model: str | None = None
    debias: dict[str, Any] = Field(default_factory=dict)
    seeds: list[int] | None = None


class StudyHead(_Part):
    """What every variant shares."""

    tasks: list[str] = Field(min_length=1)
    development: str
    seeds: list[int] = Field(default_factory=lambda: [0], min_length=1)
    precision: str = "fp32"
    against: str | None = None


class StudyConfig(_Part):
    """A study's file."""

    study: StudyHead
    base: dict[str, Any]
    variants: list[Variant] = Field(min_length=1)


def study(
    file: str | Path,
    out: str | Path | None = None,
    *,
    keep_models: bool = False,
    log: Callable[[str], None] = print,
    trust_remote_code: bool = False,
) -> dict[str, Any]:
    """Run a study and return its results; they are written beside the file (`NAME.json`, `NAME.md`).

    out: where runs are kept as they go (default runs/NAME). keep_models: else a model is removed once measured.
    trust_remote_code: as of Retriever, for all models (else as [model] of the base says). Raises MixlingError: also where another
    process runs the study.
    """
    file = Path(file)
    plan = read_study(file)
    against = choose(
        plan.study.against or plan.variants[0].name, [v.name for v in plan.variants], "variant"
    )
    folder = runs_folder(file, out)
    trust = trust_remote_code or load_config(plan.base).model.trust_remote_code
    configs = {
        (v.name, s): variant_config(plan, v, s, file)
        for nth in range(len(plan.study.seeds))
        for v in plan.variants
        for s in seeds_of(plan, v)[nth : nth + 1]
    }
    with one_writer(folder):
        return _study(file, plan, folder, configs, against, trust, keep_models, log)


def _study(
    file: Path,
    plan: StudyConfig,
    folder: Path,
    configs: dict[tuple[str, int], Any],
    against: str,
    trust: bool,
    keep_models: bool,
    log: Callable[[str], None],
) -> dict[str, Any]:
    """Run all that is not measured yet, and write the results after each run."""
    tasks = named(plan.study.tasks)
    plan.study.tasks = [
        t.name for t in tasks
    ]  # a folder of one's own is called otherwise in results
    known: dict[str, str] = {}
    rows: list[dict[str, Any]] = []
    measured: dict[str, list[EvaluationResult]] = {}
    for number, ((name, seed), config) in enumerate(configs.items(), 1):
        place = run_folder(folder, name, seed)
        log(f"[{number}/{len(configs)}] {name}, seed {seed}")
        kept = (
            EvaluationResult.load(place / "results")
            if (place / "results" / "summary.json").exists()
            else None
        )
        variant = next(v for v in plan.variants if v.name == name)
        model = None if config is not None else variant.model or load_config(plan.base).model.name
        now = variant_inputs(config, model, variant.debias, tasks, plan.study.precision, known)
        before = (
            {}
            if kept is None
            else {f"task '{t}'": e["data"] for t, e in kept.summary["tasks"].items()}
        )
        check_unchanged(
            place, now, kept is None, before, f"remove {place}, or choose another --out"
        )
        lacking = [t for t in tasks if kept is None or t.name not in kept.summary["tasks"]]
        if lacking:
            shelf = (
                folder / "vectors" if config is None else None
            )  # one encoding for all that is not trained
            measures = _model(plan, variant, config, place / "run", shelf, trust)
            made = evaluate(
                measures,
                lacking,
                precision=plan.study.precision,
                vector_cache=shelf,
                trust_remote_code=trust,
            )
            write_result(made if kept is None else kept.with_tasks_of(made), place / "results")
            if not keep_models:
                for heavy in ("model", "debiased", "checkpoints"):
                    shutil.rmtree(place / "run" / heavy, ignore_errors=True)
        measured.setdefault(name, []).append(EvaluationResult.load(place / "results"))
        rows.append(_row(name, seed, measured[name][-1], place))
        results = {
            "study": file.stem,
            "file": file.name if file.is_absolute() else file.as_posix(),
            "base": plan.base,
            "development": plan.study.development,
            "runs": rows,
            "table": _table(plan, rows),
            "versions": library_versions(),
            "machine": machine_info(),
            "complete": number == len(configs),
        }
        _write(file, results)
    results["against"], results["tested"] = against, _tested(plan, measured, against)
    _write(file, results)
    return results


def read_study(file: Path) -> StudyConfig:
    """A study's file. Raises MixlingError: also where its settings were chosen on what it measures, or on a test set."""
    plan = validate_config(StudyConfig, read_toml(file), str(file))
    chosen_on = plan.study.development
    test_set = chosen_on not in DEVELOPMENT and chosen_on.partition(":")[0] in TASKS
    if chosen_on in plan.study.tasks or test_set:
        raise MixlingError(
            f"{file}: study.development is '{chosen_on}'; settings are chosen on a development task "
            f"({', '.join(DEVELOPMENT)}, or one of your own) and never on one that is measured"
        )
    folders = [run_folder(file, v.name, s) for v in plan.variants for s in seeds_of(plan, v)]
    twice = [p for p in folders if folders.count(p) > 1]
    if twice:
        raise MixlingError(
            f"{file}: two variants or seeds are kept as '{twice[0].name}'; give each variant a name and each seed a number of its own"
        )
    for variant in plan.variants:
        if variant.seeds == []:
            raise MixlingError(
                f"{file}: variant '{variant.name}': seeds is empty; leave it out for all of the study's"
            )
        if not set(variant.seeds or []) <= set(plan.study.seeds):
            raise MixlingError(
                f"{file}: variant '{variant.name}': seeds {variant.seeds} are not all of the study's {plan.study.seeds}"
            )
    return plan


def variant_run(file: Path, variant: str, seed: int | None = None) -> tuple[Any, Path]:
    """The training configuration of one of a study's variants, and where the study looks for its run: trained there, on a
    cluster for instance, it is measured by the study and not trained again. Raises MixlingError."""
    plan = read_study(file)
    mine = {v.name: v for v in plan.variants if v.train}
    found = mine[choose(variant, mine, "variant that is trained")]
    number = seeds_of(plan, found)[0] if seed is None else seed
    if number not in seeds_of(plan, found):
        raise MixlingError(
            f"{file}: variant '{variant}' has the seeds {seeds_of(plan, found)}, not {number}"
        )
    return variant_config(plan, found, number, file), run_folder(
        runs_folder(file), variant, number
    ) / "run"


def runs_folder(file: Path, out: str | Path | None = None) -> Path:
    """Where a study keeps its runs."""
    return Path(out) if out is not None else Path("runs") / file.stem


def _model(
    plan: StudyConfig, variant: Variant, config: Any, place: Path, shelf: Path | None, trust: bool
) -> str:
    """What a variant measures, trained and debiased as it says. shelf: where vectors are kept."""
    if (place / "run.json").exists() and not (place / "model").exists():
        shutil.rmtree(place)  # measured already, and its model was not kept
    if config is None:
        model = variant.model or load_config(plan.base).model.name
    else:
        model = str(train(config, place, trust_remote_code=trust))
    if not variant.debias:
        return model
    out = place / "debiased"
    if not out.exists():
        how = {"precision": plan.study.precision, **variant.debias, "trust_remote_code": trust}
        debias(model, out=out, keep=shelf, **how)
    return str(out)


def _tested(
    plan: StudyConfig, measured: dict[str, list[EvaluationResult]], against: str
) -> dict[str, Any]:
    """{task: {variant: {setting.measure: difference to `against`, its 95 % interval, p}}}; Holm over a task's variant."""
    found: dict[str, Any] = {}
    for name in plan.study.tasks:
        for variant, results in measured.items():
            if variant == against:
                continue
            first, second = (
                [task_rows(r.scores, name) for r in side] for side in (measured[against], results)
            )
            tested = task_comparison(first, second)
            found.setdefault(name, {})[variant] = {
                f"{setting}.{metric}": {
                    "difference": c.difference,
                    "low": c.low,
                    "high": c.high,
                    "p": p,
                }
                for setting, metric in COLUMNS
                if metric in tested.get(setting, {})
                for c, p in [tested[setting][metric]]
            }
    return found


def override(base: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """A configuration with settings over it, by dotted names (`training.lr`), or a whole part (`soup`); base stays as it is."""
    config = copy.deepcopy(base)
    for dotted, value in settings.items():
        part, _, field = dotted.partition(".")
        if field:
            config.setdefault(part, {})[field] = value
        else:
            config[part] = value
    return config


def seeds_of(plan: StudyConfig, variant: Variant) -> list[int]:
    """The seeds that a variant runs with: one, 0, where nothing is trained."""
    return (variant.seeds or plan.study.seeds) if variant.train else [0]


def run_folder(folder: Path, variant: str, seed: int) -> Path:
    """Where a study keeps a run and its results."""
    return folder / f"{variant}-{seed}".replace("/", "-").replace(" ", "-")


def variant_config(plan: StudyConfig, variant: Variant, seed: int, file: Path) -> Any:
    """A variant's training configuration with a seed; None where nothing is trained."""
    if not variant.train:
        return None
    config = override(plan.base, {**variant.set, "batches.seed": seed, "training.seed": seed})
    try:
        return load_config(config)
    except MixlingError as error:
        raise MixlingError(f"{file}: variant '{variant.name}': {error}") from None


def _row(name: str, seed: int, result: EvaluationResult, place: Path) -> dict[str, Any]:
    run = place / "run" / "run.json"
    facts = json.loads(run.read_text()) if run.exists() else {}
    return {
        "variant": name,
        "seed": seed,
        "tasks": {
            t: {
                **{
                    s: {k: v for k, v in e[s].items() if k != "by_language" or s != "cross-lingual"}
                    for s in ("monolingual", "cross-lingual", "multilingual")
                    if s in e
                },
                "data": e["data"],
                "intervals": {s: v["mAP"] for s, v in e["intervals"].items() if "mAP" in v},
            }
            for t, e in result.summary["tasks"].items()
        },
        "plan": facts.get("plan"),
        "seconds": facts.get("seconds"),
        "training_data": {k: v["sha256"] for k, v in facts.get("data", {}).items()},
    }


def _table(plan: StudyConfig, rows: list[dict]) -> list[dict[str, Any]]:
    out = []
    for name in plan.study.tasks:
        for variant in plan.variants:
            mine = [
                r["tasks"][name]
                for r in rows
                if r["variant"] == variant.name and name in r["tasks"]
            ]
            if not mine:
                continue
            line: dict[str, Any] = {"task": name, "variant": variant.name, "seeds": len(mine)}
            for setting, metric in COLUMNS:
                values = [m[setting][metric] for m in mine if setting in m]
                if (
                    values and not np.isnan(values).any()
                ):  # nothing to measure: no question has two answers, say
                    line[f"{setting}.{metric}"] = float(np.mean(values))
                    line[f"{setting}.{metric}.spread"] = float(max(values) - min(values))
            out.append(line)
    return out


def _write(file: Path, results: dict[str, Any]) -> None:
    texts = {".json": json.dumps(results, indent=1, ensure_ascii=False), ".md": markdown(results)}
    for suffix, text in texts.items():
        write_text(file.with_suffix(suffix), text + "\n")


def markdown(results: dict[str, Any]) -> str:
    """The table: mean over seeds, and in brackets the largest less the smallest."""
    lines = [
        f"# {results['study']}",
        "",
        f"`mixling study {results.get('file', 'studies/' + results['study'] + '.toml')}`; mean over seeds (largest less "
        "smallest); settings chosen on " + results["development"] + ".",
        "",
        "| task | variant | seeds | monolingual mAP | cross-lingual mAP | pool mAP | rank distance |",
        "|---|---|---|---|---|---|---|",
    ]
    for line in results["table"]:
        cells = []
        for setting, metric in COLUMNS:
            value, spread = (
                line.get(f"{setting}.{metric}"),
                line.get(f"{setting}.{metric}.spread", 0),
            )
            digits = 1 if metric == "rank_distance" else 4
            cells.append(
                "–"
                if value is None
                else f"{value:.{digits}f}"
                + (f" ({spread:.{digits}f})" if line["seeds"] > 1 else "")
            )
        lines.append(
            f"| {line['task']} | {line['variant']} | {line['seeds']} | {' | '.join(cells)} |"
        )
    if not results["complete"]:
        lines += ["", "Not complete: the study was cut off; run it again and it goes on."]
    return "\n".join(lines)
