"""One suite for every kind of store: a folder, a real Milvus server, and a store from outside.

The tests start and stop the server.
"""

import datetime
import json
import os
import re
import shutil
import signal
import subprocess
import time
import warnings
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

import mixling
from memory_store import MemoryStore
from mixling.debiasing.debias import debias
from mixling.encoding.shards import encode
from mixling.errors import MixlingError
from mixling.models.retriever import Retriever
from mixling.searching import stores
from mixling.searching.fairness import EQUAL, ORDERS
from mixling.searching.folding import TERMS_VERSION
from mixling.searching.hits import ROW
from mixling.searching.index import index
from mixling.searching.lance import LanceStore
from mixling.searching.parquet import export_store
from mixling.searching.query import Searcher
from mixling.searching.store import RESULT_COLUMNS, passage_schema
from mixling.searching.stores import STORES, open_or_create_store, open_store


@pytest.fixture(params=["lance", "milvus", "memory"])
def address(request, tmp_path, monkeypatch):
    """An address where there is no store yet."""
    if request.param == "lance":
        return str(tmp_path / "store")
    if request.param == "memory":
        monkeypatch.setitem(STORES, "memory", MemoryStore)
        return f"memory://{tmp_path}"
    name = "t" + "".join(c for c in request.node.name if c.isalnum())[:40]
    return f"{request.getfixturevalue('milvus_server')}/{name}{os.getpid()}"


def table(documents, parts=2, seed=0, digest="a", d=8):
    """Passages of some documents, two each, with random unit vectors; every third document is in
    Swahili.
    """
    n = len(documents) * parts
    v = np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    names = [x for x in documents for _ in range(parts)]
    part = [p for _ in documents for p in range(parts)]
    columns = {
        "id": [f"{x}#{p}" for x, p in zip(names, part, strict=True)],
        "document": names,
        "part": part,
        "digest": [digest] * n,
        "language": ["sw" if int(x[1:]) % 3 == 0 else "en" for x in names],
        "text": [f"text of {x}, part {p}" for x, p in zip(names, part, strict=True)],
        "metadata": ['{"a": 1}'] * n,
        "title": ["T"] * n,
        "address": [""] * n,
        "begin": [0] * n,
        "end": [5] * n,
    }
    form = passage_schema(d)
    arrays = [
        pa.FixedSizeListArray.from_arrays(pa.array(v.ravel()), d)
        if f.name == "vector"
        else pa.array(columns.get(f.name, [None] * n), f.type)
        for f in form
    ]
    return pa.table(arrays, schema=form), v


def test_a_language_with_few_passages_is_found_as_well_as_all(address):
    """A server that keeps it in a partition by itself searches that roughly, and found .8."""
    store = open_or_create_store(address, 64, {"model": "m", "size": 3, "dimensions": 64})
    documents = [f"d{i}" for i in range(1200)]
    rows, v = table(documents, d=64)
    store.replace(documents, rows)
    store.finish()
    if hasattr(store, "client"):  # finished means: searched by the index, no longer scanned
        loaded = store.client.list_loaded_segments(store.name)
        assert [(x.num_rows, x.index_name) for x in loaded] == [(2400, "vector")]
    sw = np.array(rows["language"].to_pylist()) == "sw"
    for languages, mask in ((["sw"], sw), (None, np.ones(len(v), bool))):
        hits = 0
        for q in v[:20]:
            best = np.argsort(-np.where(mask, v @ q, -9))[:100]
            expected = {rows["id"][int(i)].as_py() for i in best}
            hits += len(expected & set(store.nearest(q, 100, languages)["id"].to_pylist()))
        assert hits >= 0.99 * 20 * 100


