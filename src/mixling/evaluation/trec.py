"""TREC files of an evaluation: run `qid Q0 docid rank score tag`, qrels `qid 0 docid rel`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mixling.evaluation.ranks import Ranks
from mixling.evaluation.tasks import Task


def write(one: Task, found: Ranks, folder: Path) -> None:
    """Run and qrels of the pool; ids without spaces."""
    folder.mkdir(parents=True, exist_ok=True)
    qids = [q.replace(" ", "_") for q in one.query_ids]
    name = one.name.replace("/", "-")
    with (folder / f"{name}.qrels").open("w", encoding="utf-8") as out:
        out.writelines(
            f"{qids[q]} 0 {one.candidate_ids[c]} {grade}\n"
            for (q, c), grade in zip(one.relevant, one.grades, strict=True)
        )
    ids = np.array(one.candidate_ids)
    with (folder / f"{name}.run").open("w", encoding="utf-8") as out:
        for q, (best, scores) in enumerate(zip(found.top, found.top_scores, strict=True)):
            out.writelines(
                f"{qids[q]} Q0 {ids[c]} {rank} {score:.9g} mixling\n"
                for rank, (c, score) in enumerate(zip(best, scores, strict=True), 1)
            )
