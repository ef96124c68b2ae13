"""Make the tables of docs/guides/search.md: highlighting, and searches without an answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

STUDIES = Path(__file__).parent.parent / "studies"


def _result(name: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((STUDIES / f"{name}.json").read_text())
    return result


def highlighting() -> list[dict[str, str]]:
    """Return how often each way names the sentence that answers."""
    return [
        {
            "set": row["set"],
            "way": row["way"],
            "right, same language": f"{row['right, same language']:.3f}",
            "right, other language": f"{row['right, other language']:.3f}",
            "agrees, same language": f"{row['agrees, same language']:.3f}",
            "agrees, other language": f"{row['agrees, other language']:.3f}",
        }
        for row in _result("highlight")["rows"]
    ]


def highlighting_by_language() -> list[dict[str, str]]:
    """Return how often the chosen way and the one before are right, by the passage's language."""
    rows = [row for row in _result("highlight")["rows"] if row["set"] == "XQuAD-R"]
    return [
        {
            "way": row["way"],
            **{k: f"{v:.3f}" for k, v in row["right by passage language"].items()},
        }
        for row in rows
        if "shared terms (" in row["way"] or row["way"] == "each sentence encoded"
    ]


def nothing_found() -> list[dict[str, str]]:
    """Return how well a search says that nothing answers."""
    return [
        {
            "set": row["set"],
            "model": {"balanced": "the shipped transform"}.get(row["model"], row["model"]),
            "setting": row["setting"],
            "standard score below": f"{row['threshold']:g}",
            "precision": f"{row['precision']:.2f}",
            "recall": f"{row['recall']:.2f}",
            "false alarms": f"{row['false alarms']:.2f}",
            "AUC": f"{row['AUC']:.2f}",
        }
        for row in _result("nothing_found")["rows"]
    ]
