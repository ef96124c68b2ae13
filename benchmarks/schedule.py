"""Claim: over ten million pairs any step's batch is there in a millisecond; a sampler that walks
takes minutes to a far one.

    python -m benchmarks.schedule

10^7 groups in three languages. Ours: `Schedule.plan`, near and far steps, 20,000 plans. Theirs:
sentence-transformers' NoDuplicatesBatchSampler over 10^7 pairs: the time to its first batch (it
permutes all rows), and to step 100,000, to which it walks, extrapolated from 3,000 batches. Making
the table of groups and the data set is counted for neither.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.sides import write
from mixling.batches.schedule import Schedule
from mixling.batches.translation_groups import TranslationGroups


def ours(n: int) -> dict[str, Any]:
    """Times of the schedule."""
    whole = np.ones((n, 3), bool)
    units = TranslationGroups(
        "made", np.arange(n), np.arange(n) // 3, ("de", "en", "sw"), whole, whole
    )
    begun = time.perf_counter()
    schedule = Schedule([units], "hybrid", size=32)
    built = time.perf_counter()
    schedule.plan(0)
    schedule.plan(1)  # the other kind's strip
    first = time.perf_counter()
    for step in range(100):  # the other languages'
        schedule.plan(step)
    row: dict[str, Any] = {
        "seconds to build once": round(built - begun, 2),
        "seconds to the first batches of two kinds, then": round(first - built, 2),
    }
    for step in (0, 900_000, 900_000_000):
        times = []
        for k in range(200):
            begun = time.perf_counter()
            schedule.plan(step + k)
            times.append(1000 * (time.perf_counter() - begun))
        row[f"ms at step {step:,}"] = {
            "least": round(min(times), 3),
            "median": round(statistics.median(times), 3),
            "most": round(max(times), 3),
        }
    begun = time.perf_counter()
    for step in range(20_000):
        schedule.plan(step)
    row["plans a minute"] = round(60 * 20_000 / (time.perf_counter() - begun))
    return row


def theirs(n: int) -> dict[str, Any]:
    """Seconds from the sampler to its first batch, three times, and to a far one."""
    from datasets import Dataset
    from sentence_transformers.base.sampler import NoDuplicatesBatchSampler

    texts = pa.array([f"text {i}" for i in range(n)])
    data = Dataset(pa.table({"anchor": texts, "positive": texts}))
    times = []
    for seed in range(3):
        begun = time.perf_counter()
        next(iter(NoDuplicatesBatchSampler(data, batch_size=32, drop_last=True, seed=seed)))
        times.append(round(time.perf_counter() - begun, 2))
    walk = iter(NoDuplicatesBatchSampler(data, batch_size=32, drop_last=True, seed=0))
    next(walk)
    begun = time.perf_counter()
    for _ in range(3000):
        next(walk)
    each = (time.perf_counter() - begun) / 3000
    return {
        "seconds to the first batch": sorted(times),
        "ms a batch": round(1000 * each, 2),
        "seconds to step 100,000, extrapolated": round(sorted(times)[1] + 100_000 * each, 1),
    }


def main() -> None:
    """Measure, print, write."""
    n = 10_000_000
    mine, them = ours(n), theirs(n)
    ready = mine["seconds to build once"] + mine["seconds to the first batches of two kinds, then"]
    far = them["seconds to step 100,000, extrapolated"]
    row = {
        "times sooner at the first batch, building counted": round(
            them["seconds to the first batch"][1] / ready, 2
        ),
        "times sooner at step 100,000, building counted": round(far / ready, 1),
        "times sooner at step 100,000, once built": round(
            1000 * far / mine["ms at step 900,000"]["median"]
        ),
    }
    write(__file__, {"groups": n, **row, "ours": mine, "theirs": them})


if __name__ == "__main__":
    main()
