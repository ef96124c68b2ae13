"""Claims: a store finds what exact search finds (recall@100 >= .99, also through a filter that 1 %
pass), at most 1.2 times as slow as LanceDB asked directly.

    python -m benchmarks.search [passages ...]        default 100000 1000000
    python -m benchmarks.search --milvus HOST:PORT 100000

Clustered vectors of 384 numbers (2,000 clusters, each text also pulled to its language's direction;
100 languages of one per cent each), passages of some twenty made-up words. 200 questions, each a
passage with noise. Recall against numpy's exact scores; latencies question by question, the sides
in turn. Peak memory is of the whole process. Rows are kept in the result as they come.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable, Iterator
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

SIZE, LANGUAGES, CLUSTERS, QUESTIONS, K, PART = 384, 100, 2000, 200, 100, 16384


def unit(x: np.ndarray) -> np.ndarray:
    """Rows of length one, float32."""
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def vectors(n: int, tongue: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Vectors, float32 [n, SIZE], and the language of each, int64 [n]. tongue.

    How far a text is pulled to its language.
    """
    rng = np.random.default_rng(0)
    centres, tongues = rng.normal(size=(CLUSTERS, SIZE)), rng.normal(size=(LANGUAGES, SIZE))
    language, cluster = np.arange(n) % LANGUAGES, rng.integers(0, CLUSTERS, n)
    out = np.empty((n, SIZE), np.float32)
    for begin in range(0, n, 65536):
        part = slice(begin, min(begin + 65536, n))
        noise = rng.normal(size=(part.stop - part.start, SIZE))
        out[part] = unit(centres[cluster[part]] + tongue * tongues[language[part]] + 0.8 * noise)
    return out, language


def tables(made: np.ndarray, language: np.ndarray) -> Iterator[tuple[list[str], pa.Table]]:
    """Passages, one a document, in parts."""
    rng = np.random.default_rng(1)
    words = np.array(
        ["".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), 6)) for _ in range(20_000)]
    )
    form = passage_schema(SIZE)
    for begin in range(0, len(made), PART):
        v = made[begin : begin + PART]
        names = [f"d{i}" for i in range(begin, begin + len(v))]
        given: dict[str, Any] = {
            "id": [f"{x}#0" for x in names],
            "document": names,
            "digest": ["0"] * len(v),
            "title": names,
            "address": [""] * len(v),
            "metadata": ["{}"] * len(v),
            "part": [0] * len(v),
            "begin": [0] * len(v),
            "end": [140] * len(v),
            "language": [f"l{x:02d}" for x in language[begin : begin + PART]],
            "text": [" ".join(row) for row in words[rng.integers(0, len(words), (len(v), 20))]],
        }
        arrays = [
            pa.FixedSizeListArray.from_arrays(pa.array(v.ravel()), SIZE)
            if f.name == "vector"
            else pa.array(given.get(f.name, [None] * len(v)), f.type)
            for f in form
        ]
        yield names, pa.table(arrays, schema=form)


def ladder(seconds: list[float]) -> dict[str, float]:
    """p50 and p95 in milliseconds."""
    return {f"p{p}": round(float(np.percentile(seconds, p)) * 1000, 3) for p in (50, 95)}


def timed(
    sides: dict[str, Callable[[np.ndarray], Any]], questions: np.ndarray
) -> dict[str, dict[str, float]]:
    """Latencies of each side, question by question in turn."""
    took: dict[str, list[float]] = {name: [] for name in sides}
    for q in questions:
        for name, ask in sides.items():
            begun = time.perf_counter()
            ask(q)
            took[name].append(time.perf_counter() - begun)
    return {name: ladder(x) for name, x in took.items()}


def asked(made: np.ndarray) -> np.ndarray:
    """The questions, float32 [QUESTIONS, SIZE]: passages with noise."""
    rng = np.random.default_rng(2)
    return unit(
        made[rng.integers(0, len(made), QUESTIONS)] + 0.03 * rng.normal(size=(QUESTIONS, SIZE))
    )


def best(scores: np.ndarray) -> np.ndarray:
    """The places of the K highest, best first, in the last dimension."""
    top = np.argpartition(-scores, K, axis=-1)[..., :K]
    return np.take_along_axis(top, np.argsort(-np.take_along_axis(scores, top, -1), -1), -1)


