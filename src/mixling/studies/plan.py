"""Reads a study's file: its trainings, its measurements, and the folders of its runs.

A file of this form has a row for each variant, and one for "zero-shot, LSAR":

    [study]
    tasks = ["xquad-r"]
    development = "mlqa-held-out"   # where the options below were chosen: never a test set
    seeds = [0, 1]
    precision = "fp32"              # of the evaluations
    against = "zero-shot"           # the others are tested against it; default: the first variant

    [base]                          # a training configuration, as in `mixling train`
    data = { sources = ["mlqa"] }

    [transforms]                    # arguments of `mixling debias`, by name
    LSAR = { method = "lsar", fit = ["sib-200"] }

    [[variants]]
    name = "zero-shot"
    train = false                   # the base model
    transforms = ["LSAR"]           # it is measured behind them as well, each against itself

    [[variants]]
    name = "hybrid(0.5)"
    set = { "batches.strategy" = "hybrid" }

    [[variants]]
    name = "x-y, then LSAR"
    set = { "batches.strategy" = "x-y" }
    debias = { method = "lsar", fit = ["sib-200"] }   # fitted on the trained model

    [[variants]]
    name = "BM25"
    train = false
    model = "bm25"                  # anything else that `mixling evaluate` measures
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from mixling.errors import MixlingError, choose
from mixling.evaluation.benchmarks import DEVELOPMENT, is_test_set
from mixling.models.precision import Precision
from mixling.training.config import Config
from mixling.training.load_config import load_config, read_toml, validate_config


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Variant(_Part):
    """One row of a study's table.

    Args:
        name: Its name in the table.
        train: Whether a model is trained.
        set: Values by dotted name over the study's base configuration.
        model: The model that is measured where nothing is trained; default: the base's.
        debias: Arguments of `mixling.debias`, for a transform that is fitted afterwards.
        seeds: Those of the study's seeds that it is trained with; default: all.
        transforms: Names of the study's transforms. Each makes a further variant, named "NAME,
            TRANSFORM", of the same model behind the transform, which is tested against this one.
        against: The variant that it is tested against; default: the study's.
    """

    name: str
    train: bool = True
    set: dict[str, Any] = Field(default_factory=dict)
    model: str | None = None
    debias: dict[str, Any] = Field(default_factory=dict)
    seeds: list[int] | None = None
    transforms: list[str] = Field(default_factory=list)
    against: str | None = None


class StudyHead(_Part):
    """The options that all variants share.

    Args:
        tasks: Tasks that are measured.
        development: The task on which the options were chosen.
        seeds: Seeds of the trainings.
        precision: Precision of the evaluations.
        against: The variant that the others are tested against; default: the first.
    """

    tasks: list[str] = Field(min_length=1)
    development: str
    seeds: list[int] = Field(default_factory=lambda: [0], min_length=1)
    precision: Precision = "fp32"
    against: str | None = None


class StudyConfig(_Part):
    """The content of a study's file.

    Args:
        study: The options that all variants share.
        base: A training configuration; needed where a variant is trained or names no model.
        transforms: Arguments of `mixling.debias` by a name, for variants that list the name.
        variants: The rows of the table.
    """

    study: StudyHead
    base: dict[str, Any] = Field(default_factory=dict)
    transforms: dict[str, dict[str, Any]] = Field(default_factory=dict)
    variants: list[Variant] = Field(min_length=1)


def read_study(file: Path) -> StudyConfig:
    """Read a study's file.

    Raises:
        MixlingError: The file is wrong, or its options were chosen on a task that it measures or on
            a test set.
    """
    plan = validate_config(StudyConfig, read_toml(file), str(file))
    plan.variants = [row for v in plan.variants for row in _with_transforms(plan, v, file)]
    chosen_on = plan.study.development
    if chosen_on in plan.study.tasks or is_test_set(chosen_on):
        raise MixlingError(
            f"{file}: study.development is '{chosen_on}', which the study measures or which is a "
            f"test set. Choose options on a development task: {', '.join(DEVELOPMENT)}, or one "
            "of your own."
        )
    folders = [run_folder(file, v.name, s) for v in plan.variants for s in seeds_of(plan, v)]
    repeated = [p for p in folders if folders.count(p) > 1]
    if repeated:
        raise MixlingError(
            f"{file}: two variants or seeds have the same folder '{repeated[0].name}'. Give each "
            "variant a name, and each seed a number, that no other has."
        )
    names = [v.name for v in plan.variants]
    for variant in plan.variants:
        if variant.against is not None:
            choose(variant.against, names, "variant")
        if not plan.base and not variant.train and variant.model is None:
            raise MixlingError(
                f"{file}: variant '{variant.name}' names no model, and the study has no [base]. "
                "Add model to the variant, or a [base]."
            )
        if variant.seeds == []:
            raise MixlingError(
                f"{file}: variant '{variant.name}': seeds is empty. Leave it out to use all "
                "seeds of the study."
            )
        if not set(variant.seeds or []) <= set(plan.study.seeds):
            raise MixlingError(
                f"{file}: variant '{variant.name}': seeds is {variant.seeds}. Expected some of "
                f"the study's seeds {plan.study.seeds}."
            )
    return plan


def _with_transforms(plan: StudyConfig, variant: Variant, file: Path) -> list[Variant]:
    """Return a variant, and one for each transform that it is measured behind."""
    if variant.transforms and (variant.train or variant.debias):
        raise MixlingError(
            f"{file}: variant '{variant.name}' has transforms, and is trained or has debias. Only "
            "a variant with train = false and without debias can have transforms."
        )
    return [variant] + [
        Variant(
            name=f"{variant.name}, {name}",
            train=False,
            model=variant.model,
            debias=plan.transforms[choose(name, plan.transforms, "transform of the study")],
            against=variant.name,
        )
        for name in variant.transforms
    ]


def seeds_of(plan: StudyConfig, variant: Variant) -> list[int]:
    """Return the seeds that a variant runs with: only 0 where nothing is trained."""
    return (variant.seeds or plan.study.seeds) if variant.train else [0]


def override(base: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration with other values, and leave `base` as it is.

    Args:
        base: A training configuration.
        values: Values by dotted name (`training.lr`), or a whole table (`soup`).
    """
    config = copy.deepcopy(base)
    for dotted, value in values.items():
        part, _, field = dotted.partition(".")
        if field:
            config.setdefault(part, {})[field] = value
        else:
            config[part] = value
    return config


