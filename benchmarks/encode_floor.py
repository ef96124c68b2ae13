"""Claim: auditing a model takes at most 2.5 times what its matrix products alone would take on this
machine.

    python benchmarks/encode_floor.py [--task xquad-r] [--precision fp32] [--out FILE.json]

Floor = 2 x encoder weights (without the word table) x tokens / the rate of a plain matrix product,
measured before and after. Prints the scores, what was encoded, time, floor and their ratio; writes
JSON.
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
    """Measure, print, write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--task", default="xquad-r")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--out", type=Path, help="default: runs/benchmarks/encode_floor.json")
    a = parser.parse_args()
    one, retriever = load_task(a.task), Retriever(DEFAULT)
    weights = sum(
        p.numel()
        for n, p in retriever.model.named_parameters()
        if ".encoder." in n or n.startswith("encoder.")
    )
    before, begun = matrix_rate(2), time.perf_counter()
    entry = measure(retriever, [one], precision=a.precision).summary["tasks"][one.name]
    seconds, after = time.perf_counter() - begun, matrix_rate(2)
    rate = (before[a.precision] + after[a.precision]) / 2
    floor = 2 * weights * entry["tokens"] / rate / 1e9
    row = {
        "task": one.name,
        "precision": a.precision,
        "monolingual mAP": entry["monolingual"]["mAP"],
        "cross-lingual mAP": entry["cross-lingual"]["mAP"],
        "multilingual mAP": entry["multilingual"]["mAP"],
        "rank distance": entry["multilingual"]["rank_distance"],
        "texts": len(one.queries) + len(one.passages),
        "texts encoded": entry["texts_encoded"],
        "tokens": entry["tokens"],
        "encoder weights": weights,
        "GFLOP/s before, after": [before[a.precision], after[a.precision]],
        "seconds in all": round(seconds, 1),
        "seconds encoding": entry["seconds_encoding"],
        "seconds ranking": entry["seconds_ranking"],
        "floor in seconds": round(floor, 1),
        "ratio": round(seconds / floor, 2),
    }
    for key, value in row.items():
        print(f"{key}: {value}")
    content = {**row, "machine": machine_info(), "versions": library_versions()}
    (a.out or result_path(__file__)).write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
