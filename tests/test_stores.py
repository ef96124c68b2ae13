"""One suite for every kind of store: a folder (LanceDB), and a real Milvus server that the tests start and stop."""

import contextlib
import datetime
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from mixling.corpora import sample
from mixling.debiasing.debias import debias
from mixling.encoding.shards import encode
from mixling.errors import MixlingError
from mixling.models.retriever import Retriever
from mixling.searching.folding import FORM
from mixling.searching.index import index
from mixling.searching.lance import LanceStore
from mixling.searching.parquet import export_store
from mixling.searching.query import Searcher
from mixling.searching.store import RESULT_COLUMNS, passage_schema
from mixling.searching.stores import make_store, open_store


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def children(pid):
    """Process ids below one, from /proc."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                found += [int(stat.parent.name), *children(int(stat.parent.name))]
    return found


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """The address of a Milvus server of this test run's own."""
    if importlib.util.find_spec("milvus") is None:
        pytest.skip("the package milvus, which brings a server, is not installed")
    port, data = free_port(), tmp_path_factory.mktemp("milvus")
    program = str(Path(sys.executable).parent / "milvus-server")
    with (data / "said").open("w") as said:
        running = subprocess.Popen(
            [program, "--data", str(data / "data"), "--proxy-port", str(port)],
            stdout=said, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        for _ in range(120):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(1)
        else:
            pytest.skip(f"the Milvus server did not come up: {(data / 'said').read_text()[-300:]}")
        time.sleep(3)
        yield f"milvus://127.0.0.1:{port}"
    finally:
        mine = [*children(running.pid), running.pid]
        for pid in mine:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        time.sleep(2)
        for pid in mine:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        running.wait(30)


@pytest.fixture(params=["lance", "milvus"])
def address(request, tmp_path):
    """An address where there is no store yet."""
    if request.param == "lance":
        return str(tmp_path / "store")
    name = "t" + "".join(c for c in request.node.name if c.isalnum())[:40]
    return f"{request.getfixturevalue('server')}/{name}{os.getpid()}"


def sealed(client, name):
    """Wait until the server has put all rows of a collection into sealed segments and has loaded them."""
    for _ in range(240):
        loaded = client.list_loaded_segments(name)
        if loaded and all(str(x.state) == "Sealed" for x in loaded):
            return
        time.sleep(0.5)
    raise AssertionError(f"not sealed: {loaded}")


def table(documents, parts=2, seed=0, digest="a", d=8):
    """Passages of some documents, two each, with random unit vectors; every third document is in Swahili."""
    n = len(documents) * parts
    v = np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    names = [x for x in documents for _ in range(parts)]
    part = [p for _ in documents for p in range(parts)]
    columns = {
        "id": [f"{x}#{p}" for x, p in zip(names, part, strict=True)], "document": names, "part": part,
        "digest": [digest] * n, "language": ["sw" if int(x[1:]) % 3 == 0 else "en" for x in names],
        "text": [f"text of {x}, part {p}" for x, p in zip(names, part, strict=True)], "metadata": ['{"a": 1}'] * n,
        "title": ["T"] * n, "address": [""] * n, "begin": [0] * n, "end": [5] * n,
    }  # fmt: skip
    form = passage_schema(d)
    arrays = [
        pa.FixedSizeListArray.from_arrays(pa.array(v.ravel()), d)
        if f.name == "vector"
        else pa.array(columns.get(f.name, [None] * n), f.type)
        for f in form
    ]
    return pa.table(arrays, schema=form), v


def test_a_language_with_few_passages_is_found_as_well_as_all(address):
    """A server that keeps it in a partition of its own searches it roughly: there it found four fifths."""
    store = make_store(address, 64, {"model": "m", "size": 3, "dimensions": 64})
    documents = [f"d{i}" for i in range(1200)]
    rows, v = table(documents, d=64)
    store.replace(documents, rows)
    store.finish()
    if (
        client := getattr(store, "client", None)
    ) is not None:  # what was just written is scanned, what is sealed no more
        sealed(client, store.name)
    sw = np.array(rows["language"].to_pylist()) == "sw"
    for languages, keep in ((["sw"], sw), (None, np.ones(len(v), bool))):
        hits = 0
        for q in v[:20]:
            right = {
                rows["id"][int(i)].as_py() for i in np.argsort(-np.where(keep, v @ q, -9))[:100]
            }
            hits += len(right & set(store.nearest(q, 100, languages)["id"].to_pylist()))
        assert hits >= 0.99 * 20 * 100


def test_a_store_holds_replaces_filters_and_deletes(address):
    with pytest.raises(MixlingError, match="is no store"):
        open_store(address)
    store = make_store(address, 8, {"model": "m", "size": 3})
    documents = [f"d{i}" for i in range(40)]
    rows, v = table(documents)
    store.replace(documents, rows)
    assert (store.count(), store.count(["sw"]), store.count(["sw", "en"]), store.count(["yo"])) == (
        80,
        28,
        80,
        0,
    )
    assert sorted({x for part in store.documents() for x in part}) == sorted(documents)
    assert store.digests(["d3", "nobody"]) == {"d3": "a"}
    language = np.array(rows["language"].to_pylist())
    for some, keep in (
        (None, np.ones(80, bool)),
        (["sw"], language == "sw"),
        (["en", "yo"], language == "en"),
    ):
        for q in (v[7], v[12], -v[3]):
            scores = np.where(keep, v @ q, -9)
            best = np.argsort(-scores)[:5]
            found = store.nearest(q, 5, some)
            assert found["id"].to_pylist() == [rows["id"][int(i)].as_py() for i in best]
            assert found["score"].to_pylist() == pytest.approx(scores[best].tolist(), abs=1e-5)
            assert found.column_names == [*RESULT_COLUMNS, "score"]
    # fewer passages than before: those that are too many go
    new, _ = table(["d3", "d4"], parts=1, seed=1, digest="b")
    store.replace(["d3", "d4"], new)
    assert store.count() == 78 and store.digests(["d3", "d5"]) == {"d3": "b", "d5": "a"}
    found = store.document("d3").to_pylist()
    assert len(found) == 1 and found[0]["group"] is None and found[0]["confidence"] is None
    assert [r["part"] for r in store.document("d9").to_pylist()] == [0, 1]
    store.delete(["d3", "d9", "nobody"])
    assert store.count() == 75 and store.document("d9").num_rows == 0
    store.finish()
    counted = {}
    for languages, vectors in store.vectors():
        assert vectors.shape == (len(languages), 8) and np.allclose(
            np.linalg.norm(vectors, axis=1), 1, atol=1e-5
        )
        for x in languages:
            counted[x] = counted.get(x, 0) + 1
    assert counted == {"en": store.count(["en"]), "sw": store.count(["sw"])}
    store.write_info(
        {**store.info, "means": {"en": [0.5] * 8, "sw": [0.25] * 8}, "languages": counted}
    )
    again = open_store(address)
    assert again.info == store.info and again.count() == 75
    assert make_store(address, 8, {"model": "other"}).info["model"] == "m"


def test_quotes_are_only_text(address):
    names = ["'; DROP TABLE passages; --", 'a" or part >= 0 or "', "x\\", "d'0", "ክ ឡ", "plain"]
    store = make_store(address, 8, {})
    rows, _ = table([f"d{i}" for i in range(6)], parts=1)
    rows = rows.set_column(0, "id", pa.array([f"{x}#0" for x in names])).set_column(
        1, "document", pa.array(names)
    )
    store.replace(names, rows)
    assert store.digests(names) == dict.fromkeys(names, "a")
    for left, text in zip(range(5, 0, -1), names[:-1], strict=True):
        assert store.document(text).num_rows == 1 and store.count([text]) == 0
        store.delete([text])
        assert store.count() == left
    assert store.document("plain").num_rows == 1


def test_documents_change_and_are_found(chain, address, tmp_path):
    source = tmp_path / "d.jsonl"
    rows = [
        {
            "_id": f"d{i}",
            "text": f"Text number {i}. It has two sentences.",
            "language": "sw" if i % 2 else "en",
        }
        for i in range(9)
    ]

    def go(some, **more):
        source.write_text("".join(json.dumps(r) + "\n" for r in some))
        return index(str(chain), source, address, size=60, precision="fp32", **more)

    assert go(rows)["passages_encoded"] == 9
    again = go(rows)
    assert again["passages_encoded"] == 0 and again["unchanged"] == 9
    rows[3]["text"], rows[4]["title"], rows[5]["language"] = "Another text.", "A title", "de"
    changed = go(rows[:-2])
    assert (changed["written"], changed["gone"], changed["passages"]) == (3, 2, 7)
    assert changed["languages"] == {"de": 1, "en": 4, "sw": 2}
    searcher = Searcher(address)
    assert searcher.store.document("d3").to_pylist()[0]["text"] == "Another text."
    found = searcher.search("Another text.", 7, order="score")
    assert len(found) == 7 and len({r["id"] for r in found}) == 7
    assert {r["language"] for r in searcher.search("text", 7, languages=["sw"])} == {"sw"}
    assert go(rows[:1], keep_gone=True)["passages"] == 7
    with pytest.raises(MixlingError, match="two documents have the id 'd1'"):
        go([*rows, rows[1]])


# reads and loads everything once, then forks a process for each line it is given; its first write tells its id
CODE = """
import os, sys
import mixling.searching.index as i
import mixling.searching.milvus, mixling.searching.lance
i.WRITTEN, i.LOOKED_UP = 12, 16
model = i.Retriever(sys.argv[1])
for _ in sys.stdin:
    child = os.fork()
    if not child:
        i.index(model, sys.argv[2], sys.argv[3], size=60, precision="fp32", on_write=lambda n: print(os.getpid(), flush=True))
        os._exit(0)
    print("end", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.mark.slow
def test_killed_five_times_at_random_every_document_is_there_once(chain, address, tmp_path):
    source = tmp_path / "d.jsonl"
    texts = {
        f"d{i}": " ".join(f"Sentence {j} of text {i}." for j in range(i % 7 * 8 + 1))
        for i in range(150)
    }
    source.write_text(
        "".join(
            json.dumps({"_id": k, "text": t, "language": "en"}) + "\n" for k, t in texts.items()
        )
    )
    command = [sys.executable, "-c", CODE, str(chain), str(source), address]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    random = np.random.default_rng()
    killed = 0
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
        env=environment,
    ) as running:
        for kill in (True,) * 5 + (False,):
            running.stdin.write("go\n")
            said = running.stdout.readline().split()
            if kill and said[0] != "end":
                time.sleep(random.uniform(0, 0.25))
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(said[0]), signal.SIGKILL)
            while said[0] != "end":
                said = running.stdout.readline().split()
            killed += int(said[1]) == -signal.SIGKILL
            assert kill or said[1] == "0"
            if killed == 5 and kill:
                with pytest.raises(MixlingError, match="was not finished"):
                    Searcher(address)
        running.stdin.close()
    assert killed
    store = open_store(address)
    assert sorted(x for part in store.documents() for x in part) == sorted(texts)
    for name in ("d0", "d20", "d48", "d59"):
        rows = store.document(name).to_pylist()
        assert [r["part"] for r in rows] == list(range(len(rows)))
        assert rows[0]["begin"] == 0 and rows[-1]["end"] == len(texts[name])
    assert store.count() == store.info["passages"] == sum(store.info["languages"].values())


def test_vectors_that_were_encoded_before_are_loaded(chain, address, tmp_path, monkeypatch):
    rows = [
        {"_id": f"d{i}", "text": f"Text number {i}.", "language": "en" if i % 2 else "sw"}
        for i in range(20)
    ]
    source = tmp_path / "d.jsonl"
    source.write_text("".join(json.dumps(r) + "\n" for r in rows))
    encode(str(chain), source, tmp_path / "vectors", precision="fp32", shard=6)
    plain = Retriever(str(chain))
    monkeypatch.setattr(plain, "encode", None)
    made = index(plain, source, address, vectors=tmp_path / "vectors", precision="fp32")
    assert (made["written"], made["passages"], made["languages"]) == (20, 20, {"en": 10, "sw": 10})
    again = index(plain, source, address, vectors=tmp_path / "vectors", precision="fp32")
    assert again["unchanged"] == 20 and again["passages_encoded"] == 0
    store, found = (
        open_store(address),
        Retriever(str(chain)).encode([r["text"] for r in rows], "passage"),
    )
    best = store.nearest(found[7], 1).to_pylist()[0]
    assert (
        best["document"] == "d7"
        and best["text"] == rows[7]["text"]
        and abs(best["score"] - 1) < 1e-5
    )
    with pytest.raises(MixlingError, match="another size"):
        index(str(chain), source, address, precision="fp32")


def test_a_store_goes_to_parquet_and_back(chain, address, tmp_path, run):
    some = sample.read_sample("all").select(languages=["en", "sw"]).passages.to_pylist()[::4][:20]
    rows = [
        {"_id": f"d{i}", "text": r["text"], "language": r["language"]} for i, r in enumerate(some)
    ]
    source, kept = tmp_path / "d.jsonl", tmp_path / "kept.parquet"
    source.write_text("".join(json.dumps(r) + "\n" for r in rows))
    index(str(chain), source, address, size=60, precision="fp32")
    status, _, wrong = run("export", address, "--out", kept)
    assert status == 0, wrong
    again = str(tmp_path / "again")
    made = index(str(chain), kept, again)
    assert made["written"] == 20 and index(str(chain), kept, again)["unchanged"] == 20
    first, second = Searcher(address), Searcher(again)
    # full text is a folder's
    assert {**first.store.info, "full_text": FORM} == second.store.info
    for question in ("What do contour lines join?", "Sarafu za kwanza zilitengenezwa kwa nini?"):
        apart = -np.diff([r["score"] for r in second.search(question, 11, order="score")])
        assert apart.min() > 1e-4  # two stores round differently, by about 1e-6
        for fairness in ("score", "query-language-first", "round-robin"):
            a, b = (s.search(question, 10, order=fairness) for s in (first, second))
            assert [r["id"] for r in a] == [r["id"] for r in b]
            assert np.allclose([r["score"] for r in a], [r["score"] for r in b], atol=1e-5)
    with pytest.raises(MixlingError, match="exists already"):
        export_store(address, kept)
    # beside other documents, which stay and are counted; into a store that was made otherwise not at all
    source.write_text(json.dumps({"_id": "other", "text": "Neno moja.", "language": "sw"}) + "\n")
    beside, otherwise = str(tmp_path / "beside"), str(tmp_path / "otherwise")
    index(str(chain), source, beside, size=60, precision="fp32")
    assert index(str(chain), kept, beside)["passages"] == made["passages"] + 1
    assert open_store(beside).info["languages"]["sw"] == made["languages"]["sw"] + 1
    index(str(chain), source, otherwise, size=50, precision="fp32")
    with pytest.raises(MixlingError, match="another size"):
        index(str(chain), kept, otherwise)


@pytest.mark.parametrize("method", ["lsar", "centering"])
def test_an_index_that_exists_is_mended_by_a_map_and_nothing_is_encoded(
    chain, tmp_path, method, monkeypatch
):
    """Unloaded, or as vectors of `mixling encode`, it is the index that the model behind the map makes of the documents."""
    rows = [
        {"_id": f"d{i}", "text": f"Text {i}. Neno {i}.", "language": "en" if i % 2 else "sw"}
        for i in range(30)
    ]
    source, kept, fair = tmp_path / "d.jsonl", tmp_path / "kept.parquet", str(tmp_path / "fair")
    source.write_text("".join(json.dumps(r) + "\n" for r in rows))
    debias(str(chain), method, ["sample"], fair, languages=["en", "sw"])
    index(str(chain), source, str(tmp_path / "before"), size=60, precision="fp32")
    export_store(str(tmp_path / "before"), kept)
    encode(str(chain), source, tmp_path / "v", precision="fp32")
    index(fair, source, str(tmp_path / "afresh"), size=60, precision="fp32")
    expected = Searcher(str(tmp_path / "afresh"))

    def refuse(*_, **__):
        raise AssertionError("a passage was encoded")

    with monkeypatch.context() as m:
        m.setattr(Retriever, "encode_head", refuse)
        made = index(fair, kept, str(tmp_path / "moved"))
        index(fair, source, str(tmp_path / "loaded"), vectors=tmp_path / "v")
    assert made["passages"] == 30 and index(fair, kept, str(tmp_path / "moved"))["unchanged"] == 30
    for name in ("moved", "loaded"):
        one = Searcher(str(tmp_path / name))
        assert one.store.info["encoder"] == expected.store.info["encoder"]
        for question in ("Text 7.", "Neno 12"):
            a, b = (s.search(question, 10, query_language="en") for s in (expected, one))
            assert [r["id"] for r in a] == [r["id"] for r in b]
            assert np.allclose([r["score"] for r in a], [r["score"] for r in b], atol=1e-5)
    # the bare model cannot take what went through a map
    export_store(str(tmp_path / "moved"), tmp_path / "moved.parquet")
    with pytest.raises(MixlingError, match="was made with"):
        index(str(chain), tmp_path / "moved.parquet", str(tmp_path / "back"))


def test_vectors_of_other_documents_or_models_are_refused(chain, plain, tmp_path):
    source = tmp_path / "d.jsonl"
    source.write_text(json.dumps({"_id": "a", "text": "x", "language": "en"}) + "\n")
    store = str(tmp_path / "store")
    with pytest.raises(MixlingError, match="no finished vectors"):
        index(str(chain), source, store, vectors=tmp_path / "score")
    encode(str(chain), source, tmp_path / "v", precision="fp32")
    encode(str(chain), source, tmp_path / "q", precision="fp32", role="query")
    with pytest.raises(MixlingError, match="role 'query'"):
        index(str(chain), source, store, vectors=tmp_path / "q")
    with pytest.raises(MixlingError, match="was made with"):
        index(str(plain), source, store, vectors=tmp_path / "v")
    source.write_text(json.dumps({"_id": "b", "text": "x", "language": "en"}) + "\n")
    with pytest.raises(MixlingError, match="no vector of 'b'"):
        index(str(chain), source, store, vectors=tmp_path / "v")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of eight megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)], capture_output=True
    ).returncode:
        pytest.skip("file systems cannot be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_is_said_and_the_old_index_still_answers(chain, small_disk, tmp_path):
    source, store = tmp_path / "d.jsonl", str(small_disk / "store")
    write = lambda n: source.write_text(  # noqa: E731
        "".join(
            json.dumps({"_id": f"d{i}", "text": f"Text {i}. " * 3, "language": "en"}) + "\n"
            for i in range(n)
        )
    )
    write(30)
    index(str(chain), source, store, precision="fp32", size=60)
    before = Searcher(store).search("Text 7.", 3)
    write(6000)
    (small_disk / "other").write_bytes(b"x" * (6 << 20))
    with pytest.raises(MixlingError, match=r"(?i)no space left"):
        index(str(chain), source, store, precision="fp32", size=60)
    searcher = Searcher(store)
    assert len(searcher.search("Text 7.", 3)) == 3
    assert all(searcher.store.document(r["document"]).num_rows for r in before)
    (small_disk / "other").unlink()
    write(60)
    assert index(str(chain), source, store, precision="fp32", size=60)["passages"] == 60


def test_addresses_that_lead_nowhere():
    for address, says in (
        ("milvus://127.0.0.1:1", "no Milvus server answers"),
        ("milvus://a b", "write milvus://host:port"),
        ("redis://x", "no such kind of store"),
    ):
        with pytest.raises(MixlingError, match=says):
            open_store(address)


def _index_part(chain, source, store, errors):
    try:
        index(chain, source, store, precision="fp32", keep_gone=True)
    except BaseException as error:  # what the other process meets is the test's to judge
        errors.put(repr(error))


def test_two_writers_take_turns_and_nothing_is_lost(chain, tmp_path):
    import multiprocessing

    context = multiprocessing.get_context("spawn")
    errors, parts = context.Queue(), []
    for name in "ab":
        path = tmp_path / f"{name}.jsonl"
        rows = (
            {"_id": f"{name}{i}", "text": f"Text {i} of {name}.", "language": "en"}
            for i in range(600)
        )
        path.write_text("".join(json.dumps(r) + "\n" for r in rows))
        parts.append(
            context.Process(
                target=_index_part, args=(str(chain), path, str(tmp_path / "store"), errors)
            )
        )
    for part in parts:
        part.start()
    for part in parts:
        part.join()
    assert errors.empty()
    store = open_store(str(tmp_path / "store"))
    assert store.count() == store.info["passages"] == 1200


def _written_again(chain, source, store, monkeypatch, text, language="en"):
    """Index 40 documents anew and remove all older versions, as after an hour."""
    source.write_text(
        "".join(
            json.dumps({"_id": f"d{i}", "text": f"Text {i} {text}.", "language": language}) + "\n"
            for i in range(40)
        )
    )
    with monkeypatch.context() as patched, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patched.setattr("mixling.searching.lance.timedelta", lambda **_: datetime.timedelta(0))
        return index(chain, source, store, precision="fp32")


def test_a_reader_goes_on_when_its_version_is_removed(chain, tmp_path, monkeypatch):
    """A server that had run for an hour failed at every search after the next `mixling index`, and called the store damaged."""
    source, store = tmp_path / "d.jsonl", str(tmp_path / "store")
    _written_again(str(chain), source, store, monkeypatch, "of old")
    searcher = Searcher(store)
    for text, way in (("of new", "dense"), ("once more", "text"), ("at last", "both")):
        _written_again(str(chain), source, store, monkeypatch, text)
        assert all(text in r["text"] for r in searcher.search("Text 7", 3, way=way))
    # with a language that it did not know
    _written_again(str(chain), source, store, monkeypatch, "wieder", "de")
    assert searcher.store.document("d7")["text"].to_pylist() == ["Text 7 wieder."]
    found = searcher.search("Text 7", 3, languages=["de"])
    assert [r["language"] for r in found] == ["de"] * 3 and set(searcher.means) == {"de"}
    # the folder is removed and made again
    shutil.rmtree(store)
    _written_again(str(chain), source, store, monkeypatch, "anew", "de")
    assert all("anew" in r["text"] for r in searcher.search("Text 7", 3))


def test_a_reader_does_not_follow_to_another_model(chain, plain, tmp_path, monkeypatch):
    source, store = tmp_path / "d.jsonl", str(tmp_path / "store")
    _written_again(str(chain), source, store, monkeypatch, "of old")
    searcher = Searcher(store)
    shutil.rmtree(store)
    _written_again(str(plain), source, store, monkeypatch, "of old")
    with pytest.raises(
        MixlingError, match=r"store: .* indexed again with another (encoder|prompts)"
    ):
        searcher.search("Text 7", 3)


def test_a_store_that_is_written_while_it_is_unloaded_is_said(chain, tmp_path, monkeypatch):
    source, store = tmp_path / "d.jsonl", str(tmp_path / "store")
    _written_again(str(chain), source, store, monkeypatch, "of old")
    whole = LanceStore.whole
    written = []

    def slow(self, documents):
        if not written:
            written.append(_written_again(str(chain), source, store, monkeypatch, "of new"))
        return whole(self, documents)

    monkeypatch.setattr(LanceStore, "whole", slow)
    with pytest.raises(MixlingError, match="written while it was read"):
        export_store(store, tmp_path / "out.parquet")
    assert not list(tmp_path.glob("*.parquet"))


def test_a_read_only_disk_is_not_called_damage(chain, small_disk, tmp_path):
    source, store = tmp_path / "d.jsonl", str(small_disk / "store")
    source.write_text(json.dumps({"_id": "a", "text": "Text", "language": "en"}) + "\n")
    index(str(chain), source, store, precision="fp32")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert Searcher(store).search("Text", 1)[0]["document"] == "a"
    assert export_store(store, tmp_path / "out.parquet") == 1
    with pytest.raises(MixlingError, match="read-only"):
        index(str(chain), source, store, precision="fp32")
    made = LanceStore.open(store)

    def refused(_):
        raise RuntimeError(
            "lance error: Read-only file system (os error 30), lance-io/src/local.rs:1"
        )

    made.table = SimpleNamespace(count_rows=refused)
    with pytest.raises(MixlingError, match="store: the file system is read-only"):
        made.count()
