"""Claim: a further term of the objective costs at most what its further texts cost to encode.

    python -m benchmarks.terms

Gradients of hybrid batches of MLQA (e5-small, batch 32, bf16, no optimiser) with each term beside the plain loss, in turns
in one process; teachers are the model itself, encoded anew in every step.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

from benchmarks.sides import write
from mixling.machine import keep_memory, matrix_rate
from mixling.models.retriever import Retriever
from mixling.training.config import read
from mixling.training.objective import Objective
from mixling.training.pairs import prepare
from mixling.training.step import backward, tokens_of
from mixling.training.word_table import forget, word_table

NAMES = ("none", "bitext", "jsd", "lakda", "clear", "optical", "distil-vectors", "distil-cosine", "distil-scores", "margin-mse")  # fmt: skip


def main() -> None:
    """Measure, print, write."""
    keep_memory()
    retriever = Retriever()
    table = word_table(retriever.model)
    sides: dict[str, tuple[Any, Objective]] = {}
    for name in NAMES:
        terms = [] if name == "none" else [{"name": name, "pivot": "de"}]  # MLQA here has no English
        settings = read({"data": {"sources": ["mlqa"]}, "objective": {"terms": terms}})
        sides[name] = settings, Objective(settings, retriever)
        for teacher in sides[name][1].teachers:  # one copy of the teacher is enough
            sides[name][1].teachers[teacher] = next(
                (o.teachers[teacher] for _, o in sides.values() if teacher in o.teachers),
                sides[name][1].teachers[teacher],
            )
    _, _, pairs = prepare(sides["none"][0])
    seconds: dict[str, list[float]] = {name: [] for name in NAMES}
    rates = []
    for step in range(4):
        rates.append(matrix_rate(0.3))
        for name, (settings, objective) in sides.items():
            begun = time.perf_counter()
            turn = tokens_of(settings, retriever, objective, pairs, step)
            backward(
                retriever,
                turn.tokens,
                objective.of(turn.batch),
                local=objective.local(turn.batch),
                precision="bf16",
            )
            if step:
                seconds[name].append(time.perf_counter() - begun)
            forget([*retriever.model.parameters(), *objective.parameters()], table)
    plain = seconds["none"]
    rows = []
    for name in NAMES:
        each = [a / b for a, b in zip(seconds[name], plain, strict=True)]
        rows.append({"term": name, "seconds a step": round(statistics.median(seconds[name]), 2),
                     "times plain": round(statistics.median(each), 2)})  # fmt: skip
    write(__file__, {"rows": rows, "matrix rate": rates})


if __name__ == "__main__":
    main()
