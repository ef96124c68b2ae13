"""The texts of a task or of a corpus with their ids, to encode or index elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mixling.corpora.corpus import Corpus, unique_ids
from mixling.disk import new_file
from mixling.evaluation.tasks import Task
from mixling.evaluation.trec import trec_ids


def task_texts(task: Task) -> Iterator[dict[str, Any]]:
    """Yield the queries, then the passages of a task.

    Args:
        task: The task.

    Yields:
        `id`, `role` ("query" or "passage"), `language`, `title` ("" where there is none), `text`.
        An id is unique within its role.
    """
    queries, passages = trec_ids(task)
    for name, code, text in zip(queries, task.query_language, task.queries, strict=True):
        yield _row(name, "query", task.languages[code], "", text)
    for name, code, title, text in zip(
        passages, task.passage_language, task.titles, task.passages, strict=True
    ):
        yield _row(name, "passage", task.languages[code], title, text)


def corpus_texts(corpus: Corpus) -> Iterator[dict[str, Any]]:
    """Yield the queries, then the passages of a corpus that a transform is fitted on.

    Args:
        corpus: The corpus.

    Yields:
        As `task_texts`, with the translation group of each text (`group`).
    """
    for role, table in (("query", corpus.queries), ("passage", corpus.passages)):
        titles = table["title"].to_pylist() if "title" in table.column_names else [""] * len(table)
        columns = (table[c].to_pylist() for c in ("language", "text", "group"))
        for name, title, language, text, group in zip(
            unique_ids(table, f"{role}-"), titles, *columns, strict=True
        ):
            yield {**_row(name, role, language, title or "", text), "group": group}


def _row(name: str, role: str, language: str, title: str, text: str) -> dict[str, Any]:
    """Make the object of one text."""
    return {"id": name, "role": role, "language": language, "title": title, "text": text}


def write_texts(rows: Iterator[dict[str, Any]], path: Path) -> dict[str, int]:
    """Write texts as JSON lines, completely or not at all.

    Args:
        rows: The texts.
        path: The file.

    Returns:
        The number of texts of each role.
    """
    counts: dict[str, int] = {}
    with new_file(path) as temporary, temporary.open("w", encoding="utf-8") as out:
        for row in rows:
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
            counts[row["role"]] = counts.get(row["role"], 0) + 1
    return counts
