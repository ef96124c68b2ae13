"""TREC files of an evaluation: run `qid Q0 docid rank score tag`, qrels `qid 0 docid rel`."""

from __future__ import annotations

from pathlib import Path

from mixling.evaluation.ranks import Ranks
from mixling.evaluation.result import file_name
from mixling.evaluation.tasks import Task


def write(one: Task, found: Ranks, folder: Path) -> None:
    """Run and qrels of the pool; space in ids, which would part columns, becomes _."""
    folder.mkdir(parents=True, exist_ok=True)
    qids, ids = (["_".join(x.split()) for x in some] for some in (one.query_ids, one.candidate_ids))
    name = file_name(one.name)
    with (folder / f"{name}.qrels").open("w", encoding="utf-8") as out:
        out.writelines(
            f"{qids[q]} 0 {ids[c]} {grade}\n" for (q, c), grade in zip(one.relevant, one.grades, strict=True)
        )
    with (folder / f"{name}.run").open("w", encoding="utf-8") as out:
        for q, (best, scores) in enumerate(zip(found.top, found.top_scores, strict=True)):
            out.writelines(
                f"{qids[q]} Q0 {ids[c]} {rank} {score:.9g} mixling\n"
                for rank, (c, score) in enumerate(zip(best, scores, strict=True), 1)
            )
