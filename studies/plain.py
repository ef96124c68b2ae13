"""Measure the shipped transform on XQuAD-R without Mixling's encoder and ranks.

    python -m studies.plain

The model `balanced` is saved as a folder and loaded by sentence-transformers (fp32, its own prompts
and batches); this script computes average precision from the dot products. Writes
studies/plain.json, with the figures that `mixling study studies/recipe.toml` reported in bf16.
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


def average_precision(scores: np.ndarray, relevant: np.ndarray) -> float:
    """Compute average precision of one query.

    Args:
        scores: float `[n_passages]`.
        relevant: Indices of the relevant passages.
    """
    ranks = np.sort([1 + (scores > scores[i]).sum() for i in relevant])
    return float(np.mean(np.arange(1, len(ranks) + 1) / ranks))


def main() -> None:
    """Encode, rank and write the result."""
    if not FOLDER.exists():
        Retriever("balanced").save(FOLDER)
    task = load_task("xquad-r")
    model = SentenceTransformer(str(FOLDER), device="cpu")
    query_vectors = model.encode(
        task.queries, prompt_name="query", batch_size=64, show_progress_bar=True
    )
    passage_vectors = model.encode(
        task.passages, prompt_name="passage", batch_size=64, show_progress_bar=True
    )
    relevant: dict[int, list[int]] = {}
    for q, p in task.relevant:
        relevant.setdefault(int(q), []).append(int(p))
    n = len(task.languages)
    rows = [np.flatnonzero(task.passage_language == x) for x in range(n)]
    multilingual: list[list[float]] = [[] for _ in range(n)]
    by_languages: list[list[list[float]]] = [[[] for _ in range(n)] for _ in range(n)]
    for q, relevant_passages in relevant.items():
        scores, passages = passage_vectors @ query_vectors[q], np.asarray(relevant_passages)
        language = task.query_language[q]
        multilingual[language].append(average_precision(scores, passages))
        for x in range(n):
            places = np.searchsorted(rows[x], passages[task.passage_language[passages] == x])
            if len(places):
                by_languages[language][x].append(average_precision(scores[rows[x]], places))
    means = np.array([[np.mean(by_languages[a][b]) for b in range(n)] for a in range(n)])
    plain = {
        "monolingual": float(means.diagonal().mean()),
        "cross-lingual": float(means[~np.eye(n, dtype=bool)].mean()),
        "multilingual": float(np.mean([np.mean(x) for x in multilingual])),
    }
    study = json.loads((HERE / "recipe.json").read_text())
    run = next(r for r in study["runs"] if r["variant"] == "transform")["tasks"]["xquad-r"]
    reported = {scenario: run[scenario]["mAP"] for scenario in plain}
    content = {
        "sentence-transformers": plain,
        "reported": reported,
        "largest difference": max(abs(plain[scenario] - reported[scenario]) for scenario in plain),
        "versions": library_versions(),
        "machine": machine_info(),
    }
    (HERE / "plain.json").write_text(json.dumps(content, indent=1) + "\n")
    print(json.dumps(content, indent=1))


if __name__ == "__main__":
    main()
