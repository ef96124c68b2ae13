"""The map that ships, on XQuAD-R, without Mixling's encoder and ranks: `python -m studies.plain`
writes studies/plain.json.

The model `balanced` is saved as a folder, loaded by sentence-transformers alone (fp32, its own
prompts, its own batches), and average precision is counted here from its dot products; beside it
stands what `mixling study studies/recipe.toml` reported (bf16).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from sentence_transformers import SentenceTransformer

from mixling.evaluation.benchmarks import load_task
from mixling.machine import library_versions, machine_info
from mixling.models.retriever import Retriever

HERE = Path(__file__).parent
FOLDER = Path("runs/plain/balanced")


def average_precision(scores: np.ndarray, right: np.ndarray) -> float:
    """Of one question: scores [candidates], right: rows of those that answer it."""
    ranks = np.sort([1 + (scores > scores[i]).sum() for i in right])
    return float(np.mean(np.arange(1, len(ranks) + 1) / ranks))


def main() -> None:
    """Encode, rank, write."""
    if not FOLDER.exists():
        Retriever("balanced").save(FOLDER)
    one = load_task("xquad-r")
    model = SentenceTransformer(str(FOLDER), device="cpu")
    asked = model.encode(one.queries, prompt_name="query", batch_size=64, show_progress_bar=True)
    read = model.encode(one.passages, prompt_name="passage", batch_size=64, show_progress_bar=True)
    right: dict[int, list[int]] = {}
    for q, c in one.relevant:
        right.setdefault(int(q), []).append(int(c))
    n = len(one.languages)
    rows = [np.flatnonzero(one.passage_language == x) for x in range(n)]
    pool: list[list[float]] = [[] for _ in range(n)]
    alone: list[list[list[float]]] = [[[] for _ in range(n)] for _ in range(n)]
    for q, mine in right.items():
        scores, mine = read @ asked[q], np.asarray(mine)
        language = one.query_language[q]
        pool[language].append(average_precision(scores, mine))
        for x in range(n):
            there = np.searchsorted(rows[x], mine[one.passage_language[mine] == x])
            if len(there):
                alone[language][x].append(average_precision(scores[rows[x]], there))
    means = np.array([[np.mean(alone[a][b]) for b in range(n)] for a in range(n)])
    plain = {
        "monolingual": float(means.diagonal().mean()),
        "cross-lingual": float(means[~np.eye(n, dtype=bool)].mean()),
        "multilingual": float(np.mean([np.mean(x) for x in pool])),
    }
    study = json.loads((HERE / "recipe.json").read_text())
    run = next(r for r in study["runs"] if r["variant"] == "map")["tasks"]["xquad-r"]
    reported = {s: run[s]["mAP"] for s in plain}
    found = {
        "sentence-transformers": plain,
        "reported": reported,
        "largest difference": max(abs(plain[s] - reported[s]) for s in plain),
        "versions": library_versions(),
        "machine": machine_info(),
    }
    (HERE / "plain.json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