def test_a_store_holds_replaces_filters_and_deletes(address):
    with pytest.raises(MixlingError, match=r"is not a store|there is no store"):
        open_store(address)
    store = open_or_create_store(address, 8, {"model": "m", "size": 3})
    documents = [f"d{i}" for i in range(40)]
    rows, v = table(documents)
    store.replace(documents, rows)
    filters = (None, ["sw"], ["sw", "en"], ["yo"])
    assert [store.count(languages) for languages in filters] == [80, 28, 80, 0]
    assert sorted({x for ids in store.document_ids() for x in ids}) == sorted(documents)
    assert store.digests(["d3", "nobody"]) == {"d3": "a"}
    language = np.array(rows["language"].to_pylist())
    for languages, mask in (
        (None, np.ones(80, bool)),
        (["sw"], language == "sw"),
        (["en", "yo"], language == "en"),
    ):
        for q in (v[7], v[12], -v[3]):
            scores = np.where(mask, v @ q, -9)
            best = np.argsort(-scores)[:5]
            nearest = store.nearest(q, 5, languages)
            assert nearest["id"].to_pylist() == [rows["id"][int(i)].as_py() for i in best]
            assert nearest["score"].to_pylist() == pytest.approx(scores[best].tolist(), abs=1e-5)
            shown = [x for x in nearest.column_names if x != ROW]
            assert shown == [*RESULT_COLUMNS, "score"]
    # fewer passages than before: the others are deleted
    new, _ = table(["d3", "d4"], parts=1, seed=1, digest="b")
    store.replace(["d3", "d4"], new)
    assert store.count() == 78 and store.digests(["d3", "d5"]) == {"d3": "b", "d5": "a"}
    (row,) = store.document("d3").to_pylist()
    assert row["group"] is None and row["confidence"] is None
    assert [r["part"] for r in store.document("d9").to_pylist()] == [0, 1]
    store.delete(["d3", "d9", "nobody"])
    assert store.count() == 75 and store.document("d9").num_rows == 0
    store.finish()
    counts = Counter()
    for languages, vectors in store.vectors():
        assert vectors.shape == (len(languages), 8)
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
        counts.update(languages)
    assert counts == {"en": store.count(["en"]), "sw": store.count(["sw"])}
    means = {"en": [0.5] * 8, "sw": [0.25] * 8}
    store.write_info({**store.info, "means": means, "languages": dict(counts)})
    again = open_store(address)
    assert again.info == store.info and again.count() == 75
    assert open_or_create_store(address, 8, {"model": "other"}).info["model"] == "m"


def test_quotes_are_only_text(address):
    names = ["'; DROP TABLE passages; --", 'a" or part >= 0 or "', "x\\", "d'0", "ክ ឡ", "plain"]
    store = open_or_create_store(address, 8, {})
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

    def index_rows(rows, **options):
        source.write_text("".join(json.dumps(r) + "\n" for r in rows))
        return index(str(chain), source, address, size=60, precision="fp32", **options)

    assert index_rows(rows).passages_encoded == 9
    again = index_rows(rows)
    assert again.passages_encoded == 0 and again.unchanged == 9
    rows[3]["text"], rows[4]["title"], rows[5]["language"] = "Another text.", "A title", "de"
    changed = index_rows(rows[:-2])
    assert (changed.written, changed.gone, changed.passages) == (3, 2, 7)
    assert changed.languages == {"de": 1, "en": 4, "sw": 2}
    searcher = Searcher(address)
    assert searcher.store.document("d3").to_pylist()[0]["text"] == "Another text."
    hits = searcher.search("Another text.", 7, order="score")
    assert len(hits) == 7 and len({hit.id for hit in hits}) == 7
    assert {hit.language for hit in searcher.search("text", 7, languages=["sw"])} == {"sw"}
    assert index_rows(rows[:1], keep_gone=True).passages == 7
    with pytest.raises(MixlingError, match="two documents have the id 'd1'"):
        index_rows([*rows, rows[1]])


CODE = """
import os, sys
import mixling.searching.index as i
import mixling.searching.writer as w
w.PASSAGE_BATCH, i.DOCUMENT_BATCH = 12, 16
model, source, address = sys.argv[1:]
i.index(model, source, address, size=60, precision="fp32",
        on_write=lambda n: print("wrote", flush=True))
"""
# MIXLING_ROUNDS=5 for more kills
ROUNDS = int(os.environ.get("MIXLING_ROUNDS", "2"))