def variant_config(plan: StudyConfig, variant: Variant, seed: int, file: Path) -> Config | None:
    """Return a variant's training configuration, or None where nothing is trained.

    Args:
        plan: The study.
        variant: One of its variants.
        seed: Seed of the batches and of the training.
        file: The study's file, for messages.

    Raises:
        MixlingError: The configuration is wrong.
    """
    if not variant.train:
        return None
    config = override(plan.base, {**variant.set, "batches.seed": seed, "training.seed": seed})
    try:
        return load_config(config)
    except MixlingError as error:
        raise MixlingError(f"{file}: variant '{variant.name}': {error}") from None


def variant_run(file: Path, name: str, seed: int | None = None) -> tuple[Config, Path]:
    """Return the training configuration of a variant, and where the study looks for its run.

    A run that is trained there, on a cluster for instance, is measured by the study and not trained
    again.

    Args:
        file: The study's file.
        name: The variant.
        seed: Its seed; default: its first.

    Raises:
        MixlingError: There is no such variant, or it has no such seed.
    """
    plan = read_study(file)
    variants = {v.name: v for v in plan.variants if v.train}
    variant = variants[choose(name, variants, "variant that is trained")]
    seeds = seeds_of(plan, variant)
    number = seeds[0] if seed is None else seed
    if number not in seeds:
        raise MixlingError(f"{file}: variant '{name}' has no seed {number}. Its seeds are: {seeds}")
    config = variant_config(plan, variant, number, file)
    assert config is not None  # it is one that is trained
    return config, run_folder(runs_folder(file), name, number) / "run"


def runs_folder(file: Path, out: str | Path | None = None) -> Path:
    """Return the folder of a study's runs."""
    return Path(out) if out is not None else Path("runs") / file.stem


def run_folder(folder: Path, variant: str, seed: int) -> Path:
    """Return the folder of one run and its results."""
    return folder / f"{variant}-{seed}".replace("/", "-").replace(" ", "-")
