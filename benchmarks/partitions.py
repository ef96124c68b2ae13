"""Claim: an index of partitions (IVF) finds far less if it divides vectors by language.

    python -m benchmarks.partitions [passages]        default 100000

The vectors are those of benchmarks.search, once pulled to the direction of their language as there
and once not. LanceDB's IVF_SQ has as many partitions as the root of the number of passages, probes
40 and refines by 3; Mixling's store is not used. Purity is the share of a partition's most frequent
language, as k-means divides the passages (scikit-learn's minibatches, with the number and distance
of the index).
"""

from __future__ import annotations

import sys
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.search import SIZE, K, normalized, vectors
from benchmarks.sides import write

QUERIES, PROBES = 100, 40


def row(n: int, pull: float) -> dict[str, Any]:
    """Measure recall through partitions, and the purity of the partitions."""
    import lancedb
    from lancedb.index import IvfSq
    from sklearn.cluster import MiniBatchKMeans

    passage_vectors, language = vectors(n, pull)
    rng = np.random.default_rng(2)
    queries = normalized(
        passage_vectors[rng.integers(0, n, QUERIES)] + 0.03 * rng.normal(size=(QUERIES, SIZE))
    )
    exact = np.argsort(-(queries @ passage_vectors.T), 1)[:, :K]
    partitions = int(n**0.5)
    label = MiniBatchKMeans(
        partitions, batch_size=8192, n_init=1, max_iter=20, random_state=0
    ).fit_predict(passage_vectors)
    with TemporaryDirectory() as folder:
        flat = pa.FixedSizeListArray.from_arrays(pa.array(passage_vectors.ravel()), SIZE)
        table: Any = lancedb.connect(folder).create_table(
            "t", pa.table({"number": np.arange(n), "vector": flat})
        )
        table.create_index(
            "vector", config=IvfSq(distance_type="cosine", num_partitions=partitions)
        )
        hits = 0
        for q, neighbors in zip(queries, exact, strict=True):
            query = table.search(q).distance_type("cosine").nprobes(PROBES).refine_factor(3)
            numbers = (
                query.select(["number", "_distance"]).limit(K).to_arrow()["number"].to_pylist()
            )
            hits += len(set(numbers) & set(neighbors.tolist()))
    largest_languages = [np.bincount(language[label == p]).max() for p in np.unique(label)]
    return {
        "pull to the language": pull,
        "partitions": partitions,
        "probed": PROBES,
        "recall@100": hits / exact.size,
        "purity by language": float(sum(largest_languages) / n),
        "neighbors in the query's language": float(
            np.mean(language[exact] == language[exact[:, :1]])
        ),
    }


def main() -> None:
    """Measure vectors with and without a pull to their language."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    write(__file__, {"passages": n, "rows": [row(n, pull) for pull in (0.5, 0.0)]})


if __name__ == "__main__":
    main()
