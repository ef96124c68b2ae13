"""Measure each order of a search through the real index: `python -m studies.search [MODEL]`.

The store holds XQuAD-R's sentences in eleven languages. Its queries (60 groups in all languages,
with their language given) are searched with every `mixling search --order`, a thousand results
deep. The same orders are computed from exact scores by numpy. A passage that is not among the
thousand counts as not found for mAP and as rank 1,001 for the rank distance. search.json holds a
row for each model.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from mixling.corpora.files import write_text
from mixling.encoding.vectors import normalize_for_similarity
from mixling.evaluation.benchmarks import load_task
from mixling.machine import library_versions, machine_info
from mixling.models.retriever import Retriever
from mixling.models.weights import DEFAULT
from mixling.progress import Progress
from mixling.searching.fairness import ORDERS, order_passages
from mixling.searching.index import index
from mixling.searching.query import Searcher

RESULT = Path(__file__).with_suffix(".json")
GROUPS, DEPTH = 60, 1000


def scores(
    ranking: np.ndarray, relevant: np.ndarray, same_language: np.ndarray
) -> dict[str, float]:
    """Score one ranking.

    Args:
        ranking: Passages, best first.
        relevant: The relevant passages.
        same_language: Which relevant passages are in the query's language, bool.
    """
    rank = np.full(len(relevant), DEPTH + 1)
    for i, passage in enumerate(relevant):
        places = np.flatnonzero(ranking[:DEPTH] == passage)
        rank[i] = places[0] + 1 if len(places) else DEPTH + 1
    ordered = np.sort(rank)
    precision = np.arange(1, len(rank) + 1) / ordered
    return {
        "multilingual mAP": float(precision[ordered <= DEPTH].sum() / len(rank)),
        "rank distance": float(rank.max() - rank.min()),
        "first answer right": float(ordered[0] == 1),
        "LPR": float(rank[same_language].min() == ordered[0]),
    }


def main() -> None:
    """Measure one model."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model", nargs="?", default=DEFAULT)
    parser.add_argument("--name", help="of its row; default: the model's")
    arguments = parser.parse_args()
    task, retriever = load_task("xquad-r"), Retriever(arguments.model)
    groups = sorted(set(task.query_group))
    sampled_groups = set(np.random.default_rng(0).permutation(groups)[:GROUPS].tolist())
    sampled_queries = [i for i, g in enumerate(task.query_group) if g in sampled_groups]
    passage_language = task.passage_language
    passage_languages = [task.languages[i] for i in passage_language]
    table: dict[str, dict[str, list[dict[str, float]]]] = {"index": {}, "exact": {}}
    with TemporaryDirectory() as folder:
        source = Path(folder) / "d.jsonl"
        rows = (
            {"_id": str(i), "text": t, "language": x}
            for i, (t, x) in enumerate(zip(task.passages, passage_languages, strict=True))
        )
        source.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
        # as many tokens as the model takes: each sentence stays one passage
        index(retriever, source, f"{folder}/store", size=retriever.max_length - 8, overlap=0)
        searcher = Searcher(f"{folder}/store", retriever)
        query_vectors = normalize_for_similarity(
            retriever,
            retriever.encode([task.queries[i] for i in sampled_queries], "query", precision="fp32"),
        )
        passage_vectors = np.zeros((len(passage_language), query_vectors.shape[1]), np.float32)
        for numbers, part in _stored(searcher):
            passage_vectors[numbers] = part
        with Progress("asking") as bar:
            for row, query in enumerate(sampled_queries):
                relevant = task.relevant[task.relevant[:, 0] == query, 1]
                query_language = task.languages[task.query_language[query]]
                same_language = passage_language[relevant] == task.query_language[query]
                passage_scores = passage_vectors @ query_vectors[row]
                language_offsets = {
                    x: float(query_vectors[row] @ searcher.means[x]) for x in searcher.means
                }
                for order in ORDERS:
                    hits = searcher.search_vectors(
                        [task.queries[query]],
                        query_vectors[row : row + 1],
                        DEPTH,
                        order=order,
                        query_language=query_language,
                        highlight=False,
                    )
                    places = np.array([int(hit.document) for hit in hits])
                    table["index"].setdefault(order, []).append(
                        scores(places, relevant, same_language)
                    )
                    exact = order_passages(
                        passage_languages, passage_scores, language_offsets, order, query_language
                    )
                    table["exact"].setdefault(order, []).append(
                        scores(exact, relevant, same_language)
                    )
                bar(row + 1, len(sampled_queries))
    means = {
        side: {
            order: {k: float(np.mean([r[k] for r in rows])) for k in rows[0]}
            for order, rows in orders.items()
        }
        for side, orders in table.items()
    }
    content: dict[str, Any] = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    name = arguments.name or retriever.name
    content[name] = {
        "queries": len(sampled_queries),
        **means,
        "machine": machine_info(),
        "versions": library_versions(),
    }
    write_text(RESULT, json.dumps(content, indent=1) + "\n")
    print(json.dumps(means, indent=1))


def _stored(searcher: Searcher) -> Any:
    """Yield numbers and vectors of all passages in the store."""
    table = searcher.store.table  # type: ignore[attr-defined]
    for batch in table.search().select(["document", "vector"]).to_batches(8192):
        flat = batch["vector"].flatten().to_numpy(zero_copy_only=False)
        yield np.array(batch["document"].to_pylist(), np.int64), flat.reshape(batch.num_rows, -1)


if __name__ == "__main__":
    main()
