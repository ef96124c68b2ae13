"""Claim: a whole audit takes a twentieth of the time of sentence-transformers' evaluator.

    python -m benchmarks.matrix

XQuAD-R, e5-small; an audit has 11 + 110 cells, the multilingual scenario and bias. Ours: `measure`
in full, with intervals, in bf16. Theirs: `InformationRetrievalEvaluator`, which encodes its queries
and corpus in every cell, on three cells with its defaults, extrapolated to 121 cells by their mean
and to the multilingual scenario by the number of texts, which alone would take the time of eleven
cells and more.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.sides import Turns, alternate, write

CELLS = (("en", "en"), ("th", "de"), ("ar", "zh"))


def ours(turns: Turns) -> None:
    """Run the whole audit."""
    from mixling.evaluation.benchmarks import load_task
    from mixling.evaluation.measure import measure
    from mixling.machine import keep_freed_memory
    from mixling.models.retriever import Retriever

    keep_freed_memory()
    retriever, task = Retriever(), load_task("xquad-r")
    turns.wait()
    entry = measure(retriever, [task], precision="bf16").summary["tasks"][task.name]
    turns.done(
        texts=len(task.queries) + len(task.passages),
        mAP=[
            entry[scenario]["mAP"] for scenario in ("monolingual", "cross-lingual", "multilingual")
        ],
    )


def theirs(bf16: bool, turns: Turns) -> None:
    """Evaluate three cells."""
    import numpy as np
    from sentence_transformers.sentence_transformer.evaluation import InformationRetrievalEvaluator

    from mixling.evaluation.benchmarks import load_task
    from mixling.models.retriever import Retriever

    retriever, task = Retriever(packed=False), load_task("xquad-r")
    model = retriever.model.bfloat16() if bf16 else retriever.model
    cells = []
    for a, b in CELLS:
        query_language, passage_language = (task.languages.index(x) for x in (a, b))
        queries = np.flatnonzero(task.query_language == query_language)
        passages = np.flatnonzero(task.passage_language == passage_language)
        query_set = set(queries.tolist())
        relevant: dict[str, set[str]] = {}
        for q, p in task.relevant.tolist():
            if q in query_set and task.passage_language[p] == passage_language:
                relevant.setdefault(str(q), set()).add(str(p))
        cells.append(
            (
                {str(q): task.queries[q] for q in queries},
                {str(p): task.passages[p] for p in passages},
                relevant,
            )
        )
    turns.wait()
    figures = [
        InformationRetrievalEvaluator(
            *cell,  # type: ignore[arg-type]
            query_prompt=retriever.prompt("query"),
            corpus_prompt=retriever.prompt("passage"),
            write_csv=False,
        )(model)
        for cell in cells
    ]
    turns.done(
        texts=sum(len(p[0]) + len(p[1]) for p in cells),
        map100=[figure["cosine_map@100"] for figure in figures],
    )


def main() -> None:
    """Measure, print and write the result."""
    result = alternate(
        {"ours": ours, "theirs": partial(theirs, False), "theirs in bf16": partial(theirs, True)},
        1,
        warm=0,
    )
    our_round = result["sides"]["ours"][0]
    rows = json.loads((Path(__file__).parent.parent / "studies" / "instrument.json").read_text())[
        "rows"
    ]
    zero_shot = next(r for r in rows if (r["task"], r["model"]) == ("xquad-r", "e5-small"))
    fp32 = [
        zero_shot[scenario]["mAP"] for scenario in ("monolingual", "cross-lingual", "multilingual")
    ]
    row: dict[str, Any] = {
        "ours, seconds in all": round(our_round["seconds"], 1),
        "mAP in bf16": our_round["mAP"],
        "mAP in fp32 (studies/instrument.json)": fp32,
        "largest change": round(
            max(abs(a - b) for a, b in zip(fp32, our_round["mAP"], strict=True)), 5
        ),
    }
    for name in ("theirs", "theirs in bf16"):
        their_round = result["sides"][name][0]
        cell, per_text = (
            their_round["seconds"] / len(CELLS),
            their_round["seconds"] / their_round["texts"],
        )
        seconds = 121 * cell + per_text * our_round["texts"]
        row[name] = {
            "seconds a cell": round(cell, 1),
            "extrapolated: 121 cells and the multilingual scenario": round(seconds),
            "times ours": round(seconds / our_round["seconds"], 1),
        }
    write(__file__, {**row, **result})


if __name__ == "__main__":
    main()
