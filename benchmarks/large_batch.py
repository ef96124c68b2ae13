"""Claim: a batch of 1,024 pairs takes at most twice the memory of a batch of 64, with the same
gradients.

    python -m benchmarks.large_batch

e5-small, MLQA, bf16, one whole step of each with the default settings (16,384 tokens kept at once),
and of 1,024 with 4,096 kept at once. That the gradients are the same is tests/test_step.py's.
"""

from __future__ import annotations

import tempfile
from functools import partial
from typing import Any

from benchmarks.sides import Turns, alternate, write


def side(size: int, at_once: int | None, turns: Turns) -> None:
    """One step."""
    from mixling.training.train import train

    def on_step(row: dict) -> None:
        turns.done(tokens=row["tokens"], pairs=size)
        turns.wait()

    turns.wait()
    options = {} if at_once is None else {"max_cached_tokens": at_once}
    settings: dict[str, Any] = {
        "data": {"sources": ["mlqa"]},
        "batches": {"size": size},
        "training": {"steps": 2, "precision": "bf16", **options},
    }
    train(settings, tempfile.mkdtemp() + "/run", on_step=on_step)


def main() -> None:
    """Measure, print, write."""
    sides = {
        "64": partial(side, 64, None),
        "1,024": partial(side, 1024, None),
        "1,024, 4,096 tokens at once": partial(side, 1024, 4096),
    }
    found = alternate(sides, 1, warm=0)
    rows = {k: v[0] for k, v in found["sides"].items()}
    write(
        __file__,
        {
            "peak GiB": {k: v["peak GiB"] for k, v in rows.items()},
            "times the memory of 64": {
                k: round(v["peak GiB"] / rows["64"]["peak GiB"], 2) for k, v in rows.items()
            },
            "seconds a pair": {k: round(v["seconds"] / v["pairs"], 3) for k, v in rows.items()},
            **found,
        },
    )


if __name__ == "__main__":
    main()
