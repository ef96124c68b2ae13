"""Rank eleven languages for one query, before and after a transform: `python -m studies.one_query`.

The queries are XQuAD-R's in one language, the passages its answer sentences in all eleven; the
encoder is multilingual-e5-small, without and with the transform that ships. The query that the
pages show is chosen by a rule: its average precision, before and after, is the nearest to the means
over all queries, so it stands for what a query gains on average.
one-query.json holds the languages of the first thirty and whether each is right, and no text.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from mixling.evaluation.benchmarks import load_task
from mixling.machine import library_versions, machine_info
from mixling.models.retriever import Retriever
from mixling.models.shipped import read_shipped
from mixling.transforms.transforms import AffineTransform

LANGUAGE = "de"  # the first of the languages that readers of the pages are likely to read
DEPTH = 30


def main() -> None:
    """Encode, rank and write the result."""
    task, encoder = load_task("xquad-r"), Retriever()
    queries = np.flatnonzero(task.query_language == task.languages.index(LANGUAGE))
    vectors = {
        "query": encoder.encode([task.queries[i] for i in queries], "query", precision="bf16"),
        "passage": encoder.encode(task.passages, "passage", precision="bf16"),
    }
    transform = AffineTransform(*read_shipped())
    relevant: dict[int, set[int]] = {}
    for q, p in task.relevant.tolist():
        relevant.setdefault(q, set()).add(p)

    first, counts, last, precision = {}, {}, {}, {}
    for name in ("before", "after"):
        q, p = (
            x if name == "before" else transform.transform(x)
            for x in (vectors["query"], vectors["passage"])
        )
        scores = q @ p.T
        first[name] = np.argsort(-scores, axis=1, kind="stable")[:, :DEPTH]
        right = [
            [x in relevant[i] for x in row]
            for i, row in zip(queries, first[name].tolist(), strict=True)
        ]
        counts[name] = np.array(right).sum(1)
        ranks = [
            np.sort([1 + (row > row[p]).sum() for p in relevant[i]])
            for i, row in zip(queries, scores, strict=True)
        ]
        last[name] = np.array([x[-1] for x in ranks])
        precision[name] = np.array([(np.arange(1, len(x) + 1) / x).mean() for x in ranks])
    distance = sum((precision[x] - precision[x].mean()) ** 2 for x in first)
    shown = int(np.argmin(distance))
    content = {
        "set": "XQuAD-R",
        "model": encoder.name,
        "query language": LANGUAGE,
        "query": int(queries[shown]),
        "queries": len(queries),
        "passages": len(task.passages),
        "relevant": len(relevant[int(queries[shown])]),
        **{
            name: {
                "first": [
                    [task.languages[task.passage_language[p]], p in relevant[int(queries[shown])]]
                    for p in first[name][shown].tolist()
                ],
                "average precision": float(precision[name][shown]),
                "average precision, mean": float(precision[name].mean()),
                "right in the first thirty": int(counts[name][shown]),
                "right in the first thirty, mean": float(counts[name].mean()),
                "rank of the last right": int(last[name][shown]),
            }
            for name in first
        },
        "versions": library_versions(),
        "machine": machine_info(),
    }
    Path(__file__).with_name("one-query.json").write_text(json.dumps(content, indent=1) + "\n")
    print(json.dumps(content, indent=1))


if __name__ == "__main__":
    main()
