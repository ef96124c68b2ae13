"""Training: the loop from a configuration to a model folder, resumable to the bit.

A step's batch is a function of the step, dropout is seeded by the step (adapters and projections once), the learning rate is a function of
the step: so weights and optimizer state are all that a checkpoint must hold, and a run can go on with another number
of processes. Under torchrun the first process alone writes; all of them compute.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate.utils import broadcast_object_list

from mixling.batches.permutation import mix
from mixling.corpora.files import open_run_dir
from mixling.disk import one_writer
from mixling.errors import MixlingError
from mixling.evaluation.benchmarks import load_task
from mixling.machine import cpu_flags, has_bf16, keep_freed_memory
from mixling.models.retriever import Retriever
from mixling.progress import Progress
from mixling.training import checkpoint
from mixling.training.base_model import load_base_model, on_cpu
from mixling.training.config import Config, TrainingConfig
from mixling.training.embedding_gradient import (
    EmbeddingGradient,
    sparse_embedding_gradient,
    zero_grad,
)
from mixling.training.inputs import same_inputs
from mixling.training.linear_transform import fit_before_training
from mixling.training.load_config import load_config, migrate_config
from mixling.training.memory import add_lora, checkpoint_layers, freeze_layers
from mixling.training.objective import Objective
from mixling.training.optimizer import clip_gradients, learning_rate_factor, param_groups
from mixling.training.pairs import PairTexts
from mixling.training.prepare import prepare
from mixling.training.processes import all_reduce_gradients
from mixling.training.save_run import save_run
from mixling.training.sentence_sources import locate_sentences
from mixling.training.soup import train_soup
from mixling.training.step import TokenizedBatch, backward, prefetch_batches
from mixling.training.validate import validate

if TYPE_CHECKING:
    from accelerate import Accelerator

    from mixling.corpora.corpus import Corpus


def train(
    config: str | Path | dict | Config | None,
    out: str | Path,
    *,
    recipe: str | None = None,
    on_step: Callable[[dict], None] | None = None,
    trust_remote_code: bool = False,
) -> Path:
    """Train a retriever and write it to `out`/model, an ordinary sentence-transformers folder.

    config: a TOML file, a dictionary or a Config; recipe: a name, whose settings stand where config has none. `out` is the run: config.json, log.jsonl, checkpoints,
    model, run.json (of a soup run-1, run-2, …, each with these). If it holds a run of the same configuration that was cut off, that run goes on, and ends
    in the same bits. trust_remote_code: as of Retriever, whatever config says. Returns the model folder. Raises MixlingError when configuration or data are wrong.
    """
    settings, out = load_config(config, recipe), Path(out)
    if trust_remote_code:
        model = settings.model.model_copy(update={"trust_remote_code": True})
        settings = settings.model_copy(update={"model": model})

    def run(settings: Config, out: Path, made: Path) -> Path:
        return _run(settings, out, made, on_step)

    first = os.environ.get("RANK", "0") == "0"  # under torchrun the first process alone writes
    with one_writer(out) if first else contextlib.nullcontext():
        return train_soup(settings, out, run) if settings.soup else run(settings, out, out)


def _run(settings: Config, out: Path, made: Path, on_step: Callable[[dict], None] | None) -> Path:
    """One run. made: where located sentences and the map lie."""
    accelerator = _accelerator(settings.training, out)
    main = accelerator.is_main_process
    if main:
        new = open_run_dir(out, settings.model_dump(mode="json"), "config.json", migrate_config)
        same_inputs(settings, out, new)
    accelerator.wait_for_everyone()
    model_folder = out / "model"
    if (out / "run.json").exists():
        return model_folder
    if settings.training.trackers:  # they write into the folder, so not before it is claimed
        accelerator.init_trackers("mixling")
    keep_freed_memory()
    with accelerator.main_process_first():
        settings = fit_before_training(locate_sentences(settings, made), made)
        corpora, schedule, pairs = prepare(settings)
        retriever = load_base_model(settings.model, str(accelerator.device))
    for corpus in corpora:
        if corpus.skipped and main:
            print(f"mixling: {corpus.name}: {len(corpus.skipped)} bad rows skipped, the first: {corpus.skipped[0]}",
                  file=sys.stderr)  # fmt: skip
    best, last = _loop(settings, out, accelerator, retriever, pairs, on_step)
    if main:
        save_run(
            settings,
            out,
            retriever,
            {
                "steps": last,
                "best": best,
                "seconds": _seconds(out / "log.jsonl"),
                "plan": schedule.fingerprint(min(settings.training.steps, 100)),
                "precision": "bf16" if accelerator.mixed_precision == "bf16" else "fp32",
                "processes": accelerator.num_processes,
                "data": {c.name: _facts(c) for c in corpora},
            },
        )
    accelerator.wait_for_everyone()
    return model_folder


def _accelerator(settings: TrainingConfig, out: Path) -> Accelerator:
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    cpu = on_cpu(settings)
    able = has_bf16() if cpu else torch.cuda.is_bf16_supported()
    if settings.precision == "bf16" and not able:
        raise MixlingError(
            "training.precision is bf16, but this processor has no bf16 instructions "
            f"(it has: {', '.join(sorted(cpu_flags())) or 'none known'}); write fp32 or auto"
        )
    precision = (
        "bf16" if settings.precision == "bf16" or (settings.precision == "auto" and able) else "no"
    )
    AcceleratorState._reset_state()  # accelerate keeps one precision a process; a study may train in several
    try:
        accelerator = Accelerator(
            mixed_precision=precision,
            cpu=cpu,
            project_dir=str(out),
            log_with=settings.trackers or None,
        )
    except ValueError as error:
        if not settings.trackers:
            raise
        raise MixlingError(f"training.trackers: {error}") from None
    # accelerate leaves out, with a warning, what is not there
    if len(accelerator.log_with) < len(set(settings.trackers)):
        raise MixlingError(
            f"training.trackers: {', '.join(settings.trackers)}: not all of them are installed; for tensorboard "
            "pip install 'mixling[trackers]'"
        )
    return accelerator


def _loop(
    settings: Config,
    out: Path,
    accelerator: Accelerator,
    retriever: Retriever,
    pairs: PairTexts,
    on_step: Callable[[dict], None] | None,
) -> tuple[dict | None, int]:
    t, main = settings.training, accelerator.is_main_process
    model = retriever.model
    model.train(t.dropout)
    model.requires_grad_(True)
    if t.freeze_embeddings:
        retriever.encoder.get_input_embeddings().requires_grad_(False)
    torch.manual_seed(t.seed)  # adapters and projections begin at random
    adapted = add_lora(retriever, settings.model.lora) if settings.model.lora else None
    if t.freeze_layers:
        freeze_layers(retriever, t.freeze_layers)
    if t.gradient_checkpointing:
        checkpoint_layers(retriever)
    objective = Objective(settings, retriever)
    objective.check(pairs)
    weights = [p for p in model.parameters() if p.requires_grad]
    own = list(objective.parameters())
    optimizer = torch.optim.AdamW(
        param_groups([*weights, *own], t.weight_decay), lr=t.lr, fused=True
    )
    begin, best = _resume(out, model, objective, optimizer)
    table = sparse_embedding_gradient(model)
    development = load_task(t.validation.task) if t.validation and main else None
    log = out / "log.jsonl"
    if main:
        checkpoint.truncate_log(log, begin)
    with contextlib.ExitStack() as stack:
        lines = stack.enter_context(log.open("a", encoding="utf-8")) if main else None
        bar = stack.enter_context(Progress("training")) if main else None
        batches = stack.enter_context(
            contextlib.closing(prefetch_batches(settings, retriever, objective, pairs, begin))
        )
        last = begin
        while last < t.steps and not (best and best.get("stopped")):
            row = _step(
                settings,
                accelerator,
                retriever,
                objective,
                optimizer,
                weights,
                table,
                next(batches),
                last,
            )
            if lines is not None and bar is not None:
                lines.write(json.dumps(row) + "\n")
                lines.flush()
                bar(last + 1 - begin, t.steps - begin, f"loss {row['loss']:.3f}, {row['pairs_per_second']:.1f} pairs/s")  # fmt: skip
            if t.trackers:
                accelerator.log({k: v for k, v in row.items() if isinstance(v, float)}, step=last)
            if on_step is not None:
                on_step(row)
            last += 1
            if t.validation and last % t.validation.every == 0:
                if development is not None:
                    precision = "bf16" if accelerator.mixed_precision == "bf16" else "fp32"
                    best = validate(
                        t.validation, development, out, retriever, best, last, precision
                    )
                best = broadcast_object_list([best])[0]
                model.train(t.dropout)
                if t.gradient_checkpointing:
                    checkpoint_layers(retriever)
            if main and (last % t.checkpoint_every == 0 or last == t.steps):
                checkpoint.write_step(
                    out / "checkpoints",
                    last,
                    {
                        "model": model.state_dict(),
                        "objective": objective.state_dict(),
                        "optimizer": optimizer.state_dict(),
                        "best": best,
                    },
                )
    if t.trackers:
        accelerator.end_training()
    if table is not None:
        table.close()
    if best is not None:
        accelerator.wait_for_everyone()
        kept = torch.load(out / "checkpoints" / "best.pt", map_location="cpu", weights_only=True)
        model.load_state_dict(kept["model"])
    if adapted is not None:
        adapted.merge_and_unload()
    return best, last


def _resume(
    out: Path, model: torch.nn.Module, objective: Objective, optimizer: torch.optim.Optimizer
) -> tuple[int, dict | None]:
    found = checkpoint.newest_checkpoint(out / "checkpoints")
    if found is None:
        return 0, None
    step, state = found
    model.load_state_dict(state["model"])
    objective.load_state_dict(state["objective"])
    optimizer.load_state_dict(state["optimizer"])
    return step, state["best"]


def _step(
    settings: Config,
    accelerator: Accelerator,
    retriever: Retriever,
    objective: Objective,
    optimizer: torch.optim.Optimizer,
    weights: list[torch.nn.Parameter],
    table: EmbeddingGradient | None,
    turns: list[TokenizedBatch],
    step: int,
) -> dict[str, Any]:
    t, begun = settings.training, time.perf_counter()
    rate = t.lr * learning_rate_factor(step, t.steps, t.warmup, t.schedule)
    for part in optimizer.param_groups:
        part["lr"] = rate
    total = 0.0
    for number, turn in enumerate(turns):
        total += backward(
            retriever,
            turn.tokens,
            objective.loss_of(turn.batch),
            local=objective.token_loss_of(turn.batch),
            loss_scale=1 / len(turns),
            max_cached_tokens=t.max_cached_tokens,
            seed=int(mix(t.seed, step, number) >> 1),
            precision="bf16" if accelerator.mixed_precision == "bf16" else "fp32",
        ) / len(turns)
    if not math.isfinite(total):
        raise MixlingError(_stopped(t, f"the loss is {total}", step, rate))
    all_reduce_gradients(
        weights, table
    )  # the objective's own weights see the whole batch on every process
    weights = [*weights, *objective.parameters()]
    norm = clip_gradients(weights, table, t.max_grad_norm)
    if not math.isfinite(norm):  # before the weights take it
        raise MixlingError(_stopped(t, f"the gradient's norm is {norm}", step, rate))
    optimizer.step()
    zero_grad(weights, table)
    seconds = time.perf_counter() - begun
    return {
        "step": step,
        "kind": turns[-1].batch_type,
        "loss": total,
        "lr": rate,
        "gradient": norm,
        "tokens": sum(len(t) for turn in turns for t in turn.tokens),
        "seconds": round(seconds, 3),
        "pairs_per_second": sum(len(turn.batch.queries) for turn in turns) / seconds,
    }


def _stopped(t: TrainingConfig, what: str, step: int, rate: float) -> str:
    """Why a run stops, and what is kept of it."""
    kept = step // t.checkpoint_every * t.checkpoint_every
    return (
        f"{what} at step {step}, learning rate {rate:.3g}; lower training.lr (now {t.lr:g}) or raise objective.temperature, with "
        f"another --out. {f'The checkpoint of step {kept} is kept' if kept else 'No checkpoint was due yet'}."
    )


def _seconds(log: Path) -> float:
    """Of all steps, those before a cut too."""
    return round(
        sum(json.loads(x)["seconds"] for x in log.read_text(encoding="utf-8").splitlines()), 1
    )


def _facts(corpus: Corpus) -> dict[str, Any]:
    return {
        "sha256": corpus.fingerprint(),
        "questions": corpus.queries.num_rows,
        "passages": corpus.passages.num_rows,
        "languages": corpus.languages(),
        "skipped": list(corpus.skipped),
    }
