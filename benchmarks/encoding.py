"""Claim: on a CPU texts are encoded four times as fast as by sentence-transformers' defaults.

    python -m benchmarks.encoding

Encodes a random 1,200 of XQuAD-R's passages a turn with e5-small, alternating: `Retriever.encode`
in bf16 and fp32 against `SentenceTransformer.encode` with its defaults (fp32, batch 32) and at its
best (bf16, the best of three batch sizes, the same memory options). benchmarks/matrix.json has the
change of XQuAD-R's scores by bf16.
"""

from __future__ import annotations

import random
from functools import partial
from typing import Any

from benchmarks.sides import Turns, alternate, peaks, products, ratio, write
from mixling.models.precision import Precision

ROUNDS, TEXTS = 3, 1200


def texts(number: int) -> list[str]:
    """Return the texts of a round."""
    from mixling.evaluation.benchmarks import load_task

    return random.Random(number).sample(load_task("xquad-r").passages, TEXTS)


def ours(precision: Precision, turns: Turns) -> None:
    """Encode with `Retriever.encode`."""
    from mixling.machine import keep_freed_memory
    from mixling.models.retriever import Retriever

    keep_freed_memory()
    retriever = Retriever()
    retriever.encode(["to be ready"], "passage", precision=precision)
    for number in range(ROUNDS + 1):
        round_texts = texts(number)
        tokens = sum(map(len, retriever.tokenize(round_texts, "passage")))
        turns.wait()
        retriever.encode(round_texts, "passage", precision=precision)
        turns.done(tokens=tokens)


def theirs(best: bool, turns: Turns) -> None:
    """Encode with `SentenceTransformer.encode`."""
    import time

    from mixling.machine import keep_freed_memory
    from mixling.models.retriever import Retriever

    retriever = Retriever(packed=False)
    model, size = retriever.model, 32
    if best:
        keep_freed_memory()
        model = model.bfloat16()
        seconds = {}
        for size in (8, 32, 128):
            start_time = time.perf_counter()
            model.encode(texts(99)[:400], prompt=retriever.prompt("passage"), batch_size=size)
            seconds[size] = time.perf_counter() - start_time
        size = min(seconds, key=lambda s: seconds[s])
    for number in range(ROUNDS + 1):
        round_texts = texts(number)
        turns.wait()
        model.encode(round_texts, prompt=retriever.prompt("passage"), batch_size=size)
        turns.done(batch=size)


def main() -> None:
    """Measure, print and write the result."""
    result = alternate(
        {
            "ours": partial(ours, "bf16"),
            "ours fp32": partial(ours, "fp32"),
            "theirs": partial(theirs, False),
            "theirs at best": partial(theirs, True),
        },
        ROUNDS,
    )
    row: dict[str, Any] = {
        "times as fast as it comes": ratio(result, "theirs", "ours"),
        "times as fast as its best": ratio(result, "theirs at best", "ours"),
        "fp32, times as fast as it comes": ratio(result, "theirs", "ours fp32"),
        **products(result, 2),
    }
    row["peak GiB"] = peaks(result["sides"])
    write(__file__, {**row, **result})


if __name__ == "__main__":
    main()
