"""Compare ways of searching: by vectors, by full text and by both, in each order.

    python -m studies.search_ways COLLECTION... --vectors FOLDER [--queries N] [--passages N]
    python -m studies.search_ways --choose COLLECTION... --vectors FOLDER

A collection is a task, or a file of documents (`studies.audit_collections`). Translation groups are
drawn by seed 0 until they have N queries. The pool holds the passages that answer them, and others
by chance up to N; texts are cut after 1,500 characters. The pool is indexed into a LanceDB store,
whose full text answers. Vectors are compared by numpy, which a store of this size does exactly too
(tests/test_fair_modes.py compares the two). Every query states its language, and lists are a
thousand passages deep, as in `studies.search`. FOLDER keeps the vectors, outside of the project.

`--choose` measures the ways among which one was chosen, on development data alone.
search_ways.json holds the figures of each collection.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from studies.collection_vectors import read_texts

from mixling.corpora.files import write_text
from mixling.encoding.vectors import encode_cached
from mixling.evaluation.benchmarks import DEVELOPMENT
from mixling.machine import library_versions, machine_info
from mixling.models.functions import PROBES, FunctionEncoder
from mixling.models.retriever import Retriever
from mixling.models.weights import DEFAULT
from mixling.progress import Progress
from mixling.searching.fairness import ORDERS
from mixling.searching.fusion import found_by_language, rank_by_both, rank_by_text, rows_by_language
from mixling.searching.index import index
from mixling.searching.query import Searcher
from mixling.searching.ranking import (
    PassageSearch,
    Row,
    nearest_by_language,
    rank_by_vector,
    sort_by_score,
    vector_offsets,
)

RESULT = Path(__file__).with_suffix(".json")
TRIAL_TEXTS = {*PROBES, "Hello."}  # by which Mixling gets to know an encoder
FUSION_K = 60  # the constant of reciprocal rank fusion (Cormack et al. 2009)
DEPTH, MAX_CHARACTERS = 1000, 1500


@dataclass(frozen=True)
class Collection:
    """Queries, and a pool of passages.

    `translations` has the other queries of each query's group, `relevant` its answers.
    """

    name: str
    queries: list[str]
    query_languages: list[str]
    translations: list[list[str]]
    query_vectors: np.ndarray
    translation_vectors: list[np.ndarray]
    passages: list[str]
    passage_languages: np.ndarray
    passage_vectors: np.ndarray
    relevant: list[np.ndarray]


def read_collection(
    name: str, retriever: Retriever, n_queries: int, n_passages: int, folder: Path
) -> Collection:
    """Draw queries and passages of a collection, and encode them."""
    texts, rng = read_texts(name, retriever.name), np.random.default_rng(0)
    answered = set(texts.relevant[:, 0].tolist())
    members: dict[str, list[int]] = {}
    for query, group in enumerate(texts.query_groups.tolist()):
        if query in answered:
            members.setdefault(group, []).append(query)
    chosen: list[int] = []
    for group in rng.permutation(sorted(members)):
        if len(chosen) >= n_queries:
            break
        chosen += members[group]
    relevant = [texts.relevant[texts.relevant[:, 0] == query, 1] for query in chosen]
    answers = np.unique(np.concatenate(relevant))
    others = rng.permutation(np.setdiff1d(np.arange(len(texts.passages)), answers))
    pool = np.sort(np.concatenate([answers, others[: max(0, n_passages - len(answers))]]))
    number = {passage: i for i, passage in enumerate(pool.tolist())}
    passages = [texts.passages[i][:MAX_CHARACTERS] for i in pool]
    queries = [texts.queries[i] for i in chosen]
    encode = partial(encode_cached, retriever, folder=folder)
    passage_vectors, _ = encode(
        passages, "passage", titles=[texts.titles[i] for i in pool], precision="bf16"
    )
    query_vectors, _ = encode(queries, "query", precision="fp32")
    row = {query: i for i, query in enumerate(chosen)}
    other = [
        [row[i] for i in members[str(texts.query_groups[query])] if i != query] for query in chosen
    ]
    return Collection(
        Path(name).stem,
        queries,
        texts.query_languages[chosen].tolist(),
        [[queries[i] for i in rows] for rows in other],
        query_vectors,
        [query_vectors[rows] for rows in other],
        [text.strip() for text in passages],  # as they are indexed
        texts.passage_languages[pool],
        passage_vectors,
        [np.array([number[i] for i in found]) for found in relevant],
    )


@dataclass(frozen=True)
class Rows:
    """Rows as a store's table gives them."""

    rows: list[dict[str, Any]]

    def to_pylist(self) -> list[dict[str, Any]]:
        """Return the rows."""
        return list(self.rows)


