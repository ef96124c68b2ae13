"""The demo: audit a real encoder, train it with hybrid batches for a few minutes, audit it again.

It runs on the sample set that ships. Where XQuAD-R and MLQA are on this machine, it trains on MLQA
and audits a quarter of XQuAD-R as well. A trial of a few steps says how many steps fit into the
time.
"""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mixling.corpora.catalog import find_source, load
from mixling.corpora.files import write_text
from mixling.corpora.inputs import check_unchanged
from mixling.corpora.languages import language_name
from mixling.disk import LOCK, one_writer
from mixling.evaluation.benchmarks import load_task
from mixling.evaluation.measure import measure
from mixling.evaluation.result import EvaluationResult
from mixling.evaluation.tasks import Task, task_from_corpus
from mixling.machine import matrix_rate
from mixling.models.precision import Precision, choose_precision
from mixling.models.retriever import Retriever
from mixling.models.weights import DEFAULT
from mixling.progress import clock
from mixling.reports.compare import compare
from mixling.reports.terminal import print_results
from mixling.studies.inputs import variant_inputs
from mixling.training.train import train

logger = logging.getLogger(__name__)

QUERY = "sleep.2.1"
QUERY_LANGUAGE = "sw"
PASSAGE_LANGUAGES = ("de", "en", "hi", "zh", QUERY_LANGUAGE)


def demo(
    out: str | Path = "demo",
    minutes: float = 3.0,
    say: Callable[[str], None] = logger.info,
    model: str = DEFAULT,
) -> Path:
    """Run the demo. Started again after an interruption, it goes on.

    Args:
        out: The folder of its results.
        minutes: Time for the training.
        say: Takes each line of text that the demo tells; default: the logger.
        model: The encoder to begin with: a folder or a hub name.

    Returns:
        Path of the HTML report.

    Raises:
        MixlingError: The model cannot be had, or another process runs the demo in this folder.

    Example:
        >>> report = mixling.demo("demo", minutes=1, say=print)
    """
    out, start_time = Path(out), time.monotonic()
    new = not (out.is_dir() and any(p.name != LOCK for p in out.iterdir()))
    with one_writer(out):
        tasks = _tasks()
        inputs = variant_inputs(None, model, {}, tasks, "", {})
        check_unchanged(out, {"model": model, "minutes": f"{minutes:g}", **inputs}, new)
        report, trained = _run(out, minutes, say, model, tasks)
    total = clock(time.monotonic() - start_time)
    say(f"Report: {report} (model: {trained}; {total} in all)")
    return report


def _run(
    out: Path, minutes: float, say: Callable[[str], None], model: str, tasks: list[Task]
) -> tuple[Path, Path]:
    """Audit, train, audit again; return the paths of the report and of the trained model."""
    rate = matrix_rate(0.3)
    precision = choose_precision("cuda" if torch.cuda.is_available() else "cpu")
    say(
        f"This machine multiplies {rate['fp32']:.0f} GFLOP/s in fp32 and {rate['bf16']:.0f} in "
        f"bf16; using {precision}."
    )
    say(
        f"1. Audit of {model}, zero-shot, on {', '.join(t.name for t in tasks)}: "
        f"{sum(len(t.queries) + len(t.passages) for t in tasks)} texts, each encoded once."
    )
    zero_shot = _audit(model, tasks, out / "before", precision, "zero-shot")
    source = "mlqa" if find_source("mlqa") else "sample"
    steps = _steps(out, source, model, minutes, say)
    say(
        f"2. Training {steps} steps of hybrid batches on {source}: half of the batches "
        "monolingual, half cross-lingual."
    )
    trained = train(_config(source, model, steps), out / "run")
    say("3. The same audit of the trained model.")
    label = f"after {steps} hybrid steps"
    hybrid = _audit(str(trained), tasks, out / "after", precision, label)
    report = out / "report.html"
    compare([out / "before", out / "after"], report)
    print_results([zero_shot, hybrid], bias=False)
    _show_answers(model, str(trained), say)
    return report, Path(trained)


def _tasks() -> list[Task]:
    tasks = [load_task("sample")]
    if find_source("xquad-r"):
        corpus = load("xquad-r")
        groups = sorted(corpus.passages["group"].unique().to_pylist())[::4]
        quarter = corpus.select(passage_groups=groups)
        tasks.append(task_from_corpus(quarter, "sentence", name="xquad-r, a quarter"))
    return tasks


def _audit(
    model: str, tasks: list[Task], folder: Path, precision: Precision, label: str
) -> EvaluationResult:
    if not (folder / "summary.json").exists():
        result = measure(model, tasks, precision=precision)
        result.summary["label"] = label
        result.save(folder)
    return EvaluationResult.load(folder)


def _config(source: str, model: str, steps: int) -> dict[str, Any]:
    """Return the first study's recipe (docs/development/decisions.md, 3)."""
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
    """Return how many steps fit into the time; a trial tells once, and its answer is kept."""
    file = out / "steps.json"
    if file.exists():
        return int(json.loads(file.read_text())["steps"])
    rows: list[dict[str, Any]] = []
    say("   A trial of 4 steps measures how long a step takes …")
    trial = out / "trial"
    shutil.rmtree(trial, ignore_errors=True)
    train(_config(source, model, 4), trial, on_step=rows.append)
    shutil.rmtree(trial)
    # the first step is slower than the others
    seconds = float(np.mean([r["seconds"] for r in rows[1:]]))
    steps = int(np.clip(minutes * 60 / seconds, 4, 400))
    say(f"   One step takes {seconds:.1f} s here: {steps} steps fit into {minutes:g} minutes.")
    write_text(file, json.dumps({"steps": steps, "seconds_a_step": seconds}))
    return steps


def _show_answers(base: str, trained: str, say: Callable[[str], None]) -> None:
    """Rank passages in five languages for a query in Swahili, by both models."""
    corpus = load("sample", "test")
    queries = {q["id"]: q["text"] for q in corpus.queries.to_pylist()}
    query, english = queries[f"{QUERY}-{QUERY_LANGUAGE}"], queries[f"{QUERY}-en"]
    group = QUERY.rpartition(".")[0]
    passages = [p for p in corpus.passages.to_pylist() if p["language"] in PASSAGE_LANGUAGES]
    languages = ", ".join(language_name(x) for x in PASSAGE_LANGUAGES)
    say(
        f"\n4. A query in {language_name(QUERY_LANGUAGE)}: {query} ({english})\n"
        f"   against {len(passages)} passages in {languages}; "
        f"{len(PASSAGE_LANGUAGES)} of them hold the answer:"
    )
    for label, model in (("zero-shot", base), ("trained", trained)):
        retriever = Retriever(model)
        vectors = retriever.encode([p["text"] for p in passages], "passage", precision="fp32")
        scores = vectors @ retriever.encode([query], "query", precision="fp32")[0]
        say(f"   {label}:")
        for rank, i in enumerate(np.argsort(-scores)[: len(PASSAGE_LANGUAGES)], 1):
            verdict = "right" if passages[i]["group"] == group else "wrong"
            language, text = passages[i]["language"], passages[i]["text"][:90]
            say(f"   {rank}. [{verdict}] {language}: {text}…")
