"""Claim: a process that is killed while it indexes loses no document and doubles none.

    python -m benchmarks.kills [--cycles 1000]

Each cycle changes a collection of small documents (some deleted, rewritten, added), and a process
that runs what `mixling index` runs is killed with SIGKILL at a random time of its work. Then the
store is read as a reader finds it, and in every tenth cycle a process that is not killed makes it
good, and the whole store is compared with the documents. The processes are forks of one that has
loaded everything, so that a cycle takes a fraction of a second. Every fiftieth cycle begins a new
store. The encoder is a function of the text's hash, so that each vector can be checked.

A run continues where the one before ended: the result is saved after each store.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.sides import result_path
from mixling.corpora.files import write_text
from mixling.machine import library_versions, machine_info

DOCUMENTS, DIMENSIONS = 60, 32
RECOVER, RENEW = 10, 50  # cycles
LIMIT = 60  # seconds


def vector(text: str) -> np.ndarray:
    """Return a random unit vector that follows from the text."""
    seed = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
    values = np.random.default_rng(seed).normal(size=DIMENSIONS).astype(np.float32)
    unit: np.ndarray = values / np.linalg.norm(values)
    return unit


def encode(texts: list[str], role: str | None = None) -> np.ndarray:
    """Encode texts without a model."""
    return np.stack([vector(text) for text in texts])


class Collection:
    """Documents that change, and the store that they are indexed into."""

    def __init__(self, folder: Path, seed: int):
        self.source, self.store = folder / "documents.jsonl", folder / "store"
        self.random, self.versions = random.Random(seed), 0
        self.texts: dict[str, str] = {}
        # every text that a document ever had, because a killed process leaves older ones
        self.history: dict[str, set[str]] = {}

    def change(self) -> None:
        """Delete a tenth of the documents, rewrite a fifth, and add some; write the source."""
        for document in sorted(self.texts):
            chance = self.random.random()
            if chance < 0.1:
                del self.texts[document]
            elif chance < 0.3:
                self._write(document)
        while len(self.texts) < DOCUMENTS:
            self._write(f"d{self.random.randrange(2 * DOCUMENTS)}")
        rows = [
            {"_id": x, "text": text, "language": "sw" if int(x[1:]) % 3 else "en"}
            for x, text in self.texts.items()
        ]
        self.source.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def _write(self, document: str) -> None:
        self.versions += 1
        words = [f"w{self.random.randrange(500)}" for _ in range(self.random.randint(5, 120))]
        sentences = [" ".join(words[i : i + 8]) + "." for i in range(0, len(words), 8)]
        text = f"Version{self.versions} of {document}. " + " ".join(sentences)
        self.texts[document] = text
        self.history.setdefault(document, set()).add(text)


class StoreError(Exception):
    """A store that lost or doubled something, or a process that failed."""


def run_to_the_end(work: Callable[[], None], name: str, content: dict[str, Any]) -> float:
    """Run work in a fork, and return its seconds.

    LanceDB starts threads when it is imported, so one fork in many may hang before it does anything
    (LanceDB warns of that). It is killed after a minute, counted, and started again.
    """
    while True:
        start_time = time.perf_counter()
        child, status = fork(work), None
        while status is None and time.perf_counter() - start_time < LIMIT:
            ended, code = os.waitpid(child, os.WNOHANG)
            status = os.waitstatus_to_exitcode(code) if ended else None
            time.sleep(0.002)
        seconds = time.perf_counter() - start_time
        if status == 0:
            return seconds
        if status is not None:
            raise StoreError(f"{name} ended with status {status}")
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        content["hung"] += 1


def fork(work: Callable[[], None]) -> int:
    """Start work in a fork. This process never opens a store itself."""
    child = os.fork()
    if not child:
        status = 1
        try:
            work()
            status = 0
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", flush=True)
        os._exit(status)
    return child


def index(collection: Collection) -> None:
    """Do what `mixling index` does, in several commits."""
    import mixling.searching.index as indexing
    import mixling.searching.writer as writing

    writing.PASSAGE_BATCH, indexing.DOCUMENT_BATCH = 32, 24
    indexing.index(encode, collection.source, str(collection.store), size=40, overlap=8)


def look(collection: Collection) -> None:
    """Read a store as a killed process left it: whole documents of one version each, once."""
    from mixling.searching.lance import INFO_FILE, LanceStore

    if not (collection.store / INFO_FILE).exists():  # killed before its first commit
        return
    store = LanceStore.open(str(collection.store))
    documents = [x for ids in store.document_ids() for x in ids]
    assert len(set(documents)) == len(documents), "a document is there twice"
    rows = store.passages(documents)
    assert rows.num_rows == store.count() == len(set(rows["id"].to_pylist())), "doubled passages"
    passages: dict[str, list[dict[str, Any]]] = {document: [] for document in documents}
    for row in rows.select(["document", "part", "begin", "end", "text"]).to_pylist():
        passages[row["document"]].append(row)
    for document in documents:
        check_document(passages[document], collection.history[document])


def check_document(rows: list[dict[str, Any]], texts: set[str]) -> None:
    """Assert that passages are all of one version of a document."""
    assert [row["part"] for row in rows] == list(range(len(rows))), rows[0]["document"]
    assert any(
        rows[-1]["end"] == len(text)
        and all(text[row["begin"] : row["end"]] == row["text"] for row in rows)
        for text in texts
    ), f"{rows[0]['document']}: its passages are of no version"


def compare(collection: Collection) -> None:
    """Assert that the store holds the documents, and finds each passage by vector and by word."""
    from mixling.searching.lance import LanceStore

    store = LanceStore.open(str(collection.store))
    documents = sorted(x for ids in store.document_ids() for x in ids)
    assert documents == sorted(collection.texts), "documents are lost or left over"
    assert store.count() == store.info["passages"]
    for document, text in collection.texts.items():
        rows = store.document(document).to_pylist()
        check_document(rows, {text})
        row = rows[-1]
        best = store.nearest(vector(row["text"]), 1).to_pylist()[0]
        assert best["text"] == row["text"] and abs(best["score"] - 1) < 1e-4, document
        found = store.lexical(text.split()[0], 5).to_pylist()
        assert found[0]["document"] == document, document
        assert len({x["id"] for x in found}) == len(found), document
    for listed in store.table.list_indices():
        assert (listed.num_indexed_rows, listed.num_segments) == (store.count(), 1), listed.name


def megabytes(folder: Path) -> float:
    """Return the size of a folder."""
    return sum(x.stat().st_size for x in folder.rglob("*") if x.is_file()) / 2**20


def main() -> None:
    """Run the cycles that are missing."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cycles", type=int, default=1000)
    arguments = parser.parse_args()
    warm_up()
    result = result_path(__file__)
    content: dict[str, Any] = {
        "cycles": 0, "killed": 0, "ended before": 0, "hung": 0, "failures": [],
        "seconds to the kill": [], "recovery": [], "uninterrupted": [], "MB": [],
    }  # fmt: skip
    if result.exists():
        content = json.loads(result.read_text())
    with tempfile.TemporaryDirectory() as name:
        while content["cycles"] < arguments.cycles:
            run_store(Path(name) / "s", content, min(RENEW, arguments.cycles - content["cycles"]))
            content.update(summary=summary(content))
            content.update(machine=machine_info(), versions=library_versions() | lancedb_version())
            write_text(result, json.dumps(content) + "\n")
            print(json.dumps(content["summary"]), flush=True)


