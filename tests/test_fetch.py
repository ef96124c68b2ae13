"""Published sources are fetched from a hub and from addresses; a server stands for both."""

import gzip
import hashlib
import io
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import replace

import pytest
from tests.hub_server import TOKEN

from mixling.corpora import catalog, fetch
from mixling.corpora.catalog import SOURCES, load
from mixling.corpora.check import iter_first_rows
from mixling.corpora.downloads import content_hash
from mixling.corpora.published_files import find_published, hub_revisions, matches
from mixling.corpora.source import Download, Files, Repository
from mixling.errors import MixlingError
from mixling.evaluation.benchmarks import load_task


def lines(*rows):
    return gzip.compress("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows).encode())


PINNED, PINNED_CORPUS = (r.revision for r in SOURCES["miracl"].repositories)


def miracl(hub, languages=("sw", "yo"), split="dev", **options):
    """Both data sets of MIRACL as published, with two queries a language."""
    judged, corpus = {"README.md": b"# MIRACL"}, {"README.md": b"# corpus"}
    for code in languages:
        name = f"miracl-v1.0-{code}"
        judged[f"{name}/topics/topics.{name}-{split}.tsv"] = (
            f"1#0\t{code}: who wrote it?\n2#0\t{code}: when did it begin?\n".encode()
        )
        judged[f"{name}/qrels/qrels.{name}-{split}.tsv"] = (
            b"1#0\tQ0\t10#0\t1\n1#0\tQ0\t10#1\t0\n2#0\tQ0\t11#0\t1\n"
        )
        for shard in (0, 1):
            corpus[f"miracl-corpus-v1.0-{code}/docs-{shard}.jsonl.gz"] = lines(
                *(
                    {"docid": f"{10 + shard}#{n}", "title": "T", "text": f"{code} {shard} {n}"}
                    for n in range(3)
                )
            )
    return (
        hub.put("miracl/miracl", judged, commit=PINNED, **options),
        hub.put("miracl/miracl-corpus", corpus, commit=PINNED_CORPUS),
    )


def test_only_the_files_of_a_split_and_its_languages_are_fetched_once(hub, tmp_path, caplog):
    miracl(hub)
    caplog.set_level(logging.INFO, "mixling")
    corpus = load("miracl", "dev", languages=["sw"])
    assert corpus.queries["text"].to_pylist() == ["sw: who wrote it?", "sw: when did it begin?"]
    assert corpus.passages.num_rows == 3 and corpus.languages() == ["sw"]
    assert sorted(hub.fetched()) == [
        "miracl-corpus-v1.0-sw/docs-0.jsonl.gz",
        "miracl-corpus-v1.0-sw/docs-1.jsonl.gz",
        "miracl-v1.0-sw/qrels/qrels.miracl-v1.0-sw-dev.tsv",
        "miracl-v1.0-sw/topics/topics.miracl-v1.0-sw-dev.tsv",
    ]
    assert (
        "fetching 2 files" in caplog.text and "bytes) from hub miracl/miracl-corpus" in caplog.text
    )
    folder = tmp_path / "cache/data/miracl/miracl--miracl-corpus"
    assert list(folder.rglob("*.metadata")), "the hub's client keeps its records beside the files"
    asked = len(hub.requests)
    assert load("miracl", "dev-full", languages=["sw"]).passages.num_rows == 6
    assert len(hub.requests) == asked, "a second load asks the hub for nothing"
    assert load("miracl", "dev", languages=["sw", "yo"]).languages() == ["sw", "yo"]


def test_what_lies_in_a_read_only_cache_is_read(hub, tmp_path):
    miracl(hub)
    load("miracl", "dev", languages=["sw"])
    cache = str(tmp_path / "cache")
    if subprocess.run(["mount", "--bind", cache, cache], capture_output=True).returncode:
        pytest.skip("file systems cannot be mounted here")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", cache], check=True)
        assert load("miracl", "dev", languages=["sw"]).languages() == ["sw"]
        with pytest.raises(MixlingError, match=r"(?i)read-only"):
            load("miracl", "dev", languages=["yo"])
    finally:
        subprocess.run(["umount", "-l", cache], check=True)


def test_commits_are_kept_and_recorded_in_results(hub, tmp_path, monkeypatch):
    judged, _ = miracl(hub)
    loose = tuple(replace(r, revision=None) for r in SOURCES["miracl"].repositories)
    monkeypatch.setitem(catalog.SOURCES, "miracl", replace(SOURCES["miracl"], repositories=loose))
    first = judged.commit
    task = load_task("miracl:dev@sw")
    origin = {"hub:miracl/miracl": first, "hub:miracl/miracl-corpus": PINNED_CORPUS}
    assert dict(task.origin) == origin
    judged.commit = "a" * 40  # `main` moves on; what was fetched stays what it was
    assert dict(load_task("miracl:dev@sw").origin) == origin
    record = json.loads((tmp_path / "cache/data/miracl" / fetch.RECORD).read_text())
    assert record["repositories"]["miracl/miracl"]["revision"] == first


def test_a_pinned_commit_that_is_gone_is_an_error(hub, monkeypatch):
    miracl(hub)
    pinned = tuple(replace(r, revision="b" * 40) for r in SOURCES["miracl"].repositories)
    monkeypatch.setitem(catalog.SOURCES, "miracl", replace(SOURCES["miracl"], repositories=pinned))
    with pytest.raises(MixlingError, match=r"miracl/miracl has no commit bbbb.*hf download"):
        load("miracl", "dev", languages=["sw"])


def test_a_gated_set_names_its_page_and_the_token(hub, monkeypatch):
    miracl(hub, gated=True)
    page = f"{hub.address}/datasets/miracl/miracl"
    with pytest.raises(MixlingError, match=rf"gated, and no token is set\. .*{page}.*HF_TOKEN"):
        load("miracl", "dev", languages=["sw"])
    monkeypatch.setenv("HF_TOKEN", "hf_another")
    with pytest.raises(MixlingError, match="gated, and the token that is set has no access"):
        load("miracl", "dev", languages=["sw"])
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert load("miracl", "dev", languages=["sw"]).queries.num_rows == 2


def test_a_data_set_that_is_not_there_and_a_file_that_is_not_there(hub):
    with pytest.raises(
        MixlingError, match=r"the hub has no data set miracl/miracl, or the data set is private"
    ):
        load("miracl", "dev", languages=["sw"])
    miracl(hub)
    with pytest.raises(
        MixlingError,
        match=rf"hub miracl/miracl at {PINNED[:8]} has no file miracl-v1.0-de/topics.*sw",
    ):
        load("miracl", "dev", languages=["de"])


def test_a_disk_without_room_is_named_before_anything_is_fetched(hub, monkeypatch):
    from collections import namedtuple

    miracl(hub)
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(fetch.shutil, "disk_usage", lambda _: usage(free=10))
    with pytest.raises(MixlingError, match=r"must be fetched from hub .* room for 10 bytes only"):
        load("miracl", "dev", languages=["sw"])
    assert hub.fetched() == []


def test_a_busy_hub_is_asked_again_and_then_named(hub, monkeypatch):
    from huggingface_hub.utils import _http

    pauses = []
    monkeypatch.setattr(_http.time, "sleep", pauses.append)
    miracl(hub)
    shard = "miracl-corpus-v1.0-sw/docs-0.jsonl.gz"
    hub.busy[shard] = 2
    assert load("miracl", "dev", languages=["sw"]).passages.num_rows == 3 and len(pauses) >= 2
    hub.busy["miracl-corpus-v1.0-yo/docs-0.jsonl.gz"] = 1000
    with pytest.raises(MixlingError, match=r"refuses further requests for now \(429\).*HF_TOKEN"):
        load("miracl", "dev", languages=["yo"])


def test_without_a_network_the_message_has_the_command(hub, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(
        MixlingError,
        match=r"miracl: cannot fetch 'miracl/miracl'.*`hf download --repo-type dataset "
        rf"miracl/miracl --revision {PINNED} --include .*topics.miracl-v1.0-sw-dev.tsv.* "
        r"--local-dir miracl/miracl--miracl`, and set MIXLING_DATA",
    ):
        load("miracl", "dev", languages=["sw"])
    miracl(hub)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    load("miracl", "dev", languages=["sw"])
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert load("miracl", "dev", languages=["sw"]).queries.num_rows == 2


def test_a_folder_of_hf_download_is_read_with_its_commit(hub, tmp_path):
    from huggingface_hub import snapshot_download

    miracl(hub)
    for name in ("miracl", "miracl-corpus"):
        snapshot_download(
            f"miracl/{name}", repo_type="dataset", local_dir=tmp_path / f"data/miracl/{name}"
        )
    assert list((tmp_path / "data").rglob("*.jsonl.gz.metadata"))
    corpus = load("miracl", "dev")
    assert corpus.passages.num_rows == 6 and corpus.languages() == ["sw", "yo"]
    assert dict(corpus.origin) == {"hub files in miracl": f"{PINNED} {PINNED_CORPUS}"}
    assert len(hub_revisions(tmp_path / "data/miracl")) == 2


def test_a_download_that_was_cut_off_goes_on(hub, monkeypatch):
    """Both kinds: a file of the hub, and one of an address."""
    text = os.urandom(3 << 20)
    files = {"a/b.bin": text * 4}
    hub.put("some/set", files)
    hub.cut["a/b.bin"] = 11 << 20  # the hub's client writes pieces of 10 MiB
    folder = fetch.cache_folder() / "data/plain"
    source = replace(
        SOURCES["sib-200"],
        name="plain",
        folder_name="plain",
        repositories=(Repository("some/set", lambda *_: [Files("a/*.bin")]),),
        downloads=(Download(f"{hub.address}/c.bin", sha256=hashlib.sha256(text).hexdigest()),),
    )
    hub.plain["/c.bin"] = text
    hub.cut["/c.bin"] = 1 << 20
    with pytest.raises(
        MixlingError, match=r"c\.bin cannot be fetched \(the connection ended after 1,048,576 of"
    ):
        fetch.fetch_source(source, "test", None)
    assert (folder / "some--set/a/b.bin").read_bytes() == text * 4
    fetch.fetch_source(source, "test", None)
    assert (folder / "c.bin").read_bytes() == text
    ranges = [r for method, path, r in hub.requests if method == "GET" and path == "/c.bin"]
    assert ranges == ["", f"bytes={1 << 20}-"]
    hub_ranges = [r for m, path, r in hub.requests if m == "GET" and path.endswith("a/b.bin")]
    assert len(hub_ranges) == 2 and hub_ranges[1] == f"bytes={10 << 20}-"


def packed_set(kind="zip", inside="sib-200-1/data/annotated"):
    """SIB-200's files of two languages in a packed file."""
    rows = {
        "eng_Latn": [("0", 'She said "no".'), ("1", "It rained.")],
        "swh_Latn": [("0", 'Alisema "hapana".'), ("1", "Mvua ilinyesha.")],
    }
    content = {f"{inside}/.hidden": b"x", "__MACOSX/._a": b"x", "sib-200-1/README.md": b"# SIB"}
    for code, texts in rows.items():
        for split, (key, text) in zip(("train", "test"), texts, strict=True):
            table = f"index_id\tcategory\ttext\n{key}\ttravel\t{text}\n"
            content[f"{inside}/{code}/{split}.tsv"] = table.encode()
    out = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(out, "w") as archive:
            for name, raw in content.items():
                archive.writestr(name, raw)
    else:
        with tarfile.open(fileobj=out, mode="w:gz") as archive:
            for name, raw in content.items():
                member = tarfile.TarInfo(name)
                member.size = len(raw)
                archive.addfile(member, io.BytesIO(raw))
    return out.getvalue()


@pytest.mark.parametrize("kind", ["zip", "tgz"])
def test_a_packed_file_is_fetched_once_checked_and_read(kind, hub, monkeypatch):
    raw = packed_set(kind)
    hub.plain[f"/1.{kind}"] = raw

    def at(**options):
        download = Download(
            f"{hub.address}/1.{kind}", **{"inside": "sib-200-1/data/annotated", **options}
        )
        source = replace(SOURCES["sib-200"], downloads=(download,))
        monkeypatch.setitem(catalog.SOURCES, "sib-200", source)

    right = hashlib.sha256(raw).hexdigest()
    at(sha256="0" * 64)
    with pytest.raises(MixlingError, match=rf"has SHA-256 {right}, expected 0000"):
        load("sib-200", "train")
    at(content="0" * 64)
    with pytest.raises(MixlingError, match="The publication has changed"):
        load("sib-200", "train")
    at(inside="elsewhere")
    with pytest.raises(MixlingError, match=r"no folder 'elsewhere' any more\. Get .* MIXLING_DATA"):
        load("sib-200")
    at(sha256=right)
    corpus = load("sib-200", "train")
    assert corpus.queries["text"].to_pylist() == ['She said "no".', 'Alisema "hapana".']
    assert corpus.languages() == ["en", "sw"]
    assert dict(corpus.origin) == {f"{hub.address}/1.{kind}": right}
    asked = len(hub.requests)
    assert load("sib-200", "all").queries.num_rows == 4 and len(hub.requests) == asked
    folder = fetch.cache_folder() / "data/sib-200/1"
    at(content=content_hash(folder), sha256=right)
    assert load("sib-200", "all").queries.num_rows == 4
    hub.plain.clear()
    shutil.rmtree(fetch.cache_folder())
    with pytest.raises(
        MixlingError, match=rf"1\.{kind} cannot be fetched \(status 404\)\. Try again, or get .*"
    ):
        load("sib-200")


def test_a_fetch_that_is_killed_goes_on(hub, tmp_path):
    """A real process, killed while the second of two files comes."""
    _, corpus = miracl(hub, ("sw",))
    big = "miracl-corpus-v1.0-sw/docs-1.jsonl.gz"
    corpus.files[big] = lines({"docid": "11#0", "title": "T", "text": os.urandom(1 << 20).hex()})
    environment = {
        **os.environ,
        "HF_ENDPOINT": hub.address,
        "HF_HUB_OFFLINE": "0",
        "MIXLING_CACHE": str(tmp_path / "cache"),
    }
    code = (
        "import time, mixling\nfrom huggingface_hub import file_download as f\n"
        "get = f.http_get\n"
        "def slow(*a, **k):\n"
        "    get(*a, **k)\n"
        f"    if {big!r} in str(a): print('here', flush=True); time.sleep(60)\n"
        "f.http_get = slow\n"
        "print(mixling.load('miracl', 'dev', languages=['sw']).passages.num_rows)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, cwd=tmp_path
    )
    assert process.stdout.readline() == b"here\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = hub.fetched().count("miracl-corpus-v1.0-sw/docs-0.jsonl.gz")
    done = subprocess.run(
        [sys.executable, "-c", code.replace("time.sleep(60)", "pass")],
        env=environment,
        capture_output=True,
        cwd=tmp_path,
        text=True,
    )
    assert done.stdout.splitlines()[-1] == "3", done.stderr
    assert hub.fetched().count("miracl-corpus-v1.0-sw/docs-0.jsonl.gz") == before == 1


def test_files_are_found_by_the_end_of_their_path_and_never_beside_it(tmp_path):
    for path in (
        "x/a/one.tsv",
        "x/a/one.tsv.metadata",
        "x/a/two.tsv.gz",
        "x/.cache/huggingface/download/a/one.tsv.metadata",
        "x/.cache/huggingface/download/a/one.tsv",
        "__MACOSX/a/._one.tsv",
        "x/b/one.tsv",
        "x/a/one.tsv.txt",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("x")
    names = [p.relative_to(tmp_path).as_posix() for p in find_published(tmp_path, "a/*.tsv")]
    assert names == ["x/a/one.tsv", "x/a/two.tsv.gz"]
    with pytest.raises(MixlingError, match=r"has both x/a/one.tsv and x/b/one.tsv"):
        find_published(tmp_path, "one.tsv")
    assert matches("a/b.jsonl.gz", "a/*.jsonl") and matches("a/b.jsonl", "*/b.jsonl.gz")
    assert not matches("a/c/b.jsonl", "a/*.jsonl")


# -- mixling data check


def published_pairs(hub):
    """A Parquet set of the hub, as WikiQA's."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    def parquet(**columns):
        out = io.BytesIO()
        pq.write_table(pa.table(columns), out)
        return out.getvalue()

    good = parquet(query=["who?"], answer=["a mason"])
    return hub.put("some/pairs", {"pair/train-00000-of-00001.parquet": good}), parquet


def pair_source(**options):
    files = [Files("pair/train-*.parquet", ("query", "answer"))]
    return replace(
        SOURCES["sib-200"],
        name="pairs",
        folder_name="pairs",
        splits=("train",),
        downloads=(),
        repositories=(Repository("some/pairs", lambda *_: files, **options),),
    )


def test_a_check_reads_the_first_rows_of_each_form_and_no_more(hub, run, monkeypatch):
    _, corpus = miracl(hub)
    for split in ("train", "dev"):
        more, _ = miracl(hub, SOURCES["miracl"].languages, split)
        hub.repositories.setdefault("all", more).files.update(more.files)
    hub.repositories["datasets/miracl/miracl"] = hub.repositories.pop("all")
    hub.repositories["datasets/miracl/miracl-corpus"].files[
        "miracl-corpus-v1.0-sw/docs-0.jsonl.gz"
    ] = corpus.files["miracl-corpus-v1.0-sw/docs-0.jsonl.gz"]
    status, out, _ = run("data", "check", "miracl", "sample")
    assert status == 0, out
    assert "miracl: ok" in out and "sample: ok" in out
    assert "rows have docid, title, text" in out and "(pinned)" in out
    assert not any(p.endswith("docs-1.jsonl.gz") for p in hub.fetched())


def test_a_check_names_what_has_changed_and_what_is_gated(hub, run, monkeypatch):
    repository, parquet = published_pairs(hub)
    monkeypatch.setitem(catalog.SOURCES, "pairs", pair_source())
    assert run("data", "check", "pairs")[0] == 0
    repository.files["pair/train-00000-of-00001.parquet"] = parquet(question=["who?"], answer=["x"])
    status, out, _ = run("data", "check", "pairs")
    assert status == 1 and "rows without query; their fields are question, answer" in out
    assert "1 of 1 sources failed: pairs" in out
    repository.files = {"other/train-0.parquet": b""}
    assert (
        "has no file pair/train-*.parquet. Its files are: other/"
        in run("data", "check", "pairs")[1]
    )
    repository.files = {"pair/train-0.parquet": parquet(query=["a"], answer=["b"])}
    repository.gated = True
    status, out, _ = run("data", "check", "pairs")
    assert status == 0 and "pairs: gated" in out and "1 files" in out and "HF_TOKEN" in out
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert "pairs: ok" in run("data", "check", "pairs")[1]


def test_a_check_asks_publishers_and_reads_everything_if_told_to(hub, run, monkeypatch):
    hub.plain["/1.zip"] = packed_set()
    download = Download(f"{hub.address}/1.zip", "sib-200-1/data/annotated")
    source = replace(SOURCES["sib-200"], downloads=(download,))
    monkeypatch.setitem(catalog.SOURCES, "sib-200", source)
    status, out, _ = run("data", "check", "sib-200")
    assert status == 0 and f"{hub.address}/1.zip: " in out and "no checksum known" in out
    assert hub.requests[-1][2] == "bytes=0-3"
    status, out, _ = run("data", "check", "--full", "sib-200")
    assert status == 0 and "test: 2 queries, 2 passages, 0 bad rows" in out
    hub.plain.clear()
    status, out, _ = run("data", "check", "sib-200")
    assert status == 1 and "sib-200: failed" in out and "status 404" in out


def test_first_rows_of_tables_with_odd_line_ends_and_of_other_forms():
    def rows(name, raw):
        return list(iter_first_rows(io.BytesIO(raw), name, len(raw)))

    table = "7\tone\rtwo\u2028three\n8\tfour\r\n".encode()
    assert rows("a.tsv", table) == [
        {"0": "7", "1": "one\rtwo\u2028three"},
        {"0": "8", "1": "four"},
    ]
    assert rows("a.tsv", b"index_id\ttext\n1\tx\n") == [{"index_id": "1", "text": "x"}]
    assert rows("a.json", b'{"data": []}') == [{"data": []}]
    assert rows("a.jsonl.gz", gzip.compress(b'{"a": 1}\n\n{"a": 2}\n')) == [{"a": 1}, {"a": 2}]
    with pytest.raises(MixlingError, match="files of this format cannot be checked"):
        rows("a.xml", b"<a/>")
