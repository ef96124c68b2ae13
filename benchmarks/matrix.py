"""Claim: a whole audit (11 + 110 cells, the pool, bias) takes a twentieth of what
sentence-transformers' evaluator takes.

    python -m benchmarks.matrix

XQuAD-R, e5-small. Ours: `measure` in full, with intervals (bf16, as `mixling evaluate --precision
bf16`). Theirs: `InformationRetrievalEvaluator`, which encodes its queries and corpus in every cell,
on three cells (its default settings), extrapolated to 121 cells of their mean and to the pool by
the number of texts: its pool alone would take the time of eleven cells and more.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.sides import Turns, alternate, write

CELLS = (("en", "en"), ("th", "de"), ("ar", "zh"))


def ours(turns: Turns) -> None:
    """All of it."""
    from mixling.evaluation.benchmarks import load_task
    from mixling.evaluation.measure import measure
    from mixling.machine import keep_freed_memory
    from mixling.models.retriever import Retriever

    keep_freed_memory()
    retriever, one = Retriever(), load_task("xquad-r")
    turns.wait()
    entry = measure(retriever, [one], precision="bf16").summary["tasks"][one.name]
    turns.done(
        texts=len(one.queries) + len(one.passages),
        mAP=[entry[s]["mAP"] for s in ("monolingual", "cross-lingual", "multilingual")],
    )


def theirs(bf16: bool, turns: Turns) -> None:
    """Three cells."""
    import numpy as np
    from sentence_transformers.sentence_transformer.evaluation import InformationRetrievalEvaluator

    from mixling.evaluation.benchmarks import load_task
    from mixling.models.retriever import Retriever

    retriever, one = Retriever(packed=False), load_task("xquad-r")
    model = retriever.model.bfloat16() if bf16 else retriever.model
    cells = []
    for a, b in CELLS:
        asked, answered = (one.languages.index(x) for x in (a, b))
        queries = np.flatnonzero(one.query_language == asked)
        candidates = np.flatnonzero(one.passage_language == answered)
        some = set(queries.tolist())
        right: dict[str, set[str]] = {}
        for q, c in one.relevant.tolist():
            if q in some and one.passage_language[c] == answered:
                right.setdefault(str(q), set()).add(str(c))
        cells.append(
            (
                {str(q): one.queries[q] for q in queries},
                {str(c): one.passages[c] for c in candidates},
                right,
            )
        )
    turns.wait()
    found = [
        InformationRetrievalEvaluator(
            *cell,
            query_prompt=retriever.prompt("query"),
            corpus_prompt=retriever.prompt("passage"),
            write_csv=False,
        )(model)
        for cell in cells
    ]
    turns.done(
        texts=sum(len(c[0]) + len(c[1]) for c in cells), map100=[f["cosine_map@100"] for f in found]
    )


def main() -> None:
    """Measure, print, write."""
    found = alternate(
        {"ours": ours, "theirs": partial(theirs, False), "theirs in bf16": partial(theirs, True)},
        1,
        warm=0,
    )
    mine = found["sides"]["ours"][0]
    rows = json.loads((Path(__file__).parent.parent / "studies" / "instrument.json").read_text())[
        "rows"
    ]
    full = next(r for r in rows if (r["task"], r["model"]) == ("xquad-r", "e5-small"))
    before = [full[s]["mAP"] for s in ("monolingual", "cross-lingual", "multilingual")]
    row: dict[str, Any] = {
        "ours, seconds in all": round(mine["seconds"], 1),
        "mAP in bf16": mine["mAP"],
        "mAP in fp32 (studies/instrument.json)": before,
        "largest change": round(
            max(abs(a - b) for a, b in zip(before, mine["mAP"], strict=True)), 5
        ),
    }
    for name in ("theirs", "theirs in bf16"):
        them = found["sides"][name][0]
        cell, per_text = them["seconds"] / len(CELLS), them["seconds"] / them["texts"]
        whole = 121 * cell + per_text * mine["texts"]
        row[name] = {
            "seconds a cell": round(cell, 1),
            "extrapolated: 121 cells and the pool": round(whole),
            "times ours": round(whole / mine["seconds"], 1),
        }
    write(__file__, {**row, **found})


if __name__ == "__main__":
    main()
