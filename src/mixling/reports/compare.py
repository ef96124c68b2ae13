"""Several results side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mixling.errors import MixlingError
from mixling.evaluation.result import Result
from mixling.reports.html import write_report


def compare(folders: Sequence[str | Path], out: str | Path | None = None) -> list[Result]:
    """Load results and (if `out` is given) write their comparison as one HTML file; the first is the yardstick."""
    results = [Result.load(f) for f in folders]
    if not results:
        raise MixlingError("nothing to compare: name the folders that `mixling evaluate --out` wrote")
    shared = set.intersection(*(set(r.summary["tasks"]) for r in results))
    if not shared:
        raise MixlingError(
            "the results share no task: "
            + "; ".join(
                f"{f} has {', '.join(r.summary['tasks'])}" for f, r in zip(folders, results, strict=True)
            )
        )
    for task in shared:
        if len({r.summary["tasks"][task].get("data") for r in results}) > 1:
            raise MixlingError(
                f"task '{task}' was measured on different data (their hashes differ); evaluate again on one set"
            )
    if out is not None:
        write_report(results, Path(out))
    return results
