"""Claim: over ten million pairs any step's batch is there in a millisecond.

    python -m benchmarks.schedule

10^7 groups in three languages. Ours: `Schedule.plan` at near and far steps, 20,000 plans. Theirs:
sentence-transformers' NoDuplicatesBatchSampler over 10^7 pairs: the time to its first batch (it
permutes all rows), and to step 100,000, which it reaches only through all steps before,
extrapolated from 3,000 batches. Neither time contains making the table of groups or the data set.
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
    """Time the schedule."""
    present = np.ones((n, 3), bool)
    groups = TranslationGroups(
        "made", np.arange(n), np.arange(n) // 3, ("de", "en", "sw"), present, present
    )
    start_time = time.perf_counter()
    schedule = Schedule([groups], "hybrid", size=32)
    built = time.perf_counter()
    schedule.plan(0)
    schedule.plan(1)  # the strip of the other type of batch
    first = time.perf_counter()
    for step in range(100):  # strips of the other languages
        schedule.plan(step)
    row: dict[str, Any] = {
        "seconds to build once": round(built - start_time, 2),
        "seconds to the first batches of two types, then": round(first - built, 2),
    }
    for step in (0, 900_000, 900_000_000):
        times = []
        for k in range(200):
            start_time = time.perf_counter()
            schedule.plan(step + k)
            times.append(1000 * (time.perf_counter() - start_time))
        row[f"ms at step {step:,}"] = {
            "least": round(min(times), 3),
            "median": round(statistics.median(times), 3),
            "most": round(max(times), 3),
        }
    start_time = time.perf_counter()
    for step in range(20_000):
        schedule.plan(step)
    row["plans a minute"] = round(60 * 20_000 / (time.perf_counter() - start_time))
    return row


def theirs(n: int) -> dict[str, Any]:
    """Time the sampler to its first batch, three times, and to a far one."""
    from datasets import Dataset
    from sentence_transformers.base.sampler import NoDuplicatesBatchSampler

    texts = pa.array([f"text {i}" for i in range(n)])
    data = Dataset(pa.table({"anchor": texts, "positive": texts}))
    times = []
    for seed in range(3):
        start_time = time.perf_counter()
        next(iter(NoDuplicatesBatchSampler(data, batch_size=32, drop_last=True, seed=seed)))
        times.append(round(time.perf_counter() - start_time, 2))
    batches = iter(NoDuplicatesBatchSampler(data, batch_size=32, drop_last=True, seed=0))
    next(batches)
    start_time = time.perf_counter()
    for _ in range(3000):
        next(batches)
    seconds_per_batch = (time.perf_counter() - start_time) / 3000
    return {
        "seconds to the first batch": sorted(times),
        "ms a batch": round(1000 * seconds_per_batch, 2),
        "seconds to step 100,000, extrapolated": round(
            sorted(times)[1] + 100_000 * seconds_per_batch, 1
        ),
    }


def main() -> None:
    """Measure, print and write the result."""
    n = 10_000_000
    our_times, their_times = ours(n), theirs(n)
    ready = (
        our_times["seconds to build once"]
        + our_times["seconds to the first batches of two types, then"]
    )
    far = their_times["seconds to step 100,000, extrapolated"]
    row = {
        "times sooner at the first batch, building counted": round(
            their_times["seconds to the first batch"][1] / ready, 2
        ),
        "times sooner at step 100,000, building counted": round(far / ready, 1),
        "times sooner at step 100,000, once built": round(
            1000 * far / our_times["ms at step 900,000"]["median"]
        ),
    }
    write(__file__, {"groups": n, **row, "ours": our_times, "theirs": their_times})


if __name__ == "__main__":
    main()
