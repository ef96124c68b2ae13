"""Run two or more sides of a comparison in processes of their own, alternating.

A side is a function that takes a `Turns`. It makes itself ready, then works in turns, with `wait`
before each and `done` after it. While one side works the others stand still. So all have the same
machine, and each has its own peak memory.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from unittest import mock

from mixling.machine import library_versions, machine_info, matrix_rate


class Turns:
    """The turns of one side."""

    def __init__(self, connection: Connection):
        self.connection, self.start_time = connection, 0.0

    def wait(self) -> None:
        """Report that this side is ready, and wait for its turn."""
        self.connection.send("ready")
        self.connection.recv()
        self.start_time = time.perf_counter()

    def done(self, **facts: Any) -> None:
        """End the turn, and report seconds, peak memory and `facts`."""
        seconds = time.perf_counter() - self.start_time
        self.connection.send({"seconds": seconds, "peak GiB": peak(), **facts})


def peak() -> float:
    """Return this process's peak resident memory, GiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return round(int(next(x for x in lines if x.startswith("VmHWM")).split()[1]) / 2**20, 2)


def _run(side: Callable[[Turns], None], connection: Connection) -> None:
    side(Turns(connection))


def alternate(
    sides: Mapping[str, Callable[[Turns], None]],
    rounds: int,
    warm: int = 1,
    environments: Mapping[str, Mapping[str, str]] | None = None,
) -> dict[str, Any]:
    """Let the sides work in turns.

    Args:
        sides: Functions by name.
        rounds: Turns of each that count.
        warm: Turns before them.
        environments: Environment variables that a side's process starts with, by name.

    Returns:
        {"sides": {name: [facts of each round]}, "matrix rate": [rate of each round]}.
    """
    context = multiprocessing.get_context("spawn")
    running = {}
    rounds_of: dict[str, list[dict[str, Any]]] = {name: [] for name in sides}
    for name, side in sides.items():
        ours, theirs = context.Pipe()
        running[name] = (context.Process(target=_run, args=(side, theirs), daemon=True), ours)
        with mock.patch.dict(os.environ, (environments or {}).get(name, {})):
            running[name][0].start()
    for name in sides:
        _receive(*running[name], name)
    rates = []
    for number in range(warm + rounds):
        time.sleep(1)  # the threads of the last side still spin for a while
        rates.append(matrix_rate(0.5))
        for name, (process, connection) in running.items():
            if number:
                _receive(process, connection, name)
            connection.send(None)
            facts = _receive(process, connection, name)
            print(
                f"round {number}{' (warming up)' if number < warm else ''}: {name}: {facts}",
                flush=True,
            )
            if number >= warm:
                rounds_of[name].append(facts)
    for process, _ in running.values():
        process.kill()
    return {"sides": rounds_of, "matrix rate": rates[warm:]}


def _receive(process: BaseProcess, connection: Connection, name: str) -> Any:
    """Return the next message of a side."""
    while not connection.poll(1):
        if not process.is_alive():
            raise SystemExit(f"{name}: its process ended")
    return connection.recv()


def spread(values: list[float]) -> dict[str, float]:
    """Return median, least and most, to two digits."""
    return {
        "median": round(statistics.median(values), 2),
        "least": round(min(values), 2),
        "most": round(max(values), 2),
    }


def products(result: dict[str, Any], passes: int) -> dict[str, Any]:
    """Return GFLOP/s of e5-small's matrix products and their share of the rate.

    Only useful tokens count, in the rounds of our two sides.

    Args:
        result: Of `alternate`.
        passes: Operations a weight and token: two forward, six with backward.
    """
    from mixling.models.retriever import Retriever

    row: dict[str, Any] = {}
    flops = passes * encoder_weights(Retriever())
    for name, precision in (("ours", "bf16"), ("ours fp32", "fp32")):
        rates = [flops * r["tokens"] / r["seconds"] / 1e9 for r in result["sides"][name]]
        row[f"{name}: GFLOP/s of useful matrix products"] = [round(w) for w in rates]
        row[f"{name}: share of the matrix rate"] = round(
            sorted(rates)[len(rates) // 2] / rate_of(result, precision), 2
        )
    return row


def encoder_weights(retriever: Any) -> int:
    """Count the weights of the layers, without the embeddings, which multiply nothing."""
    return sum(p.numel() for n, p in retriever.model.named_parameters() if "encoder." in n)


def peaks(sides: dict[str, list[dict]]) -> dict[str, float]:
    """Return the peak memory of each side, GiB."""
    return {name: max(r["peak GiB"] for r in rounds) for name, rounds in sides.items()}


def ratio(result: dict[str, Any], peer: str, ours: str, key: str = "seconds") -> dict[str, float]:
    """Return how many times as long the peer takes, round by round: median, least, most."""
    return spread(
        [a[key] / b[key] for a, b in zip(result["sides"][peer], result["sides"][ours], strict=True)]
    )


def rate_of(result: dict[str, Any], precision: str) -> float:
    """Return the median matrix rate of the rounds, GFLOP/s."""
    return round(statistics.median(r[precision] for r in result["matrix rate"]), 1)


def result_path(script: str) -> Path:
    """Return the path of a benchmark's result.

    It is `runs/benchmarks/NAME.json`, which git ignores, so that a measurement changes no committed
    figure. With `MIXLING_RESULTS=benchmarks` it is the committed file.
    """
    folder = Path(os.environ.get("MIXLING_RESULTS") or "runs/benchmarks")
    folder.mkdir(parents=True, exist_ok=True)
    return folder / Path(script).with_suffix(".json").name


def write(script: str, row: dict[str, Any]) -> None:
    """Print a result and write it to `result_path`, with machine, versions and date."""
    print(json.dumps(row, indent=1))
    content = {
        **row,
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine_info(),
        "versions": library_versions(),
    }
    path = result_path(script)
    path.write_text(json.dumps(content, indent=1) + "\n")
    print(f"written to {path}")
