"""Training a retriever: from a configuration to a model folder.

`train` reads from top to bottom: read the configuration, prepare the inputs, build the model and
the objective, run the steps, save the model.

The batch of a step is a function of the step number. So are the learning rate and the seed of
dropout. A checkpoint therefore holds only weights, optimizer state and the best validation, and an
interrupted run that goes on ends in the same bits. It may go on with another number of processes:
the weights then agree up to rounding, and dropout, if it is on, drops other states. Under torchrun
all processes compute and the first one writes.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from mixling.corpora.corpus import Corpus
from mixling.machine import keep_freed_memory
from mixling.models.precision import Precision, choose_precision
from mixling.training.base_model import load_base_model
from mixling.training.config import Config
from mixling.training.continued import continue_run, kept_step
from mixling.training.embedding_gradient import sparse_embedding_gradient
from mixling.training.exclude import check_validation
from mixling.training.inputs import claim_run
from mixling.training.linear_transform import fit_before_training
from mixling.training.load_config import load_config
from mixling.training.loop import Stateful, resume, training_loop
from mixling.training.memory import make_trainable, set_training_mode
from mixling.training.objective import Objective
from mixling.training.optimizer import param_groups
from mixling.training.processes import start_accelerator
from mixling.training.run_folder import RunFolder
from mixling.training.save_run import save_run
from mixling.training.sentence_sources import left_out_before, locate_sentences
from mixling.training.soup import train_soup
from mixling.training.step import TrainingStep
from mixling.training.tokenized import prefetch_batches
from mixling.training.training_data import load_training_data
from mixling.training.validate import Validation

if TYPE_CHECKING:
    from accelerate import Accelerator

    from mixling.models.retriever import Retriever
    from mixling.training.pairs import PairTexts

logger = logging.getLogger(__name__)
OnStep = Callable[[dict[str, Any]], None]


def train(
    config: str | Path | dict[str, Any] | Config | None,
    out: str | Path,
    *,
    recipe: str | None = None,
    on_step: OnStep | None = None,
    trust_remote_code: bool = False,
) -> Path:
    """Train a retriever and write it to `out`/model, a sentence-transformers folder.

    `out` is the folder of the run: config.json, log.jsonl, checkpoints, model and run.json. A soup
    has a folder for each of its runs too: run-1, run-2, … If `out` holds an interrupted run of the
    same configuration, that run goes on and ends in the same bits.

    Args:
        config: A TOML file, a dictionary or a `Config`. None takes the recipe as it is.
        out: The folder of the run.
        recipe: Name of a recipe, whose values apply where `config` has none.
        on_step: Called after each step with its line of the log.
        trust_remote_code: Run Python code that the files of the model bring, whatever the
            configuration says.

    Returns:
        The model folder.

    Raises:
        MixlingError: The configuration or the data are wrong, or `out` holds something else.

    Example:
        >>> import mixling
        >>> config = {"data": {"sources": ["sample"]}, "training": {"steps": 20}}
        >>> model = mixling.train(config, "runs/first")  # doctest: +SKIP
    """
    config, run = load_config(config, recipe), RunFolder(Path(out))
    if trust_remote_code:
        model = config.model.model_copy(update={"trust_remote_code": True})
        config = config.model_copy(update={"model": model})
    writes = os.environ.get("RANK", "0") == "0"  # torchrun sets RANK
    with run.locked() if writes else contextlib.nullcontext():
        if config.soup:
            return train_soup(config, run, partial(_train_run, on_step=on_step))
        return _train_run(config, run, run.path, on_step)


def _train_run(config: Config, run: RunFolder, folder: Path, on_step: OnStep | None) -> Path:
    """Train one run.

    Args:
        config: The configuration, as config.json and run.json keep it.
        run: The run's folder.
        folder: The folder of prepared inputs, which the runs of a soup share.
        on_step: The user's callback.

    Returns:
        The model folder.
    """
    accelerator = start_accelerator(config.training, run.path)
    if accelerator.is_main_process:
        claim_run(config, run)
    accelerator.wait_for_everyone()
    if run.finished:
        return run.model
    if config.training.trackers:  # they write into the folder, so it must be claimed first
        accelerator.init_trackers("mixling")
    keep_freed_memory()
    with accelerator.main_process_first():
        prepared = fit_before_training(locate_sentences(config, folder), folder)
        data = load_training_data(prepared)
        retriever = load_base_model(prepared.model, str(accelerator.device))
        if not config.data.titles:  # what is trained without titles is used without them
            retriever.read_titles("none")
    shared = {}
    if accelerator.is_main_process:
        _warn_of_bad_rows(data.corpora)
        if config.training.validation:
            task = config.training.validation.task
            shared = check_validation(data.corpora, task, config.data.skip_bad)
    precision = choose_precision(accelerator.device, config.training.precision)
    best, steps = _optimize(prepared, run, accelerator, retriever, data.texts, precision, on_step)
    if accelerator.is_main_process:
        facts = {
            "steps": steps,
            "best": best,
            "seconds": run.seconds(),
            "plan": data.schedule.fingerprint(min(config.training.steps, 100)),
            "precision": precision,
            "processes": accelerator.num_processes,
            "data": {c.name: _describe(c, left_out_before(folder, c.name)) for c in data.corpora},
        }
        if shared:
            facts["shared with validation"] = shared
        save_run(config, prepared, run, retriever, facts)
    accelerator.wait_for_everyone()
    return run.model


def _optimize(
    config: Config,
    run: RunFolder,
    accelerator: Accelerator,
    retriever: Retriever,
    texts: PairTexts,
    precision: Precision,
    on_step: OnStep | None,
) -> tuple[dict[str, Any] | None, int]:
    """Run the steps; the retriever has the final weights afterwards.

    Returns:
        The best validation, None without validation, and the number of steps.
    """
    options, model, writes = config.training, retriever.model, accelerator.is_main_process
    adapters = make_trainable(retriever, config)
    objective = Objective(config, retriever)
    objective.check(texts)
    weights = [p for p in model.parameters() if p.requires_grad]
    groups = param_groups([*weights, *objective.parameters()], options.weight_decay)
    optimizer = torch.optim.AdamW(groups, lr=options.lr, fused=True)
    validation = Validation(options.validation, run, retriever, precision, writes)
    state: dict[str, Stateful] = {
        "model": model,
        "objective": objective,
        "optimizer": optimizer,
        "validation": validation,
    }
    if writes and not run.begun:
        continue_run(config, run)
    accelerator.wait_for_everyone()
    first = resume(run, state)
    embedding_gradient = sparse_embedding_gradient(model)

    def after_step(row: dict[str, Any], done: int) -> bool:
        if options.trackers:
            numbers = {k: v for k, v in row.items() if isinstance(v, float)}
            accelerator.log(numbers, step=row["step"])
        if validation.is_due(done):
            validation.measure(done)
            set_training_mode(retriever, options)
        return validation.stopped

    batches = prefetch_batches(config, retriever, objective, texts, first)
    with contextlib.closing(batches):
        step = TrainingStep(
            options, retriever, objective, optimizer, weights, embedding_gradient, precision
        )
        steps = training_loop(
            run,
            state,
            lambda i: step.take(i, next(batches)),
            first=first,
            # a run that validation has stopped has no steps left
            steps=first if validation.stopped else options.steps,
            checkpoint_every=options.checkpoint_every,
            kept_step=kept_step(config),
            title="training",
            summary=lambda row: f"loss {row['loss']:.3f}, {row['pairs_per_second']:.1f} pairs/s",
            after_step=after_step,
            on_step=on_step,
            writes=writes,
        )
    if options.trackers:
        accelerator.end_training()
    if embedding_gradient is not None:
        embedding_gradient.close()
    if validation.best is not None:
        accelerator.wait_for_everyone()
        model.load_state_dict(run.best_weights())
    if adapters is not None:
        adapters.merge_and_unload()
    return validation.best, steps


def _warn_of_bad_rows(corpora: list[Corpus]) -> None:
    for corpus in corpora:
        if corpus.skipped:
            logger.warning(
                "%s: %d bad rows skipped, the first: %s",
                corpus.name,
                len(corpus.skipped),
                corpus.skipped[0],
            )


def _describe(corpus: Corpus, left_out: Mapping[str, int]) -> dict[str, Any]:
    """Describe a corpus, of which some was left out before it was read, as run.json keeps it."""
    return {
        "sha256": corpus.fingerprint(),
        "queries": corpus.queries.num_rows,
        "passages": corpus.passages.num_rows,
        "languages": corpus.languages(),
        "skipped": list(corpus.skipped),
        "left_out": dict(Counter(corpus.left_out) + Counter(left_out)),
        "origin": dict(corpus.origin),
    }
