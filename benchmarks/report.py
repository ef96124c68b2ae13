"""Measure an XQuAD-R audit from cached vectors: `python -m benchmarks.report`.

Times in seconds: reading texts and vectors, ranks, all measures with 1,000 resamples, the
permutation test of 10,000 over all cells against a second run (the same queries, their vectors
moved a little), and the HTML report. Ranking by one sort of a 64-bit key is timed beside the former
method (one comparison of the row for each relevant passage) on the same scores in the same process.
Vectors that `vectors/` lacks are encoded first and not timed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from benchmarks.sides import result_path
from mixling.evaluation.baselines import make_ranker
from mixling.evaluation.benchmarks import load_task
from mixling.evaluation.measure import rank_task, score_task
from mixling.evaluation.ranks import DotScorer, Scorer
from mixling.evaluation.result import EvaluationResult
from mixling.evaluation.rows import task_comparison
from mixling.evaluation.tasks import Task
from mixling.machine import library_versions, machine_info, matrix_rate
from mixling.models.weights import DEFAULT
from mixling.reports.html import write_report


def by_comparison(task: Task, scorer: Scorer, batch: int = 256) -> np.ndarray:
    """Compute multilingual ranks by the former method.

    It compares the row for each relevant passage, without ties.
    """
    first = np.searchsorted(task.relevant[:, 0], np.arange(len(task.queries) + 1))
    ranks = np.zeros(len(task.relevant), np.int64)
    for begin in range(0, len(task.queries), batch):
        end = min(begin + batch, len(task.queries))
        scores = torch.from_numpy(scorer(begin, end))
        pairs = task.relevant[first[begin] : first[end]]
        position = np.arange(len(pairs)) - np.repeat(
            first[begin:end] - first[begin], np.diff(first[begin : end + 1])
        )
        for n in range(int(position.max()) + 1):
            selected = np.flatnonzero(position == n)
            row = torch.from_numpy(pairs[selected, 0] - begin)
            part = scores if len(selected) == end - begin else scores[row]
            relevant_scores = part.gather(1, torch.from_numpy(pairs[selected, 1])[:, None])
            ranks[first[begin] + selected] = (part > relevant_scores).sum(1).numpy() + 1
    return ranks


def main() -> None:
    """Measure and write report.json."""
    clean = load_task("xquad-r")
    make_ranker(DEFAULT, vector_cache=Path("vectors")).scorer(clean)
    seconds: dict[str, float] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        start_time = time.perf_counter()
        value = work()
        seconds[name] = round(time.perf_counter() - start_time, 2)
        return value

    task = timed("texts", lambda: load_task("xquad-r"))
    scorer, coverage = timed(
        "model, vectors, coverage",
        lambda: make_ranker(DEFAULT, vector_cache=Path("vectors")).scorer(task),
    )
    ranks = timed("ranks", lambda: rank_task(task, scorer, 100))
    scores = timed("measures, 1,000 resamples", lambda: score_task(task, ranks, scorer))
    entry, table = scores.entry, scores.table
    entry.update(coverage, data=task.fingerprint())
    # another run of the same queries: without differences there would be nothing to permute
    rng = np.random.default_rng(0)
    queries = scorer.queries.numpy()
    noisy_scorer = DotScorer(
        queries + rng.normal(0, 0.01, queries.shape).astype(np.float32), scorer.passages.numpy()
    )
    other_table = score_task(task, rank_task(task, noisy_scorer, 100), noisy_scorer).table
    comparison = timed(
        "permutations, 10,000 over all cells", lambda: task_comparison([table], [other_table])
    )
    assert any(c.difference for cells in comparison.values() for c in cells.values())
    summary = {"model": DEFAULT, "precision": "fp32", "tasks": {task.name: entry}}
    result = EvaluationResult(
        {**summary, "versions": library_versions(), "machine": machine_info()},
        table,
        {task.name: scores.examples},
    )
    with TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        timed("report", lambda: write_report([result], page))
        size = page.stat().st_size
    rank_seconds: dict[str, list[float]] = {"comparison": [], "sort": []}
    for _ in range(3):
        start_time = time.perf_counter()
        old_ranks = by_comparison(task, scorer)
        rank_seconds["comparison"].append(time.perf_counter() - start_time)
        start_time = time.perf_counter()
        new_ranks = rank_task(task, scorer, 100).multilingual
        rank_seconds["sort"].append(time.perf_counter() - start_time)
    content = {
        "seconds": seconds,
        "in all": round(sum(seconds.values()), 1),
        "report bytes": size,
        "ranks, seconds of three": {k: [round(x, 2) for x in v] for k, v in rank_seconds.items()},
        "ranks that differ (ties, rounding)": int((old_ranks != new_ranks).sum()),
        "matrix rate, GFLOP/s": matrix_rate(),
        "versions": library_versions(),
        "machine": machine_info(),
    }
    result_path(__file__).write_text(json.dumps(content, indent=1) + "\n")
    print(
        json.dumps({k: v for k, v in content.items() if k not in ("versions", "machine")}, indent=1)
    )


if __name__ == "__main__":
    main()
