"""Results of an evaluation: scores per query, and the summary that tables and reports show.

On disk a result is a folder with summary.json and scores.parquet, and TREC files on request.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from mixling.corpora.files import explain_read_errors, write_text
from mixling.disk import new_file
from mixling.errors import MixlingError
from mixling.evaluation.tasks import SCENARIOS

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
class EvaluationResult:
    """Result of one model on one or more tasks.

    Args:
        summary: Content of summary.json. `summary["tasks"][task]` has an entry for each scenario
            (`monolingual`, `cross-lingual`, `multilingual`) with its metrics, and `bias`, `gaps`,
            `hubs` (`mixling.evaluation.hubs`), `intervals`, and `orders` (what other search orders
            would change).
        scores: One row for each query and scenario (and passage language, where the passages of one
            language stand alone).
        examples: Example queries of each task with their first answers.

    Example:
        >>> import mixling
        >>> result = mixling.EvaluationResult.load("results/e5-small")
        >>> result.value("xquad-r", "multilingual", "mAP")
        0.606
    """

    summary: dict[str, Any]
    scores: pa.Table
    examples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def __repr__(self) -> str:
        lines = [f"EvaluationResult of {self.summary.get('label') or self.summary['model']} (mAP)"]
        for task, entry in self.summary["tasks"].items():
            scores = (f"{s} {entry[s]['mAP']:.3f}" for s in SCENARIOS if s in entry)
            lines.append(f"  {task}: {', '.join(scores)}")
        return "\n".join(lines)

    def value(self, task: str, scenario: str, metric: str = "mAP") -> float:
        """Return one figure.

        Args:
            task: Name of the task.
            scenario: `monolingual`, `cross-lingual` or `multilingual`; also `bias`, `hubs` or
                `gaps`.
            metric: Name of the metric.

        Returns:
            The figure; NaN where the task cannot have it.
        """
        return float(self.summary["tasks"][task].get(scenario, {}).get(metric, float("nan")))

    def to_pandas(self) -> pd.DataFrame:
        """Return the figures as a table.

        `scores.to_pandas()` gives the scores per query.

        Returns:
            A data frame with one row a figure: `task`, `scenario` (or `bias`, `hubs`), `measure`,
            `value`, and `low` and `high`, the ends of its 95 % interval.
        """
        import pandas as pd

        rows = []
        for task, entry in self.summary["tasks"].items():
            for scenario in (*SCENARIOS, "bias", "hubs"):
                intervals = entry.get("intervals", {}).get(scenario, {})
                for measure, value in entry.get(scenario, {}).items():
                    if isinstance(value, dict):
                        continue  # by language
                    low, high = intervals.get(measure, (float("nan"), float("nan")))
                    rows.append((task, scenario, measure, value, low, high))
        return pd.DataFrame(rows, columns=["task", "scenario", "measure", "value", "low", "high"])

    def with_tasks_of(self, other: EvaluationResult) -> EvaluationResult:
        """Add the tasks of another result of the same model.

        Args:
            other: The other result.

        Returns:
            A result with the tasks of both.

        Raises:
            MixlingError: Both results have a task of the same name.
        """
        both = [t for t in other.summary["tasks"] if t in self.summary["tasks"]]
        if both:
            raise MixlingError(
                f"both results have the task '{both[0]}'. Rename one of the tasks, or leave it out."
            )
        summary = {**self.summary, "tasks": {**self.summary["tasks"], **other.summary["tasks"]}}
        scores = pa.concat_tables([self.scores, other.scores], promote_options="default")
        return EvaluationResult(summary, scores, {**self.examples, **other.examples})

    def save(self, folder: str | Path) -> None:
        """Write summary.json and scores.parquet.

        summary.json is written last: where it stands, the result is complete.

        Args:
            folder: Where to write.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with new_file(folder / "scores.parquet") as temporary:
            pq.write_table(self.scores, temporary, compression="zstd")
        content = {**self.summary, "examples": self.examples}
        write_text(folder / "summary.json", json.dumps(content, indent=1, ensure_ascii=False))

    @classmethod
    def load(cls, folder: str | Path) -> EvaluationResult:
        """Read a result that `save` wrote.

        Args:
            folder: The result's folder.

        Returns:
            The result; its scores are empty where the folder has no scores.parquet.

        Raises:
            MixlingError: The folder has no summary.json, or one that Mixling did not write.
        """
        folder = Path(folder)
        path = folder / "summary.json"
        if not path.exists():
            raise MixlingError(
                f"{folder}: the folder has no summary.json. Give a folder that `mixling evaluate "
                "--out` wrote."
            )
        try:
            summary = json.loads(path.read_text(encoding="utf-8"))
            examples = summary.pop("examples", {})
            if not isinstance(summary["tasks"], dict):
                raise TypeError
        except (json.JSONDecodeError, KeyError, AttributeError, TypeError):
            raise MixlingError(
                f"{path}: the file is not a summary of `mixling evaluate`. Measure again."
            ) from None
        scores = folder / "scores.parquet"
        with explain_read_errors(scores):
            table = pq.read_table(scores) if scores.exists() else pa.table({})
        return cls(summary, table, examples)


def file_name(task: str) -> str:
    """Turn a task's name into the name of a file.

    Args:
        task: Name of the task.

    Returns:
        The name, with `-` for `/` and `:`.
    """
    return task.replace("/", "-").replace(":", "-")


def split_pair(text: str, languages: Sequence[str]) -> tuple[str, str]:
    """Split a pair of language tags, which may contain hyphens themselves.

    Args:
        text: The pair, `es-419-en` for example.
        languages: All tags that can occur.

    Returns:
        Both tags, `("es-419", "en")` for example.
    """
    return next(
        (first, text[len(first) + 1 :])
        for first in languages
        if text.startswith(first + "-") and text[len(first) + 1 :] in languages
    )
