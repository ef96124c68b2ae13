"""Two or more sides of a comparison, each in a process of its own, alternating: no claim here, the
others use it.

A side is a function that takes a `Turns`: it makes itself ready, then works in turns, `wait` before
each and `done` after it. While one side works the others stand still. So all see the same machine,
and each has its own peak memory.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from mixling.machine import library_versions, machine_info, matrix_rate


class Turns:
    """What a side sees of the others: nothing but when its turn is."""

    def __init__(self, line: Connection):
        self.line, self.begun = line, 0.0

    def wait(self) -> None:
        """Say that this side is ready, and stand still until it is its turn."""
        self.line.send("ready")
        self.line.recv()
        self.begun = time.perf_counter()

    def done(self, **facts: Any) -> None:
        """The turn is over: seconds, peak memory and whatever else is to be told."""
        seconds = time.perf_counter() - self.begun
        self.line.send({"seconds": seconds, "peak GiB": peak(), **facts})


def peak() -> float:
    """This process's peak resident memory, GiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return round(int(next(x for x in lines if x.startswith("VmHWM")).split()[1]) / 2**20, 2)


def _run(side: Callable[[Turns], None], line: Connection) -> None:
    side(Turns(line))


def alternate(
    sides: dict[str, Callable[[Turns], None]], rounds: int, warm: int = 1
) -> dict[str, Any]:
    """Let the sides work in turns: {"sides": {name: [facts of each round]}, "matrix rate".

    [of each round]}.
    """
    context = multiprocessing.get_context("spawn")
    running, found = {}, {name: [] for name in sides}
    for name, side in sides.items():
        ours, theirs = context.Pipe()
        running[name] = (context.Process(target=_run, args=(side, theirs), daemon=True), ours)
        running[name][0].start()
    for name in sides:
        _told(*running[name], name)
    rates = []
    for number in range(warm + rounds):
        time.sleep(1)  # the threads of the side before wait for more work a while, and not idly
        rates.append(matrix_rate(0.5))
        for name, (process, line) in running.items():
            if number:
                _told(process, line, name)
            line.send(None)
            facts = _told(process, line, name)
            print(
                f"round {number}{' (warming up)' if number < warm else ''}: {name}: {facts}",
                flush=True,
            )
            if number >= warm:
                found[name].append(facts)
    for process, _ in running.values():
        process.kill()
    return {"sides": found, "matrix rate": rates[warm:]}


def _told(process: BaseProcess, line: Connection, name: str) -> Any:
    """What a side says next."""
    while not line.poll(1):
        if not process.is_alive():
            raise SystemExit(f"{name}: its process ended")
    return line.recv()


def spread(values: list[float]) -> dict[str, float]:
    """Median, least and most, to two digits."""
    return {
        "median": round(statistics.median(values), 2),
        "least": round(min(values), 2),
        "most": round(max(values), 2),
    }


def products(found: dict[str, Any], passes: int) -> dict[str, Any]:
    """GFLOP/s of e5-small's matrix products in our two sides' rounds, useful tokens only, and their
    share of the rate.

    passes: two a weight and token going forward, six with the way back.
    """
    from mixling.models.retriever import Retriever

    row: dict[str, Any] = {}
    flops = passes * encoder_weights(Retriever())
    for name, precision in (("ours", "bf16"), ("ours fp32", "fp32")):
        work = [flops * r["tokens"] / r["seconds"] / 1e9 for r in found["sides"][name]]
        row[f"{name}: GFLOP/s of useful matrix products"] = [round(w) for w in work]
        row[f"{name}: share of the matrix rate"] = round(
            sorted(work)[len(work) // 2] / rate_of(found, precision), 2
        )
    return row


def encoder_weights(retriever: Any) -> int:
    """Weights of the layers: without the embeddings, which multiply nothing."""
    return sum(p.numel() for n, p in retriever.model.named_parameters() if "encoder." in n)


def peaks(sides: dict[str, list[dict]]) -> dict[str, float]:
    """Peak memory of each side, GiB."""
    return {name: max(r["peak GiB"] for r in rounds) for name, rounds in sides.items()}


def ratio(found: dict[str, Any], peer: str, ours: str, key: str = "seconds") -> dict[str, float]:
    """How many times as long the peer takes, round by round: median, least, most."""
    return spread(
        [a[key] / b[key] for a, b in zip(found["sides"][peer], found["sides"][ours], strict=True)]
    )


def rate_of(found: dict[str, Any], precision: str) -> float:
    """Median matrix rate, GFLOP/s, of the rounds."""
    return round(statistics.median(r[precision] for r in found["matrix rate"]), 1)


def result_path(script: str) -> Path:
    """Where a benchmark writes its result: `runs/benchmarks/NAME.json`, which git ignores, so that
    measuring one's machine changes no committed figure. `MIXLING_RESULTS=benchmarks` writes the
    committed file.
    """
    folder = Path(os.environ.get("MIXLING_RESULTS") or "runs/benchmarks")
    folder.mkdir(parents=True, exist_ok=True)
    return folder / Path(script).with_suffix(".json").name


def write(script: str, row: dict[str, Any]) -> None:
    """Print a result and write it to `result_path`, with machine, versions and date."""
    print(json.dumps(row, indent=1))
    whole = {
        **row,
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine_info(),
        "versions": library_versions(),
    }
    path = result_path(script)
    path.write_text(json.dumps(whole, indent=1) + "\n")
    print(f"written to {path}")
