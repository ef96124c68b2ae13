"""Measure rerankers, their language bias, and ways to take it out.

    python -m studies.rerank development
    python -m studies.rerank test

A dense search (e5-small) draws 100 candidates for each query, by score or from the languages in
turn. The English reranker of studies.rerank_models reads them. The development run compares ways to
estimate its language offsets on MLQA's held-out part; the test run measures the chosen way on a
part of XQuAD-R. All lists end after 100 passages: a relevant passage beyond them is not found for
mAP and nDCG, and has rank 101 for the rank distance. rerank.json holds the rows of both runs; what
a reranker said is kept in runs/rerank, so that a run that was interrupted goes on.

The offsets that are tried:

- mean: the mean score of a language's candidates, shrunk by c candidates towards that of all
- median: the median score of a language's candidates
- lower half: the mean of the lower half of a language's scores
- fitted: one number for each pair of query and passage language: the mean score of that pair over
  the other half of the queries, which a store would have to be given and scored beforehand
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from studies.rerank_models import english_reranker

from mixling.corpora.files import write_text
from mixling.evaluation.baselines import task_vectors
from mixling.evaluation.benchmarks import load_task
from mixling.evaluation.tasks import Task
from mixling.machine import library_versions, machine_info
from mixling.models.reranker import Reranker
from mixling.models.retriever import Retriever
from mixling.progress import Progress
from mixling.searching.fairness import order_passages
from mixling.searching.rerank import SHRINKAGE, language_offsets

RESULT = Path(__file__).with_suffix(".json")
KEPT = Path("runs/rerank")
DEPTH, TOP = 100, 10
TASKS = {"development": ("mlqa-held-out", 6), "test": ("xquad-r", 4)}  # translation groups
RERANKERS: dict[str, Callable[[], str]] = {
    "english": english_reranker,
}
DRAWS = ("score", "round-robin")
Offsets = Mapping[str, float]


class Collection:
    """The queries of a task that are measured, and the dense scores of its passages.

    Args:
        task: The task.
        groups: Translation groups of queries that are measured.
    """

    def __init__(self, task: Task, groups: int):
        self.task = task
        # groups in most languages first, among these by chance
        sizes = {g: task.query_group.count(g) for g in sorted(set(task.query_group))}
        names = np.random.default_rng(0).permutation(list(sizes))
        chosen = set(sorted(names, key=lambda g: -sizes[g])[:groups])
        self.queries = [i for i, g in enumerate(task.query_group) if g in chosen]
        self.languages = [task.languages[i] for i in task.passage_language]
        queries, passages, _ = task_vectors(Retriever(), task, "auto", KEPT / "vectors")
        self.scores = queries[self.queries] @ passages.T
        codes = np.unique(task.passage_language)
        means = {task.languages[c]: passages[task.passage_language == c].mean(0) for c in codes}
        self.offsets = [
            {x: float(queries[i] @ mean) for x, mean in means.items()} for i in self.queries
        ]

    def dense(self, row: int, order: str) -> np.ndarray:
        """Return the first passages of a query in an order of the search, int64 `[DEPTH]`."""
        query_language = self.task.languages[self.task.query_language[self.queries[row]]]
        places = order_passages(
            self.languages, self.scores[row], self.offsets[row], order, query_language
        )
        return places[:DEPTH]

    def measures(self, lists: Sequence[np.ndarray]) -> dict[str, float]:
        """Return the means over query languages of each measure of lists of passages."""
        rows = [self._measure(i, x) for i, x in zip(self.queries, lists, strict=True)]
        codes = self.task.query_language[self.queries]
        return {
            name: float(
                np.mean([np.nanmean([r[name] for r in _of(rows, codes, c)]) for c in set(codes)])
            )
            for name in rows[0]
        }

    def _measure(self, query: int, ranking: np.ndarray) -> dict[str, float]:
        task = self.task
        relevant = task.relevant[task.relevant[:, 0] == query, 1]
        own = task.passage_language == task.query_language[query]
        place = {int(p): r for r, p in enumerate(ranking, 1)}
        ranks = np.array([place.get(int(p), DEPTH + 1) for p in relevant])
        within = [r for r, p in enumerate(ranking[own[ranking]], 1) if p in set(relevant.tolist())]
        right = np.isin(ranking, relevant)
        gains = 1 / np.log2(np.arange(2, TOP + 2))
        n_own = int(own[relevant].sum())
        return {
            "multilingual mAP": _average_precision(ranks[ranks <= DEPTH], len(relevant)),
            "nDCG@10": float(right[:TOP] @ gains / gains[: min(TOP, len(relevant))].sum()),
            "first right": float(right[0]),
            "monolingual mAP": _average_precision(np.array(within), n_own) if n_own else np.nan,
            "rank distance": float(ranks.max() - ranks.min()) if len(ranks) > 1 else np.nan,
            "own share of ten": float(own[ranking[:TOP]].mean()) if own.any() else np.nan,
        }


def _of(rows: Sequence[Any], codes: np.ndarray, code: int) -> list[Any]:
    return [row for row, c in zip(rows, codes, strict=True) if c == code]


def _average_precision(ranks: np.ndarray, n_relevant: int) -> float:
    ordered = np.sort(ranks)
    return float((np.arange(1, len(ordered) + 1) / ordered).sum() / n_relevant)


def reranker_scores(name: str, collection: Collection) -> tuple[list[dict[int, float]], float]:
    """Return a reranker's score of every candidate of each query, and its pairs a second.

    Args:
        name: "english" or "multilingual".
        collection: The queries.
    """
    task = collection.task
    path = KEPT / f"{task.name}-{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = {}
    if path.exists():
        kept = {r["query"]: r for r in map(json.loads, path.read_text().splitlines())}
    reranker = None
    with Progress(f"{task.name}: {name}") as bar, path.open("a", encoding="utf-8") as out:
        for row, query in enumerate(collection.queries):
            drawn = [int(p) for draw in DRAWS for p in collection.dense(row, draw)]
            candidates = list(dict.fromkeys(drawn))
            if query not in kept or set(candidates) - set(map(int, kept[query]["scores"])):
                reranker = reranker or Reranker(RERANKERS[name](), precision="auto")
                start = time.perf_counter()
                scores = reranker.scores(
                    [(task.queries[query], task.passages[p]) for p in candidates]
                )
                kept[query] = {
                    "query": query,
                    "seconds": time.perf_counter() - start,
                    "scores": {str(p): float(s) for p, s in zip(candidates, scores, strict=True)},
                }
                out.write(json.dumps(kept[query]) + "\n")
                out.flush()
            bar(row + 1, len(collection.queries))
    rows = [kept[query] for query in collection.queries]
    speed = sum(len(r["scores"]) for r in rows) / sum(r["seconds"] for r in rows)
    return [{int(p): s for p, s in r["scores"].items()} for r in rows], speed


def reranked(
    collection: Collection,
    scores: Sequence[Mapping[int, float]],
    draw: str,
    order: str,
    offsets: Callable[[int, list[str], np.ndarray], Offsets],
) -> list[np.ndarray]:
    """Return the reranked candidates of each query.

    Args:
        collection: The queries.
        scores: The reranker's scores of each query's candidates.
        draw: The order that candidates are drawn by.
        order: The order of the search.
        offsets: Returns the language offsets of a row, from the languages and scores of its
            candidates.
    """
    lists = []
    for row, query in enumerate(collection.queries):
        candidates = collection.dense(row, draw)
        languages = [collection.languages[p] for p in candidates]
        values = np.array([scores[row][int(p)] for p in candidates])
        query_language = collection.task.languages[collection.task.query_language[query]]
        found = offsets(row, languages, values)
        lists.append(candidates[order_passages(languages, values, found, order, query_language)])
    return lists


def no_offsets(row: int, languages: list[str], values: np.ndarray) -> Offsets:
    """Return no offsets: the reranker's scores as they are."""
    return {}


