"""Measure zero-shot e5-small and BM25 on every installed benchmark: `studies/instrument.py`.

Rows are added to instrument.json as they are measured, whole results with reports go to
runs/instrument, vectors to vectors/; an interrupted run goes on. `--hybrid FOLDER` also measures a
trained model on the two sentence benchmarks.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from mixling.corpora.catalog import find_source
from mixling.corpora.files import write_text
from mixling.evaluation.bias.table import ALL
from mixling.evaluation.result import EvaluationResult
from mixling.machine import library_versions, machine_info
from mixling.models.precision import Precision
from mixling.models.weights import DEFAULT
from mixling.reports.evaluate import evaluate

# precision of each task: bf16 where they have hundreds of thousands of tokens
TASKS: dict[str, Precision] = {
    "xquad-r": "fp32",
    "mlqa-r": "fp32",
    "xquad-paragraphs": "fp32",
    "xquad-paragraphs-en": "fp32",
    "tydi": "fp32",
    "afriqa": "fp32",
    "afriqa-human": "fp32",
    "sib-200": "bf16",
    "tico-19": "bf16",
}
RESULT = Path(__file__).with_suffix(".json")
METRICS = ("nDCG@10", "R@10", "nDCG@20")


def row(result: EvaluationResult, task: str, model: str) -> dict:
    """Return the part of a result that is committed."""
    entry = result.summary["tasks"][task]
    committed = {
        "task": task,
        "model": model,
        "precision": result.summary["precision"],
        **{k: entry[k] for k in ("queries", "passages", "skipped", "data")},
        "languages": len(entry["languages"]),
        "intervals": entry["intervals"],
        "gaps": entry["gaps"],
    }
    for scenario in ("monolingual", "cross-lingual", "multilingual"):
        if scenario in entry:
            committed[scenario] = {
                k: entry[scenario][k] for k in ("mAP", *METRICS) if k in entry[scenario]
            }
    if "bias" in entry:
        committed["bias"] = {k: entry["bias"][k] for k in ALL if k in entry["bias"]}
    if "multilingual" in entry:
        committed["multilingual by language"] = {
            k: v["mAP"] for k, v in entry["multilingual"]["by_language"].items()
        }
    if task == "sib-200" and "coverage" in entry:
        committed["coverage"] = {
            code: {k: round(v[k], 4) for k in ("fertility", "characters_per_subword", "unknown")}
            for code, v in entry["coverage"].items()
        }
    return committed


def main() -> None:
    """Measure the results that are missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hybrid", help="folder of a trained model")
    parser.add_argument("--tasks", nargs="*", default=list(TASKS))
    arguments = parser.parse_args()
    content = json.loads(RESULT.read_text()) if RESULT.exists() else {"rows": []}
    rows = {(r["task"], r["model"]): r for r in content["rows"]}
    models = {"e5-small": DEFAULT, "bm25": "bm25"}
    for task in arguments.tasks:
        source = (
            task.partition(":")[0]
            .replace("xquad-paragraphs-en", "xquad-r")
            .replace("xquad-paragraphs", "xquad-r")
        )
        if find_source(source) is None:
            print(f"{task}: not on this machine")
            continue
        trained = (
            {"hybrid": arguments.hybrid}
            if arguments.hybrid and task in ("xquad-r", "mlqa-r")
            else {}
        )
        for name, model in {**models, **trained}.items():
            if (task, name) in rows:
                continue
            out = Path("runs/instrument") / task / name
            result = evaluate(model, [task], out, precision=TASKS[task], vector_cache="vectors")
            rows[task, name] = row(result, task, name)
            order = sorted(
                rows.values(),
                key=lambda r: (list(TASKS).index(r["task"]), r["model"] != "e5-small"),
            )
            content = {"rows": order, "versions": library_versions(), "machine": machine_info()}
            write_text(RESULT, json.dumps(content, indent=1) + "\n")
            print(
                task,
                name,
                {
                    k: round(v["mAP"], 4)
                    for k, v in rows[task, name].items()
                    if isinstance(v, dict) and "mAP" in v
                },
                flush=True,
            )


if __name__ == "__main__":
    main()
