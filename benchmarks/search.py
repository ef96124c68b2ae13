"""Claims: a store finds what exact search finds, at nearly LanceDB's speed.

    python -m benchmarks.search [passages ...]        default 100000 1000000
    python -m benchmarks.search --milvus HOST:PORT 100000

Recall@100 is at least .99, also through a filter that 1 % pass, and the time at most 1.2 times that
of LanceDB itself. Vectors of 384 numbers form 2,000 clusters, and each text is pulled to the
direction of its language (100 languages of one per cent each); passages have twenty synthetic
words. Each of 200 queries is a passage with noise. Recall is against numpy's exact scores;
latencies are taken query by query, the sides in turn. Peak memory is of the whole process. Rows are
added to the result as they are measured.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.sides import result_path
from mixling.corpora.files import write_text
from mixling.machine import library_versions, machine_info
from mixling.searching.lance import EXACT
from mixling.searching.store import RESULT_COLUMNS, passage_schema, search_ef
from mixling.searching.stores import open_or_create_store

SIZE, LANGUAGES, CLUSTERS, QUERIES, K, PART = 384, 100, 2000, 200, 100, 16384


def normalized(vectors: np.ndarray) -> np.ndarray:
    """Return rows of length one, float32."""
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def vectors(n: int, pull: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Return vectors, float32 `[n, SIZE]`, and the language of each, int64 `[n]`.

    Args:
        n: Number of passages.
        pull: How far a text is pulled to the direction of its language.
    """
    rng = np.random.default_rng(0)
    centers, directions = rng.normal(size=(CLUSTERS, SIZE)), rng.normal(size=(LANGUAGES, SIZE))
    language, cluster = np.arange(n) % LANGUAGES, rng.integers(0, CLUSTERS, n)
    out = np.empty((n, SIZE), np.float32)
    for begin in range(0, n, 65536):
        part = slice(begin, min(begin + 65536, n))
        noise = rng.normal(size=(part.stop - part.start, SIZE))
        out[part] = normalized(
            centers[cluster[part]] + pull * directions[language[part]] + 0.8 * noise
        )
    return out, language


def tables(
    passage_vectors: np.ndarray, language: np.ndarray
) -> Iterator[tuple[list[str], pa.Table]]:
    """Yield passages in parts, one passage a document."""
    rng = np.random.default_rng(1)
    vocabulary = np.array(
        ["".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), 6)) for _ in range(20_000)]
    )
    schema = passage_schema(SIZE)
    for begin in range(0, len(passage_vectors), PART):
        batch = passage_vectors[begin : begin + PART]
        names = [f"d{i}" for i in range(begin, begin + len(batch))]
        columns: dict[str, Any] = {
            "id": [f"{x}#0" for x in names],
            "document": names,
            "digest": ["0"] * len(batch),
            "title": names,
            "address": [""] * len(batch),
            "metadata": ["{}"] * len(batch),
            "part": [0] * len(batch),
            "begin": [0] * len(batch),
            "end": [140] * len(batch),
            "language": [f"l{x:02d}" for x in language[begin : begin + PART]],
            "text": [
                " ".join(row)
                for row in vocabulary[rng.integers(0, len(vocabulary), (len(batch), 20))]
            ],
        }
        arrays = [
            pa.FixedSizeListArray.from_arrays(pa.array(batch.ravel()), SIZE)
            if field.name == "vector"
            else pa.array(columns.get(field.name, [None] * len(batch)), field.type)
            for field in schema
        ]
        yield names, pa.table(arrays, schema=schema)


def percentiles(seconds: list[float]) -> dict[str, float]:
    """Return p50 and p95 in milliseconds."""
    return {f"p{p}": round(float(np.percentile(seconds, p)) * 1000, 3) for p in (50, 95)}


