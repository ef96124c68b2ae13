"""Measure e5-small on XQuAD-R's queries with noise: `python studies/noise.py`.

Types and rates of noise are those of `mixling.evaluation.noise`; the passages stay clean. Writes
noise.json; vectors are cached in vectors/.
"""

from __future__ import annotations

import json
from pathlib import Path

from mixling.corpora.files import write_text
from mixling.evaluation.noise import NOISE_TYPES
from mixling.machine import library_versions, machine_info
from mixling.models.weights import DEFAULT
from mixling.reports.evaluate import evaluate


def main() -> None:
    """Measure and write the committed part."""
    result = evaluate(DEFAULT, ["xquad-r"], "runs/noise", vector_cache="vectors", noise=NOISE_TYPES)
    monolingual = {
        name: {code: round(v["mAP"], 4) for code, v in entry["monolingual"]["by_language"].items()}
        for name, entry in result.summary["tasks"].items()
    }
    content = {
        "model": DEFAULT,
        "noise": result.summary["noise"],
        "monolingual mAP": monolingual,
        "versions": library_versions(),
        "machine": machine_info(),
    }
    write_text(Path(__file__).with_suffix(".json"), json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
