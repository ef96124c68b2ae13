"""Claims: with any language filter a store finds what exact search finds, and is not slow.

    python -m benchmarks.filters [passages]           default 100000

Recall@100 is at least .99, and the time at most 1.2 times that of the faster of LanceDB's index and
a scan. Vectors and queries are those of benchmarks/search.py; filters pass 1 to 80 of its hundred
languages, of one per cent each. The three sides take turns, query by query.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.search import SIZE, K, best, direct, recall, sample_queries, tables, timed, vectors
from benchmarks.sides import result_path
from mixling.corpora.files import write_text
from mixling.machine import library_versions, machine_info
from mixling.searching.lance import LanceStore

SHARES = (1, 3, 5, 8, 10, 20, 30, 50, 80)


def main() -> None:
    """Measure every filter on one store."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    passage_vectors, language = vectors(n)
    queries = sample_queries(passage_vectors)
    rows = []
    with TemporaryDirectory() as folder:
        store = LanceStore.open_or_create(f"{folder}/store", SIZE, {"model": "none"})
        for names, part in tables(passage_vectors, language):
            store.replace(names, part)
        store.finish()
        for share in SHARES:
            allowed = [f"l{i:02d}" for i in range(share)]
            where = "language IN (" + ", ".join(f"'{x}'" for x in allowed) + ")"
            passing = np.flatnonzero(language < share)
            exact = passing[best(queries @ passage_vectors[passing].T)]
            sides = {
                "ours": partial(store.nearest, k=K, languages=allowed),
                "index": partial(direct, store.table, where=where),
                "scan": partial(direct, store.table, where=where, scan=True),
            }
            recalls = {side: recall(search, queries, exact) for side, search in sides.items()}
            rows.append({"passing, %": share, "recall": recalls, "ms": timed(sides, queries)})
            print(json.dumps(rows[-1]), flush=True)
    content = {
        "passages": n,
        "rows": rows,
        "machine": machine_info(),
        "versions": library_versions(),
    }
    write_text(result_path(__file__), json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
