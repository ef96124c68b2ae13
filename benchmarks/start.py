"""How long a command takes from its start: `mixling index` and the first `mixling search`.

    python -m benchmarks.start [--before CHECKOUT] [--out FILE]

320 passages of the sample in eight languages, e5-small. Each command is a process of its own, an
earlier checkout's and ours in turn; medians of three rounds, seconds. "Cold" empties the system's
cache of files first, where it may (root on Linux); "warm" does not. The first search of all, of a
model that is not remembered yet, stands by itself. Beside it what the imports take.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from importlib.resources import files
from pathlib import Path

import numpy as np

from benchmarks.sides import result_path
from mixling.machine import library_versions, machine_info
from mixling.models.weights import DEFAULT

ROUNDS = 3
QUERY = "Where were the first coins made?"
LANGUAGES = ("ar", "de", "en", "es", "hi", "ru", "sw", "zh")


def write_passages(path: Path) -> None:
    """Write forty passages of the sample in each language."""
    rows = []
    for language in LANGUAGES:
        text = files("mixling.corpora.sample").joinpath(f"{language}.tsv").read_text("utf-8")
        for i, line in enumerate(text.splitlines()[:40]):
            passage = line.split("\t")[-1]
            rows.append({"id": f"{language}{i}", "text": passage, "language": language})
    path.write_text("\n".join(json.dumps(r, ensure_ascii=False) for r in rows), "utf-8")


def empty_cache() -> bool:
    """Empty the system's cache of files; return whether that was allowed."""
    try:
        os.sync()
        Path("/proc/sys/vm/drop_caches").write_text("3")
    except OSError:
        return False
    return True


def seconds(arguments: list[str], environment: dict[str, str]) -> float:
    """Return how long a command took."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "mixling", *arguments]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    """Measure, print and write the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--before", type=Path, help="a checkout of an earlier version")
    parser.add_argument("--out", type=Path, help="default: as all benchmarks")
    given = parser.parse_args()
    sides = {"ours": dict(os.environ)}
    if given.before:
        sides = {"before": {**os.environ, "PYTHONPATH": f"{given.before}/src"}, **sides}
    rows: list[dict] = []

    def add(what: str, side: str, times: list[float]) -> None:
        shown = [round(x, 2) for x in times]
        rows.append({"what": what, "side": side, "seconds": round(float(np.median(times)), 2)})
        rows[-1]["all"] = shown
        print(rows[-1], flush=True)

    with tempfile.TemporaryDirectory() as folder:
        documents = Path(folder) / "passages.jsonl"
        write_passages(documents)
        found: dict[tuple[str, str], list[float]] = {}
        for i in range(ROUNDS):
            for side, environment in sides.items():
                store = f"{folder}/{side}{i}"
                taken = seconds(["index", DEFAULT, str(documents), "-s", store], environment)
                found.setdefault(("index of 320 passages", side), []).append(taken)
        states = ["warm"]
        if empty_cache():
            states.append("cold")
        for state in states:
            for _ in range(ROUNDS):
                for side, environment in sides.items():
                    if state == "cold":
                        empty_cache()
                    taken = seconds(["search", f"{folder}/{side}0", QUERY], environment)
                    found.setdefault((f"search, {state}", side), []).append(taken)
        for side, environment in sides.items():
            unknown = {**environment, "XDG_CACHE_HOME": f"{folder}/cache-{side}"}
            cache = Path(folder) / f"cache-{side}" / "mixling"
            cache.mkdir(parents=True)
            weights = Path.home() / ".cache" / "mixling" / "multilingual-e5-small-q4"
            if weights.is_dir():  # the model without what is remembered of it
                (cache / weights.name).symlink_to(weights)
            taken = seconds(["search", f"{folder}/{side}0", QUERY], unknown)
            found["search, model not remembered", side] = [taken]
        for (what, side), times in found.items():
            add(what, side, times)
        for name in ("torch", "transformers", "sentence_transformers", "lancedb"):
            command = [sys.executable, "-c", f"import {name}"]
            times = []
            for _ in range(ROUNDS):
                start = time.perf_counter()
                subprocess.run(command, check=True, capture_output=True)
                times.append(time.perf_counter() - start)
            add(f"import of {name}", "", times)
    result = {"machine": machine_info(), "versions": library_versions(), "rows": rows}
    (given.out or result_path(__file__)).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
