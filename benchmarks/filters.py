"""Claims: whatever share of a store a language filter passes, the store finds what exact search
finds (recall@100 >= .99) and is at most 1.2 times as slow as the faster of LanceDB's two ways, its
index as it is and a scan.

    python -m benchmarks.filters [passages]           default 100000

The vectors and questions of benchmarks/search.py; filters of 1 to 80 of its hundred languages, of
one per cent each. The three sides in turn, question by question.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.search import SIZE, K, asked, best, direct, recall, tables, timed, vectors
from benchmarks.sides import result_path
from mixling.corpora.files import write_text
from mixling.machine import library_versions, machine_info
from mixling.searching.lance import LanceStore

SHARES = (1, 3, 5, 8, 10, 20, 30, 50, 80)


def main() -> None:
    """Every filter on one store."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    made, language = vectors(n)
    questions = asked(made)
    rows = []
    with TemporaryDirectory() as folder:
        store = LanceStore.open_or_create(f"{folder}/store", SIZE, {"model": "none"})
        for names, part in tables(made, language):
            store.replace(names, part)
        store.finish()
        for share in SHARES:
            allowed = [f"l{i:02d}" for i in range(share)]
            where = "language IN (" + ", ".join(f"'{x}'" for x in allowed) + ")"
            mine = np.flatnonzero(language < share)
            exact = mine[best(questions @ made[mine].T)]
            sides = {
                "ours": partial(store.nearest, k=K, languages=allowed),
                "index": partial(direct, store.table, where=where),
                "scan": partial(direct, store.table, where=where, scan=True),
            }
            found = {side: recall(ask, questions, exact) for side, ask in sides.items()}
            rows.append({"passing, %": share, "recall": found, "ms": timed(sides, questions)})
            print(json.dumps(rows[-1]), flush=True)
    whole = {"passages": n, "rows": rows, "machine": machine_info(), "versions": library_versions()}
    write_text(result_path(__file__), json.dumps(whole, indent=1) + "\n")


if __name__ == "__main__":
    main()