def run_store(folder: Path, content: dict[str, Any], cycles: int) -> None:
    """Run some cycles on a new store, and count them in `content`; a failure ends them."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    seed = content["cycles"]
    collection, toss = Collection(folder, seed), random.Random(seed + 1)
    usual = 0.5  # seconds of a process that is not killed, so that kills fall anywhere in its work
    for cycle in range(1, cycles + 1):
        collection.change()
        content["cycles"] += 1
        seconds = toss.uniform(0, 1.05 * usual)
        try:
            killed = kill_after(seconds, lambda: index(collection))
            content["killed" if killed else "ended before"] += 1
            content["seconds to the kill"] += [round(seconds, 3)] if killed else []
            run_to_the_end(lambda: look(collection), "reading after a kill", content)
            if cycle % RECOVER and cycle < cycles:
                continue
            recovery = run_to_the_end(lambda: index(collection), "recovery", content)
            run_to_the_end(lambda: compare(collection), "the comparison", content)
            content["recovery"].append(round(recovery, 3))
            content["MB"].append(round(megabytes(collection.store), 2))
            # a change that nobody interrupts
            collection.change()
            usual = run_to_the_end(lambda: index(collection), "an uninterrupted call", content)
            content["uninterrupted"].append(round(usual, 3))
        except StoreError as failure:
            content["failures"].append(f"cycle {content['cycles']}: {failure}")
            return


def kill_after(seconds: float, work: Callable[[], None]) -> bool:
    """Start work, kill it after some seconds, and return whether it was still at work."""
    child = fork(work)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status not in (0, -signal.SIGKILL):
        raise StoreError(f"indexing ended with status {status}")
    return status != 0


def summary(content: dict[str, Any]) -> dict[str, Any]:
    """Return what a table shows."""
    return {
        "cycles": content["cycles"],
        "killed": content["killed"],
        "failures": len(content["failures"]),
        **{
            f"{key}, {p}, s": round(float(np.percentile(content[key] or [0], q)), 2)
            for key in ("uninterrupted", "recovery")
            for p, q in (("median", 50), ("95 %", 95), ("most", 100))
        },
        "largest store, MB": max(content["MB"] or [0]),
    }


def lancedb_version() -> dict[str, str]:
    """Return the version of LanceDB."""
    from importlib.metadata import version

    return {"lancedb": version("lancedb")}


def warm_up() -> None:
    """Import what the forks need; nothing here starts a thread."""
    import lancedb
    import lancedb.index  # noqa: F401

    import mixling.searching.index
    import mixling.searching.lance  # noqa: F401


if __name__ == "__main__":
    main()
