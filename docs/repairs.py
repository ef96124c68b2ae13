"""Returns the table of repairs from benchmarks/repair.json."""

from __future__ import annotations

import json
from pathlib import Path

NAMES = {
    "lancedb": "LanceDB",
    "postgresql": "pgvector",
    "qdrant": "Qdrant, local mode in memory",
    "milvus": "Milvus",
    "chroma": "Chroma",
}


def rows() -> list[dict]:
    """Return what a repair took beside a copy, and what was compared after five kills."""
    results = json.loads((Path(__file__).parents[1] / "benchmarks/repair.json").read_text())
    return [
        {
            "database": NAMES[kind],
            "rows (timed)": f"{r['rows']:,} ({r['turns']['rows']:,})",
            "copy, rows/s": _each(r, "copy_rows_per_second"),
            "repair, rows/s": _each(r, "repair_rows_per_second"),
            "repair's time for 1 of the copy's": " / ".join(
                f"{x['repair_seconds_for_one_of_copy']:.2f}" for x in r["turns"]["rounds"]
            ),
            "second pass, rows/s": _each(r, "second_pass_rows_per_second"),
            "load": " / ".join(f"{x['load']:.0f}" for x in r["turns"]["rounds"]),
            "rows at the five kills": ", ".join(f"{x:,}" for x in r["rows_at_kills"]),
            "lost, doubled": f"{r['lost']}, {r['doubled']}",
            "largest difference": f"{r['largest_difference']:.0e}",
            "recall@10 before, after": f"{r['recall_before']:.3f}, {r['recall_after']:.3f}",
            "same bytes after undo": "yes" if r["same_bytes_after_undo"] else "no",
        }
        for kind in NAMES
        if (r := results["databases"].get(kind))
    ]


def _each(result: dict, name: str) -> str:
    return " / ".join(f"{x[name]:,}" for x in result["turns"]["rounds"])


def of_stores() -> list[dict]:
    """Return what `repair STORE --transform auto` took, and what was compared."""
    results = json.loads((Path(__file__).parents[1] / "benchmarks/repair_auto.json").read_text())
    names = {"lance": "a folder (LanceDB)", "milvus": "Milvus"}
    return [
        {
            "store": names[kind],
            "passages, queries": f"{r['rows']:,}, {r['log']:,}",
            "choice, fit and copy": _cost(r["fit_and_copy"]),
            "copy alone": _cost(r["copy"]),
            "last pass and switch": _cost(r["switch"]),
            "undo": _cost(r["undo"]),
            "kills": f"{sum(r['kills'])}",
            "same ids, largest difference": f"{'yes' if r['same_ids'] else 'no'}, "
            f"{r['largest_difference']:.0e}",
            "recall@10 before, after": f"{r['recall_before']:.3f}, {r['recall_after']:.3f}",
            "same bytes after undo": "yes" if r["same_bytes_after_undo"] else "no",
            "load": f"{r['load']:.0f}",
        }
        for kind, r in results["stores"].items()
    ]


def _cost(run: dict) -> str:
    return f"{run['seconds']:.0f} s, {run['peak_mb']:,} MB"
