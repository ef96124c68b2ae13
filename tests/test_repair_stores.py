"""A store of `mixling index` is repaired beside itself, put in place, and restored."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixling import Retriever, Searcher, debias, index
from mixling.errors import MixlingError
from mixling.repairing.stores import model_folder, repair_store, undo_store
from mixling.searching.drift import language_variance
from mixling.searching.sentences import unpack_sentences
from mixling.searching.stores import open_store, store_class
from mixling.transforms.transforms import normalize


@pytest.fixture(params=["lance", "milvus"])
def address(request, tmp_path):
    if request.param == "lance":
        return str(tmp_path / "store")
    name = "r" + "".join(c for c in request.node.name if c.isalnum())[:40]
    return f"{request.getfixturevalue('milvus_server')}/{name}{os.getpid()}"


@pytest.fixture(scope="module")
def fair(chain, tmp_path_factory):
    """A model that centers by language."""
    out = tmp_path_factory.mktemp("fair") / "model"
    debias(str(chain), "centering", ["sample"], str(out), languages=["en", "sw"])
    return str(out)


def write(path, numbers, word="Text"):
    rows = [
        {"_id": f"d{i}", "text": f"{word} {i}. Neno {i}.", "language": "en" if i % 2 else "sw"}
        for i in numbers
    ]
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path


def contents(address):
    store, found = open_store(address), {}
    for ids in store.document_ids():
        for row in store.passages(ids).to_pylist():
            found[row["id"]] = row
    return found


def assert_same(address, expected):
    """The same passages, their vectors to 1e-6, and the same statistics."""
    first, second = contents(address), contents(expected)
    assert first.keys() == second.keys() and first
    for key, row in first.items():
        other = second[key]
        np.testing.assert_allclose(row.pop("vector"), other.pop("vector"), atol=1e-6)
        parts = [unpack_sentences(x.pop("sentences", None) or b"") for x in (row, other)]
        if parts[0][0]:  # kept, and in eight bits before and after the transform
            assert parts[0][0] == parts[1][0]
            np.testing.assert_allclose(parts[0][1], parts[1][1], atol=0.02)
        assert row == other
    infos = [open_store(x).info for x in (address, expected)]
    for key in ("encoder", "prompts", "languages", "passages", "size", "model"):
        assert infos[0][key] == infos[1][key]
    for code, mean in infos[0]["means"].items():
        np.testing.assert_allclose(mean, infos[1]["means"][code], atol=1e-6)


def test_a_store_is_repaired_caught_up_put_in_place_and_restored(
    chain, fair, address, tmp_path, monkeypatch
):
    source = write(tmp_path / "d.jsonl", range(30))
    index(str(chain), source, address, precision="fp32")
    running = Searcher(address)
    with monkeypatch.context() as patch:
        patch.setattr(Retriever, "encode_head", None)  # nothing is encoded
        report, use = repair_store(address, fair)
    assert (report.documents, report.written, report.gone, report.passages) == (30, 30, 0, 30)
    assert "is in use" in use and len(running.search("Text 3.", 5, highlight=False)) == 5

    # two documents are gone, one is changed, one is new
    write(source, range(2, 31))
    rows = source.read_text().splitlines()
    rows[5] = json.dumps({"_id": "d7", "text": "Another text.", "language": "en"})
    source.write_text("\n".join(rows) + "\n")
    index(str(chain), source, address, precision="fp32")
    before = contents(address)
    report, use = repair_store(address, fair, switch=True)
    assert (report.written, report.gone, report.passages) == (2, 2, 29)
    afresh = str(tmp_path / "afresh")
    index(fair, source, afresh, precision="fp32")
    assert_same(address, afresh)
    hits = Searcher(address).search("Text 9.", 5, query_language="en", highlight=False)
    expected = Searcher(afresh).search("Text 9.", 5, query_language="en", highlight=False)
    assert [x.id for x in hits] == [x.id for x in expected]

    # a process that opened the original searches it no more
    time.sleep(1.1)
    try:
        found = running.search("Text 3.", 5, highlight=False)
    except MixlingError as error:
        assert "Open the store again" in str(error)
    else:  # a folder's files are still open
        assert {x.id for x in found} <= before.keys() and "mixling" not in address[:10]

    with pytest.raises(MixlingError, match="the store is repaired already"):
        repair_store(address, fair)
    assert "is the original again" in undo_store(address)
    assert contents(address) == before
    assert "is removed" in undo_store(address, fair)
    with pytest.raises(MixlingError, match="there is no copy"):
        undo_store(address, fair)
    with pytest.raises(MixlingError, match="the original is in use"):
        undo_store(address)
    assert store_class(address).beside(address) == [address]


def test_a_switch_that_was_cut_off_is_ended_or_undone(chain, fair, tmp_path):
    address = str(tmp_path / "store")
    source = write(tmp_path / "d.jsonl", range(12))
    index(str(chain), source, address, precision="fp32")
    before, kind = contents(address), store_class(address)
    repair_store(address, fair, switch=True)
    original = next(x for x in kind.beside(address) if "_before_" in x)
    after, shadow = contents(address), original.replace("_before_", "_mixling_")
    kind.rename(address, shadow)  # as where the process ended between its two names
    assert not kind.exists(address)
    repair_store(address, fair, switch=True)
    assert contents(address) == after
    kind.rename(address, shadow)
    undo_store(address)
    assert contents(address) == before


def test_the_command_ends_and_undoes_a_switch_that_was_cut_off(chain, fair, tmp_path, run):
    """Where the store's own place is empty, also in a folder whose name looks like a copy's."""
    folder = tmp_path / "data_before_1"
    folder.mkdir()
    address = str(folder / "store")
    index(str(chain), write(tmp_path / "d.jsonl", range(12)), address, precision="fp32")
    before, kind = contents(address), store_class(address)
    repair_store(address, fair, switch=True)
    original = next(x for x in kind.beside(address) if "store_before_" in x)
    shadow = original.replace("store_before_", "store_mixling_")
    kind.rename(address, shadow)
    assert model_folder(address) == folder / "store_model_1"
    status, out, error = run("repair", address, "--transform", fair, "--switch")
    assert status == 0 and "is the repaired copy" in out, error
    kind.rename(address, shadow)
    status, out, error = run("repair", address, "--undo")
    assert status == 0 and "is the original again" in out, error
    assert contents(address) == before and kind.exists(shadow)


def test_a_query_is_centered_by_the_language_that_is_stated(chain, fair, tmp_path, monkeypatch):
    store = str(tmp_path / "store")
    index(fair, write(tmp_path / "d.jsonl", range(12)), store, precision="fp32")
    searcher, seen = Searcher(store), []
    encode = type(searcher.retriever).encode

    def recorded(self, texts, role=None, **options):
        if role == "query":
            seen.append(options.get("languages"))
        return encode(self, texts, role, **options)

    monkeypatch.setattr(type(searcher.retriever), "encode", recorded)
    by_language = {
        code: searcher.search("7", 3, query_language=code, order="score", highlight=False)
        for code in ("en", "sw")
    }
    assert seen == [["en"], ["sw"]]
    assert [x.score for x in by_language["en"]] != [x.score for x in by_language["sw"]]


REPAIR = """
import sys
import mixling.searching.transfer as t
from mixling.repairing.stores import repair_store
from mixling.searching.lance import LanceStore
t.GROUP_DOCUMENTS, replace = 10, LanceStore.replace
def replace_and_say(*a):
    replace(*a)
    print("wrote", flush=True)