class KnownStore:
    """What a store answers for one query after another: exact scores, and its real full text."""

    def __init__(self, collection: Collection, store: Any):
        self.collection, self.store = collection, store
        self.rows = [
            {"id": f"{i}#0", "language": language}
            for i, language in enumerate(collection.passage_languages.tolist())
        ]
        self.members = {
            x: np.flatnonzero(collection.passage_languages == x)
            for x in np.unique(collection.passage_languages).tolist()
        }
        self.vector: np.ndarray | None = None
        self.answers: dict[Any, list[dict[str, Any]]] = {}

    def ask(self, vector: np.ndarray) -> None:
        """Go on to another query, float32 `[dim]`."""
        self.vector, self.answers = vector, {}
        self.scores = self.collection.passage_vectors @ vector

    def nearest(self, vector: np.ndarray, k: int, languages: Sequence[str] | None = None) -> Rows:
        """See `Store.nearest`."""
        if vector is not self.vector:
            self.ask(vector)
        key = ("nearest", k, tuple(languages or ()))
        if key not in self.answers:
            codes = self.members if languages is None else languages
            places = np.concatenate([self.members[x] for x in codes])
            best = places[np.argsort(-self.scores[places], kind="stable")[:k]]
            self.answers[key] = [self.rows[i] | {"score": float(self.scores[i])} for i in best]
        return Rows(self.answers[key])

    def lexical(self, text: str, k: int, languages: Sequence[str] | None = None) -> Rows:
        """See `Store.lexical`."""
        key = (text, k, tuple(languages or ()))
        if key not in self.answers:
            found = self.store.lexical(text, k, languages).select(["id", "language", "score"])
            self.answers[key] = found.to_pylist()
        return Rows(self.answers[key])


def index_collection(collection: Collection, folder: str) -> Searcher:
    """Index a pool whose vectors are known, a passage a document."""
    known = {text: i for i, text in enumerate(collection.passages)}

    def vectors(texts: list[str], role: str | None) -> np.ndarray:
        rows = [known[text] for text in texts if text in known]
        if len(rows) == len(texts):
            return collection.passage_vectors[rows]
        assert set(texts) <= TRIAL_TEXTS, texts  # none of the pool's
        return np.eye(len(texts), collection.passage_vectors.shape[1], dtype=np.float32)

    source, encoder = Path(folder) / "pool.jsonl", FunctionEncoder(vectors, "known")
    rows = zip(collection.passages, collection.passage_languages.tolist(), strict=True)
    source.write_text(
        "".join(
            json.dumps({"_id": str(i), "text": text, "language": code}) + "\n"
            for i, (text, code) in enumerate(rows)
        ),
        encoding="utf-8",
    )
    index(encoder, source, f"{folder}/store", size=4 * MAX_CHARACTERS, overlap=0)
    return Searcher(f"{folder}/store", encoder)


