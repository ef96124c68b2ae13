"""A report's part on hubs: the measures beside chance, and who has whom for a neighbor."""

from __future__ import annotations

import math
from typing import Any

from mixling.evaluation.hubs.table import MEASURES
from mixling.reports.heat import heat_table

Entry = dict[str, Any]


def hub_rows(entries: list[Entry]) -> list[dict[str, Any]]:
    """Make the rows of the measures of hubs.

    Args:
        entries: A task's entry of each run's summary.

    Returns:
        `name`, `measure` and `values` of each measure that a run has; a value names what random
        result lists would give, where that is known.
    """
    rows = []
    for name, measure in MEASURES.items():
        parts = [e.get("hubs", {}) for e in entries]
        if any(name in part for part in parts):
            values = [_text(part, name) for part in parts]
            rows.append({"name": name, "measure": measure, "values": values})
    return rows


def _text(part: dict[str, Any], name: str) -> dict[str, str]:
    """Format a figure, and what chance would give."""
    value = part.get(name, math.nan)
    chance = part.get("at_random", {}).get(name, math.nan)
    return {
        "text": "–" if math.isnan(value) else f"{value:.3f}",
        "chance": "" if math.isnan(chance) else f"at random {chance:.3f}",
    }


def reciprocity_matrix(entry: Entry) -> dict[str, Any] | None:
    """Prepare the share of mutual neighbors by query and passage language.

    Args:
        entry: A task's entry of a summary.

    Returns:
        The table, as `heat_table` has it; None where the entry has no such shares.
    """
    shares = entry.get("hubs", {}).get("reciprocity_by_pair")
    if not shares:
        return None
    values = {(a, b): value for a, row in shares.items() for b, value in row.items()}
    rows = [x for x in entry["languages"] if x in shares]
    columns = [x for x in entry["languages"] if any(b == x for _, b in values)]
    return heat_table(rows, columns, values, lambda v: f"{v:.2f}".removeprefix("0"), 1.0)
