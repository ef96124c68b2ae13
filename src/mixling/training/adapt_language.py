"""Make an encoder know a language better, from bitext alone, before (or instead of) retrieval training.

New pieces where the tokenizer cuts the language too small (models/vocabulary.py); then masked language modeling (mlm),
the same over a sentence and its translation together (tlm, arXiv:1901.07291), and distillation of the base model's
vectors of the pivot's sentence into both sentences (distil; Reimers and Gurevych 2020), which keeps it a retriever. The
first two are the way of arXiv:2408.11942 (amBERT, kmBERT): a retriever no longer finds much after them, until it is trained
for retrieval again (docs/adapting.md has the figures), so the default is distil alone. The other side of a pair is the pivot or a related
language that the model knows (Amharic-Arabic, Khmer-Thai).

A hidden word is looked for among the words of the bitext, not among all: the right answer is always there, it costs a
tenth, and words of other languages are not pushed away.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mixling.corpora.catalog import load
from mixling.corpora.corpus import Corpus
from mixling.corpora.files import open_run_dir, read_array, write_array, write_text
from mixling.corpora.languages import language_tag
from mixling.disk import one_writer
from mixling.encoding.vectors import identity
from mixling.errors import MixlingError, check_finite_numbers, choose
from mixling.evaluation.coverage import count_subwords
from mixling.machine import has_bf16, keep_freed_memory, library_versions, machine_info
from mixling.models.card import adapted_card
from mixling.models.retriever import Retriever
from mixling.models.vocabulary import extend_vocabulary, learn_subwords, mask_token, mask_words
from mixling.preparation.similarity import margin_scores
from mixling.progress import Progress
from mixling.training import checkpoint
from mixling.training.optimizer import learning_rate_factor, param_groups

OBJECTIVES = ("mlm", "tlm", "distil")


@dataclass(frozen=True)
class Bitext:
    """Sentences that say the same: other (of language `other_language`) and text (of `language`), pivot: whether `other`
    is in the pivot, whose vectors are distilled."""

    language: str
    other_language: str
    text: str
    other: str
    pivot: bool


class MLMHead(nn.Module):
    """Scores of hidden words: BERT's head, tied to the word table, over some of its rows."""

    def __init__(self, size: int, candidates: np.ndarray):
        super().__init__()
        self.dense, self.norm = nn.Linear(size, size), nn.LayerNorm(size)
        self.bias = nn.Parameter(torch.zeros(len(candidates)))
        self.candidates: Tensor
        self.register_buffer("passages", torch.from_numpy(candidates))

    def forward(self, states: Tensor, table: Tensor) -> Tensor:
        """states: [n, d], of hidden tokens; table: [vocabulary, d]. Returns [n, candidates]."""
        made = self.norm(nn.functional.gelu(self.dense(states)))
        return made @ table[self.candidates].T + self.bias