@pytest.mark.slow
def test_killed_at_random_every_document_is_there_once(chain, address, tmp_path, forks):
    if address.startswith("memory:"):
        pytest.skip("a store in memory ends with its process")
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
    random = np.random.default_rng()
    killed = 0
    for kill in (True,) * ROUNDS + (False,):
        with forks.start(CODE, chain, source, address, stdout=subprocess.PIPE) as process:
            first = process.stdout.readline()
            if kill and first:
                time.sleep(random.uniform(0, 0.25))
                process.kill()
            process.stdout.read()
        killed += process.returncode == -signal.SIGKILL
        assert kill or process.returncode == 0
        if killed == ROUNDS and kill:
            with pytest.raises(MixlingError, match="was not finished"):
                Searcher(address)
    assert killed
    store = open_store(address)
    assert sorted(x for ids in store.document_ids() for x in ids) == sorted(texts)
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
    report = index(plain, source, address, vectors=tmp_path / "vectors", precision="fp32")
    assert (report.written, report.passages) == (20, 20)
    assert report.languages == {"en": 10, "sw": 10}
    again = index(plain, source, address, vectors=tmp_path / "vectors", precision="fp32")
    assert again.unchanged == 20 and again.passages_encoded == 0
    vectors = Retriever(str(chain)).encode([r["text"] for r in rows], "passage")
    (best,) = open_store(address).nearest(vectors[7], 1).to_pylist()
    assert best["document"] == "d7" and best["text"] == rows[7]["text"]
    assert abs(best["score"] - 1) < 1e-5
    with pytest.raises(MixlingError, match="another size"):
        index(str(chain), source, address, precision="fp32")


def encode_angles(self, texts, role=None, **_):
    """Encode a text that begins with an angle as the unit vector at that angle."""
    angles = np.array([float(text.split()[0]) for text in texts])
    vectors = np.zeros((len(texts), self.dimensions), np.float32)
    vectors[:, 0], vectors[:, 1] = np.cos(angles), np.sin(angles)
    return vectors


def test_a_store_goes_to_parquet_and_back(chain, address, tmp_path, run, monkeypatch):
    """Both stores order passages alike: their scores differ by more than stores round (1e-6).

    The vectors are known angles, so that no tokenizer or model decides how near two scores are.
    """
    monkeypatch.setattr(Retriever, "encode", encode_angles)
    monkeypatch.setattr("mixling.searching.store_model.remembered_model", lambda *_: None)
    monkeypatch.setattr("mixling.searching.sentences.has_span_vectors", lambda _: False)
    angles = [0.3 + 0.096 * i + 0.003 * (i % 5) for i in range(20)]
    rows = [
        {"_id": f"d{i}", "text": f"{angle:.3f} text", "language": "en" if i % 3 else "sw"}
        for i, angle in enumerate(angles)
    ]
    source, exported = tmp_path / "d.jsonl", tmp_path / "exported.parquet"
    source.write_text("".join(json.dumps(r) + "\n" for r in rows))
    index(str(chain), source, address, size=60, precision="fp32")
    status, _, error = run("export", address, "--out", exported)
    assert status == 0, error
    imported = str(tmp_path / "imported")
    report = index(str(chain), exported, imported)
    assert report.written == 20 and index(str(chain), exported, imported).unchanged == 20
    first, second = Searcher(address), Searcher(imported)
    # only a folder has full text
    assert {**first.store.info, "full_text": TERMS_VERSION} == second.store.info
    options = {"query_language": "sw", "highlight": False}
    for query in ("0.000 query", "1.000 query"):
        every = second.search(query, 20, order="centered", **options)
        centered = np.array([hit.score - hit.language_offset for hit in every])
        gaps = np.abs(np.subtract.outer(centered, centered))[~np.eye(20, dtype=bool)]
        margins = np.abs(gaps - EQUAL * centered.max())  # to the edges of bands of equal passages
        assert min(gaps.min(), margins.min()) > 1e-4
        for order in ORDERS:
            a, b = (s.search(query, 10, order=order, **options) for s in (first, second))
            assert [hit.id for hit in a] == [hit.id for hit in b]
            assert np.allclose([hit.score for hit in a], [hit.score for hit in b], atol=1e-5)
    with pytest.raises(MixlingError, match="exists already"):
        export_store(address, exported)
    # beside other documents, which stay and are counted; not into a store with other sizes
    source.write_text(json.dumps({"_id": "other", "text": "0.9 neno", "language": "sw"}) + "\n")
    beside, otherwise = str(tmp_path / "beside"), str(tmp_path / "otherwise")
    index(str(chain), source, beside, size=60, precision="fp32")
    assert index(str(chain), exported, beside).passages == report.passages + 1
    assert open_store(beside).info["languages"]["sw"] == report.languages["sw"] + 1
    index(str(chain), source, otherwise, size=50, precision="fp32")
    with pytest.raises(MixlingError, match="another size"):
        index(str(chain), exported, otherwise)