def direct(table: Any, q: np.ndarray, where: str | None = None, scan: bool = False) -> pa.Table:
    """LanceDB asked without us: K passages, by its index or a scan."""
    query = table.search(q, vector_column_name="vector").distance_type("dot")
    query = query if where is None else query.where(where, prefilter=True)
    query = query.bypass_vector_index() if scan else query.ef(search_ef(K)).refine_factor(3)
    return query.select([*RESULT_COLUMNS, "_distance"]).limit(K).to_arrow()


def recall(
    ask: Callable[[np.ndarray], pa.Table], questions: np.ndarray, exact: np.ndarray
) -> float:
    """Share of the exact K that is found."""
    hits = 0
    for q, right in zip(questions, exact, strict=True):
        found = {int(x[1:]) for x in ask(q)["document"].to_pylist()}
        hits += len(found & set(right.tolist()))
    return hits / exact.size


def row(n: int, address: str) -> dict[str, Any]:
    """Build, recall and latency at n passages."""
    made, language = vectors(n)
    questions = asked(made)
    begun = time.perf_counter()
    store = open_or_create_store(address, SIZE, {"model": "none"})
    for names, part in tables(made, language):
        store.replace(names, part)
    written = time.perf_counter()
    store.finish()
    built = time.perf_counter()
    mine = np.flatnonzero(language == 0)
    some = np.ascontiguousarray(made[mine])
    exact = np.concatenate([best(questions[i : i + 20] @ made.T) for i in range(0, QUESTIONS, 20)])
    exact_some = mine[best(questions @ some.T)]
    sides: dict[str, Callable] = {
        "ours": lambda q: store.nearest(q, K),
        "numpy": lambda q: best(made @ q),
    }
    filtered: dict[str, Callable] = {
        "ours": lambda q: store.nearest(q, K, ["l00"]),
        "numpy": lambda q: mine[best(some @ q)],
    }
    table, where = getattr(store, "table", None), "language = 'l00'"
    if table is not None:
        sides["lancedb"] = lambda q: direct(table, q, scan=n <= EXACT)
        filtered["lancedb, index as it is"] = lambda q: direct(table, q, where)
        filtered["lancedb, told to scan"] = lambda q: direct(table, q, where, scan=True)
    found = {
        "passages": n,
        "store": "milvus" if address.startswith("milvus") else "lance",
        "seconds": {"writing": round(written - begun, 1), "indexes": round(built - written, 1)},
        "recall": {
            "all": recall(sides["ours"], questions, exact),
            "one language": recall(filtered["ours"], questions, exact_some),
        },
        "ms": {"all": timed(sides, questions), "one language": timed(filtered, questions)},
        "peak memory, MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    if table is not None:
        as_it_is = recall(filtered["lancedb, index as it is"], questions, exact_some)
        found["recall"]["one language, lancedb's index as it is"] = as_it_is
        size = sum(p.stat().st_size for p in Path(address).rglob("*") if p.is_file())
        found["disk"] = {
            "MB": round(size / 2**20, 1),
            "of the vectors": round(size / made.nbytes, 2),
        }
    return found


def keep(rows: list[dict[str, Any]]) -> None:
    """Write what there is."""
    content = {"rows": rows, "machine": machine_info(), "versions": library_versions()}
    write_text(result_path(__file__), json.dumps(content, indent=1) + "\n")


def main() -> None:
    """Measure what is asked for; a row replaces the same row of before."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--milvus")
    parser.add_argument("passages", nargs="*", type=int, default=[100_000, 1_000_000])
    given = parser.parse_args()
    path = result_path(__file__)
    rows = json.loads(path.read_text())["rows"] if path.exists() else []
    for n in given.passages:
        with TemporaryDirectory() as folder:
            address = f"milvus://{given.milvus}/bench{n}" if given.milvus else f"{folder}/store"
            new = row(n, address)
        rows = [r for r in rows if (r["store"], r["passages"]) != (new["store"], n)] + [new]
        rows.sort(key=lambda r: (r["store"], r["passages"]))
        keep(rows)
        print(json.dumps(new, indent=1), flush=True)


if __name__ == "__main__":
    main()
