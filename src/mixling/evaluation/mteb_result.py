"""A result as mteb writes it, so that a model can be listed where mteb's results are: `<task>.json`.

One row a setting and language (pair) as `hf_subset`; the main score is nDCG@10, as for mteb's retrieval tasks.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mixling.corpora.files import write_text
from mixling.evaluation.result import EvaluationResult, file_name, split_pair
from mixling.evaluation.tasks import SCENARIOS

NAMES = {
    "mAP": "map",
    "R@1": "recall_at_1",
    "R@10": "recall_at_10",
    "nDCG@10": "ndcg_at_10",
    "MRR@10": "mrr_at_10",
    "nDCG@20": "ndcg_at_20",
    "R@20": "recall_at_20",
    "R@100": "recall_at_100",
}


def to_mteb(result: EvaluationResult, task: str) -> dict[str, Any]:
    """The content of one task's file."""
    entry = result.summary["tasks"][task]
    rows = []
    for setting in SCENARIOS:
        for subset, values in entry.get(setting, {}).get("by_language", {}).items():
            rows.append(
                {
                    "hf_subset": f"{setting}-{subset}",
                    "languages": _languages(subset, entry["languages"]),
                    "main_score": values["nDCG@10"],
                    **{NAMES[k]: v for k, v in values.items() if k in NAMES},
                }
            )
    return {
        "dataset_revision": entry["data"],
        "task_name": f"Mixling:{task}",
        "mteb_version": _version(),
        "scores": {"test": rows},
        "evaluation_time": entry.get("seconds_encoding", 0.0) + entry.get("seconds_ranking", 0.0),
        "kg_co2_emissions": None,
    }


def write_mteb(result: EvaluationResult, folder: Path) -> None:
    """A file for each task."""
    for task in result.summary["tasks"]:
        write_text(folder / f"{file_name(task)}.json", json.dumps(to_mteb(result, task), indent=1))


def _version() -> str:
    """mteb's version here, or the one whose form this is."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("mteb")
    except PackageNotFoundError:
        return "2.26.24"


def _languages(subset: str, known: list[str]) -> list[str]:
    """Codes as mteb writes them, language and script: `swh-Latn` style with ISO 639-3."""
    from langcodes import Language

    parts = [subset] if subset in known else split_pair(subset, known)
    found = []
    for code in dict.fromkeys(parts):
        language = Language.get(code)
        found.append(f"{language.to_alpha3()}-{language.maximize().script}")
    return found
