"""Adaptation of an encoder to languages from bitext, before or instead of retrieval training.

First the tokenizer gets new subwords where it cuts a language too small
(`mixling.models.vocabulary`). Then the model is trained with up to three objectives:

- `mlm`: masked language modeling of each sentence;
- `tlm`: the same over a sentence and its translation (arXiv:1901.07291);
- `distil`: the vectors of a sentence and of its translation learn the base model's vector of the
  pivot sentence (Reimers and Gurevych 2020), which keeps the model a retriever.

arXiv:2408.11942 uses the first two (amBERT, kmBERT). After them a model retrieves little until it
is trained for retrieval again (docs/guides/adapting.md has the figures), so the default is
`distil` alone. A sentence is paired with the pivot language or with a related language that the
model knows (Amharic with Arabic, Khmer with Thai).
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from mixling.corpora.corpus import Corpus
from mixling.corpora.files import write_text
from mixling.corpora.languages import language_tag
from mixling.errors import MixlingError, check_at_least, check_finite_numbers, choose
from mixling.evaluation.coverage import count_subwords
from mixling.machine import keep_freed_memory, library_versions, machine_info
from mixling.models.card import adapted_card
from mixling.models.fingerprints import full_fingerprint
from mixling.models.precision import Precision, choose_precision
from mixling.models.retriever import Retriever
from mixling.models.vocabulary import extend_vocabulary, learn_subwords
from mixling.training.bitext import (
    SentencePair,
    above_margin,
    load_bitext,
    pair_batch,
    sentence_pairs,
)
from mixling.training.loop import Stateful, resume, training_loop
from mixling.training.mlm_head import Masking, MLMHead, make_masking, masked_loss
from mixling.training.optimizer import learning_rate_factor, param_groups
from mixling.training.run_folder import RunFolder

AdaptationObjective = Literal["mlm", "tlm", "distil"]
OBJECTIVES: tuple[AdaptationObjective, ...] = ("mlm", "tlm", "distil")
_COVERAGE_TEXTS = 500  # sentences of a language whose subwords are counted


@dataclass(frozen=True)
class AdaptationReport:
    """The counts of an adaptation.

    Attributes:
        model: The model folder.
        pairs: Sentence pairs of each language.
        kept: Sentence pairs of each language that were trained on.
        new_subwords: How many subwords the tokenizer got.
        coverage: How the tokenizer cuts each language, "before" and "after".
        loss: The last loss of each objective.
        seconds: Duration.
    """

    model: str
    pairs: dict[str, int]
    kept: dict[str, int]
    new_subwords: int
    coverage: dict[str, dict[str, dict[str, float]]]
    loss: dict[str, float]
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return the report as a dictionary."""
        return asdict(self)


@dataclass(frozen=True)
class _Job:
    """The configuration of an adaptation, as config.json keeps it."""

    model: str
    identity: str
    bitext: dict[str, str]
    languages: list[str]
    related: dict[str, str]
    pivot: str
    vocabulary: int
    objectives: list[AdaptationObjective]
    distil: float
    margin: float | None
    steps: int
    batch: int
    lr: float
    seed: int
    precision: Precision


