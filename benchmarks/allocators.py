"""Claim: another allocator makes a training step faster.

    python -m benchmarks.allocators

`mixling train` on MLQA (e5-small, batch 32, bf16) with glibc's allocator, which keeps what is
freed (`machine.keep_freed_memory`), and with tcmalloc, alternating, five steps a turn. tcmalloc is
Debian's package libtcmalloc-minimal4.
"""

from __future__ import annotations

import ctypes.util
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.sides import Turns, alternate, ratio, write

STEPS, ROUNDS = 5, 5
# returns nothing to the system, as glibc is told to
KEEP = {"TCMALLOC_RELEASE_RATE": "0"}


def library() -> str:
    """Return the name of tcmalloc's library.

    Raises:
        SystemExit: It is not installed.
    """
    name = ctypes.util.find_library("tcmalloc_minimal")
    if name is None:
        raise SystemExit("tcmalloc is missing: apt-get install libtcmalloc-minimal4")
    return name


def side(turns: Turns) -> None:
    """Train, and report which allocator is loaded."""
    from mixling.training.train import train

    rows: list[dict[str, Any]] = []
    allocator = "tcmalloc" if "libtcmalloc" in Path("/proc/self/maps").read_text() else "glibc"

    def on_step(row: dict[str, Any]) -> None:
        rows.append(row)
        if len(rows) % STEPS == 0:
            tokens = sum(r["tokens"] for r in rows[-STEPS:])
            turns.done(tokens=tokens, allocator=allocator)
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
    train(config, tempfile.mkdtemp() + "/run", on_step=on_step)


def main() -> None:
    """Measure, print and write the result."""
    sides = {"glibc": side, "tcmalloc": side}
    environments = {"tcmalloc": {"LD_PRELOAD": library(), **KEEP}}
    result = alternate(sides, ROUNDS, environments=environments)
    for name, rounds in result["sides"].items():
        assert all(r["allocator"] == name for r in rounds), name
    write(__file__, {"times as long with glibc": ratio(result, "glibc", "tcmalloc"), **result})


if __name__ == "__main__":
    main()