def figures(
    ranking: np.ndarray, relevant: np.ndarray, is_same: np.ndarray, n_passages: int
) -> dict[str, float]:
    """Score one ranking.

    Args:
        ranking: Passages, best first.
        relevant: The relevant passages.
        is_same: Which passages of the pool are in the query's language.
        n_passages: Passages of the pool.
    """
    rank = _ranks(ranking, n_passages)[relevant]
    result = {
        "multilingual": _precision(rank),
        "rank distance": float(rank.max() - rank.min()),
        "first answer right": float(rank.min() == 1),
    }
    own = relevant[is_same[relevant]]
    if len(own):
        result["monolingual"] = _precision(_ranks(ranking[is_same[ranking]], n_passages)[own])
    return result


def _ranks(ranking: np.ndarray, n_passages: int) -> np.ndarray:
    """Rank of each passage, one more than the depth where it is not found."""
    rank = np.full(n_passages, DEPTH + 1)
    rank[ranking[:DEPTH]] = np.arange(1, min(len(ranking), DEPTH) + 1)
    return rank


def _precision(rank: np.ndarray) -> float:
    """Average precision of ranks."""
    ordered = np.sort(rank)
    precision = np.arange(1, len(rank) + 1) / ordered
    return float(precision[ordered <= DEPTH].sum() / len(rank))


Way = Callable[[PassageSearch, np.ndarray, list[str]], list[Row]]


def by_vector(search: PassageSearch, vector: np.ndarray, queries: list[str]) -> list[Row]:
    """Mode "dense"."""
    return rank_by_vector(search, vector)


def by_text(search: PassageSearch, vector: np.ndarray, queries: list[str]) -> list[Row]:
    """Mode "text"."""
    return rank_by_text(search, queries[0])


def by_both(search: PassageSearch, vector: np.ndarray, queries: list[str]) -> list[Row]:
    """Mode "both"."""
    return rank_by_both(search, vector, queries[0])


def by_all_queries(search: PassageSearch, vector: np.ndarray, queries: list[str]) -> list[Row]:
    """Mode "both", where full text takes the translations too, and vectors the query alone."""
    return rank_by_both(search, vector, " ".join(queries))


def reciprocal_ranks(search: PassageSearch, vector: np.ndarray, queries: list[str]) -> list[Row]:
    """The order's list by vector and one list of full text, by reciprocal rank.

    So it was before orders applied to full text.
    """
    found = search.store.lexical(queries[0], search.depth, search.language_filter).to_pylist()
    return fuse_ranks([rank_by_vector(search, vector), found])


def within_languages(search: PassageSearch, vector: np.ndarray, queries: list[str]) -> list[Row]:
    """Reciprocal ranks within each language, put together by the order."""
    rows = [row for fused in _fused_by_language(search, vector, queries[0]) for row in fused]
    rows = sort_by_score(rows)
    return [rows[i] for i in search.order_rows(rows, {})]


def places_by_vector(search: PassageSearch, vector: np.ndarray, queries: list[str]) -> list[Row]:
    """Reciprocal ranks within each language, on the places that it has by vector."""
    fused = _fused_by_language(search, vector, queries[0])
    parts = {rows[0]["language"]: iter(rows) for rows in fused}
    nearest = sort_by_score(nearest_by_language(search, vector, search.languages))
    places = search.order_rows(nearest, vector_offsets(search, vector))
    return [next(parts[nearest[i]["language"]]) for i in places]


def without_text_offset(search: PassageSearch, vector: np.ndarray, queries: list[str]) -> list[Row]:
    """The sum of both scores, with the language offset of the vectors alone."""
    rows = sort_by_score(rank_by_both(search, vector, queries[0]))
    return [rows[i] for i in search.order_rows(rows, vector_offsets(search, vector))]


def _fused_by_language(search: PassageSearch, vector: np.ndarray, text: str) -> list[list[Row]]:
    """Fuse the lists of each language by reciprocal rank; without full text, as by vector."""
    found = rows_by_language(found_by_language(search, text))
    near = rows_by_language(nearest_by_language(search, vector, search.languages))
    return [fuse_ranks([rows, found.get(language, rows)]) for language, rows in near.items()]