def timed(
    sides: Mapping[str, Callable[[np.ndarray], Any]], queries: np.ndarray
) -> dict[str, dict[str, float]]:
    """Time each side, query by query in turn."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for q in queries:
        for name, search in sides.items():
            start_time = time.perf_counter()
            search(q)
            seconds[name].append(time.perf_counter() - start_time)
    return {name: percentiles(x) for name, x in seconds.items()}


def sample_queries(passage_vectors: np.ndarray) -> np.ndarray:
    """Return queries, float32 `[QUERIES, SIZE]`: passages with noise."""
    rng = np.random.default_rng(2)
    return normalized(
        passage_vectors[rng.integers(0, len(passage_vectors), QUERIES)]
        + 0.03 * rng.normal(size=(QUERIES, SIZE))
    )


def best(scores: np.ndarray) -> np.ndarray:
    """Return the indices of the K highest in the last dimension, best first."""
    top = np.argpartition(-scores, K, axis=-1)[..., :K]
    return np.take_along_axis(top, np.argsort(-np.take_along_axis(scores, top, -1), -1), -1)


def direct(
    table: Any, vector: np.ndarray, where: str | None = None, scan: bool = False
) -> pa.Table:
    """Search LanceDB without Mixling, by its index or by a scan."""
    query = table.search(vector, vector_column_name="vector").distance_type("dot")
    query = query if where is None else query.where(where, prefilter=True)
    query = query.bypass_vector_index() if scan else query.ef(search_ef(K)).refine_factor(3)
    return query.select([*RESULT_COLUMNS, "_distance"]).limit(K).to_arrow()


def recall(
    search: Callable[[np.ndarray], pa.Table], queries: np.ndarray, exact: np.ndarray
) -> float:
    """Return the share of the exact K that is found."""
    hits = 0
    for q, exact_row in zip(queries, exact, strict=True):
        numbers = {int(x[1:]) for x in search(q)["document"].to_pylist()}
        hits += len(numbers & set(exact_row.tolist()))
    return hits / exact.size


def row(n: int, address: str) -> dict[str, Any]:
    """Build a store of n passages, and measure recall and latency."""
    passage_vectors, language = vectors(n)
    queries = sample_queries(passage_vectors)
    start_time = time.perf_counter()
    store = open_or_create_store(address, SIZE, {"model": "none"})
    for names, part in tables(passage_vectors, language):
        store.replace(names, part)
    written_time = time.perf_counter()
    store.finish()
    built_time = time.perf_counter()
    passing = np.flatnonzero(language == 0)
    passing_vectors = np.ascontiguousarray(passage_vectors[passing])
    exact = np.concatenate(
        [best(queries[i : i + 20] @ passage_vectors.T) for i in range(0, QUERIES, 20)]
    )
    exact_passing = passing[best(queries @ passing_vectors.T)]
    sides: dict[str, Callable] = {
        "ours": lambda q: store.nearest(q, K),
        "numpy": lambda q: best(passage_vectors @ q),
    }
    filtered: dict[str, Callable] = {
        "ours": lambda q: store.nearest(q, K, ["l00"]),
        "numpy": lambda q: passing[best(passing_vectors @ q)],
    }
    table, where = getattr(store, "table", None), "language = 'l00'"
    if table is not None:
        sides["lancedb"] = lambda q: direct(table, q, scan=n <= EXACT)
        filtered["lancedb, index as it is"] = lambda q: direct(table, q, where)
        filtered["lancedb, told to scan"] = lambda q: direct(table, q, where, scan=True)
    result: dict[str, Any] = {
        "passages": n,
        "store": "milvus" if address.startswith("milvus") else "lance",
        "seconds": {
            "writing": round(written_time - start_time, 1),
            "indexes": round(built_time - written_time, 1),
        },
        "recall": {
            "all": recall(sides["ours"], queries, exact),
            "one language": recall(filtered["ours"], queries, exact_passing),
        },
        "ms": {"all": timed(sides, queries), "one language": timed(filtered, queries)},
        "peak memory, MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    if table is not None:
        as_it_is = recall(filtered["lancedb, index as it is"], queries, exact_passing)
        result["recall"]["one language, lancedb's index as it is"] = as_it_is
        size = sum(p.stat().st_size for p in Path(address).rglob("*") if p.is_file())
        result["disk"] = {
            "MB": round(size / 2**20, 1),
            "of the vectors": round(size / passage_vectors.nbytes, 2),
        }
    return result


def save(rows: list[dict[str, Any]]) -> None:
    """Write the rows."""
    content = {"rows": rows, "machine": machine_info(), "versions": library_versions()}
    write_text(result_path(__file__), json.dumps(content, indent=1) + "\n")


def main() -> None:
    """Measure what the arguments name; a row replaces the former one."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--milvus")
    parser.add_argument("passages", nargs="*", type=int, default=[100_000, 1_000_000])
    arguments = parser.parse_args()
    path = result_path(__file__)
    rows = json.loads(path.read_text())["rows"] if path.exists() else []
    for n in arguments.passages:
        with TemporaryDirectory() as folder:
            address = (
                f"milvus://{arguments.milvus}/bench{n}" if arguments.milvus else f"{folder}/store"
            )
            new_row = row(n, address)
        rows = [r for r in rows if (r["store"], r["passages"]) != (new_row["store"], n)] + [new_row]
        rows.sort(key=lambda r: (r["store"], r["passages"]))
        save(rows)
        print(json.dumps(new_row, indent=1), flush=True)


if __name__ == "__main__":
    main()
