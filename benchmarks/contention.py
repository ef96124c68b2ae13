"""What busy processes cost: a query, 32 passages, a training step.

    python -m benchmarks.contention [--before CHECKOUT] [--out FILE]

e5-small: one short query and 32 passages in the number format that the processor is faster in, a
training step of 32 MLQA pairs in the same, with no, one and two busy processes beside it, and with
a container's quota of one processor (where control groups can be written). Settings: threads as
Mixling chooses them, one thread throughout, an earlier checkout, and sentence-transformers
as it comes. Each in a process of its own, settings in turn; medians, milliseconds.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.sides import result_path
from mixling.machine import library_versions, machine_info, matrix_rate

SETTINGS: dict[str, dict[str, str]] = {
    "as chosen": {},
    "one thread": {"MIXLING_THREADS": "1"},
    "before": {},
    "sentence-transformers": {},
}
QUOTA = "quota of one processor"
CONDITIONS: dict[str, int] = {"idle": 0, "1 busy process": 1, "2 busy processes": 2, QUOTA: 0}
GROUPS = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")
QUERY = "How do I change the margins of a page?"
PASSAGE = "The margins of a page are set in the tab Page of the dialog Page Style. " * 4
STEPS = 4


def timed(work, rounds: int) -> float:
    """Return the median of some rounds after one that is not counted, milliseconds."""
    seconds = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return round(1000 * float(np.median(seconds[1:])), 1)


def measure_ours() -> dict[str, float]:
    """Measure Mixling in this process."""
    from benchmarks.training import train_config
    from mixling.models.precision import choose_precision
    from mixling.models.retriever import Retriever
    from mixling.training.train import train

    retriever, precision = Retriever(), choose_precision("cpu")
    passages = [f"{PASSAGE} {i}" for i in range(32)]
    found = {
        "query": timed(lambda: retriever.encode([QUERY], "query", precision=precision), 15),
        "32 passages": timed(lambda: retriever.encode(passages, "passage", precision=precision), 4),
    }
    config, times = train_config(precision), [time.perf_counter()]
    config["training"]["steps"] = STEPS
    with tempfile.TemporaryDirectory() as folder:
        train(config, Path(folder) / "run", on_step=lambda _: times.append(time.perf_counter()))
    found["training step"] = round(1000 * float(np.median(np.diff(times)[1:])), 1)
    return found


def measure_peer() -> dict[str, float]:
    """Measure sentence-transformers in this process."""
    from sentence_transformers import SentenceTransformer

    from mixling.models.weights import DEFAULT, locate_model

    model = SentenceTransformer(locate_model(DEFAULT)[0], device="cpu")
    passages = [f"passage: {PASSAGE} {i}" for i in range(32)]
    return {
        "query": timed(lambda: model.encode([f"query: {QUERY}"], show_progress_bar=False), 15),
        "32 passages": timed(lambda: model.encode(passages, show_progress_bar=False), 4),
    }


def quota_group() -> Path | None:
    """Make a control group that may use one processor, version 1 or 2; None where it cannot."""
    for root in GROUPS:
        group = root / f"mixling-{os.getpid()}"
        try:
            group.mkdir()
            if (group / "cpu.max").exists():
                (group / "cpu.max").write_text("100000 100000")
            else:
                (group / "cpu.cfs_quota_us").write_text("100000")
            return group
        except OSError:
            with contextlib.suppress(OSError):
                group.rmdir()
    return None


def measure(
    name: str, environment: dict[str, str], before: Path | None, group: Path | None
) -> dict[str, float]:
    """Measure one setting in a process of its own."""
    side = "peer" if name == "sentence-transformers" else "ours"
    if name == "before":
        environment = {**environment, "PYTHONPATH": f"{before}/src"}
    if group is not None:
        environment = {**environment, "MIXLING_GROUP": str(group / "cgroup.procs")}
    program = [sys.executable, "-m", "benchmarks.contention", "--side", side]
    done = subprocess.run(program, env=environment, stdout=subprocess.PIPE, check=True)
    row: dict[str, float] = json.loads(done.stdout.decode().splitlines()[-1])
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, help="default: as all benchmarks")
    parser.add_argument("--before", type=Path, help="a checkout of an earlier version")
    parser.add_argument("--side", choices=("ours", "peer"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        if "MIXLING_GROUP" in os.environ:  # joined before torch counts processors
            Path(os.environ["MIXLING_GROUP"]).write_text(str(os.getpid()))
        print(json.dumps(measure_ours() if given.side == "ours" else measure_peer()))
        return
    results: dict = {"machine": machine_info(), "versions": library_versions(), "rows": []}
    results["matrix rate"] = matrix_rate()
    for condition, neighbors in CONDITIONS.items():
        group = quota_group() if condition == QUOTA else None
        if condition == QUOTA and group is None:
            print("no control group can be written: no row with a quota")
            continue
        busy = [subprocess.Popen([sys.executable, "-c", "while True: 1"]) for _ in range(neighbors)]
        try:
            for name, environment in SETTINGS.items():
                if name == "before" and given.before is None:
                    continue
                row = measure(name, {**os.environ, **environment}, given.before, group)
                results["rows"].append({"setting": name, "beside": condition, **row})
                print(results["rows"][-1], flush=True)
        finally:
            for process in busy:
                process.kill()
            if group is not None:
                group.rmdir()
    (given.out or result_path(__file__)).write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
