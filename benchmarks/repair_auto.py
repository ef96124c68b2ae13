"""Measures `mixling repair STORE --transform auto` on stores of `mixling index`.

    python -m benchmarks.repair_auto MODEL DOCUMENTS VECTORS QUERIES [--out FILE] [KIND …]

DOCUMENTS are the rows that `mixling encode` made VECTORS of with MODEL, and QUERIES is a log. A
store is filled with them (kinds: lance, milvus). Then, each as a command of its own: the choice,
fit and copy from nothing; the copy alone, with the transform that was fitted; the copy killed at
five random moments, if it runs so long, and continued, with --switch; and --undo. For each, seconds
and peak memory of the process. Ids and vectors are compared with the transform applied by hand, and
the ten nearest of a hundred queries that are not in the log with all scores in NumPy, before and
after.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from benchmarks.sides import result_path
from mixling.corpora.files import read_lines
from mixling.debiasing.files import load_transform
from mixling.machine import library_versions, machine_info
from mixling.models.encoders import load_encoder
from mixling.repairing.stores import model_folder, undo_store
from mixling.searching.index import index
from mixling.searching.stores import open_store, store_class
from mixling.transforms.transforms import normalize
from servers import serve

TOP, KILLS, SEARCHES = 10, 5, 100
KINDS = ("lance", "milvus")
REPAIR = (sys.executable, "-m", "mixling", "repair")


# Runs a command and writes its peak memory in kB: that of a process that a large one has started
# counts the large one's too, so a small one stands in between.
MEASURED = """
import pathlib, resource, subprocess, sys
code = subprocess.call(sys.argv[2:])
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
pathlib.Path(sys.argv[1]).write_text(str(peak))
sys.exit(code)
"""


def command(*arguments: str) -> dict[str, Any]:
    """Run a command of Mixling; return its seconds and its peak memory."""
    start = time.perf_counter()
    with tempfile.NamedTemporaryFile("r") as peak:
        program = [sys.executable, "-c", MEASURED, peak.name, *REPAIR, *arguments]
        subprocess.run(program, stdout=subprocess.DEVNULL, check=True)
        megabytes = round(int(Path(peak.name).read_text()) / 1024)
    seconds = round(time.perf_counter() - start, 1)
    return {"seconds": seconds, "peak_mb": megabytes}


def killed(*arguments: str, after: float) -> bool:
    """Run a command of Mixling and kill it after some seconds; return whether it still ran."""
    with subprocess.Popen([*REPAIR, *arguments], stdout=subprocess.DEVNULL) as process:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(after)
        process.kill()
    return process.returncode == -signal.SIGKILL


@contextlib.contextmanager
def place(kind: str, folder: Path) -> Iterator[str]:
    """Yield the address of a store that does not exist yet."""
    if kind == "lance":
        yield str(folder / "store")
        return
    with serve("milvus", folder / "server") as base:
        yield f"{base}/store"


def contents(address: str) -> tuple[list[str], list[str], np.ndarray]:
    """Return ids, languages and vectors of all passages, sorted by id."""
    store = open_store(address)
    rows = [
        (r["id"], r["language"], np.array(r["vector"], np.float32))
        for ids in store.document_ids()
        for begin in range(0, len(ids), 2000)
        for r in store.passages(ids[begin : begin + 2000]).to_pylist()
    ]
    rows.sort(key=lambda r: r[0])
    return [r[0] for r in rows], [r[1] for r in rows], np.stack([r[2] for r in rows])


def recall(address: str, found: tuple, queries: np.ndarray) -> float:
    """Return the share of the exact ten nearest that the store finds."""
    store, (ids, _, vectors) = open_store(address), found
    exact = np.argsort(-(queries @ vectors.T), axis=1)[:, :TOP]
    hits = 0
    for query, places in zip(queries, exact, strict=True):
        near = store.nearest(query, TOP)["id"].to_pylist()
        hits += len(set(near) & {ids[i] for i in places})
    return round(hits / (TOP * len(queries)), 4)


def digest(found: tuple) -> str:
    """Return a hash of ids and vectors."""
    return hashlib.sha256("\n".join(found[0]).encode() + found[2].tobytes()).hexdigest()


def measure(address: str, model: str, documents: Path, vectors: Path, log: Path) -> dict[str, Any]:
    """Fill a store and repair it."""
    index(model, documents, address, vectors=vectors)
    texts = [json.loads(x) for x in read_lines(log)]
    asked, log_path = texts[-SEARCHES:], log.with_name("log.part.jsonl")
    log_path.write_text("\n".join(json.dumps(x) for x in texts[:-SEARCHES]))
    before = contents(address)
    queries = load_encoder(model).encode([x["query"] for x in asked], "query")
    tags = [x["language"] for x in asked]
    result: dict[str, Any] = {"rows": len(before[0]), "log": len(texts) - SEARCHES}
    result["recall_before"] = recall(address, before, normalize(queries))
    arguments = (address, "--transform", "auto", "--queries", str(log_path))
    result["fit_and_copy"] = command(*arguments)
    folder = model_folder(address)
    result["reason"] = json.loads((folder / "choice.json").read_text())["reason"]
    undo_store(address, str(folder))
    result["copy"] = command(*arguments)
    undo_store(address, str(folder))
    rng = np.random.default_rng()
    result["kills"] = []
    for _ in range(KILLS):
        wait = rng.uniform(0.1, 0.5) * result["copy"]["seconds"]  # each goes on where one ended
        result["kills"].append(killed(*arguments, after=wait))
    result["switch"] = command(*arguments, "--switch")
    transform = load_transform(str(folder))
    ids, languages, moved = after = contents(address)
    expected = transform.transform(normalize(before[2]), languages, "passage")
    result["same_ids"] = ids == before[0]
    result["largest_difference"] = float(np.abs(moved - expected).max())
    of_queries = transform.transform(normalize(queries), tags, "query")
    result["recall_after"] = recall(address, after, of_queries)
    result["undo"] = command(address, "--undo")
    result["same_bytes_after_undo"] = digest(contents(address)) == digest(before)
    result["load"] = round(os.getloadavg()[0], 1)
    undo_store(address, str(folder))
    assert store_class(address).beside(address) == [address]
    shutil.rmtree(folder)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model")
    for name in ("documents", "vectors", "queries"):
        parser.add_argument(name, type=Path)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--out", type=Path, help="default: as all benchmarks")
    given = parser.parse_args()
    out = (given.out or result_path(__file__)).resolve()
    files = [x.resolve() for x in (given.documents, given.vectors, given.queries)]
    for kind in given.kinds or KINDS:
        results = json.loads(out.read_text()) if out.exists() else {}
        if kind in results.get("stores", {}):
            continue
        with (
            tempfile.TemporaryDirectory() as name,
            contextlib.chdir(name),
            place(kind, Path(name)) as address,
        ):
            figures = measure(address, given.model, *files)
        print(kind, figures, flush=True)
        results |= {"machine": machine_info(), "versions": library_versions()}
        results.setdefault("stores", {})[kind] = figures
        out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
