"""Claim: ranks and metrics of 13,000 queries with 1,000 candidates each take a fifth of
pytrec_eval's time, same values.

    python -m benchmarks.metrics

Random scores, 1 to 11 relevant a query. Theirs: `RelevanceEvaluator.evaluate` on dictionaries that
are ready (making them is not counted, nor the means). Ours: from the matrix of scores to the values
per query (`ranks` and the same metrics, which needs the sorting of every row and gives ranks within
each language beside).
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytrec_eval

from benchmarks.sides import spread, write
from mixling.evaluation.metrics import METRICS, MULTILINGUAL_METRICS
from mixling.evaluation.ranks import compute_ranks

QUERIES, CANDIDATES = 13_000, 1_000
SAME = {"mAP": "map", "nDCG@10": "ndcg_cut_10", "R@10": "recall_10", "R@100": "recall_100"}


def main() -> None:
    """Measure, print, write."""
    random = np.random.default_rng(0)
    scores = random.normal(size=(QUERIES, CANDIDATES)).astype(np.float32)
    ids = [f"d{i}" for i in range(CANDIDATES)]
    relevant = np.array(
        [
            (q, c)
            for q in range(QUERIES)
            for c in np.sort(random.choice(CANDIDATES, q % 11 + 1, replace=False))
        ]
    )
    qrels: dict[str, dict[str, int]] = {}
    for q, c in relevant.tolist():
        qrels.setdefault(str(q), {})[ids[c]] = 1
    run = {str(q): dict(zip(ids, map(float, scores[q]), strict=True)) for q in range(QUERIES)}
    known = {**METRICS, **MULTILINGUAL_METRICS}
    shared = {k: v for k, v in SAME.items() if k in known}
    language = np.arange(CANDIDATES) % 11
    rows: list[dict[str, Any]] = []
    for _ in range(3):
        begun = time.perf_counter()
        theirs = pytrec_eval.RelevanceEvaluator(
            qrels, {"map", "ndcg_cut.10", "recall.10,100"}
        ).evaluate(run)
        middle = time.perf_counter()
        found = compute_ranks(lambda a, b: scores[a:b], QUERIES, language, relevant, ids, depth=10)
        grades = np.ones(len(relevant), np.int64)
        ours = {k: known[k](found.multilingual, relevant[:, 0], QUERIES, grades) for k in shared}
        end = time.perf_counter()
        rows.append({"theirs": round(middle - begun, 2), "ours": round(end - middle, 2)})
    largest = max(
        float(np.abs(ours[k] - [theirs[str(q)][v] for q in range(QUERIES)]).max())
        for k, v in shared.items()
    )
    row = {
        "metrics": list(shared),
        "largest difference": largest,
        "seconds": rows,
        "times as fast": spread([r["theirs"] / r["ours"] for r in rows]),
    }
    write(__file__, row)


if __name__ == "__main__":
    main()
