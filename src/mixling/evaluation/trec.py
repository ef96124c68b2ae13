"""TREC files of an evaluation: run `qid Q0 docid rank score tag`, qrels `qid 0 docid rel`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from mixling.disk import new_file
from mixling.errors import MixlingError
from mixling.evaluation.ranks import Ranks
from mixling.evaluation.result import file_name
from mixling.evaluation.tasks import Task


def trec_ids(task: Task) -> tuple[list[str], list[str]]:
    """Return the ids of a task as TREC files and `mixling texts` have them.

    Ids are those of the source. The id of a query that stands in several languages keeps its
    language before it (`sw:12`). White space in ids, which would part columns, becomes `_`.

    Args:
        task: The task.

    Returns:
        The id of each query and of each passage.

    Raises:
        MixlingError: Two ids are the same once they are written so.
    """
    plain = [x.partition(":")[2] for x in task.query_ids]
    count = Counter(plain)
    unique = [p if count[p] == 1 else x for p, x in zip(plain, task.query_ids, strict=True)]
    qids, docids = (["_".join(x.split()) for x in ids] for ids in (unique, task.passage_ids))
    for ids in (qids, docids):
        if len(set(ids)) < len(ids):
            twice = next(x for x, n in Counter(ids).items() if n > 1)
            raise MixlingError(
                f"{task.name}: two ids become '{twice}' in a TREC file, which cannot hold "
                "spaces. Rename one of them."
            )
    return qids, docids


def write_trec(task: Task, ranks: Ranks, folder: Path) -> None:
    """Write run and qrels of the multilingual pool.

    Args:
        task: The task.
        ranks: Its ranks; the run has as many passages a query as `ranks.top` is deep.
        folder: Where to write.

    Raises:
        MixlingError: Two ids are the same once they are written so (see `trec_ids`).
    """
    qids, docids = trec_ids(task)
    name = file_name(task.name)
    with new_file(folder / f"{name}.qrels") as qrels, qrels.open("w", encoding="utf-8") as out:
        out.writelines(
            f"{qids[q]} 0 {docids[c]} {grade}\n"
            for (q, c), grade in zip(task.relevant, task.grades, strict=True)
        )
    with new_file(folder / f"{name}.run") as run, run.open("w", encoding="utf-8") as out:
        for q, (best, scores) in enumerate(zip(ranks.top, ranks.top_scores, strict=True)):
            out.writelines(
                f"{qids[q]} Q0 {docids[c]} {rank} {score:.9g} mixling\n"
                for rank, (c, score) in enumerate(zip(best, scores, strict=True), 1)
                if c >= 0  # a list of a search system may be shorter
            )
