"""Measures `mixling repair` beside a plain copy, kills it, and searches before and after.

    python -m benchmarks.repair [--rows 100000] [--out FILE] [KIND …]

For each database: a plain copy and a repair through the same client in turns, rows a second of
both; then a repair of all rows by the command, killed at five random moments and started again;
ids, count and vectors against the transform applied by hand; the ten nearest through the database's
own client before and after the switch against all scores in NumPy; and the bytes after the undo.

Writes to `result_path` after each database, and skips those that it has, so a run that was stopped
goes on. Servers are started here and stopped. The local mode of Qdrant's client commits
each point with a flush to disk, about fifty a second: its folder is in memory (/dev/shm).
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import databases
from benchmarks.sides import result_path
from mixling.connectors.registry import open_connector
from mixling.debiasing.files import load_transform
from mixling.machine import library_versions, machine_info
from mixling.repairing.repair import repair, undo
from mixling.transforms.files import write_transform
from mixling.transforms.transforms import AffineTransform
from servers import serve

DIMENSIONS, QUERIES, TOP, KILLS, ROUNDS = 384, 100, 10, 5, 2
KINDS = ("lancedb", "postgresql", "qdrant", "milvus", "chroma")
# rows of the turns of copy and repair, where a database writes about a thousand a second
TIMED = {"milvus": 20_000, "chroma": 10_000}

Search = Callable[[str, np.ndarray], list[list[Any]]]


def transform_folder(folder: Path) -> str:
    """Write a rotation with an offset."""
    rng = np.random.default_rng(0)
    matrix, _ = np.linalg.qr(rng.normal(size=(DIMENSIONS, DIMENSIONS)))
    bias = rng.normal(size=DIMENSIONS) / 30
    folder.mkdir()
    write_transform(AffineTransform(matrix.astype("f4"), bias.astype("f4")), folder)
    return str(folder)


@contextlib.contextmanager
def filled(kind: str, data: tuple, folder: Path) -> Iterator[str]:
    """Yield the address of a database with some rows."""
    if kind == "lancedb":
        yield databases.fill_lance(folder / "lance", *data)
    elif kind == "chroma":
        yield databases.fill_chroma(f"chroma:{folder / 'chroma'}", *data)
    elif kind == "qdrant":
        with tempfile.TemporaryDirectory(dir="/dev/shm") as memory:
            yield databases.fill_qdrant(Path(memory) / "qdrant", *data)
    else:
        with serve(kind, folder / kind) as base:
            if kind == "milvus":
                yield databases.fill_milvus(base, *data)
            else:
                yield databases.fill_postgres(base, *data, index=False)


def copy(address: str) -> float:
    """Copy all rows as they are, with the same indexes; return the seconds."""
    connector = open_connector(address)
    connector.describe()
    start = time.perf_counter()
    connector.shadow_create("copy")
    for batch in connector.iter_batches():
        connector.shadow_write("copy", batch)
    connector.shadow_count("copy")
    connector.shadow_finish("copy")
    seconds = time.perf_counter() - start
    connector.shadow_drop("copy")
    connector.close()
    return seconds


def take_turns(address: str, transform: str, rows: int, state: Path) -> dict[str, Any]:
    """Copy and repair in turns; return rows a second of each."""
    rounds = []
    for _ in range(ROUNDS):
        copied = copy(address)
        start = time.perf_counter()
        report = repair(address, transform, state=state)
        repaired = time.perf_counter() - start
        assert report.rows == rows == report.written
        start = time.perf_counter()
        assert repair(address, transform, state=state).written == 0
        again = time.perf_counter() - start
        undo(address, transform, state=state)
        rounds.append(
            {
                "copy_rows_per_second": round(rows / copied),
                "repair_rows_per_second": round(rows / repaired),
                "second_pass_rows_per_second": round(rows / again),
                "repair_seconds_for_one_of_copy": round(repaired / copied, 2),
                "load": round(os.getloadavg()[0], 1),
            }
        )
    return {"rows": rows, "rounds": rounds}


def recorded(folder: Path) -> int:
    """Count the rows that a repair has recorded."""
    for path in folder.glob("*.sqlite"):
        base = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        with contextlib.closing(base), contextlib.suppress(sqlite3.OperationalError):
            return base.execute("SELECT count(*) FROM rows").fetchone()[0]
    return 0


def killed(address: str, transform: str, rows: int, state: Path) -> list[int]:
    """Run the command and kill it at five random moments; return the rows it had each time."""
    rng = np.random.default_rng()
    program = [sys.executable, "-m", "mixling", "repair", address]
    command = [*program, "--transform", transform, "--state", str(state)]
    held: list[int] = []
    for share in np.sort(rng.uniform(0.02, 0.9, KILLS)):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            while process.poll() is None and recorded(state) < share * rows:
                time.sleep(0.05)
            time.sleep(rng.uniform(0, 0.2))
            process.kill()
        assert process.returncode == -9, process.returncode
        held.append(recorded(state))
    return held


def contents(address: str) -> dict[Any, np.ndarray]:
    """Return the vector of each id; no id comes twice."""
    connector = open_connector(address)
    found: dict[Any, np.ndarray] = {}
    count = 0
    for batch in connector.iter_batches(5000):
        found.update(zip(batch.ids, batch.vectors, strict=True))
        count += len(batch)
    connector.close()
    assert len(found) == count, "an id came twice"
    return found


def digest(found: dict[Any, np.ndarray]) -> str:
    """Return a hash of all ids and vectors."""
    total = hashlib.sha256()
    for key in sorted(found, key=str):
        total.update(str(key).encode() + found[key].tobytes())
    return total.hexdigest()


def row_number(key: Any) -> int:
    """Return the number of the row that `tests/databases.py` gave an id."""
    if isinstance(key, str) and "-" in key:
        return uuid.UUID(key).int
    return int(str(key).removeprefix("d"))


def search_lancedb(address: str, queries: np.ndarray) -> list[list[Any]]:
    import lancedb

    folder, _, name = address.removeprefix("lancedb:").partition("#")
    table = lancedb.connect(folder).open_table(name)
    search = lambda q: table.search(q).distance_type("cosine").limit(TOP)  # noqa: E731
    return [search(q).to_arrow()["id"].to_pylist() for q in queries]


def search_postgresql(address: str, queries: np.ndarray) -> list[list[Any]]:
    import psycopg

    base = address.partition("&table=")[0]
    query = f"SELECT id FROM docs ORDER BY embedding <=> %s::vector LIMIT {TOP}"
    with psycopg.connect(base) as connection:
        return [[row[0] for row in connection.execute(query, (str(q.tolist()),))] for q in queries]


def search_qdrant(address: str, queries: np.ndarray) -> list[list[Any]]:
    from qdrant_client import QdrantClient

    folder, _, name = address.removeprefix("qdrant:").partition("#")
    client = QdrantClient(path=folder)
    try:
        return [[p.id for p in client.query_points(name, q, limit=TOP).points] for q in queries]
    finally:
        client.close()


def search_milvus(address: str, queries: np.ndarray) -> list[list[Any]]:
    from pymilvus import MilvusClient

    server, _, name = address.removeprefix("milvus://").partition("/")
    client = MilvusClient(uri=f"http://{server}")
    client.load_collection(name)
    found = client.search(
        name,
        queries.tolist(),
        limit=TOP,
        search_params={"params": {"ef": 200}},
        consistency_level="Strong",
    )
    client.close()
    return [[hit["id"] for hit in hits] for hits in found]


def search_chroma(address: str, queries: np.ndarray) -> list[list[Any]]:
    folder, _, name = address.partition("#")
    client = databases.chroma_client(folder)
    collection = client.get_collection(name)
    found = collection.query(query_embeddings=queries, n_results=TOP, include=[])["ids"]
    client.close()
    return found


def recall(found: list[list[Any]], vectors: np.ndarray, queries: np.ndarray) -> float:
    """Return the share of the exact ten nearest that a search found."""
    exact = np.argsort(-(queries @ vectors.T), axis=1)[:, :TOP]
    hits = [
        len(set(map(row_number, a)) & set(b.tolist())) for a, b in zip(found, exact, strict=True)
    ]
    return round(sum(hits) / (TOP * len(queries)), 4)


def run_kind(kind: str, rows: int, folder: Path) -> dict[str, Any]:
    """Fill a database, measure, kill, compare, switch, search and go back."""
    transform, state = transform_folder(folder / "transform"), folder / "state"
    result: dict[str, Any] = {"rows": rows}
    data = databases.rows(rows, DIMENSIONS)
    timed = min(rows, TIMED.get(kind, rows))
    if timed < rows:
        (folder / "timed").mkdir()
        part = tuple(column[:timed] for column in data)
        with filled(kind, part, folder / "timed") as address:
            result["turns"] = take_turns(address, transform, timed, state)
    with filled(kind, data, folder) as address:
        if timed == rows:
            result["turns"] = take_turns(address, transform, rows, state)
        print(kind, result["turns"], flush=True)
        result |= check(kind, address, transform, data[0], folder / "kills")
    return result


def check(
    kind: str, address: str, transform: str, vectors: np.ndarray, state: Path
) -> dict[str, Any]:
    """Repair with kills, and compare everything with what is computed by hand."""
    search: Search = globals()[f"search_{kind}"]
    rows, live = len(vectors), address + "_current" * (kind == "qdrant")
    rng = np.random.default_rng(5)
    queries = vectors[rng.integers(0, rows, QUERIES)] + rng.normal(size=(QUERIES, DIMENSIONS)) / 30
    queries = (queries / np.linalg.norm(queries, axis=1, keepdims=True)).astype(np.float32)
    before = digest(contents(address))
    result: dict[str, Any] = {"recall_before": recall(search(address, queries), vectors, queries)}
    start = time.perf_counter()
    result["rows_at_kills"] = killed(address, transform, rows, state)
    report = repair(address, transform, state=state, switch=True)
    result["seconds_with_kills"] = round(time.perf_counter() - start)
    after = contents(live)
    expected = load_transform(transform).transform(vectors)
    numbers = {row_number(key): vector for key, vector in after.items()}
    result["rows_after"], result["lost"] = report.rows, len(set(range(rows)) - set(numbers))
    result["doubled"] = len(after) - len(numbers)
    found = np.stack([numbers[i] for i in range(rows)])
    result["largest_difference"] = float(np.abs(found - expected).max())
    moved = load_transform(transform).transform(queries, None, "query")
    result["recall_after"] = recall(search(live, moved), expected, moved)
    undo(live, state=state)
    result["same_bytes_after_undo"] = digest(contents(live)) == before
    result["load"] = round(os.getloadavg()[0], 1)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--out", type=Path, help="default: as all benchmarks")
    arguments = parser.parse_args()
    out = arguments.out or result_path(__file__)
    for kind in arguments.kinds or KINDS:
        results = json.loads(out.read_text()) if out.exists() else {}
        if kind in results.get("databases", {}):
            continue
        with tempfile.TemporaryDirectory() as name:
            figures = run_kind(kind, arguments.rows, Path(name))
        print(kind, figures, flush=True)
        results = json.loads(out.read_text()) if out.exists() else {}
        results |= {"machine": machine_info(), "versions": library_versions()}
        results |= {"dimensions": DIMENSIONS, "queries": QUERIES}
        results.setdefault("databases", {})[kind] = figures
        out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
