"""Measure whether the packed path changes a result of the first study.

    python studies/fast_path.py

Trains hybrid(0.5), seed 0, as studies/xquad-strategies.toml configures it, and measures XQuAD-R in
bf16 as that study did, whose committed results are from the padded path. Writes both results and
the difference between the study's seeds to studies/fast-path.json.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

from mixling.evaluation.benchmarks import load_task
from mixling.evaluation.measure import scenario_means
from mixling.machine import library_versions, machine_info
from mixling.models.retriever import Retriever
from mixling.training.train import train

HERE = Path(__file__).parent
SCENARIOS = ("monolingual", "cross-lingual", "multilingual")


def main() -> None:
    """Train, measure and write the result."""
    base = tomllib.loads((HERE / "xquad-strategies.toml").read_text())["base"]
    base["batches"]["strategy"] = "hybrid"
    run = HERE.parent / "runs" / "fast-path"
    model = train(base, run)
    means = scenario_means(Retriever(str(model)), load_task("xquad-r"), "bf16")
    runs = json.loads((HERE / "xquad-strategies.json").read_text())["runs"]
    padded = {
        r["seed"]: [r["tasks"]["xquad-r"][scenario]["mAP"] for scenario in SCENARIOS]
        for r in runs
        if r["variant"] == "hybrid(0.5)"
    }
    packed = [means[scenario]["mAP"] for scenario in SCENARIOS]
    row = {
        "scenarios": SCENARIOS,
        "packed, seed 0": packed,
        "padded, seed 0": padded[0],
        "padded, seed 1": padded[1],
        "packed less padded, seed 0": [
            round(a - b, 4) for a, b in zip(packed, padded[0], strict=True)
        ],
        "seed 1 less seed 0, padded": [
            round(a - b, 4) for a, b in zip(padded[1], padded[0], strict=True)
        ],
        "seconds of training": json.loads((run / "run.json").read_text())["seconds"],
        "machine": machine_info(),
        "versions": library_versions(),
    }
    print(json.dumps(row, indent=1))
    (HERE / "fast-path.json").write_text(json.dumps(row, indent=1) + "\n")


if __name__ == "__main__":
    main()
