"""A leaderboard: all results of a folder in one page, one table a task."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mixling.corpora.files import write_text
from mixling.errors import MixlingError
from mixling.evaluation.bias.severity import SCALE, severity
from mixling.evaluation.bias.table import ALL
from mixling.evaluation.result import EvaluationResult
from mixling.evaluation.tasks import SCENARIOS
from mixling.reports.changes import PRECISION_EFFECT, is_too_small, precision_warning
from mixling.reports.html import template_environment
from mixling.reports.tables import format_cell
from mixling.reports.verdict import bias_of, percent

if TYPE_CHECKING:
    import pandas as pd

# (scenario, or "bias" for measures of bias, and measure) of each column
COLUMNS = (
    *((scenario, "mAP") for scenario in SCENARIOS),
    ("multilingual", "nDCG@20"),
    ("bias", "rank_distance"),
    ("bias", "TLR@20"),
    ("bias", "intrusion@10"),
    ("bias", "LPR"),
    ("bias", "Lang-nDCG@10"),
)
# columns that sort the rows: the first that a row has
SORT_COLUMNS = (("multilingual", "mAP"), ("monolingual", "mAP"), ("cross-lingual", "mAP"))


@dataclass(frozen=True)
class LeaderboardRow:
    """Figures of one model on one task.

    Args:
        name: Name of the model.
        folder: Folder of the result, relative to the leaderboard's.
        note: How the model was debiased, if it was.
        precision: Number format in which it was computed.
        bias: Share of the first ten that language has put there; NaN where it was not measured.
        values: Figure of each column, NaN where there is none.
        intervals: 95 % interval of each column, if there is one.
    """

    name: str
    folder: str
    note: str
    precision: str
    bias: float
    values: dict[tuple[str, str], float]
    intervals: dict[tuple[str, str], list[float] | None]


@dataclass(frozen=True)
class LeaderboardTable:
    """All models on one task.

    Args:
        task: Name of the task.
        data: First digits of its data's hash: results on other data have another table.
        queries: Number of queries.
        passages: Number of passages.
        languages: Number of languages.
        rows: The models, best first.
    """

    task: str
    data: str
    queries: int
    passages: int
    languages: int
    rows: list[LeaderboardRow]


@dataclass(frozen=True, repr=False)
class Leaderboard:
    """A leaderboard that was written.

    Args:
        path: The page.
        tables: One table a task.
    """

    path: Path
    tables: list[LeaderboardTable]

    def __repr__(self) -> str:
        tables = ", ".join(f"{t.task} ({len(t.rows)} models)" for t in self.tables)
        return f"Leaderboard({self.path}: {tables})"

    def to_pandas(self) -> pd.DataFrame:
        """Return the figures as a table.

        Returns:
            A data frame with one row a task and model, and one column a figure.
        """
        import pandas as pd

        return pd.DataFrame(
            {
                "task": table.task,
                "data": table.data,
                "model": row.name,
                "folder": row.folder,
                "language bias": "" if math.isnan(row.bias) else severity(row.bias),
            }
            | {f"{scenario} {measure}": v for (scenario, measure), v in row.values.items()}
            for table in self.tables
            for row in table.rows
        )


def leaderboard(folder: str | Path, out: str | Path) -> Leaderboard:
    """Write a page of all results in a folder.

    Args:
        folder: Folder with results of `mixling evaluate --out` at any depth.
        out: The HTML file to write.

    Returns:
        The leaderboard.

    Raises:
        MixlingError: There is no result, or a summary.json that Mixling did not write.

    Example:
        >>> import mixling
        >>> mixling.leaderboard("results", "leaderboard.html").path
        PosixPath('leaderboard.html')
    """
    folder, out = Path(folder), Path(out)
    result_folders = sorted(p.parent for p in folder.rglob("summary.json"))
    if not result_folders:
        raise MixlingError(
            f"{folder}: the folder holds no summary.json, nor does one below it. Write results "
            "with `mixling evaluate --out`."
        )
    tables: dict[str, LeaderboardTable] = {}
    for result_folder in result_folders:
        result = EvaluationResult.load(result_folder)
        for task, entry in result.summary["tasks"].items():
            if "~" in task:
                continue  # a task with noise
            data = str(entry.get("data", ""))[:8]
            table = LeaderboardTable(
                task, data, entry["queries"], entry["passages"], len(entry["languages"]), []
            )
            row = _row(result, entry, result_folder, folder)
            tables.setdefault(f"{task} · {data}", table).rows.append(row)
    for table in tables.values():
        table.rows.sort(key=_sort_key)
    board = Leaderboard(out, [tables[key] for key in sorted(tables)])
    page = template_environment().get_template("leaderboard.html.j2")
    sections = [_section(table) for table in board.tables]
    write_text(
        out,
        page.render(
            sections=sections,
            columns=COLUMNS,
            measures=ALL,
            folder=folder.name,
            scale=SCALE,
            precision_effect=PRECISION_EFFECT,
        ),
    )
    return board


def _row(
    result: EvaluationResult, entry: dict[str, Any], result_folder: Path, folder: Path
) -> LeaderboardRow:
    """Collect the figures of one result on one task."""
    debiased = result.summary.get("origin", {}).get("debiased", {})
    relative = str(result_folder.relative_to(folder))
    model = _short_name(str(result.summary["model"]))
    return LeaderboardRow(
        name=result.summary.get("label") or model or result_folder.name,
        folder="" if relative == "." else relative,
        note=f"{debiased['method']}, fitted on {', '.join(debiased['fit'])}" if debiased else "",
        precision=str(result.summary.get("precision", "unknown")),
        bias=bias_of(entry),
        values={(s, m): entry.get(s, {}).get(m, math.nan) for s, m in COLUMNS},
        intervals={(s, m): entry.get("intervals", {}).get(s, {}).get(m) for s, m in COLUMNS},
    )


def _short_name(model: str) -> str:
    """Return the last part of a path or hub name that is not `run` or `model`."""
    parts = [p for p in model.split("/") if p]
    while len(parts) > 1 and parts[-1] in ("model", "run"):
        parts.pop()
    return parts[-1] if parts else ""


def _sort_key(row: LeaderboardRow) -> float:
    """Sort by falling multilingual mAP, or by the first scenario that the row has."""
    values = (row.values[column] for column in SORT_COLUMNS)
    return -next((v for v in values if not math.isnan(v)), 0.0)


def _section(table: LeaderboardTable) -> dict[str, Any]:
    """Prepare a table for the template, with the best figure of each column marked."""
    columns = [c for c in COLUMNS if any(not math.isnan(row.values[c]) for row in table.rows)]
    best = {column: _best(table.rows, column) for column in columns}
    rows = [
        {
            "name": row.name,
            "folder": row.folder,
            "note": row.note,
            "severity": "" if math.isnan(row.bias) else severity(row.bias),
            "cells": [_cell(row, column, best[column]) for column in columns],
        }
        for row in table.rows
    ]
    return {
        "name": table.task,
        "data": table.data,
        "queries": table.queries,
        "passages": table.passages,
        "languages": table.languages,
        "head": columns,
        "rows": rows,
        "sentences": _describe(table),
        "warning": precision_warning(
            [{"precision": row.precision} for row in table.rows], [row.name for row in table.rows]
        ),
    }


def _describe(table: LeaderboardTable) -> list[str]:
    """Say which model is best, and which has the least language bias."""
    scores = {c: [row.values[c] for row in table.rows] for c in SORT_COLUMNS}
    column = next((c for c, v in scores.items() if not all(map(math.isnan, v))), None)
    if column is None:
        return ["No model has a score."]
    scenario, measure = column
    best = max(v for v in scores[column] if not math.isnan(v))
    first = [
        row.name
        for row in table.rows
        if row.values[column] == best or is_too_small(best - row.values[column], measure)
    ]
    sentences = [f"{' and '.join(first)} {_have(first)} the best {scenario} mAP: {best:.3f}."]
    if len(first) > 1:
        sentences.append(
            f"These models differ by less than {PRECISION_EFFECT}, which the number format alone "
            "can change, so none of them is called better."
        )
    measured = [row for row in table.rows if not math.isnan(row.bias)]
    if measured:
        least = min(measured, key=lambda row: row.bias)
        sentences.append(
            f"{least.name} has the least language bias ({severity(least.bias)}): "
            f"{percent(least.values['bias', 'intrusion@10'])} of the first ten are wrong passages "
            "in the query's language."
        )
    if len(table.rows) > 1:
        sentences.append("Next: test the difference of two models with `mixling compare`.")
    return sentences


def _have(names: list[str]) -> str:
    """Return the verb of one or several names."""
    return "has" if len(names) == 1 else "have"


def _best(rows: list[LeaderboardRow], column: tuple[str, str]) -> float:
    """Return the best figure of a column; NaN where no direction is better."""
    measure = column[1]
    better = ALL[measure].better if measure in ALL else "high"
    values = [row.values[column] for row in rows if not math.isnan(row.values[column])]
    if not better:
        return math.nan
    return max(values) if better == "high" else min(values)


def _cell(row: LeaderboardRow, column: tuple[str, str], best: float) -> dict[str, Any]:
    """Format one figure with its interval."""
    value, interval, measure = row.values[column], row.intervals[column], column[1]
    text = "–" if math.isnan(value) else format_cell(value, measure)
    ends = ""
    if interval is not None and not math.isnan(interval[0]):
        ends = f"{format_cell(interval[0], measure)} to {format_cell(interval[1], measure)}"
    is_best = value == best or is_too_small(value - best, measure)
    return {"text": text, "best": is_best, "interval": ends}