def adapt_language(
    model: str,
    bitext: Sequence[str | Corpus],
    languages: Sequence[str],
    out: str | Path,
    *,
    related: dict[str, str] | None = None,
    pivot: str = "en",
    vocabulary: int = 1000,
    objectives: Sequence[AdaptationObjective] = ("distil",),
    distil: float = 1000.0,
    margin: float | None = None,
    steps: int = 300,
    batch: int = 32,
    lr: float = 5e-5,
    seed: int = 0,
    precision: Precision = "auto",
    checkpoint_every: int = 50,
    on_step: Callable[[dict[str, Any]], None] | None = None,
    trust_remote_code: bool = False,
) -> AdaptationReport:
    """Adapt a model to languages and write it to `out`/model, a sentence-transformers folder.

    Args:
        model: Folder or hub name of the model.
        bitext: Sources by name (`tico-19:train`), folders, or corpora. Texts of one group say the
            same.
        languages: The languages to which the model is adapted.
        out: The folder of the run. If it holds an interrupted run of the same job, that run goes
            on.
        related: A related language of a language for the other side of a pair, for instance
            {"am": "ar"}, beside the pivot.
        pivot: The language that the model knows best.
        vocabulary: The largest number of new subwords a language, 0 for none.
        objectives: Of "mlm", "tlm" and "distil". mlm and tlm alternate.
        distil: Weight of the squared error of vectors, which is small: it is a mean over
            dimensions.
        margin: Drop sentence pairs whose margin score is lower, None to keep all.
        steps: Optimizer steps.
        batch: Sentence pairs a step.
        lr: Peak learning rate.
        seed: Seed of batches, masks and the new head.
        precision: Number format of the encoder.
        checkpoint_every: Steps between two checkpoints.
        on_step: Called after each step with its line of the log.
        trust_remote_code: Run Python code that the files of the model bring.

    Returns:
        What was done. out/run.json keeps it too.

    Raises:
        MixlingError: Model or bitext cannot be read, a language has no sentence pairs, or the loss
            is not finite.

    Example:
        >>> import mixling
        >>> report = mixling.adapt_language(  # doctest: +SKIP
        ...     "intfloat/multilingual-e5-small", ["tico-19:train"], ["am"], "runs/amharic"
        ... )
        >>> report.new_subwords  # doctest: +SKIP
        1000
    """
    check_finite_numbers(distil=distil, margin=margin, lr=lr)
    check_at_least(0, vocabulary=vocabulary, seed=seed)
    check_at_least(1, steps=steps, batch=batch, checkpoint_every=checkpoint_every)
    if lr <= 0:
        raise MixlingError(f"lr is {lr}. Expected a number above 0.")
    run = RunFolder(Path(out))
    for name in objectives:
        choose(name, OBJECTIVES, "objective")
    corpora = [b if isinstance(b, Corpus) else load_bitext(b) for b in bitext]
    base = Retriever(model, trust_remote_code=trust_remote_code)
    job = _Job(
        model=model,
        identity=full_fingerprint(base),
        bitext={c.name: c.fingerprint() for c in corpora},
        languages=[language_tag(x) for x in languages],
        related={language_tag(a): language_tag(b) for a, b in (related or {}).items()},
        pivot=language_tag(pivot),
        vocabulary=vocabulary,
        objectives=list(objectives),
        distil=distil,
        margin=margin,
        steps=steps,
        batch=batch,
        lr=lr,
        seed=seed,
        precision=precision,
    )
    with run.locked():
        run.claim(asdict(job))
        if run.finished:
            record = run.record()
            reported = {k: record[k] for k in AdaptationReport.__annotations__ if k != "model"}
            return AdaptationReport(model=str(run.model), **reported)
        keep_freed_memory()
        start_time = time.perf_counter()
        pairs = _pairs(corpora, job)
        kept = (
            pairs if margin is None else above_margin(base, pairs, margin, run.path / "margins.npy")
        )
        student = _extended(job, kept, run.path, trust_remote_code)
        texts = {
            x: [p.text for p in kept if p.language == x][:_COVERAGE_TEXTS] for x in job.languages
        }
        coverage = {
            "before": count_subwords(base, texts),
            "after": count_subwords(student, texts),
        }
        loss = _optimize(base, student, kept, job, run, checkpoint_every, on_step)
        report = AdaptationReport(
            model=str(run.model),
            pairs={x: sum(p.language == x for p in pairs) for x in job.languages},
            kept={x: sum(p.language == x for p in kept) for x in job.languages},
            new_subwords=len(student.tokenizer) - len(base.tokenizer),
            coverage=coverage,
            loss=loss,
            seconds=round(time.perf_counter() - start_time, 1),
        )
        _save(base, student, job, report, run)
        return report


def _pairs(corpora: Sequence[Corpus], job: _Job) -> list[SentencePair]:
    """List all sentence pairs.

    Raises:
        MixlingError: A language has none.
    """
    pairs = [p for c in corpora for p in sentence_pairs(c, job.languages, job.related, job.pivot)]
    for language in job.languages:
        if not any(p.language == language for p in pairs):
            have = ", ".join(f"{c.name} ({' '.join(c.languages()[:12])} …)" for c in corpora)
            raise MixlingError(
                f"there is no bitext of '{language}' with '{job.pivot}' or a related language in "
                f"{have}. Add a --bitext that has it."
            )
    return pairs


def _save(
    base: Retriever, student: Retriever, job: _Job, report: AdaptationReport, run: RunFolder
) -> None:
    """Write the model folder with its card, then the record of the run."""
    # the job's model, not the report's: a folder may be moved
    facts = {**report.to_dict(), **asdict(job), "versions": library_versions()}
    facts["machine"] = machine_info()
    license = base.origin.get("license")
    origin = {"base": base.name, "license": license, "adapted": job.languages}
    student.save(run.model, adapted_card(facts, license), origin)
    run.finish(facts)


