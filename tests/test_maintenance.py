"""A folder's store under constant change: nothing is unsearchable, nothing doubled, and it stays
small, while others read, write, and are killed.
"""

import datetime
import hashlib
import json
import multiprocessing
import os
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import lancedb
import numpy as np
import pytest
from lancedb.table import LanceTable

from mixling.errors import MixlingError
from mixling.searching import lance, maintenance
from mixling.searching.index import index
from mixling.searching.lance import LanceStore
from mixling.searching.query import Searcher

DIMENSIONS = 16
SPAWN = multiprocessing.get_context("spawn")
# MIXLING_ROUNDS=50 for the whole
ROUNDS = int(os.environ.get("MIXLING_ROUNDS", "8"))


def vector(text):
    seed = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
    values = np.random.default_rng(seed).normal(size=DIMENSIONS).astype(np.float32)
    return values / np.linalg.norm(values)


def encode(texts, role=None):
    """Encode each text as a random unit vector of its own."""
    return np.stack([vector(text) for text in texts])


class Collection:
    """Documents that change; each version of a document has a word of its own."""

    def __init__(self, folder, n=60, name="d", seed=0):
        self.source, self.store = Path(folder) / f"{name}.jsonl", str(Path(folder) / "store")
        self.random = random.Random(seed)
        self.n, self.name, self.versions = n, name, 0
        self.texts = {}

    def change(self):
        """Delete some documents, rewrite some, and add some."""
        for document in sorted(self.texts):
            chance = self.random.random()
            if chance < 0.15:
                del self.texts[document]
            elif chance < 0.4:
                self._write(document)
        while len(self.texts) < self.n:
            self._write(f"{self.name}{self.random.randrange(2 * self.n)}")

    def _write(self, document):
        self.versions += 1
        words = " ".join(f"w{self.random.randrange(300)}" for _ in range(12))
        self.texts[document] = f"{self.name}version{self.versions} of {document} {words}"

    def index(self, **options):
        rows = (
            {"_id": document, "text": text, "language": "sw" if hash_of(document) % 3 else "en"}
            for document, text in self.texts.items()
        )
        self.source.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return index(encode, self.source, self.store, **options)

    def check(self):
        """Assert that the store holds these documents once, and finds each in every way."""
        check_documents(self.store, self.texts)


def hash_of(document):
    return int(document[1:])


def check_documents(address, texts):
    store = LanceStore.open(address)
    assert sorted(x for ids in store.document_ids() for x in ids) == sorted(texts)
    assert store.count() == store.info["passages"] == len(texts)
    for document, text in texts.items():
        assert store.document(document)["text"].to_pylist() == [text]
        assert find_by_word(store, text) == document
        nearest = store.nearest(vector(text), 2)
        assert nearest["document"][0].as_py() == document
        assert nearest["document"][1].as_py() != document
        assert nearest["score"][0].as_py() == pytest.approx(1, abs=1e-4)
    for index_ in store.table.list_indices():
        assert (index_.num_indexed_rows, index_.num_unindexed_rows) == (len(texts), 0)
        assert index_.num_segments <= (maintenance.PARTS if "vector" in index_.columns else 1)


def find_by_word(store, text):
    """Return the document that the first word of a text finds first, and no passage twice."""
    rows = store.lexical(text.split()[0], 5)
    assert len(set(rows["id"].to_pylist())) == rows.num_rows
    return rows["document"][0].as_py()


def megabytes(store):
    return sum(x.stat().st_size for x in Path(store).rglob("*") if x.is_file()) / 2**20


def read_until(address, stop, counts):
    """Search in all ways until the file `stop` is there, with one searcher and with new ones."""
    with Path(counts).open("a") as counted:
        searcher = Searcher(address, encode)
        number = 0
        while not Path(stop).exists():
            number += 1
            if number % 5 == 0:
                searcher = Searcher(address, encode)
            for mode in ("dense", "text", "both"):
                query = f"w{number % 300} w{number % 7}"
                hits = searcher.search(query, 20, mode=mode, query_language="en", highlight=False)
                ids = [hit.id for hit in hits]
                assert len(set(ids)) == len(ids), f"doubled: {ids}"
                for hit in hits:  # a passage of one commit, whole
                    assert hit.text.split()[2] == hit.document
                assert mode == "text" or len(hits) == 20
            counted.write(".")
            counted.flush()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("graph", "kept"), [(False, datetime.timedelta(hours=1)), (True, datetime.timedelta(0))]
)
def test_rounds_beside_readers_lose_and_double_nothing(
    tmp_path, monkeypatch, caplog, kept, graph, forks
):
    """Old versions are kept for an hour, or removed while they are read."""
    monkeypatch.setattr(maintenance, "KEPT_FOR", kept)
    monkeypatch.setattr(maintenance, "OLD_BYTES", 1 << 20)
    if graph:
        monkeypatch.setattr(lance, "EXACT", 30)
        monkeypatch.setattr(maintenance, "PARTS", 5)
    collection = Collection(tmp_path)
    collection.change()
    collection.index()
    once = megabytes(collection.store)
    stop, counts = tmp_path / "stop", tmp_path / "counts"
    arguments = (read_until, collection.store, stop, counts)
    sizes = []
    with ThreadPoolExecutor(2) as threads, forks.call(*arguments) as process:
        readers = [threads.submit(*arguments) for _ in range(2)]
        try:
            for number in range(ROUNDS):
                collection.change()
                collection.index()
                sizes.append(megabytes(collection.store))
                if number % 4 == 3:
                    collection.check()
        finally:
            stop.touch()
    assert [reader.result() for reader in readers] == [None, None] and process.returncode == 0
    assert counts.stat().st_size > 5
    assert "LanceDB" not in caplog.text
    assert max(sizes) < 4 * once + 2


