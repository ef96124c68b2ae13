"""Return the table of adapters by rank, from studies/adapter-ranks.json."""

from __future__ import annotations

from typing import Any

from docs import trials

PAGE = "docs/guides/elsewhere.md"
TASKS = {"mlqa-held-out": "MLQA", "afriqa": "AfriQA"}
MEGABYTE = 1e6


def rows() -> list[dict[str, Any]]:
    """Return size and mAP of the whole model, of its adapters by rank, and of its base."""
    found = trials.study_result("adapter-ranks")["rows"]
    ranks = sorted((k for k in found if k.isdigit()), key=int)
    result = []
    for name in ("whole model", *reversed(ranks), "base"):
        entry = found[name]
        row = {"model": f"rank {name}" if name in ranks else name}
        row["MB"] = f"{entry['bytes'] / MEGABYTE:.1f}" if "bytes" in entry else ""
        for task, label in TASKS.items():
            scores = next(v for k, v in entry["tasks"].items() if k.partition(":")[0] == task)
            for scenario in ("monolingual", "multilingual"):
                if scenario in scores:
                    row[f"{label}, {scenario}"] = _figure(scores[scenario])
        result.append(row)
    return result


def _figure(score: dict[str, float]) -> str:
    """Return mAP and its difference to the whole model, in brackets if it may be chance."""
    if "difference" not in score:
        return f"{score['mAP']:.3f}"
    change = f"{score['difference']:+.3f}"
    return f"{score['mAP']:.3f}, {change if score['p'] < 0.05 else f'({change})'}"