def _extended(
    job: _Job, pairs: Sequence[SentencePair], out: Path, trust_remote_code: bool
) -> Retriever:
    """Load the model and add subwords for each language; out/subwords.json keeps which ones."""
    student, path = Retriever(job.model, trust_remote_code=trust_remote_code), out / "subwords.json"
    if not path.exists():
        subwords: list[str] = []
        for language in job.languages if job.vocabulary else ():
            texts = list(dict.fromkeys(p.text for p in pairs if p.language == language))
            learned = learn_subwords(student.tokenizer, texts, job.vocabulary)
            subwords += [s for s in learned if s not in subwords]
        write_text(path, json.dumps(subwords, ensure_ascii=False))
    extend_vocabulary(student, json.loads(path.read_text(encoding="utf-8")))
    return student


def _optimize(
    base: Retriever,
    student: Retriever,
    pairs: list[SentencePair],
    job: _Job,
    run: RunFolder,
    checkpoint_every: int,
    on_step: Callable[[dict[str, Any]], None] | None,
) -> dict[str, float]:
    """Train the student and return the last loss of each objective."""
    device = next(student.model.parameters()).device
    bf16 = choose_precision(device, job.precision) == "bf16"
    masking = make_masking(student, pairs, masks=job.objectives != ["distil"])
    torch.manual_seed(job.seed)  # the head starts at random
    head = MLMHead(student.encoder.config.hidden_size, masking.subwords).to(device)
    weights = [*student.model.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(param_groups(weights, 0.01), lr=job.lr, fused=True)
    state: dict[str, Stateful] = {"model": student.model, "head": head, "optimizer": optimizer}
    by_language = [[p for p in pairs if p.language == x] for x in job.languages]
    last: dict[str, float] = {}

    def take_step(step: int) -> dict[str, Any]:
        for group in optimizer.param_groups:
            group["lr"] = job.lr * learning_rate_factor(step, job.steps, 0.1, "linear")
        batch = pair_batch(by_language, step, job.batch, job.seed)
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            losses = _losses(base, student, head, batch, masking, job, step)
        weighted = (v * (job.distil if k == "distil" else 1.0) for k, v in losses.items())
        total = sum(weighted, torch.zeros(()))
        if not torch.isfinite(total.detach()):
            raise MixlingError(
                f"the loss is {float(total.detach())} at step {step}. Lower --lr (now {job.lr:g})."
            )
        total.backward()  # type: ignore[no-untyped-call]
        if not math.isfinite(torch.nn.utils.clip_grad_norm_(weights, 1.0)):
            raise MixlingError(
                f"the gradient is not finite at step {step}. Lower --lr (now {job.lr:g})."
            )
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        row = {k: float(v.detach()) for k, v in losses.items()}
        last.update(row)
        return {"step": step, **row}

    training_loop(
        run,
        state,
        take_step,
        first=resume(run, state),
        steps=job.steps,
        checkpoint_every=checkpoint_every,
        title="adapting",
        summary=lambda _: ", ".join(f"{k} {v:.4g}" for k, v in last.items()),
        on_step=on_step,
    )
    for line in run.log_file.read_text(encoding="utf-8").splitlines():  # steps before a stop too
        last.update({k: v for k, v in json.loads(line).items() if k != "step"})
    return last


def _losses(
    base: Retriever,
    student: Retriever,
    head: MLMHead,
    batch: Sequence[SentencePair],
    masking: Masking,
    job: _Job,
    step: int,
) -> dict[str, Tensor]:
    """Compute the losses of a step, unweighted."""
    losses: dict[str, Tensor] = {}
    masked: list[Literal["mlm", "tlm"]] = [x for x in job.objectives if x != "distil"]
    if masked:
        objective = masked[step % len(masked)]
        random = np.random.default_rng((job.seed, step))
        losses[objective] = masked_loss(student, head, batch, objective, masking, random)
    if "distil" in job.objectives:
        losses["distil"] = _distillation_loss(
            base, student, batch, "query" if step % 2 else "passage"
        )
    return losses


def _distillation_loss(
    base: Retriever, student: Retriever, batch: Sequence[SentencePair], role: str
) -> Tensor:
    """Compute the squared error to the base model's vectors of the pivot sentences."""
    pairs = [p for p in batch if p.pivot]
    if not pairs:
        return torch.zeros((), requires_grad=True)
    device = next(student.model.parameters()).device
    target = torch.from_numpy(base.encode([p.other for p in pairs], role, precision="fp32"))
    tokens = student.tokenize([p.text for p in pairs] + [p.other for p in pairs], role)
    vectors = student.embed(tokens, 4096).float()
    return nn.functional.mse_loss(vectors, torch.cat([target, target]).to(device))
