"""Claim: over ten million pairs any step's batch is there in milliseconds; a sampler that walks takes seconds to its first.

    python -m benchmarks.schedule

10^7 groups in three languages. Ours: `Schedule.plan`, near and far steps, 100,000 plans. Theirs:
sentence-transformers' NoDuplicatesBatchSampler over 10^7 pairs: the time to its first batch (it permutes all rows, and
hashes or reads the texts as it goes). Making the table of groups and the data set is counted for neither.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.sides import write
from mixling.batches.schedule import Schedule
from mixling.batches.units import Units


def ours(n: int) -> dict[str, Any]:
    """Times of the schedule."""
    whole = np.ones((n, 3), bool)
    units = Units("made", np.arange(n), np.arange(n) // 3, ("de", "en", "sw"), whole, whole)
    begun = time.perf_counter()
    schedule = Schedule([units], "hybrid", size=32)
    built = time.perf_counter()
    schedule.plan(0)
    row: dict[str, Any] = {
        "seconds to build once": round(built - begun, 2),
        "ms to the first batch, once built": round(1000 * (time.perf_counter() - built), 2),
    }
    for step in (0, 900_000, 900_000_000):
        times = []
        for k in range(200):
            begun = time.perf_counter()
            schedule.plan(step + k)
            times.append(1000 * (time.perf_counter() - begun))
        row[f"ms at step {step:,}"] = {"least": round(min(times), 3), "median": round(statistics.median(times), 3),
                                       "most": round(max(times), 3)}  # fmt: skip
    begun = time.perf_counter()
    for step in range(20_000):
        schedule.plan(step)
    row["plans a minute"] = round(60 * 20_000 / (time.perf_counter() - begun))
    return row


def theirs(n: int) -> dict[str, float]:
    """Seconds from the sampler to its first batch, three times."""
    from datasets import Dataset
    from sentence_transformers.base.sampler import NoDuplicatesBatchSampler

    texts = pa.array([f"text {i}" for i in range(n)])
    data = Dataset(pa.table({"anchor": texts, "positive": texts}))
    times = []
    for seed in range(3):
        begun = time.perf_counter()
        next(iter(NoDuplicatesBatchSampler(data, batch_size=32, drop_last=True, seed=seed)))
        times.append(round(time.perf_counter() - begun, 2))
    return {"least": min(times), "median": sorted(times)[1], "most": max(times)}


def main() -> None:
    """Measure, print, write."""
    n = 10_000_000
    mine, them = ours(n), theirs(n)
    first = them["median"] * 1000 / mine["ms to the first batch, once built"]
    counted = them["median"] / (
        mine["seconds to build once"] + mine["ms to the first batch, once built"] / 1000
    )
    write(__file__, {"groups": n, "ours": mine, "theirs, seconds to the first batch": them,
                     "times sooner, once built": round(first), "times sooner, building counted": round(counted, 2)})  # fmt: skip


if __name__ == "__main__":
    main()