def test_the_recipe_of_a_store_is_complete(chain, tmp_path, monkeypatch):
    """What CONTRIBUTING.md says adds a store: one file with a class, and one line."""
    root = Path(__file__).parent.parent
    text = (root / "CONTRIBUTING.md").read_text()
    recipe = re.search(r"- \*\*A store\.\*\*(.*?)(?=\n- \*\*|\n\n)", text, re.DOTALL)[1]
    names = re.findall(r"`([^`]+)`", recipe)
    assert all((root / name).exists() for name in names if "/" in name)
    assert {"Store", "STORES", "address"} <= set(names)
    (line,) = (name for name in names if re.fullmatch(r'"\w+": \w+,', name))
    monkeypatch.setattr(stores, "STORES", {**STORES, **eval(f"{{{line}}}")})
    source, address = tmp_path / "d.jsonl", f"memory://{tmp_path}"
    rows = [{"_id": f"d{i}", "text": f"Text {i}.", "language": "en"} for i in range(9)]
    source.write_text("".join(json.dumps(r) + "\n" for r in rows))
    assert mixling.index(str(chain), source, address, precision="fp32").passages == 9
    for mode in ("dense", "text", "both"):
        assert len(mixling.search(address, "Text 7.", 3, mode=mode)) == 3
    assert mixling.search(address, "Text 7.", 1, mode="text")[0].document == "d7"
    assert mixling.export(address, tmp_path / "out.parquet").passages == 9


@pytest.mark.parametrize("method", ["lsar", "centering"])
def test_an_existing_index_is_debiased_by_a_transform_and_nothing_is_encoded(
    chain, tmp_path, method, monkeypatch
):
    """Exported, or as vectors of `mixling encode`, it becomes the debiased model's index."""
    rows = [
        {"_id": f"d{i}", "text": f"Text {i}. Neno {i}.", "language": "en" if i % 2 else "sw"}
        for i in range(30)
    ]
    source, exported = tmp_path / "d.jsonl", tmp_path / "exported.parquet"
    fair = str(tmp_path / "fair")
    source.write_text("".join(json.dumps(r) + "\n" for r in rows))
    debias(str(chain), method, ["sample"], fair, languages=["en", "sw"])
    index(str(chain), source, str(tmp_path / "before"), size=60, precision="fp32")
    export_store(str(tmp_path / "before"), exported)
    encode(str(chain), source, tmp_path / "v", precision="fp32")
    index(fair, source, str(tmp_path / "afresh"), size=60, precision="fp32")
    expected = Searcher(str(tmp_path / "afresh"))

    def refuse(*_, **__):
        raise AssertionError("a passage was encoded")

    with monkeypatch.context() as m:
        m.setattr(Retriever, "encode_head", refuse)
        report = index(fair, exported, str(tmp_path / "transformed"))
        index(fair, source, str(tmp_path / "loaded"), vectors=tmp_path / "v")
    assert report.passages == 30
    assert index(fair, exported, str(tmp_path / "transformed")).unchanged == 30
    for name in ("transformed", "loaded"):
        searcher = Searcher(str(tmp_path / name))
        assert searcher.store.info["encoder"] == expected.store.info["encoder"]
        for query in ("Text 7.", "Neno 12"):
            a, b = (s.search(query, 10, query_language="en") for s in (expected, searcher))
            assert [hit.id for hit in a] == [hit.id for hit in b]
            assert np.allclose([hit.score for hit in a], [hit.score for hit in b], atol=1e-5)
    # the original model cannot take vectors that a transform has changed
    export_store(str(tmp_path / "transformed"), tmp_path / "transformed.parquet")
    with pytest.raises(MixlingError, match="were made with"):
        index(str(chain), tmp_path / "transformed.parquet", str(tmp_path / "back"))


def test_vectors_of_other_documents_or_models_are_refused(chain, plain, tmp_path):
    source = tmp_path / "d.jsonl"
    source.write_text(json.dumps({"_id": "a", "text": "x", "language": "en"}) + "\n")
    store = str(tmp_path / "store")
    with pytest.raises(MixlingError, match="encoding was not finished"):
        index(str(chain), source, store, vectors=tmp_path / "score")
    encode(str(chain), source, tmp_path / "v", precision="fp32")
    encode(str(chain), source, tmp_path / "q", precision="fp32", role="query")
    with pytest.raises(MixlingError, match="role 'query'"):
        index(str(chain), source, store, vectors=tmp_path / "q")
    with pytest.raises(MixlingError, match="were made with"):
        index(str(plain), source, store, vectors=tmp_path / "v")
    source.write_text(json.dumps({"_id": "b", "text": "x", "language": "en"}) + "\n")
    with pytest.raises(MixlingError, match="the vector of 'b' is missing"):
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


