"""Claim: texts divided by tokens keep no process waiting; texts divided by number do.

    python -m benchmarks.balance

Plans 200 batches of MLQA (e5-small's tokens) and divides the tokens of the fullest process by the
mean, for texts divided by tokens (`training/processes.py`) and for pairs divided by number.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.sides import write
from mixling.models.retriever import Retriever
from mixling.training.load_config import load_config
from mixling.training.objective import Objective
from mixling.training.processes import partition_by_tokens
from mixling.training.tokenized import tokenize_batch
from mixling.training.training_data import load_training_data


def main() -> None:
    """Measure, print and write the result."""
    retriever, rows = Retriever(), []
    for size in (32, 100, 512):
        config = load_config({"data": {"sources": ["mlqa"]}, "batches": {"size": size}})
        pairs = load_training_data(config).texts
        objective = Objective(config, retriever)
        batches = [
            tokenize_batch(config, retriever, objective, pairs, step).tokens
            for step in range(200 if size < 512 else 20)
        ]
        for processes in (2, 4, 8):
            by_tokens, by_number = [], []
            for tokens in batches:
                lengths = np.array([len(t) for t in tokens])
                pair = lengths[:size] + lengths[size:]
                mean = lengths.sum() / processes
                by_tokens.append(
                    max(
                        lengths[part].sum()
                        for part in partition_by_tokens(lengths.tolist(), processes)
                    )
                    / mean
                )
                by_number.append(
                    max(
                        lengths_of_part.sum() for lengths_of_part in np.array_split(pair, processes)
                    )
                    / mean
                )
            rows.append(
                {
                    "pairs": size,
                    "processes": processes,
                    "by tokens": round(float(np.mean(by_tokens)), 3),
                    "by number": round(float(np.mean(by_number)), 3),
                }
            )
    row: dict[str, Any] = {"fullest process over the mean": rows}
    write(__file__, row)


if __name__ == "__main__":
    main()
