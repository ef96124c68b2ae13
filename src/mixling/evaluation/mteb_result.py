"""Results in the form that mteb writes, so that a model can be listed beside mteb's: `<task>.json`.

A file has one row a scenario and language (pair) as `hf_subset`. The main score is nDCG@10, as in
mteb's retrieval tasks.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mixling.corpora.files import write_text
from mixling.evaluation.result import EvaluationResult, file_name, split_pair
from mixling.evaluation.tasks import SCENARIOS

MTEB_NAMES = {
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
    """Convert one task of a result.

    Args:
        result: The result.
        task: Name of the task.

    Returns:
        The content of the task's file.
    """
    entry = result.summary["tasks"][task]
    rows = [
        {
            "hf_subset": f"{scenario}-{subset}",
            "languages": _mteb_languages(subset, entry["languages"]),
            # a list of a search system may be too short for it
            "main_score": values["nDCG@10"] if values["nDCG@10"] == values["nDCG@10"] else None,
            **{MTEB_NAMES[k]: v for k, v in values.items() if k in MTEB_NAMES and v == v},
        }
        for scenario in SCENARIOS
        for subset, values in entry.get(scenario, {}).get("by_language", {}).items()
    ]
    return {
        "dataset_revision": entry["data"],
        "task_name": f"Mixling:{task}",
        "mteb_version": _mteb_version(),
        "scores": {"test": rows},
        "evaluation_time": entry.get("seconds_encoding", 0.0) + entry.get("seconds_ranking", 0.0),
        "kg_co2_emissions": None,
    }


def write_mteb(result: EvaluationResult, folder: Path) -> None:
    """Write a file for each task.

    Args:
        result: The result.
        folder: Where to write.
    """
    for task in result.summary["tasks"]:
        write_text(folder / f"{file_name(task)}.json", json.dumps(to_mteb(result, task), indent=1))


def _mteb_version() -> str:
    """Return the version of the installed mteb, or the one whose form this is."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("mteb")
    except PackageNotFoundError:
        return "2.26.24"


def _mteb_languages(subset: str, languages: list[str]) -> list[str]:
    """Write languages as mteb does, ISO 639-3 and script: `swh-Latn`."""
    from langcodes import Language

    tags = [subset] if subset in languages else split_pair(subset, languages)
    result = []
    for tag in dict.fromkeys(tags):
        language = Language.get(tag)
        result.append(f"{language.to_alpha3()}-{language.maximize().script}")
    return result
