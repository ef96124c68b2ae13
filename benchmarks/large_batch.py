"""Claim: a batch of 1,024 pairs takes at most twice the memory of 64, with the same gradients.

    python -m benchmarks.large_batch

Takes one whole step of each with e5-small, MLQA and bf16 with the default options (16,384 cached
tokens), and one of 1,024 with 4,096 cached tokens. tests/test_step.py tests that the gradients are
the same.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.sides import Turns, alternate, write


def side(size: int, max_cached_tokens: int | None, turns: Turns) -> None:
    """Take one step."""
    from mixling.training.train import train

    def on_step(row: dict) -> None:
        turns.done(tokens=row["tokens"], pairs=size)
        turns.wait()

    turns.wait()
    options = {} if max_cached_tokens is None else {"max_cached_tokens": max_cached_tokens}
    config: dict[str, Any] = {
        "data": {"sources": ["mlqa"]},
        "batches": {"size": size},
        "training": {"steps": 2, "precision": "bf16", **options},
    }
    train(config, tempfile.mkdtemp() + "/run", on_step=on_step)


def main() -> None:
    """Measure, print and write the result."""
    sides: dict[str, Callable[[Turns], None]] = {
        "64": partial(side, 64, None),
        "1,024": partial(side, 1024, None),
        "1,024, 4,096 tokens at once": partial(side, 1024, 4096),
    }
    result = alternate(sides, 1, warm=0)
    rows = {k: v[0] for k, v in result["sides"].items()}
    write(
        __file__,
        {
            "peak GiB": {k: v["peak GiB"] for k, v in rows.items()},
            "times the memory of 64": {
                k: round(v["peak GiB"] / rows["64"]["peak GiB"], 2) for k, v in rows.items()
            },
            "seconds a pair": {k: round(v["seconds"] / v["pairs"], 3) for k, v in rows.items()},
            **result,
        },
    )


if __name__ == "__main__":
    main()
