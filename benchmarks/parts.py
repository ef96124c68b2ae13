"""Claim: packing, own attention, rows of the word table and kept memory each pay in a training
step.

    python -m benchmarks.parts

`mixling train` on MLQA (e5-small, batch 32, bf16), whole and with one part taken out at a time,
alternating, three steps a turn.
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
    """Texts are padded to the longest of a call of 3,072 tokens (the best size when padded), as
    before packing.
    """
    from mixling.models.forward import TokenBudgets
    from mixling.models.retriever import Retriever
    from mixling.training import backward

    Retriever.first_position = property(lambda _: None)  # type: ignore[assignment, method-assign]
    backward.token_budgets = lambda _: TokenBudgets(1024, 4096, train=3072, cached=16384)


def dense() -> None:
    """The word table's gradient is made anew and dense."""
    from mixling.training import train

    train.sparse_embedding_gradient = lambda _: None


def given_back() -> None:
    """Freed memory goes back to the system."""
    from mixling.training import train

    train.keep_freed_memory = lambda: False  # type: ignore[assignment]


def fused() -> None:
    """torch's fused attention, text by text."""
    from mixling.models import packed

    def attend(
        q: Any, k: Any, v: Any, lengths: tuple[int, ...], scale: float, dropout: float = 0.0
    ) -> Any:
        parts = zip(*(x.split(lengths) for x in (q, k, v)), strict=True)
        return torch.cat(
            [
                torch.nn.functional.scaled_dot_product_attention(
                    *(x.transpose(0, 1)[None] for x in p), scale=scale
                )[0].transpose(0, 1)
                for p in parts
            ]
        )

    packed.packed_attention = attend


def side(without: Callable[[], None] | None, turns: Turns) -> None:
    """Train with a part taken out."""
    from mixling.training import train as room

    if without is not None:
        without()
    seen: list[dict] = []

    def on_step(row: dict) -> None:
        seen.append(row)
        if len(seen) % STEPS == 0:
            turns.done(tokens=sum(r["tokens"] for r in seen[-STEPS:]))
            turns.wait()

    settings: dict[str, Any] = {
        "data": {"sources": ["mlqa"]},
        "training": {
            "steps": STEPS * (ROUNDS + 1),
            "lr": 1e-9,
            "precision": "bf16",
            "checkpoint_every": 10**6,
        },
    }
    turns.wait()
    room.train(settings, tempfile.mkdtemp() + "/run", on_step=on_step)


def main() -> None:
    """Measure, print, write."""
    found: dict[str, Any] = {}
    lost = {}
    for pair in (
        {"padded": padded, "dense word table": dense},
        {"memory given back": given_back, "fused attention": fused},
    ):
        name = " and ".join(pair)
        found[name] = alternate(
            {"whole": partial(side, None), **{k: partial(side, v) for k, v in pair.items()}}, ROUNDS
        )
        lost.update({k: ratio(found[name], k, "whole") for k in pair})
    write(__file__, {"times as long without": lost, **found})


if __name__ == "__main__":
    main()