def mean_offsets(c: float) -> Callable[[int, list[str], np.ndarray], Offsets]:
    """Return the product's offsets, shrunk by c candidates."""
    return lambda row, languages, values: language_offsets(languages, values, c)


def median_offsets(row: int, languages: list[str], values: np.ndarray) -> Offsets:
    """Return the median score of each language's candidates."""
    codes = np.array(languages)
    return {x: float(np.median(values[codes == x])) for x in dict.fromkeys(languages)}


def lower_offsets(row: int, languages: list[str], values: np.ndarray) -> Offsets:
    """Return the mean of the lower half of each language's scores."""
    codes, found = np.array(languages), {}
    for language in dict.fromkeys(languages):
        ordered = np.sort(values[codes == language])
        found[language] = float(ordered[: max(1, len(ordered) // 2)].mean())
    return found


def fitted_offsets(
    collection: Collection, scores: Sequence[Mapping[int, float]]
) -> Callable[[int, list[str], np.ndarray], Offsets]:
    """Return offsets of pairs of languages, fitted on the queries of the other half of groups."""
    task = collection.task
    groups = sorted({task.query_group[i] for i in collection.queries})
    half = [groups.index(task.query_group[i]) % 2 for i in collection.queries]
    sums: dict[tuple[int, int, str], list[float]] = {}
    for row, query in enumerate(collection.queries):
        for passage in collection.dense(row, "round-robin"):
            key = (half[row], int(task.query_language[query]), collection.languages[passage])
            sums.setdefault(key, []).append(scores[row][int(passage)])

    def offsets(row: int, languages: list[str], values: np.ndarray) -> Offsets:
        code = int(task.query_language[collection.queries[row]])
        return {
            x: float(np.mean(sums.get((1 - half[row], code, x), [0.0])))
            for x in dict.fromkeys(languages)
        }

    return offsets


def development(collection: Collection) -> list[dict[str, Any]]:
    """Compare ways to estimate the offsets."""
    rows = []
    for name in RERANKERS:
        scores, _ = reranker_scores(name, collection)
        ways = {
            "none": no_offsets,
            "lower half": lower_offsets,
            "median": median_offsets,
            "fitted": fitted_offsets(collection, scores),
            **{f"mean, c = {c}": mean_offsets(c) for c in (0, 2, 5, 10)},
        }
        for way, offsets in ways.items():
            lists = reranked(collection, scores, "round-robin", "centered", offsets)
            rows.append({"reranker": name, "offsets": way, **collection.measures(lists)})
    return rows


def test(collection: Collection) -> list[dict[str, Any]]:
    """Measure the dense orders, and reranking before and after both corrections."""
    rows = []
    for order in ("score", "centered", "round-robin", "query-language-first"):
        lists = [collection.dense(row, order) for row in range(len(collection.queries))]
        rows.append(
            {"reranker": "none", "candidates": "", "order": order, **collection.measures(lists)}
        )
    for name in RERANKERS:
        scores, speed = reranker_scores(name, collection)
        for draw, order in (
            ("score", "score"),
            ("round-robin", "score"),
            ("round-robin", "centered"),
            ("round-robin", "round-robin"),
            ("round-robin", "query-language-first"),
        ):
            offsets = no_offsets if order == "score" else mean_offsets(SHRINKAGE)
            lists = reranked(collection, scores, draw, order, offsets)
            row = {"reranker": name, "candidates": draw, "order": order}
            rows.append({**row, **collection.measures(lists), "pairs a second": round(speed, 1)})
    return rows


def main() -> None:
    """Run one part and write its rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("part", choices=list(TASKS))
    part = parser.parse_args().part
    name, groups = TASKS[part]
    collection = Collection(load_task(name), groups)
    rows = (development if part == "development" else test)(collection)
    content = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    content[part] = {
        "task": name,
        "queries": len(collection.queries),
        "passages": len(collection.task.passages),
        "depth": DEPTH,
        "rows": rows,
        "machine": machine_info(),
        "versions": library_versions(),
    }
    write_text(RESULT, json.dumps(content, indent=1) + "\n")
    for row in rows:
        print({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()})


if __name__ == "__main__":
    main()
