"""Gaps between settings and languages, from the means of a task's settings."""

from __future__ import annotations

from typing import Any

import numpy as np


def gaps(entry: dict[str, Any], metric: str = "mAP") -> dict[str, float]:
    """Own language less across languages and less the pool; best less worst query language and their spread.

    entry: a task's part of a summary; what the task cannot have is left out. Source: arXiv:2408.10536, table 3.
    """
    value = {
        s: entry[s][metric] for s in ("monolingual", "cross-lingual", "multilingual") if s in entry
    }
    found: dict[str, float] = {}
    if "monolingual" in value:
        if "cross-lingual" in value:
            found["monolingual_less_cross_lingual"] = value["monolingual"] - value["cross-lingual"]
        if "multilingual" in value:
            found["monolingual_less_multilingual"] = value["monolingual"] - value["multilingual"]
    per = [v[metric] for v in entry.get("multilingual", {}).get("by_language", {}).values()]
    if len(per) > 1:
        found["best_less_worst_language"] = max(per) - min(per)
        found["spread_of_languages"] = float(np.std(per))
    return found