LanceStore.replace = replace_and_say
repair_store(*sys.argv[1:])
"""


def test_a_repair_that_is_killed_goes_on(chain, fair, tmp_path, forks):
    store = str(tmp_path / "store")
    index(str(chain), write(tmp_path / "d.jsonl", range(600)), store, precision="fp32")
    random = np.random.default_rng()
    for _ in range(2):
        with forks.start(REPAIR, store, fair, stdout=subprocess.PIPE) as running:
            for _ in range(random.integers(1, 25)):  # of 60 groups
                assert running.stdout.readline() == "wrote\n"
            time.sleep(random.uniform(0, 0.05))
            running.kill()
        assert running.returncode == -signal.SIGKILL
    report, _ = repair_store(store, fair, switch=True)
    assert report.passages == 600
    afresh = str(tmp_path / "afresh")
    index(fair, tmp_path / "d.jsonl", afresh, precision="fp32")
    assert_same(store, afresh)


def test_the_command_fits_on_the_store_and_says_what_is_in_use(tmp_path, run):
    import planted

    model = "python:planted:encode"
    store = str(tmp_path / "articles")
    documents = planted.documents(tmp_path / "d.jsonl", groups=150)
    assert run("index", model, documents, "--store", store)[0] == 0
    status, out, error = run("repair", store, "--transform", "auto")
    assert status == 0, error
    assert "holds 600 passages; 600 documents were written" in out and "is in use" in out
    folder = Path(f"{store}_model_1")
    assert (folder / "transform.json").exists()
    status, out, error = run("repair", store, "--transform", "auto", "--switch")
    assert status == 0 and "that an earlier call fitted" in out, error
    assert "0 documents were written" in out and "is the repaired copy" in out
    assert open_store(store).info["model"] == str(folder.resolve())
    # new documents pass through the transform too, and the model still lies where the store says
    planted.documents(tmp_path / "d.jsonl", groups=151)
    assert run("index", folder, tmp_path / "d.jsonl", "--store", store)[0] == 0
    assert len(Searcher(store).search("g7 title in sw", 4, highlight=False)) == 4
    # a language that came later is said, and the transform is fitted again behind the first
    more = [*planted.CODES, "fi"]
    planted.documents(tmp_path / "d.jsonl", groups=151, codes=more)
    status, out, _ = run("index", folder, tmp_path / "d.jsonl", "--store", store)
    assert "languages of some passages: fi (151)" in out and "Fit it again" in out
    status, _, error = run("repair", store, "--transform", "auto")
    assert status == 2 and "remove the original first" in error
    (original,) = tmp_path.glob("articles_before_*")
    kept = tmp_path / "kept"
    original.rename(kept)
    status, out, error = run("repair", store, "--transform", "auto", "--switch")
    assert status == 0 and "755 documents were written" in out, error
    second = Path(f"{store}_model_2")
    assert open_store(store).info["model"] == str(second.resolve())
    status, out, _ = run("index", second, tmp_path / "d.jsonl", "--store", store)
    assert "755 unchanged" in out and "fit it again" not in out and "does not know" not in out
    assert run("repair", store, "--undo")[0] == 0
    assert open_store(store).info["model"] == str(folder.resolve())
    status, _, error = run("repair", store, "--transform", "auto", "--normalize")
    assert status == 2 and "Leave out" in error


@given(st.integers(0, 10**6), st.integers(2, 5), st.floats(0, 3))
@settings(max_examples=30, deadline=None)
def test_the_variance_by_language_is_omega_squared_of_the_vectors(seed, groups, bias):
    rng = np.random.default_rng(seed)
    languages = rng.integers(0, groups, 40 * groups)
    centers = bias * rng.normal(size=(groups, 6))
    vectors = normalize(rng.normal(size=(len(languages), 6)) + centers[languages])
    means = {str(g): vectors[languages == g].mean(0) for g in set(languages)}
    counts = {str(g): int((languages == g).sum()) for g in set(languages)}
    residual = vectors - np.stack([means[str(g)] for g in languages])
    within = (residual**2).sum() / (len(vectors) - len(means))
    total = ((vectors - vectors.mean(0)) ** 2).sum()
    between = total - (residual**2).sum()
    expected = (between - (len(means) - 1) * within) / (total + within)
    assert language_variance(means, counts) == pytest.approx(max(expected, 0), abs=1e-6)


def test_what_cannot_be_repaired_is_refused(chain, fair, plain, tmp_path):
    store = str(tmp_path / "store")
    index(str(plain), write(tmp_path / "d.jsonl", range(5)), store, precision="fp32")
    with pytest.raises(MixlingError, match="were made with"):
        repair_store(store, fair)
    assert not list(tmp_path.glob("store_mixling_*/mixling.json"))
    with pytest.raises(MixlingError, match="names no collection"):
        repair_store("milvus://localhost:1", fair)
    with pytest.raises(MixlingError, match="the source and the store are the same"):
        index(str(plain), store, store)
