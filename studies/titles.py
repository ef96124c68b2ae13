"""Measure what titles do to BM25 and to e5-small: `python -m studies.titles`.

Three sets name the article of each passage and are measured without it, as published: ARCD,
JaQuAD and AfriQA. Here the passages are read with and without their titles, by both rankers in the
same way ("title text"), on parts that no setting is chosen by. Writes titles.json.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from mixling.corpora.catalog import find_source
from mixling.corpora.files import read_text, write_text
from mixling.evaluation.benchmarks import load_task
from mixling.evaluation.tasks import Task
from mixling.machine import library_versions, machine_info
from mixling.models.retriever import Retriever
from mixling.models.weights import DEFAULT
from mixling.reports.evaluate import evaluate

RESULT = Path(__file__).with_suffix(".json")
TASKS = {
    "arcd:test": "arcd-test.json*",
    "jaquad:dev": "dev/jaquad_dev_*.json*",
    "afriqa:dev": "gold_passages/*/*.dev.json*",
}


def read_titles(name: str) -> dict[str, str]:
    """Return the title of each passage of a set by its text.

    Args:
        name: The task.
    """
    folder = find_source(name.partition(":")[0])
    assert folder is not None, f"{name} is not on this machine"
    titles: dict[str, str] = {}
    for path in sorted(folder.glob(TASKS[name])):
        for text, title in _iter_titles(read_text(path)):
            titles.setdefault(text, title)
    return titles


def _iter_titles(content: str) -> Iterator[tuple[str, str]]:
    """Yield text and title of the passages of a SQuAD file, a list, or JSON lines."""
    if content.startswith('{"answer'):
        rows = [json.loads(line) for line in content.splitlines() if line.strip()]
    else:
        rows = json.loads(content)
    if isinstance(rows, list):
        yield from ((r["context"], r["title"]) for r in rows if r["context"] and r["title"])
    else:
        for article in rows["data"]:
            for paragraph in article["paragraphs"]:
                yield paragraph["context"], article["title"].replace("_", " ")


def with_titles(task: Task) -> Task:
    """Return a task whose passages have the titles of their articles."""
    titles = read_titles(task.name)
    return replace(task, titles=[titles.get(text, "") for text in task.passages])


def main() -> None:
    """Measure all sets and write the result."""
    encoder = Retriever(DEFAULT)
    rows: list[dict[str, Any]] = []
    for name in TASKS:
        plain = load_task(name)
        titled = with_titles(plain)
        for ranker in ("bm25", encoder):
            row: dict[str, Any] = {
                "task": name,
                "model": ranker if isinstance(ranker, str) else ranker.name,
                "passages": len(plain.passages),
                "with title": sum(map(bool, titled.titles)),
            }
            for label, task in (("text", plain), ("title and text", titled)):
                summary = evaluate(ranker, [task], precision="fp32").summary["tasks"][name]
                for scenario in ("monolingual", "cross-lingual", "multilingual"):
                    if scenario in summary:
                        row[f"{scenario}, {label}"] = round(summary[scenario]["nDCG@10"], 4)
            rows.append(row)
            print(row, flush=True)
            result = {"rows": rows, "versions": library_versions(), "machine": machine_info()}
            write_text(RESULT, json.dumps(result, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
