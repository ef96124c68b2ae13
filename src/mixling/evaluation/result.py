"""A result: scores per query, and the summary that tables and reports are views of.

On disk a folder with summary.json and scores.parquet (and TREC files if asked for).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mixling.corpora.files import write_text
from mixling.disk import new_file
from mixling.errors import MixlingError


@dataclass
class EvaluationResult:
    """summary: as in summary.json. scores: one row a query and setting (and passage language)."""

    summary: dict[str, Any]
    scores: pa.Table
    examples: dict[str, list[dict]] = field(default_factory=dict)

    def value(self, task: str, setting: str, metric: str = "mAP") -> float:
        """One figure, for instance value("xquad-r", "multilingual", "mAP"); NaN where the task cannot have it."""
        return self.summary["tasks"][task].get(setting, {}).get(metric, float("nan"))

    def with_tasks_of(self, other: EvaluationResult) -> EvaluationResult:
        """This result with further tasks, measured of the same model. Raises MixlingError where both have one."""
        both = [t for t in other.summary["tasks"] if t in self.summary["tasks"]]
        if both:
            raise MixlingError(
                f"both results have the task '{both[0]}'; rename one or leave it out"
            )
        summary = {**self.summary, "tasks": {**self.summary["tasks"], **other.summary["tasks"]}}
        scores = pa.concat_tables([self.scores, other.scores], promote_options="default")
        return EvaluationResult(summary, scores, {**self.examples, **other.examples})

    def save(self, folder: str | Path) -> None:
        """Write summary.json last: where it is, the result is whole."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with new_file(folder / "scores.parquet") as temporary:
            pq.write_table(self.scores, temporary, compression="zstd")
        whole = {**self.summary, "examples": self.examples}
        write_text(folder / "summary.json", json.dumps(whole, indent=1, ensure_ascii=False))

    @classmethod
    def load(cls, folder: str | Path) -> EvaluationResult:
        """Read a folder that `save` wrote."""
        folder = Path(folder)
        path = folder / "summary.json"
        if not path.exists():
            raise MixlingError(
                f"{folder}: no summary.json; give a folder that `mixling evaluate --out` wrote"
            )
        try:
            summary = json.loads(path.read_text(encoding="utf-8"))
            examples = summary.pop("examples", {})
            assert isinstance(summary["tasks"], dict)
        except (json.JSONDecodeError, KeyError, AssertionError):
            raise MixlingError(
                f"{path}: not a summary that Mixling wrote; run `mixling evaluate` again"
            ) from None
        scores = (
            pq.read_table(folder / "scores.parquet")
            if (folder / "scores.parquet").exists()
            else pa.table({})
        )
        return cls(summary, scores, examples)


def file_name(task: str) -> str:
    """A task's name as that of a file."""
    return task.replace("/", "-").replace(":", "-")


def split_pair(text: str, languages: Sequence[str]) -> tuple[str, str]:
    """`es-419-en` -> (es-419, en): tags may hold hyphens themselves."""
    return next(
        (a, text[len(a) + 1 :])
        for a in languages
        if text.startswith(a + "-") and text[len(a) + 1 :] in languages
    )
