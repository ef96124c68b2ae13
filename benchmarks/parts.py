"""Claim: each of four parts makes a training step faster.

    python -m benchmarks.parts

The parts are packing, attention for packed texts, the sparse gradient of the embedding table, and
kept memory. `mixling train` on MLQA (e5-small, batch 32, bf16) runs whole and with one part taken
out at a time, alternating, three steps a turn.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from benchmarks.sides import Turns, alternate, ratio, write

STEPS, ROUNDS = 3, 3


def padded() -> None:
    """Pad texts to the longest of a call of 3,072 tokens, as before packing.

    3,072 is the best size for padded texts.
    """
    from mixling.models.forward import TokenBudgets
    from mixling.models.retriever import Retriever
    from mixling.training import backward

    Retriever.first_position = property(lambda _: None)  # type: ignore[assignment, method-assign]
    backward.token_budgets = lambda device: TokenBudgets(1024, 4096, train=3072, cached=16384)


def dense() -> None:
    """Make the gradient of the embedding table dense, and new in each step."""
    from mixling.training import train

    train.sparse_embedding_gradient = lambda model: None


def released() -> None:
    """Return freed memory to the system."""
    from mixling.training import train

    train.keep_freed_memory = lambda: False  # type: ignore[assignment]


def fused() -> None:
    """Use torch's fused attention, text by text."""
    from mixling.models import packed

    def attend(
        q: Any, k: Any, v: Any, lengths: tuple[int, ...], scale: float, dropout: float = 0.0
    ) -> Any:
        options: Any = {"scale": scale}
        parts = zip(*(x.split(lengths) for x in (q, k, v)), strict=True)
        return torch.cat(
            [
                torch.nn.functional.scaled_dot_product_attention(
                    *(x.transpose(0, 1)[None] for x in p), **options
                )[0].transpose(0, 1)
                for p in parts
            ]
        )

    packed.packed_attention = attend


def side(without: Callable[[], None] | None, turns: Turns) -> None:
    """Train with a part taken out."""
    from mixling.training import train as train_module

    if without is not None:
        without()
    rows: list[dict] = []

    def on_step(row: dict) -> None:
        rows.append(row)
        if len(rows) % STEPS == 0:
            turns.done(tokens=sum(r["tokens"] for r in rows[-STEPS:]))
            turns.wait()

    config: dict[str, Any] = {
        "data": {"sources": ["mlqa"]},
        "training": {
            "steps": STEPS * (ROUNDS + 1),
            "lr": 1e-9,
            "precision": "bf16",
            "checkpoint_every": 10**6,
        },
    }
    turns.wait()
    train_module.train(config, tempfile.mkdtemp() + "/run", on_step=on_step)


def main() -> None:
    """Measure, print and write the result."""
    results: dict[str, Any] = {}
    ratios = {}
    for pair in (
        {"padded": padded, "dense word table": dense},
        {"memory given back": released, "fused attention": fused},
    ):
        name = " and ".join(pair)
        results[name] = alternate(
            {"whole": partial(side, None), **{k: partial(side, v) for k, v in pair.items()}}, ROUNDS
        )
        ratios.update({k: ratio(results[name], k, "whole") for k in pair})
    write(__file__, {"times as long without": ratios, **results})


if __name__ == "__main__":
    main()
