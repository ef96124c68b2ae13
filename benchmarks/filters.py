"""Claims: whatever share of a store a language filter passes, the store finds what exact search finds (recall@100 >= .99) and is
at most 1.2 times as slow as the faster of LanceDB's two ways, its index as it is and a scan.

    python -m benchmarks.filters [passages]           default 100000

The vectors and questions of benchmarks/search.py; filters of 1 to 80 of its hundred languages, of one per cent each. The
three sides in turn, question by question. Kept in filters.json.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.search import QUESTIONS, SIZE, K, tables, timed, unit, vectors
from mixling.corpora.files import write_text
from mixling.machine import machine, versions
from mixling.searching.lance import Lance
from mixling.searching.store import SHOWN

RESULT = Path(__file__).with_suffix(".json")
SHARES = (1, 3, 5, 8, 10, 20, 30, 50, 80)


def main() -> None:
    """Every filter on one store."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    made, language = vectors(n)
    rng = np.random.default_rng(2)
    questions = unit(made[rng.integers(0, n, QUESTIONS)] + 0.03 * rng.normal(size=(QUESTIONS, SIZE)))
    rows = []
    with TemporaryDirectory() as folder:
        store = Lance.make(f"{folder}/store", SIZE, {"model": "none"})
        for names, part in tables(made, language):
            store.replace(names, part)
        store.finish()
        for share in SHARES:
            allowed = [f"l{i:02d}" for i in range(share)]
            where = "language IN (" + ", ".join(f"'{x}'" for x in allowed) + ")"
            mine = np.flatnonzero(language < share)
            exact = mine[np.argsort(-(questions @ made[mine].T), axis=1)[:, :K]]

            def direct(q: np.ndarray, scan: bool, where: str = where) -> Any:
                query = store.table.search(q, vector_column_name="vector").distance_type("dot")
                query = query.where(where, prefilter=True)
                query = query.bypass_vector_index() if scan else query.ef(12 * K).refine_factor(3)
                return query.select([*SHOWN, "_distance"]).limit(K).to_arrow()

            sides = {
                "ours": lambda q, allowed=allowed: store.nearest(q, K, allowed),
                "index": lambda q, direct=direct: direct(q, False),
                "scan": lambda q, direct=direct: direct(q, True),
            }
            found = {
                side: sum(
                    len({int(x[1:]) for x in ask(q)["document"].to_pylist()} & set(right.tolist()))
                    for q, right in zip(questions, exact, strict=True)
                )
                / exact.size
                for side, ask in sides.items()
            }
            rows.append({"passing, %": share, "recall": found, "ms": timed(sides, questions)})
            print(json.dumps(rows[-1]), flush=True)
    whole = {"passages": n, "rows": rows, "machine": machine(), "versions": versions()}
    write_text(RESULT, json.dumps(whole, indent=1) + "\n")


if __name__ == "__main__":
    main()
