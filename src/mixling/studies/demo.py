"""The demo: audit a real encoder, train it with hybrid batches for a few minutes, audit it again.

It runs on the sample set that ships; where XQuAD-R and MLQA are found it trains on MLQA and audits a quarter of
XQuAD-R as well. Training takes the time it is given: a trial of a few steps says how many steps that buys.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mixling.corpora.catalog import find_source, load
from mixling.corpora.files import write_text
from mixling.corpora.inputs import check_unchanged
from mixling.corpora.languages import language_name as language_name
from mixling.disk import LOCK, one_writer
from mixling.evaluation.benchmarks import load_task
from mixling.evaluation.measure import measure
from mixling.evaluation.result import EvaluationResult
from mixling.evaluation.tasks import Task, task_from_corpus
from mixling.machine import has_bf16, matrix_rate
from mixling.models.retriever import Retriever
from mixling.models.weights import DEFAULT
from mixling.progress import clock
from mixling.reports.compare import compare
from mixling.reports.terminal import print_results
from mixling.studies.inputs import variant_inputs
from mixling.training.train import train

QUESTION = "sleep.2.1"
ASKED_IN = "sw"
ANSWERED_IN = ("de", "en", "hi", "zh")


def demo(
    out: str | Path = "demo",
    minutes: float = 3.0,
    say: Callable[[str], None] = print,
    model: str = DEFAULT,
) -> Path:
    """Run the demo into `out` and return the report's path. Started again after an interruption, it goes on.

    minutes: what training may take; model: the encoder to begin with.
    """
    out, begun = Path(out), time.monotonic()
    new = not (out.is_dir() and any(p.name != LOCK for p in out.iterdir()))
    with one_writer(out):
        return _demo(out, minutes, say, model, new, begun)


def _demo(
    out: Path, minutes: float, say: Callable[[str], None], model: str, new: bool, begun: float
) -> Path:
    tasks = _tasks()
    asked = {
        "model": model,
        "minutes": f"{minutes:g}",
        **variant_inputs(None, model, {}, tasks, "", {}),
    }
    check_unchanged(out, asked, new)
    rate = matrix_rate(0.3)
    precision = "bf16" if has_bf16() else "fp32"
    say(
        f"This machine multiplies {rate['fp32']:.0f} GFLOP/s in fp32 and {rate['bf16']:.0f} in bf16; using {precision}."
    )
    say(
        f"1. Audit of {model} as it is, on {', '.join(t.name for t in tasks)}: "
        f"{sum(len(t.queries) + len(t.passages) for t in tasks)} texts, each encoded once."
    )
    before = _audit(model, tasks, out / "before", precision, "as it comes")
    source = "mlqa" if find_source("mlqa") else "sample"
    steps = _steps(out, source, model, minutes, say)
    say(
        f"2. Training {steps} steps of hybrid batches on {source}: half of the batches in one language, half across two."
    )
    trained = train(_config(source, model, steps), out / "run")
    say("3. The same audit of what came out.")
    after = _audit(str(trained), tasks, out / "after", precision, f"after {steps} hybrid steps")
    report = out / "report.html"
    compare([out / "before", out / "after"], report)
    print_results([before, after], bias=False)
    _answer(model, str(trained), say)
    say(f"Report: {report} (model: {trained}; {clock(time.monotonic() - begun)} in all)")
    return report


def _tasks() -> list[Task]:
    tasks = [load_task("sample")]
    if find_source("xquad-r"):
        corpus = load("xquad-r")
        groups = sorted(corpus.passages["group"].unique().to_pylist())[::4]
        tasks.append(
            task_from_corpus(
                corpus.select(passage_groups=groups), "sentence", name="xquad-r, a quarter"
            )
        )
    return tasks


def _audit(
    model: str, tasks: list[Task], folder: Path, precision: str, label: str
) -> EvaluationResult:
    if not (folder / "summary.json").exists():
        result = measure(model, tasks, precision=precision)
        result.summary["label"] = label
        result.save(folder)
    return EvaluationResult.load(folder)


def _config(source: str, model: str, steps: int) -> dict:
    """The first study's recipe (docs/decisions.md, 3)."""
    return {
        "data": {"sources": [source]},
        "model": {"name": model},
        "training": {
            "steps": steps,
            "checkpoint_every": 20,
            "freeze_embeddings": True,
            "average_with_base": 0.4,
        },
    }


def _steps(out: Path, source: str, model: str, minutes: float, say: Callable[[str], None]) -> int:
    """How many steps the time buys, found once by a trial and kept."""
    kept = out / "steps.json"
    if kept.exists():
        return int(json.loads(kept.read_text())["steps"])
    rows: list[dict] = []
    say("   A trial of 4 steps tells how long one takes …")
    trial = out / "trial"
    shutil.rmtree(trial, ignore_errors=True)
    train(_config(source, model, 4), trial, on_step=rows.append)
    shutil.rmtree(trial)
    seconds = float(np.mean([r["seconds"] for r in rows[1:]]))
    steps = int(np.clip(minutes * 60 / seconds, 4, 400))
    say(f"   One step takes {seconds:.1f} s here: {minutes:g} minutes buy {steps} steps.")
    write_text(kept, json.dumps({"steps": steps, "seconds_a_step": seconds}))
    return steps


def _answer(base: str, trained: str, say: Callable[[str], None]) -> None:
    """One question in Swahili against passages in five languages, before and after."""
    corpus = load("sample", "test")
    questions, passages = corpus.queries.to_pylist(), corpus.passages.to_pylist()
    asked = next(q["text"] for q in questions if q["id"] == f"{QUESTION}-{ASKED_IN}")
    english = next(q["text"] for q in questions if q["id"] == f"{QUESTION}-en")
    group = QUESTION.rpartition(".")[0]
    pool = [p for p in passages if p["language"] in (*ANSWERED_IN, ASKED_IN)]
    languages = ", ".join(language_name(x) for x in (*ANSWERED_IN, ASKED_IN))
    say(
        f"\n4. A question in {language_name(ASKED_IN)}: {asked} ({english})\n   against {len(pool)} passages in {languages}; "
        f"{len(ANSWERED_IN) + 1} of them hold the answer:"
    )
    for label, model in (("as it comes", base), ("trained", trained)):
        retriever = Retriever(model)
        scores = (
            retriever.encode([p["text"] for p in pool], "passage", precision="fp32")
            @ retriever.encode([asked], "query", precision="fp32")[0]
        )
        say(f"   {label}:")
        for rank, i in enumerate(np.argsort(-scores)[: len(ANSWERED_IN) + 1], 1):
            mark = "right" if pool[i]["group"] == group else "wrong"
            say(f"   {rank}. [{mark}] {pool[i]['language']}: {pool[i]['text'][:90]}…")
