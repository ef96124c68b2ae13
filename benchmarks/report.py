"""The whole XQuAD-R audit once its vectors are kept: `python benchmarks/report.py`.

Parts, in seconds on this machine: reading texts and vectors, ranks, all measures with 1,000
resamples, the permutation test of 10,000 over all cells against a second run (the same questions,
their vectors moved a little), and the HTML report. The ranking by one sort of a 64-bit key is timed
beside the way it replaced (one comparison of the row for each relevant candidate), same scores,
same process. Encodes what `vectors/` lacks first (not timed).
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory

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


def by_comparison(one: Task, scorer: Scorer, block: int = 256) -> np.ndarray:
    """Pool ranks as they were computed before.

    A comparison of the row for each relevant candidate, no ties.
    """
    first = np.searchsorted(one.relevant[:, 0], np.arange(len(one.queries) + 1))
    pool = np.zeros(len(one.relevant), np.int64)
    for begin in range(0, len(one.queries), block):
        end = min(begin + block, len(one.queries))
        scores = torch.from_numpy(scorer(begin, end))
        pairs = one.relevant[first[begin] : first[end]]
        slot = np.arange(len(pairs)) - np.repeat(
            first[begin:end] - first[begin], np.diff(first[begin : end + 1])
        )
        for turn in range(int(slot.max()) + 1):
            which = np.flatnonzero(slot == turn)
            row = torch.from_numpy(pairs[which, 0] - begin)
            part = scores if len(which) == end - begin else scores[row]
            own = part.gather(1, torch.from_numpy(pairs[which, 1])[:, None])
            pool[first[begin] + which] = (part > own).sum(1).numpy() + 1
    return pool


def main() -> None:
    """Measure, write report.json."""
    clean = load_task("xquad-r")
    make_ranker(DEFAULT, vector_cache=Path("vectors")).scorer(clean)
    seconds: dict[str, float] = {}

    def timed(name, work):
        begun = time.perf_counter()
        value = work()
        seconds[name] = round(time.perf_counter() - begun, 2)
        return value

    one = timed("texts", lambda: load_task("xquad-r"))
    scorer, counted = timed(
        "model, vectors, coverage",
        lambda: make_ranker(DEFAULT, vector_cache=Path("vectors")).scorer(one),
    )
    found = timed("ranks", lambda: rank_task(one, scorer, 100))
    scores = timed("measures, 1,000 resamples", lambda: score_task(one, found, scorer))
    entry, table = scores.entry, scores.table
    entry.update(counted, data=one.fingerprint())
    # another run of the same questions: without differences there would be nothing to permute
    rng = np.random.default_rng(0)
    queries = scorer.queries.numpy()
    moved = DotScorer(
        queries + rng.normal(0, 0.01, queries.shape).astype(np.float32), scorer.passages.numpy()
    )
    other = score_task(one, rank_task(one, moved, 100), moved).table
    tested = timed("permutations, 10,000 over all cells", lambda: task_comparison([table], [other]))
    assert any(c.difference for cells in tested.values() for c in cells.values())
    summary = {"model": DEFAULT, "precision": "fp32", "tasks": {one.name: entry}}
    result = EvaluationResult(
        {**summary, "versions": library_versions(), "machine": machine_info()},
        table,
        {one.name: scores.examples},
    )
    with TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        timed("report", lambda: write_report([result], page))
        size = page.stat().st_size
    both = {"comparison": [], "sort": []}
    for _ in range(3):
        begun = time.perf_counter()
        old = by_comparison(one, scorer)
        both["comparison"].append(time.perf_counter() - begun)
        begun = time.perf_counter()
        new = rank_task(one, scorer, 100).multilingual
        both["sort"].append(time.perf_counter() - begun)
    content = {
        "seconds": seconds,
        "in all": round(sum(seconds.values()), 1),
        "report bytes": size,
        "ranks, seconds of three": {k: [round(x, 2) for x in v] for k, v in both.items()},
        "ranks that differ (ties, rounding)": int((old != new).sum()),
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
