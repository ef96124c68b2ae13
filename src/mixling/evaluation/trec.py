"""TREC files of an evaluation: run `qid Q0 docid rank score tag`, qrels `qid 0 docid rel`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from mixling.disk import new_file
from mixling.errors import MixlingError
from mixling.evaluation.ranks import Ranks
from mixling.evaluation.result import file_name
from mixling.evaluation.tasks import Task


def write_trec(one: Task, found: Ranks, folder: Path) -> None:
    """Run and qrels of the pool. Ids are the source's; a question's that stands in several languages keeps its language before
    it (`sw:12`). Space in ids, which would part columns, becomes _. Raises MixlingError where two ids are then the same."""
    plain = [x.partition(":")[2] for x in one.query_ids]
    count = Counter(plain)
    asked = [p if count[p] == 1 else x for p, x in zip(plain, one.query_ids, strict=True)]
    qids, ids = (["_".join(x.split()) for x in some] for some in (asked, one.passage_ids))
    for written in (qids, ids):
        if len(set(written)) < len(written):
            twice = next(x for x, n in Counter(written).items() if n > 1)
            raise MixlingError(
                f"{one.name}: two ids are '{twice}' in a TREC file; rename one of them"
            )
    name = file_name(one.name)
    with new_file(folder / f"{name}.qrels") as qrels, qrels.open("w", encoding="utf-8") as out:
        out.writelines(
            f"{qids[q]} 0 {ids[c]} {grade}\n"
            for (q, c), grade in zip(one.relevant, one.grades, strict=True)
        )
    with new_file(folder / f"{name}.run") as run, run.open("w", encoding="utf-8") as out:
        for q, (best, scores) in enumerate(zip(found.top, found.top_scores, strict=True)):
            out.writelines(
                f"{qids[q]} Q0 {ids[c]} {rank} {score:.9g} mixling\n"
                for rank, (c, score) in enumerate(zip(best, scores, strict=True), 1)
            )