def adapt_language(
    model: str,
    bitext: Sequence[str | Corpus],
    languages: Sequence[str],
    out: str | Path,
    *,
    related: dict[str, str] | None = None,
    pivot: str = "en",
    vocabulary: int = 1000,
    objectives: Sequence[str] = ("distil",),
    distil: float = 1000.0,
    margin: float | None = None,
    steps: int = 300,
    batch: int = 32,
    lr: float = 5e-5,
    seed: int = 0,
    precision: str = "auto",
    checkpoint_every: int = 50,
    on_step: Callable[[dict], None] | None = None,
    trust_remote_code: bool = False,
) -> dict[str, Any]:
    """Adapt a model to languages and write it to `out`/model, an ordinary sentence-transformers folder.

    bitext: sources by name (`tico-19:train`), folders, or corpora, whose texts of a group say the same; related: a
    language beside the pivot for the other side of a pair, {"am": "ar"}; vocabulary: at most so many new pieces a
    language, 0 for none; objectives: of OBJECTIVES, mlm and tlm in turns; distil: weight of the squared error of vectors
    (which is small: a mean over dimensions); margin: drop pairs below it (preparation/similarity.py), None: keep all; steps of `batch` pairs. `out` is a run that goes on
    when called again; trust_remote_code: as of Retriever. Returns what was done (also in out/run.json). Raises MixlingError.
    """
    check_finite_numbers(distil=distil, margin=margin, lr=lr)
    out, targets = Path(out), [language_tag(x) for x in languages]
    beside = {language_tag(a): language_tag(b) for a, b in (related or {}).items()}
    for name in objectives:
        choose(name, OBJECTIVES, "objective")
    sources = [b if isinstance(b, Corpus) else _source(b) for b in bitext]
    base = Retriever(model, trust_remote_code=trust_remote_code)
    job = {
        "model": model,
        "identity": identity(base),
        "bitext": {c.name: c.fingerprint() for c in sources},
        "languages": targets,
        "related": beside,
        "pivot": language_tag(pivot),
        "vocabulary": vocabulary,
        "objectives": list(objectives),
        "distil": distil,
        "margin": margin,
        "steps": steps,
        "batch": batch,
        "lr": lr,
        "seed": seed,
        "precision": precision,
    }
    with one_writer(out):
        open_run_dir(out, job, "config.json")
        if (out / "run.json").exists():
            return json.loads((out / "run.json").read_text())
        keep_freed_memory()
        begun = time.perf_counter()
        rows = [p for c in sources for p in pairs(c, targets, beside, language_tag(pivot))]
        for language in targets:
            if not any(p.language == language for p in rows):
                have = ", ".join(f"{c.name} ({' '.join(c.languages()[:12])} …)" for c in sources)
                raise MixlingError(
                    f"no bitext of '{language}' with '{pivot}' or a related language in {have}"
                )
        kept = rows if margin is None else _near(base, rows, margin, out)
        student = _extended(model, kept, targets, vocabulary, out, trust_remote_code)
        texts = {x: [p.text for p in kept if p.language == x][:500] for x in targets}
        cut = {"before": count_subwords(base, texts), "after": count_subwords(student, texts)}
        last = _loop(base, student, kept, job, out, checkpoint_every, on_step)
        facts = {
            **job,
            "pairs": {x: sum(p.language == x for p in rows) for x in targets},
            "kept": {x: sum(p.language == x for p in kept) for x in targets},
            "new_pieces": len(student.tokenizer) - len(base.tokenizer),
            "coverage": cut,
            "loss": last,
            "seconds": round(time.perf_counter() - begun, 1),
            "versions": library_versions(),
            "machine": machine_info(),
        }
        license = base.origin.get("license")
        student.save(
            out / "model",
            adapted_card(facts, license),
            {"base": base.name, "license": license, "adapted": targets},
        )
        write_text(out / "run.json", json.dumps(facts, indent=1, ensure_ascii=False))
        return facts


def _source(name: str) -> Corpus:
    plain, _, split = name.partition(":")
    return load(plain, split or None) if not Path(name).is_dir() else load(name)


def pairs(
    corpus: Corpus, targets: Sequence[str], beside: dict[str, str], pivot: str
) -> list[Bitext]:
    """All pairs of a corpus' groups: each target with the pivot, and with its related language."""
    groups: dict[str, dict[str, str]] = {}
    for table in (corpus.queries, corpus.passages):
        columns = (table[c].to_pylist() for c in ("group", "language", "text"))
        for group, language, text in zip(*columns, strict=True):
            groups.setdefault(group, {}).setdefault(language, text)
    return [
        Bitext(target, other, there[target], there[other], other == pivot)
        for _, there in sorted(groups.items())
        for target in targets
        for other in dict.fromkeys((pivot, beside.get(target, pivot)))
        if target in there and other in there and other != target and there[target] != there[other]
    ]