def _fail(*_, **__):
    raise RuntimeError("lance error: Max offset of 1961810 exceeds length of values 1167957")


def test_an_optimize_that_fails_loses_nothing_and_is_made_good(tmp_path, monkeypatch, caplog):
    collection = Collection(tmp_path)
    collection.change()
    collection.index()
    with monkeypatch.context() as patched:
        patched.setattr(LanceTable, "optimize", _fail)
        for _ in range(3):
            collection.change()
            report = collection.index()  # no error: every passage is found
            assert report.passages == 60
            store = LanceStore.open(collection.store)
            for document, text in collection.texts.items():
                assert find_by_word(store, text) == document
                assert store.nearest(vector(text), 1)["document"].to_pylist() == [document]
    assert caplog.text.count("failed to compact the store (lance error: Max offset") == 3
    caplog.clear()
    collection.index()
    collection.check()
    assert "LanceDB" not in caplog.text


def test_an_index_that_cannot_be_merged_is_built_anew(tmp_path, monkeypatch, caplog):
    collection = Collection(tmp_path)
    collection.change()
    collection.index()
    optimize, calls = LanceTable.optimize, []

    def fail_once(table, **options):
        calls.append(options)
        return _fail() if len(calls) == 1 else optimize(table, **options)

    monkeypatch.setattr(LanceTable, "optimize", fail_once)
    collection.change()
    collection.index()
    assert len(calls) == 2 and caplog.text.count("builds the indexes anew") == 1
    collection.check()


def test_a_full_disk_during_maintenance_is_an_error(tmp_path, monkeypatch):
    collection = Collection(tmp_path)
    collection.change()
    collection.index()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(LanceTable, "optimize", full)
    with pytest.raises(MixlingError, match="no space left"):
        collection.index()


def _index_and_die(collection, seconds):
    """Index, and die some time after maintenance has begun."""
    maintain = lance.maintain

    def timed(*arguments):
        threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL)).start()
        maintain(*arguments)

    lance.maintain = timed
    collection.index()


@pytest.mark.slow
def test_a_process_that_is_killed_during_maintenance_loses_nothing(tmp_path, monkeypatch, forks):
    monkeypatch.setattr(maintenance, "OLD_BYTES", 1 << 20)
    monkeypatch.setattr(maintenance, "KEPT_FOR", datetime.timedelta(0))
    collection = Collection(tmp_path, n=200)
    collection.change()
    collection.index()
    once, killed = megabytes(collection.store), 0
    for number in range(4):
        collection.change()
        process = forks.call(_index_and_die, collection, 0.002 + 0.06 * number)
        killed += process.wait() == -signal.SIGKILL
        # the passages are there before the next call, whose maintenance cleans up
        store = LanceStore.open(collection.store)
        assert sorted(x for ids in store.document_ids() for x in ids) == sorted(collection.texts)
        for document, text in list(collection.texts.items())[:20]:
            assert find_by_word(store, text) == document
            assert store.nearest(vector(text), 1)["document"].to_pylist() == [document]
    assert killed >= 2
    report = collection.index()
    assert report.written == 0
    collection.check()
    assert megabytes(collection.store) < 4 * once + 2


def _build_without_lock(address):
    for _ in range(2):
        table = lancedb.connect(address).open_table("passages")
        for column, config in maintenance._index_configs(False).items():
            maintenance._build(table, column, config)


@pytest.mark.slow
def test_builds_of_an_index_at_the_same_time_leave_one(tmp_path, forks):
    collection = Collection(tmp_path, n=300)
    collection.change()
    collection.index()
    builders = [forks.call(_build_without_lock, collection.store) for _ in range(2)]
    assert [builder.wait() for builder in builders] == [0, 0]
    collection.check()
    collection.change()
    collection.index()
    collection.check()


