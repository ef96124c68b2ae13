"""The verb `evaluate`: measure a retriever and write what came out, the report last."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mixling.evaluation.measure import measure
from mixling.evaluation.result import Result
from mixling.evaluation.tasks import Task
from mixling.reports.html import write_report

if TYPE_CHECKING:
    from mixling.models.retriever import Retriever


def evaluate(
    model: str | Retriever,
    tasks: Sequence[str | Task],
    out: str | Path | None = None,
    *,
    context: bool = False,
    precision: str = "fp32",
    trec: bool = False,
) -> Result:
    """Measure a model on tasks in one language, across languages and in the pool (see `measure`).

    out: a folder for summary.json, scores.parquet and report.html; trec: run and qrels files in out/trec too.
    """
    folder = None if out is None else Path(out)
    result = measure(
        model,
        tasks,
        context=context,
        precision=precision,
        trec=folder / "trec" if trec and folder is not None else None,
    )
    if folder is not None:
        result.save(folder)
        write_report([result], folder / "report.html")
    return result
