"""What each order of a search costs and gives, through the real index: `python -m studies.search
[MODEL]`.

XQuAD-R's sentences in eleven languages are the documents of a store, its questions are asked (60
groups in all languages, their own language given), every mode of `mixling search --order`, a
thousand answers deep. Beside it the same orders of exact scores, computed by numpy over all
candidates. mAP counts what is not among the thousand as not found; the rank distance puts it on
place 1,001. Rows are kept in search.json, a model each.
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
GROUPS, DEEP = 60, 1000


def scores(found: np.ndarray, right: np.ndarray, own: np.ndarray) -> dict[str, float]:
    """Of one ranking. found: places in the task, best first; right: the relevant; own: which of
    them are in the question's language, bool."""
    rank = np.full(len(right), DEEP + 1)
    for i, one in enumerate(right):
        at = np.flatnonzero(found[:DEEP] == one)
        rank[i] = at[0] + 1 if len(at) else DEEP + 1
    ordered = np.sort(rank)
    precision = np.arange(1, len(rank) + 1) / ordered
    return {
        "multilingual mAP": float(precision[ordered <= DEEP].sum() / len(rank)),
        "rank distance": float(rank.max() - rank.min()),
        "first answer right": float(ordered[0] == 1),
        "LPR": float(rank[own].min() == ordered[0]),
    }


def main() -> None:
    """One model."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model", nargs="?", default=DEFAULT)
    parser.add_argument("--name", help="of its row; default: the model's")
    given = parser.parse_args()
    one, retriever = load_task("xquad-r"), Retriever(given.model)
    groups = sorted(set(one.query_group))
    chosen = set(np.random.default_rng(0).permutation(groups)[:GROUPS].tolist())
    asked = [i for i, g in enumerate(one.query_group) if g in chosen]
    of = one.passage_language
    names = [one.languages[i] for i in of]
    table: dict[str, dict[str, list[dict[str, float]]]] = {"index": {}, "exact": {}}
    with TemporaryDirectory() as folder:
        source = Path(folder) / "d.jsonl"
        rows = (
            {"_id": str(i), "text": t, "language": x}
            for i, (t, x) in enumerate(zip(one.passages, names, strict=True))
        )
        source.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
        # as many tokens as the model takes: a candidate stays one passage
        index(retriever, source, f"{folder}/store", size=retriever.max_length - 8, overlap=0)
        searcher = Searcher(f"{folder}/store", retriever)
        queries = normalize_for_similarity(
            retriever, retriever.encode([one.queries[i] for i in asked], "query", precision="fp32")
        )
        candidates = np.zeros((len(of), queries.shape[1]), np.float32)
        for languages, part in _stored(searcher):
            candidates[languages] = part
        with Progress("asking") as bar:
            for n, i in enumerate(asked):
                right = one.relevant[one.relevant[:, 0] == i, 1]
                language = one.languages[one.query_language[i]]
                own = of[right] == one.query_language[i]
                near = candidates @ queries[n]
                levels = {x: float(queries[n] @ searcher.means[x]) for x in searcher.means}
                for mode in ORDERS:
                    hits = searcher.search_vectors(
                        [one.queries[i]],
                        queries[n : n + 1],
                        DEEP,
                        order=mode,
                        query_language=language,
                        highlight=False,
                    )
                    places = np.array([int(hit.document) for hit in hits])
                    table["index"].setdefault(mode, []).append(scores(places, right, own))
                    exact = order_passages(names, near, levels, mode, language)
                    table["exact"].setdefault(mode, []).append(scores(exact, right, own))
                bar(n + 1, len(asked))
    means = {
        side: {
            mode: {k: float(np.mean([r[k] for r in rows])) for k in rows[0]}
            for mode, rows in modes.items()
        }
        for side, modes in table.items()
    }
    whole: dict[str, Any] = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    name = given.name or retriever.name
    whole[name] = {
        "queries": len(asked),
        **means,
        "machine": machine_info(),
        "versions": library_versions(),
    }
    write_text(RESULT, json.dumps(whole, indent=1) + "\n")
    print(json.dumps(means, indent=1))


def _stored(searcher: Searcher) -> Any:
    """Places in the task and vectors of all that is in the store."""
    table = searcher.store.table  # type: ignore[attr-defined]
    for batch in table.search().select(["document", "vector"]).to_batches(8192):
        flat = batch["vector"].flatten().to_numpy(zero_copy_only=False)
        yield np.array(batch["document"].to_pylist(), np.int64), flat.reshape(batch.num_rows, -1)


if __name__ == "__main__":
    main()