def test_several_indexes_of_one_name_become_one(tmp_path, monkeypatch, caplog):
    """LanceDB lists them once and counts their rows several times (lancedb/lancedb#3376)."""
    collection = Collection(tmp_path)
    collection.change()
    collection.index()
    before = {x.name: x.index_uuid for x in LanceStore.open(collection.store).table.list_indices()}
    list_indices = LanceTable.list_indices

    def doubled(table):
        names = ("name", "columns", "index_uuid", "num_segments", "num_indexed_rows", "size_bytes")
        listed = [SimpleNamespace(**{x: getattr(y, x) for x in names}) for y in list_indices(table)]
        for index_ in listed:
            if index_.name == "terms_idx" and index_.index_uuid == before["terms_idx"]:
                index_.num_indexed_rows *= 2
        return listed

    with monkeypatch.context() as patched:
        patched.setattr(LanceTable, "list_indices", doubled)
        collection.index()
    assert caplog.text.count("has several indexes of terms") == 1
    after = {x.name: x.index_uuid for x in LanceStore.open(collection.store).table.list_indices()}
    assert {name for name in before if before[name] != after[name]} == {"terms_idx"}
    collection.check()


def test_full_text_has_no_positions(tmp_path):
    collection = Collection(tmp_path)
    collection.change()
    collection.index()
    (full_text,) = (
        x for x in LanceStore.open(collection.store).table.list_indices() if x.columns == ["terms"]
    )
    assert full_text.index_details["with_position"] is False


def test_a_store_without_its_indexes_says_so_and_is_completed(tmp_path):
    collection = Collection(tmp_path)
    collection.change()
    collection.index()
    store = LanceStore.open(collection.store)
    for index_ in store.table.list_indices():
        store.table.drop_index(index_.name)
    with pytest.raises(MixlingError, match=r"store: there is no full text.*mixling index"):
        LanceStore.open(collection.store).lexical("w1", 3)
    collection.index()
    collection.check()


def _write_without_end(address, ready, stop, errors):
    """Add and delete a row with LanceDB itself, which knows no lock of Mixling."""
    try:
        table = lancedb.connect(address).open_table("passages")
        row = table.search().limit(1).to_arrow()
        names = row.schema.names
        column = names.index("id")
        row = row.set_column(column, "id", [["foreign#0"]])
        row = row.set_column(names.index("document"), "document", [["foreign"]])
        while not Path(stop).exists():
            table.add(row)
            table.delete("document = 'foreign'")
            Path(ready).touch()
            time.sleep(0.01)
    except BaseException as error:  # the test reports it
        errors.put(repr(error))


@pytest.mark.slow
def test_a_writer_that_knows_no_lock_is_waited_for_or_reported(tmp_path):
    collection = Collection(tmp_path)
    collection.change()
    collection.index()
    ready, stop, errors = tmp_path / "ready", tmp_path / "stop", SPAWN.Queue()
    arguments = (collection.store, str(ready), str(stop), errors)
    foreign = SPAWN.Process(target=_write_without_end, args=arguments)
    foreign.start()
    while not ready.exists():  # from here on it writes
        assert foreign.is_alive()
        time.sleep(0.01)
    refused = 0
    try:
        for _ in range(10):
            collection.change()
            try:
                collection.index()
            except MixlingError as error:
                assert "another program wrote" in str(error)
                refused += 1
    finally:
        stop.touch()
        foreign.join()
    assert refused < 10
    collection.change()
    collection.index()
    collection.check()


def test_what_another_program_is_about_to_commit_stays(tmp_path):
    collection = Collection(tmp_path)
    collection.change()
    collection.index()
    folder = Path(collection.store) / "passages.lance" / "data"
    uncommitted = folder / f"{'1' * 44}.lance"
    uncommitted.write_bytes(next(folder.glob("*.lance")).read_bytes())
    for _ in range(3):
        collection.change()
        collection.index()
    assert uncommitted.exists()


@pytest.mark.parametrize("left", ["passages.lance", ".mixling.json.4711.tmp"])
def test_a_store_that_was_killed_at_its_creation_is_begun_again(tmp_path, left):
    collection = Collection(tmp_path)
    store = Path(collection.store)
    (store / "passages.lance").mkdir(parents=True)
    if left.endswith(".tmp"):
        (store / left).write_text("{")
    collection.change()
    collection.index()
    collection.check()
    (store / "mixling.json").unlink()
    (store / "notes.txt").write_text("mine")
    with pytest.raises(MixlingError, match="neither empty nor a store"):
        collection.index()
