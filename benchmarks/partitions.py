"""Claim: an index of partitions (IVF) finds far less where vectors know their language, because it
divides them by language.

    python -m benchmarks.partitions [passages]        default 100000

The vectors of benchmarks.search, once pulled to their language's direction as there and once not at
all. LanceDB's IVF_SQ, its partitions the root of the passages, 40 of them probed, refined by 3; no
store of ours round it. Purity: of a partition's passages the share of its most frequent language,
as k-means (faithful to the index's in number and distance, scikit-learn's minibatches) divides
them.
"""

from __future__ import annotations

import sys
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.search import SIZE, K, unit, vectors
from benchmarks.sides import write

QUESTIONS, PROBES = 100, 40


def row(n: int, tongue: float) -> dict[str, Any]:
    """Recall through partitions, and what the partitions are."""
    import lancedb
    from lancedb.index import IvfSq
    from sklearn.cluster import MiniBatchKMeans

    made, language = vectors(n, tongue)
    rng = np.random.default_rng(2)
    questions = unit(
        made[rng.integers(0, n, QUESTIONS)] + 0.03 * rng.normal(size=(QUESTIONS, SIZE))
    )
    exact = np.argsort(-(questions @ made.T), 1)[:, :K]
    partitions = int(n**0.5)
    label = MiniBatchKMeans(
        partitions, batch_size=8192, n_init=1, max_iter=20, random_state=0
    ).fit_predict(made)
    with TemporaryDirectory() as folder:
        flat = pa.FixedSizeListArray.from_arrays(pa.array(made.ravel()), SIZE)
        table = lancedb.connect(folder).create_table(
            "t", pa.table({"number": np.arange(n), "vector": flat})
        )
        table.create_index(
            "vector", config=IvfSq(distance_type="cosine", num_partitions=partitions)
        )
        hits = 0
        for q, right in zip(questions, exact, strict=True):
            query = table.search(q).distance_type("cosine").nprobes(PROBES).refine_factor(3)
            found = query.select(["number", "_distance"]).limit(K).to_arrow()["number"].to_pylist()
            hits += len(set(found) & set(right.tolist()))
    largest = [np.bincount(language[label == p]).max() for p in np.unique(label)]
    return {
        "pull to the language": tongue,
        "partitions": partitions,
        "probed": PROBES,
        "recall@100": hits / exact.size,
        "purity by language": float(sum(largest) / n),
        "neighbours in the question's language": float(
            np.mean(language[exact] == language[exact[:, :1]])
        ),
    }


def main() -> None:
    """Both."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    write(__file__, {"passages": n, "rows": [row(n, tongue) for tongue in (0.5, 0.0)]})


if __name__ == "__main__":
    main()