def _near(base: Retriever, rows: list[Bitext], least: float, out: Path) -> list[Bitext]:
    """The pairs whose margin is `least` or more, each pair of languages by itself; kept in out/margins.npy."""
    path = out / "margins.npy"
    if not path.exists():
        found = np.zeros(len(rows), np.float32)
        kinds = sorted({(p.language, p.other_language) for p in rows})
        with Progress("margins") as bar:
            for number, kind in enumerate(kinds, 1):
                mine = [i for i, p in enumerate(rows) if (p.language, p.other_language) == kind]
                found[mine] = margin_scores(
                    base, [rows[i].text for i in mine], [rows[i].other for i in mine]
                )
                bar(number, len(kinds))
        write_array(path, found)
    return [p for p, value in zip(rows, read_array(path), strict=True) if value >= least]


def _extended(
    model: str,
    rows: Sequence[Bitext],
    targets: Sequence[str],
    vocabulary: int,
    out: Path,
    trust_remote_code: bool,
) -> Retriever:
    """The model with new pieces for each language; which ones is kept in out/pieces.json."""
    student = Retriever(model, trust_remote_code=trust_remote_code)
    path = out / "pieces.json"
    if not path.exists():
        found: list[str] = []
        for language in targets if vocabulary else ():
            texts = list(dict.fromkeys(p.text for p in rows if p.language == language))
            found += [
                p for p in learn_subwords(student.tokenizer, texts, vocabulary) if p not in found
            ]
        write_text(path, json.dumps(found, ensure_ascii=False))
    extend_vocabulary(student, json.loads(path.read_text(encoding="utf-8")))
    return student


