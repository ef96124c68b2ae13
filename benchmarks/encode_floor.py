"""Claim: an audit takes at most 2.5 times what its matrix products take on this machine.

    python benchmarks/encode_floor.py [--task xquad-r] [--precision fp32] [--out FILE.json]

The floor is 2 x encoder weights (without the embedding table) x tokens / the rate of a plain matrix
product, which is measured before and after. Prints the scores, what was encoded, the time, the
floor and their ratio.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from benchmarks.sides import result_path
from mixling.evaluation.benchmarks import load_task
from mixling.evaluation.measure import measure
from mixling.machine import library_versions, machine_info, matrix_rate
from mixling.models.retriever import Retriever
from mixling.models.weights import DEFAULT


def main() -> None:
    """Measure, print and write the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--task", default="xquad-r")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--out", type=Path, help="default: runs/benchmarks/encode_floor.json")
    arguments = parser.parse_args()
    task, retriever = load_task(arguments.task), Retriever(DEFAULT)
    weights = sum(
        p.numel()
        for n, p in retriever.model.named_parameters()
        if ".encoder." in n or n.startswith("encoder.")
    )
    rate_before, start_time = matrix_rate(2), time.perf_counter()
    entry = measure(retriever, [task], precision=arguments.precision).summary["tasks"][task.name]
    seconds, rate_after = time.perf_counter() - start_time, matrix_rate(2)
    rate = (rate_before[arguments.precision] + rate_after[arguments.precision]) / 2
    floor = 2 * weights * entry["tokens"] / rate / 1e9
    row = {
        "task": task.name,
        "precision": arguments.precision,
        "monolingual mAP": entry["monolingual"]["mAP"],
        "cross-lingual mAP": entry["cross-lingual"]["mAP"],
        "multilingual mAP": entry["multilingual"]["mAP"],
        "rank distance": entry["multilingual"]["rank_distance"],
        "texts": len(task.queries) + len(task.passages),
        "texts encoded": entry["texts_encoded"],
        "tokens": entry["tokens"],
        "encoder weights": weights,
        "GFLOP/s before, after": [
            rate_before[arguments.precision],
            rate_after[arguments.precision],
        ],
        "seconds in all": round(seconds, 1),
        "seconds encoding": entry["seconds_encoding"],
        "seconds ranking": entry["seconds_ranking"],
        "floor in seconds": round(floor, 1),
        "ratio": round(seconds / floor, 2),
    }
    for key, value in row.items():
        print(f"{key}: {value}")
    content = {**row, "machine": machine_info(), "versions": library_versions()}
    (arguments.out or result_path(__file__)).write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
