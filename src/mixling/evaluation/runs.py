"""TREC runs made elsewhere: `qid Q0 docid rank score tag`, plain or packed by gzip.

As in trec_eval, the score orders a list and the column `rank` is not read; equal scores stand in
falling order of their ids.
"""

from __future__ import annotations

import hashlib
import math
from array import array
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from mixling.corpora.files import table_lines
from mixling.errors import BadRowError, MixlingError
from mixling.evaluation.ranks import by_ids
from mixling.evaluation.result import file_name
from mixling.evaluation.tasks import Task
from mixling.evaluation.top_lists import TopLists, make_top_lists
from mixling.evaluation.trec import trec_ids

COLUMNS = "six columns: query id, Q0, passage id, rank, score, tag"


class RunSystem:
    """A TREC run in place of a search system.

    Args:
        path: The file, or a folder with a file `TASK.run` or `TASK.run.gz` for each task.

    Raises:
        MixlingError: There is no such file or folder.
    """

    precision = "given"

    def __init__(self, path: str | Path):
        self.path = Path(path)
        if not self.path.exists():
            raise MixlingError(
                f"{path}: the file does not exist. Give a TREC run, for instance --run bm25.run."
            )
        self.name = f"run:{self.path.name}"
        self.origin: dict[str, Any] = {"run": str(self.path)}
        if self.path.is_file():
            self.origin["sha256"] = hash_files([self.path])
            self.name += f" ({self.origin['sha256'][:8]})"

    def top_lists(self, task: Task) -> tuple[TopLists, dict[str, Any]]:
        """Read the lists of a task; see `read_run`."""
        path = self.path
        if path.is_dir():
            names = [f"{file_name(task.name)}.run{suffix}" for suffix in ("", ".gz")]
            found = [path / name for name in names if (path / name).is_file()]
            if not found:
                raise MixlingError(
                    f"{path}: the folder has no {names[0]} for the task '{task.name}'. Write one "
                    "file for each task."
                )
            path = found[0]
        return read_run(path, task), {"run": {"file": str(path), "sha256": hash_files([path])}}


def hash_files(paths: Iterable[Path]) -> str:
    """Return the SHA-256 of the content of files, in their order."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def id_rows(task: Task) -> tuple[dict[str, int], dict[str, int]]:
    """Return the row of each query and of each passage by its id, as `--trec` writes them.

    The ids of the task itself, with the language before a query's, are understood as well.
    """
    queries, passages = trec_ids(task)
    by_query = {x: i for i, x in enumerate(task.query_ids)}
    by_passage = {x: i for i, x in enumerate(task.passage_ids)}
    by_query.update((x, i) for i, x in enumerate(queries))
    by_passage.update((x, i) for i, x in enumerate(passages))
    return by_query, by_passage


def read_run(path: Path, task: Task) -> TopLists:
    """Read a TREC run of a task.

    Args:
        path: The file.
        task: The task.

    Returns:
        Its lists. Queries and passages that the task does not have are left out and counted.

    Raises:
        BadRowError: A line has not six columns, a score is not a number, or a passage stands twice
            in a list.
        MixlingError: The file has none of the task's queries or none of its passages.
    """
    by_query, by_passage = id_rows(task)
    rows = [array("i") for _ in task.queries]
    scores = [array("d") for _ in task.queries]
    returned = np.zeros(len(task.queries), np.int64)
    unknown_queries: set[str] = set()
    unknown, example = 0, ""
    for line, text in table_lines(path):
        parts = text.split()
        if len(parts) != 6:
            fix = "write a TREC run; ids must not hold spaces"
            raise BadRowError(path, line, "line", text, COLUMNS, fix)
        query_id, _, passage_id, _, score_text, _ = parts
        try:
            score = float(score_text)
        except ValueError:
            score = math.nan
        if not math.isfinite(score):
            fix = "write a finite score; passages are ranked by it"
            raise BadRowError(path, line, "score", score_text, "a finite number", fix)
        query = by_query.get(query_id)
        if query is None:
            unknown_queries.add(query_id)
            continue
        returned[query] += 1
        passage = by_passage.get(passage_id)
        if passage is None:
            unknown, example = unknown + 1, example or passage_id
            continue
        rows[query].append(passage)
        scores[query].append(score)
    _check_known(path, task, returned, unknown_queries, sum(map(len, rows)), example)
    place = by_ids(trec_ids(task)[1])[1]
    lists = []
    for query in range(len(task.queries)):
        passages, values = np.array(rows[query], np.int64), np.array(scores[query], np.float64)
        _check_distinct(path, task, query, passages)
        order = np.lexsort((place[passages], values))[::-1]
        lists.append((passages[order], values[order]))
    counts = {
        "passages of the run that the task does not have": unknown,
        "queries of the run that the task does not have": len(unknown_queries),
        "queries without a list in the run": int((returned == 0).sum()),
    }
    counts = {what: n for what, n in counts.items() if n}
    return make_top_lists(task, lists, int(returned.max()), counts, returned.tolist())


def _check_known(
    path: Path,
    task: Task,
    returned: np.ndarray,
    unknown_queries: set[str],
    known_passages: int,
    example: str,
) -> None:
    """Raise MixlingError where a run has none of a task's queries or passages."""
    fix = f"`mixling texts {task.name} --out texts.jsonl` writes the task's ids"
    if not returned.any():
        found = (
            f"the first of the run is '{min(unknown_queries)}'"
            if unknown_queries
            else "the run is empty"
        )
        raise MixlingError(
            f"{path}: the run has none of the {len(task.queries):,} queries of the task "
            f"'{task.name}' ({found}; the first of the task is '{trec_ids(task)[0][0]}'). {fix}."
        )
    if not known_passages:
        raise MixlingError(
            f"{path}: the run has none of the {len(task.passages):,} passages of the task "
            f"'{task.name}' (the run has '{example}', the task '{trec_ids(task)[1][0]}'). {fix}."
        )


def _check_distinct(path: Path, task: Task, query: int, passages: np.ndarray) -> None:
    """Raise MixlingError where a passage stands twice in a list."""
    values, count = np.unique(passages, return_counts=True)
    if (count > 1).any():
        twice = task.passage_ids[values[np.argmax(count > 1)]]
        raise MixlingError(
            f"{path}: query '{task.query_ids[query]}' has the passage '{twice}' more than once "
            f"({np.count_nonzero(count > 1):,} passages of its list are repeated). Keep one line "
            "of each."
        )