def fuse_ranks(rankings: Sequence[Sequence[Row]]) -> list[Row]:
    """Merge rankings by the sum of 1 / (60 + rank), equal sums by id."""
    scores: dict[str, float] = {}
    rows: dict[str, Row] = {}
    for ranking in rankings:
        for rank, row in enumerate(ranking, 1):
            scores[row["id"]] = scores.get(row["id"], 0.0) + 1 / (FUSION_K + rank)
            rows.setdefault(row["id"], row)
    best = sorted(scores, key=lambda key: (-scores[key], key))
    return [{**rows[key], "score": scores[key]} for key in best]


MODES: dict[str, Way] = {"dense": by_vector, "text": by_text, "both": by_both}
CANDIDATES: dict[str, Way] = {
    "vectors alone": by_vector,
    "reciprocal rank, one text list": reciprocal_ranks,
    "reciprocal rank within languages": within_languages,
    "the same, on the places by vector": places_by_vector,
    "sum of scores, offset of vectors": without_text_offset,
    "sum of scores and of offsets": by_both,
    "the same, translations in full text": by_all_queries,
    "full text alone": by_text,
}


def measure(collection: Collection, ways: dict[str, Way]) -> dict[str, dict[str, Any]]:
    """Measure each way in each order; means over the queries."""
    table: dict[tuple[str, str], list[dict[str, float]]] = {}
    with TemporaryDirectory() as folder, Progress(collection.name) as bar:
        searcher = index_collection(collection, folder)
        store = KnownStore(collection, searcher.store)
        for number, query in enumerate(collection.queries):
            vector, language = collection.query_vectors[number], collection.query_languages[number]
            store.ask(vector)
            is_same = collection.passage_languages == language
            for order in ORDERS:
                search = PassageSearch(
                    store, searcher.means, list(searcher.means), DEPTH, order, language, {}
                )
                for name, way in ways.items():
                    rows = way(search, vector, [query, *collection.translations[number]])
                    ranking = np.array([int(row["id"][:-2]) for row in rows], np.int64)
                    table.setdefault((name, order), []).append(
                        figures(ranking, collection.relevant[number], is_same, len(is_same))
                    )
            bar(number + 1, len(collection.queries))
    result: dict[str, dict[str, Any]] = {}
    for (name, order), rows in table.items():
        means = {
            key: float(np.mean([row[key] for row in rows if key in row]))
            for key in ("monolingual", "multilingual", "rank distance", "first answer right")
        }
        result.setdefault(name, {})[order] = means
    return result


def main() -> None:
    """Measure collections."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("collections", nargs="+")
    parser.add_argument("--model", default=DEFAULT)
    parser.add_argument("--vectors", type=Path, required=True)
    parser.add_argument("--queries", type=int, default=400)
    parser.add_argument("--passages", type=int, default=20_000)
    parser.add_argument("--choose", action="store_true", help="compare ways on development data")
    given = parser.parse_args()
    names = [Path(name).stem for name in given.collections]
    if given.choose and not set(names) <= {*DEVELOPMENT, "help-dev"}:
        parser.error("--choose takes development data alone")
    retriever = Retriever(given.model)
    for path, name in zip(given.collections, names, strict=True):
        start = time.perf_counter()
        collection = read_collection(path, retriever, given.queries, given.passages, given.vectors)
        measured = measure(collection, CANDIDATES if given.choose else MODES)
        content = json.loads(RESULT.read_text()) if RESULT.exists() else {}
        content.setdefault("chosen on" if given.choose else "measured on", {})[name] = {
            "model": retriever.name,
            "queries": len(collection.queries),
            "passages": len(collection.passages),
            "languages": sorted(set(collection.passage_languages.tolist())),
            "ways": measured,
            "machine": machine_info(),
            "versions": library_versions(),
        }
        write_text(RESULT, json.dumps(content, indent=1) + "\n")
        print(name, f"{time.perf_counter() - start:.0f} s", json.dumps(measured, indent=1))


if __name__ == "__main__":
    main()