def _loop(
    base: Retriever,
    student: Retriever,
    rows: list[Bitext],
    job: dict[str, Any],
    out: Path,
    every: int,
    on_step: Callable[[dict], None] | None,
) -> dict[str, float]:
    device = next(student.model.parameters()).device
    able = has_bf16() if device.type == "cpu" else torch.cuda.is_bf16_supported()
    half = job["precision"] == "bf16" or (job["precision"] == "auto" and able)
    tokenizer = student.tokenizer
    every_text = list(dict.fromkeys(t for p in rows for t in (p.text, p.other)))
    seen = {t for ids in student.tokenize(every_text) for t in ids}
    special = frozenset(tokenizer.all_special_ids)
    words = np.array(sorted(seen - special))
    masked = [x for x in job["objectives"] if x != "distil"]
    mask = mask_token(tokenizer) if masked else 0
    torch.manual_seed(job["seed"])
    head = MLMHead(student.encoder.config.hidden_size, words).to(device)
    weights = [*student.model.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(param_groups(weights, 0.01), lr=job["lr"], fused=True)
    begin = _resume(out, student, head, optimizer)
    by_language = [[p for p in rows if p.language == x] for x in job["languages"]]
    log: dict[str, float] = {}
    checkpoint.truncate_log(out / "log.jsonl", begin)
    with Progress("adapting") as bar, (out / "log.jsonl").open("a", encoding="utf-8") as lines:
        for step in range(begin, job["steps"]):
            for part in optimizer.param_groups:
                part["lr"] = job["lr"] * learning_rate_factor(step, job["steps"], 0.1, "linear")
            some = _batch(by_language, step, job["batch"], job["seed"])
            random = np.random.default_rng((job["seed"], step))
            with torch.autocast(device.type, torch.bfloat16, enabled=half):
                losses = {}
                if masked:
                    kind = masked[step % len(masked)]
                    losses[kind] = _masked(student, head, some, kind, mask, special, words, random)
                if "distil" in job["objectives"]:
                    losses["distil"] = _distil(
                        base, student, some, "query" if step % 2 else "passage"
                    )
            total = sum(
                (v * (job["distil"] if k == "distil" else 1.0) for k, v in losses.items()),
                torch.zeros(()),
            )
            if not torch.isfinite(total.detach()):
                raise MixlingError(
                    f"the loss is {float(total.detach())} at step {step}; lower --lr (now {job['lr']:g})"
                )
            total.backward()
            if not torch.isfinite(torch.nn.utils.clip_grad_norm_(weights, 1.0)):
                raise MixlingError(
                    f"the gradient is not finite at step {step}; lower --lr (now {job['lr']:g})"
                )
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            log.update({k: float(v.detach()) for k, v in losses.items()})
            row = {"step": step, **{k: float(v.detach()) for k, v in losses.items()}}
            lines.write(json.dumps(row) + "\n")
            lines.flush()
            if (step + 1) % every == 0 or step + 1 == job["steps"]:
                state = {"model": student.model.state_dict(), "head": head.state_dict(),
                         "optimizer": optimizer.state_dict()}  # fmt: skip
                checkpoint.write_step(out / "checkpoints", step + 1, state)
            bar(
                step + 1 - begin,
                job["steps"] - begin,
                ", ".join(f"{k} {v:.4g}" for k, v in log.items()),
            )
            if on_step is not None:
                on_step(row)
    return log


def _resume(out: Path, student: Retriever, head: MLMHead, optimizer: torch.optim.Optimizer) -> int:
    found = checkpoint.newest_checkpoint(out / "checkpoints")
    if found is None:
        return 0
    step, state = found
    student.model.load_state_dict(state["model"])
    head.load_state_dict(state["head"])
    optimizer.load_state_dict(state["optimizer"])
    return step


def _batch(
    by_language: Sequence[Sequence[Bitext]], step: int, size: int, seed: int
) -> list[Bitext]:
    """The pairs of a step: languages in turn, each language's pairs in a new order every round."""
    found = []
    n = len(by_language)
    for i in range(step * size, (step + 1) * size):
        mine, nth = by_language[i % n], i // n
        order = np.random.default_rng((seed, i % n, nth // len(mine))).permutation(len(mine))
        found.append(mine[order[nth % len(mine)]])
    return found


def _masked(
    student: Retriever,
    head: MLMHead,
    some: Sequence[Bitext],
    kind: str,
    mask: int,
    special: frozenset[int],
    words: np.ndarray,
    random: np.random.Generator,
) -> Tensor:
    """Cross entropy of the hidden words: of each sentence (mlm), or of each pair of sentences read together (tlm)."""
    half = student.max_length // 2
    first = student.tokenize([p.text for p in some], None, half)
    if kind == "tlm":
        second = student.tokenize([p.other for p in some], None, half)
        first = [a + b[1:] for a, b in zip(first, second, strict=True)]
    hidden = [mask_words(ids, special, mask, words, random) for ids in first]
    states: list[Tensor] = []
    student.embed([ids for ids, _ in hidden], 4096, states)
    device = states[0].device
    chosen = torch.cat(
        [
            x[torch.from_numpy(places).to(x.device)]
            for x, (_, places) in zip(states, hidden, strict=True)
        ]
    )
    right = np.concatenate(
        [np.array(ids)[places] for ids, (_, places) in zip(first, hidden, strict=True)]
    )
    table = student.encoder.get_input_embeddings().weight
    target = torch.from_numpy(np.searchsorted(words, right)).to(device)
    return nn.functional.cross_entropy(head(chosen, table).float(), target)


def _distil(base: Retriever, student: Retriever, some: Sequence[Bitext], role: str) -> Tensor:
    """Squared error of both sentences' vectors to the base model's of the pivot's sentence."""
    mine = [p for p in some if p.pivot]
    if not mine:
        return torch.zeros((), requires_grad=True)
    device = next(student.model.parameters()).device
    wanted = torch.from_numpy(base.encode([p.other for p in mine], role, precision="fp32")).to(
        device
    )
    tokens = student.tokenize([p.text for p in mine] + [p.other for p in mine], role)
    return nn.functional.mse_loss(student.embed(tokens, 4096).float(), torch.cat([wanted, wanted]))