def test_a_full_disk_is_reported_and_the_old_index_still_answers(chain, small_disk, tmp_path):
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
    assert all(searcher.store.document(hit.document).num_rows for hit in before)
    (small_disk / "other").unlink()
    write(60)
    assert index(str(chain), source, store, precision="fp32", size=60).passages == 60


def test_addresses_that_lead_nowhere():
    for address, message in (
        ("milvus://127.0.0.1:1", "no Milvus server answers"),
        ("milvus://a b", "expected milvus://host:port"),
        ("redis://x", "kind of store is unknown"),
    ):
        with pytest.raises(MixlingError, match=message):
            open_store(address)


def _index_part(chain, source, store):
    index(chain, source, store, precision="fp32", keep_gone=True)


def test_two_writers_take_turns_and_nothing_is_lost(chain, tmp_path, forks):
    parts = []
    for name in "ab":
        path = tmp_path / f"{name}.jsonl"
        rows = (
            {"_id": f"{name}{i}", "text": f"Text {i} of {name}.", "language": "en"}
            for i in range(600)
        )
        path.write_text("".join(json.dumps(r) + "\n" for r in rows))
        parts.append(forks.call(_index_part, str(chain), path, str(tmp_path / "store")))
    assert [part.wait() for part in parts] == [0, 0]
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
        patched.setattr("mixling.searching.maintenance.KEPT_FOR", datetime.timedelta(0))
        return index(chain, source, store, precision="fp32")


def test_a_reader_goes_on_when_its_version_is_removed(chain, tmp_path, monkeypatch):
    """A server that had run for an hour called the store damaged after the next `index`."""
    source, store = tmp_path / "d.jsonl", str(tmp_path / "store")
    _written_again(str(chain), source, store, monkeypatch, "of old")
    searcher = Searcher(store)
    for text, mode in (("of new", "dense"), ("once more", "text"), ("at last", "both")):
        _written_again(str(chain), source, store, monkeypatch, text)
        assert all(text in hit.text for hit in searcher.search("Text 7", 3, mode=mode))
    # with a language that it did not know
    _written_again(str(chain), source, store, monkeypatch, "wieder", "de")
    assert searcher.store.document("d7")["text"].to_pylist() == ["Text 7 wieder."]
    hits = searcher.search("Text 7", 3, languages=["de"])
    assert [hit.language for hit in hits] == ["de"] * 3 and set(searcher.means) == {"de"}
    # the folder is removed and made again
    shutil.rmtree(store)
    _written_again(str(chain), source, store, monkeypatch, "anew", "de")
    assert all("anew" in hit.text for hit in searcher.search("Text 7", 3))


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


def test_a_store_that_is_written_while_it_is_exported_is_reported(chain, tmp_path, monkeypatch):
    source, store = tmp_path / "d.jsonl", str(tmp_path / "store")
    _written_again(str(chain), source, store, monkeypatch, "of old")
    passages = LanceStore.passages
    written = []

    def slow(self, documents):
        if not written:
            written.append(_written_again(str(chain), source, store, monkeypatch, "of new"))
        return passages(self, documents)

    monkeypatch.setattr(LanceStore, "passages", slow)
    with pytest.raises(MixlingError, match="written while it was read"):
        export_store(store, tmp_path / "out.parquet")
    assert not list(tmp_path.glob("*.parquet"))


def test_a_read_only_disk_is_not_called_damage(chain, small_disk, tmp_path):
    source, store = tmp_path / "d.jsonl", str(small_disk / "store")
    source.write_text(json.dumps({"_id": "a", "text": "Text", "language": "en"}) + "\n")
    index(str(chain), source, store, precision="fp32")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert Searcher(store).search("Text", 1)[0].document == "a"
    assert export_store(store, tmp_path / "out.parquet") == 1
    with pytest.raises(MixlingError, match="read-only"):
        index(str(chain), source, store, precision="fp32")
    reader = LanceStore.open(store)

    def refused(_):
        raise RuntimeError(
            "lance error: Read-only file system (os error 30), lance-io/src/local.rs:1"
        )

    reader.table = SimpleNamespace(count_rows=refused)
    with pytest.raises(MixlingError, match="store: the file system is read-only"):
        reader.count()
