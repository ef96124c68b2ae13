"""Compute the costs of many passages: `python docs/scale.py` prints them.

docs/figures.py writes these tables into docs/guides/scale.md. They come from committed measurements
and stated assumptions, and the page keeps the two apart.
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path

ROOT = Path(__file__).parent.parent
TOKENS = 100  # of a passage, with its prompt
ENCODER = json.loads((ROOT / "benchmarks" / "encode_floor.json").read_text())[
    "encoder weights"
]  # e5-small's layers
DIMENSIONS = 384
# assumptions, each to be replaced by a reader's own
PRICE_CPU = 0.08  # dollars an hour of such a machine (two cores)
PRICE_GPU = 3.0  # dollars an hour of an H100
GPU_FLOPS = (
    989e12 * 0.15
)  # its dense bf16 rate, and the share that a model of this size is taken to reach
QUERY_TOKENS = 20  # tokens of a query, for training pairs
SIZES = (10**6, 10**8, 10**9)


def rates() -> dict[str, float]:
    """Return tokens a second on the measured machine."""
    encoding = json.loads((ROOT / "benchmarks" / "encoding.json").read_text())["sides"]["ours"]
    training = json.loads((ROOT / "benchmarks" / "training.json").read_text())["second"]["sides"][
        "ours"
    ]
    return {
        "encoding": statistics.median(r["tokens"] / r["seconds"] for r in encoding),
        "training": statistics.median(r["tokens"] / r["seconds"] for r in training),
    }


def number(value: float) -> str:
    """Format a number with three digits and thousands separators."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def size(n_bytes: float) -> str:
    """Format bytes with a unit."""
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if n_bytes < 1000 or unit == "TB":
            break
        n_bytes /= 1000
    return f"{number(n_bytes)} {unit}"


def measured() -> list[dict]:
    """Return the measurements."""
    growth = json.loads((ROOT / "benchmarks" / "growth.json").read_text())
    rates_by_task = rates()
    return [
        {
            "measured": "encoding, tokens a second (`benchmarks/encoding.py`)",
            "": number(rates_by_task["encoding"]),
        },
        {
            "measured": "training, tokens a second (`benchmarks/training.py`)",
            "": number(rates_by_task["training"]),
        },
        *(
            {
                "measured": f"{n} passages, small random encoder: microseconds a passage, peak "
                "memory (`benchmarks/growth.py`)",
                "": f"{growth['microseconds a passage'][n]} µs, {growth['peak GiB'][n]} GiB",
            }
            for n in growth["microseconds a passage"]
        ),
    ]


def encoding() -> list[dict]:
    """Return the cost of encoding and storing passages."""
    rate, rows = rates()["encoding"], []
    for n in SIZES:
        hours = n * TOKENS / rate / 3600
        gpu_hours = 2 * ENCODER * n * TOKENS / GPU_FLOPS / 3600
        rows.append(
            {
                "passages": f"{n:,}",
                "vectors, float32 / float16": f"{size(4 * n * DIMENSIONS)} / "
                f"{size(2 * n * DIMENSIONS)}",
                "hours of such a machine": number(hours),
                "such machines for a day": number(max(1, hours / 24)),
                "price": f"${number(hours * PRICE_CPU)}",
                "H100 hours": number(gpu_hours),
                "price on H100": f"${number(gpu_hours * PRICE_GPU)}",
            }
        )
    return rows


def training() -> list[dict]:
    """Return the cost of one pass over pairs."""
    rate, rows = rates()["training"], []
    for n in SIZES:
        tokens = n * (TOKENS + QUERY_TOKENS)
        hours, gpu_hours = tokens / rate / 3600, 6 * ENCODER * tokens / GPU_FLOPS / 3600
        rows.append(
            {
                "pairs": f"{n:,}",
                "hours of such a machine": number(hours),
                "price": f"${number(hours * PRICE_CPU)}",
                "H100 hours": number(gpu_hours),
                "price on H100": f"${number(gpu_hours * PRICE_GPU)}",
            }
        )
    return rows


if __name__ == "__main__":
    for part in (measured, encoding, training):
        print(*part(), sep="\n")
