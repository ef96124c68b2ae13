"""MIRACL, CIRAL, Mr. TyDi, NeuCLIR and mMARCO as they are published: from a hub, and from a folder
that its client wrote."""

import gzip
import hashlib
import logging
import tracemalloc
from dataclasses import replace

import pytest
from tests.publications import collections as published
from tests.test_sources import pairs

from mixling.corpora import catalog
from mixling.corpora.catalog import SOURCES, load
from mixling.corpora.files import table_lines
from mixling.corpora.sources import mmarco
from mixling.errors import BadRowError, MixlingError, Skipped
from mixling.evaluation.benchmarks import default_split, load_task


def publish(hub, name, publication):
    """Put a source's data sets on the hub, at the commits that are pinned."""
    for repository in SOURCES[name].repositories:
        hub.put(repository.name, publication[repository.name], commit=repository.revision)


def download(hub, name, publication, tmp_path):
    """Write all files of a source's data sets into a folder as the hub's client does."""
    from huggingface_hub import snapshot_download

    publish(hub, name, publication)
    folder = tmp_path / "data" / name
    for repository in SOURCES[name].repositories:
        place = folder / repository.name.rpartition("/")[2]
        snapshot_download(
            repository.name, repo_type="dataset", revision=repository.revision, local_dir=place
        )
        assert list(place.rglob(".cache/huggingface/download/**/*.metadata"))
    return folder


def counts(corpus):
    return corpus.queries.num_rows, corpus.passages.num_rows, corpus.links.num_rows


@pytest.fixture
def nist(hub, monkeypatch):
    """NeuCLIR with topics and judgments at the test server, each with its own MD5."""
    publication, files = published.neuclir()
    publish(hub, "neuclir", publication)
    hub.plain.update(files)
    downloads = tuple(
        replace(
            d,
            address=d.address.replace("https://trec.nist.gov", hub.address),
            md5=hashlib.md5(files[d.address.removeprefix("https://trec.nist.gov")]).hexdigest(),
        )
        for d in SOURCES["neuclir"].downloads
    )
    source = replace(SOURCES["neuclir"], downloads=downloads)
    monkeypatch.setitem(catalog.SOURCES, "neuclir", source)
    return publication, files


def test_every_set_here_has_pinned_commits():
    for name in ("miracl", "ciral", "mr-tydi", "neuclir", "mmarco"):
        for repository in SOURCES[name].repositories:
            assert len(repository.revision) == 40 and int(repository.revision, 16)
    assert [r.gated for r in SOURCES["miracl"].repositories] == [True, False]
    assert all(len(d.md5) == 32 for d in SOURCES["neuclir"].downloads)


def test_miracl_from_the_hub(hub):
    publish(hub, "miracl", published.miracl())
    corpus = load("miracl", "dev", languages=["sw"])
    assert counts(corpus) == (2, 3, 2) and corpus.languages() == ["sw"]
    assert pairs(corpus) == {
        ('sw dev: who "built" it?', "sw text 0 0", 1),
        ("sw dev: when?", "sw text 0 2", 1),
    }
    assert sorted(hub.fetched()) == [
        "miracl-corpus-v1.0-sw/docs-0.jsonl.gz",
        "miracl-v1.0-sw/qrels/qrels.miracl-v1.0-sw-dev.tsv",
        "miracl-v1.0-sw/topics/topics.miracl-v1.0-sw-dev.tsv",
    ]
    assert counts(load("miracl", "train-full", languages=["hi", "sw"])) == (4, 12, 4)
    task = load_task("miracl:dev@sw")
    assert task.titles[0] == "Title 0" and task.scenarios() == ["monolingual"]


def test_miracl_has_no_split_that_was_not_judged(hub):
    publish(hub, "miracl", published.miracl())
    with pytest.raises(MixlingError, match="unknown split of miracl 'test-a'"):
        load("miracl", "test-a", languages=["sw"])
    with pytest.raises(MixlingError, match="miracl:train: no data is left in the languages yo"):
        load("miracl", "train", languages=["yo"])
    with pytest.raises(MixlingError, match=r"no language 'nl'\. Its languages are: ar, bn"):
        load("miracl", "dev", languages=["nl"])
    assert not hub.fetched()


def test_miracl_from_a_folder(hub, tmp_path):
    folder = download(hub, "miracl", published.miracl(), tmp_path)
    assert counts(load("miracl", "dev")) == (6, 9, 6)
    full = load("miracl", "dev-full", languages=["hi", "yo"])
    assert counts(full) == (4, 12, 4) and full.languages() == ["hi", "yo"]
    assert load("miracl", "train").languages() == ["hi", "sw"]
    shard = folder / "miracl-corpus/miracl-corpus-v1.0-hi/docs-1.jsonl.gz"
    content = shard.read_bytes()
    shard.unlink()
    with pytest.raises(MixlingError, match=r"has 1 of the 2 files miracl-corpus-v1.0-hi/docs-\*"):
        load("miracl", "dev", languages=["hi"])
    shard.write_bytes(content[:-9])
    with pytest.raises(
        MixlingError, match=r"docs-1.jsonl.gz: the file cannot be read .* Fetch it again"
    ):
        load("miracl", "dev", languages=["hi"])
    (folder / "miracl/miracl-v1.0-sw/qrels/qrels.miracl-v1.0-sw-dev.tsv").unlink()
    with pytest.raises(MixlingError, match=r"the file miracl-v1.0-sw/qrels/.*-dev.tsv is missing"):
        load("miracl", "dev", languages=["sw"])


def test_a_relevant_document_that_the_collection_lacks_is_listed(hub):
    publication = published.miracl(["sw"])
    qrels = "miracl-v1.0-sw/qrels/qrels.miracl-v1.0-sw-dev.tsv"
    publication["miracl/miracl"][qrels] += b"2#0\tQ0\t99#0\t1\n"
    publish(hub, "miracl", publication)
    (line,) = load("miracl", "dev", languages=["sw"]).skipped
    assert "document '99#0', relevant to query '2#0', is left out" in line


def test_ciral_from_the_hub(hub):
    publish(hub, "ciral", published.ciral())
    corpus = load("ciral", "dev", languages=["en", "ha"])
    assert counts(corpus) == (2, 3, 2)
    assert load_task("ciral:dev@en,ha").scenarios() == ["cross-lingual"]
    assert pairs(corpus) == {
        ("Where do herders of hausa live (dev)?", "ha passage 1 0", 1),
        ("Who leads hausa (dev)?", "ha passage 2 0", 1),
    }
    assert hub.fetched()[:3] == [
        "ciral-hausa/topics/topics.ciral-v1.0-ha-dev.tsv",
        "ciral-hausa/qrels/qrels.ciral-v1.0-ha-dev.tsv",
        "passages-v1.0/hausa_passages.jsonl",
    ]
    assert not [f for f in hub.fetched() if f.startswith("translated")]
    with pytest.raises(
        MixlingError, match=r"no data is left .* ha\. .* queries are in en, .* both"
    ):
        load("ciral", "dev", languages=["ha"])


def test_ciral_from_a_folder(hub, tmp_path):
    """The ids of queries are the same in all languages, the queries are others."""
    folder = download(hub, "ciral", published.ciral(), tmp_path)
    dev = load("ciral", "dev")
    assert counts(dev) == (8, 12, 8)
    assert sorted(dev.queries["id"].to_pylist())[:3] == ["ha:4", "ha:5", "so:4"]
    assert counts(load("ciral", "dev-full")) == (8, 32, 8)
    assert counts(load("ciral", "test-a")) == (8, 12, 8)
    pools = load("ciral", "test-a-pools")
    assert counts(pools) == (8, 20, 12) and not pools.skipped
    assert "Who leads yoruba (test-a)?" in pools.queries["text"].to_pylist()
    test_b = load("ciral", "test-b")
    assert counts(test_b) == (8, 13, 8)
    assert (
        len(test_b.skipped) == 1
        and "query '23' is left out, because it has no topic" in test_b.skipped[0]
    )
    assert set(load("ciral", "test-b", languages=["en", "yo"]).skipped) == set()
    passages = folder / "ciral-corpus/passages-v1.0/somali_passages.jsonl"
    passages.unlink()  # the translated file of the same name does not stand in
    with pytest.raises(
        MixlingError, match=r"the file passages-v1.0/somali_passages.jsonl is missing"
    ):
        load("ciral", "dev", languages=["en", "so"])
    passages.write_text('{"docid": "NEWS#1#0", "title": "x"\n')
    with pytest.raises(BadRowError, match=r"somali_passages.jsonl:1: field 'json'"):
        load("ciral", "dev", languages=["en", "so"])


@pytest.mark.parametrize("split, n_passages", [("test", 4), ("dev", 4), ("test-full", 10)])
def test_mr_tydi_takes_texts_from_the_collection(split, n_passages, hub):
    publish(hub, "mr-tydi", published.mr_tydi())
    corpus = load("mr-tydi", split, languages=["sw", "th"])
    base = split.removesuffix("-full")
    assert counts(corpus) == (4, 2 * n_passages, 8) and corpus.languages() == ["sw", "th"]
    assert (f"thai {base} 1?", "thai text 4#1", 1) in pairs(corpus)
    assert set(corpus.passages["title"].to_pylist()) >= {"Title 3#0", "Title 4#1"}
    assert sorted(hub.fetched()) == sorted(
        f"mrtydi-v1.1-{name}/{file}.jsonl.gz"
        for name in ("swahili", "thai")
        for file in (base, "corpus")
    )


def test_mr_tydi_train_fills_the_texts_that_are_empty(hub):
    publish(hub, "mr-tydi", published.mr_tydi())
    corpus = load("mr-tydi", "train", languages=["ko"])
    assert counts(corpus) == (2, 4, 2) and corpus.negatives.num_rows == 2 and not corpus.skipped
    texts = corpus.passages["text"].to_pylist()
    assert [texts[r] for r in corpus.negatives["passage"].to_pylist()] == [
        "korean text 2#0",
        "korean text 2#1",
    ]


def test_mr_tydi_from_a_folder(hub, tmp_path):
    publication = published.mr_tydi()
    finnish = publication["castorini/mr-tydi-corpus"]["mrtydi-v1.1-finnish/corpus.jsonl.gz"]
    lines = gzip.decompress(finnish).splitlines(keepends=True)
    publication["castorini/mr-tydi-corpus"]["mrtydi-v1.1-finnish/corpus.jsonl.gz"] = gzip.compress(
        b"".join(line for line in lines if b'"4#1"' not in line)
    )
    folder = download(hub, "mr-tydi", publication, tmp_path)
    corpus = load("mr-tydi", "test")
    assert counts(corpus) == (22, 43, 43) and len(corpus.languages()) == 11
    assert "combined?" not in corpus.queries["text"].to_pylist()
    (line,) = corpus.skipped
    assert "test.jsonl.gz:2: passage '4#1' of 'positive_passages' is left out" in line
    assert set(load_task("mr-tydi:test@sw,th").languages) == {"sw", "th"}
    (folder / "mr-tydi-corpus/mrtydi-v1.1-thai/corpus.jsonl.gz").unlink()
    with pytest.raises(
        MixlingError,
        match=r"the file mrtydi-v1.1-thai/corpus.jsonl.gz is missing, which has the texts of 4 "
        r"passages of test.jsonl.gz. Fetch hub castorini/mr-tydi-corpus",
    ):
        load("mr-tydi", "test", languages=["th"])
    (folder / "mr-tydi/mrtydi-v1.1-thai/test.jsonl.gz").unlink()
    with pytest.raises(MixlingError, match=r"the file mrtydi-v1.1-thai/test.jsonl.gz is missing"):
        load("mr-tydi", "test", languages=["th"])


def test_neuclir_from_the_hub_and_from_nist(hub, nist):
    corpus = load("neuclir", "2022")
    # topic 3 is judged nowhere; 1 in three languages, 2 in Russian
    assert counts(corpus) == (2, 7, 4) and not corpus.skipped
    assert pairs(corpus) == {
        ("eng dams 1 Find eng dams 1.", "fas text 0", 3),
        ("eng dams 1 Find eng dams 1.", "rus text 0", 1),
        ("eng dams 2 Find eng dams 2.", "rus text 1", 3),
        ("eng dams 1 Find eng dams 1.", "zho text 1", 1),
    }
    assert not [f for f in hub.fetched() if "-mt-eng-" in f or "2023" in f]
    assert any(name.endswith("/2022/2022-qrels.all") for name in corpus.origin)
    task = load_task("neuclir:2022-full@en,fa")
    assert len(task.passages) == 5 and task.grades.tolist() == [3] and len(task.queries) == 1
    assert default_split(SOURCES["neuclir"]) == "2022"


def test_neuclir_of_2023_fetches_one_language(hub, nist):
    corpus = load("neuclir", "2023", languages=["en", "fa"])
    assert counts(corpus) == (2, 3, 2)
    assert sorted(g for _, _, g in pairs(corpus)) == [2, 3]
    assert [f.rpartition("/")[2] for f in hub.fetched()] == [
        "fas-00000-of-00001.jsonl.gz",
        "neuclir-2023-topics.0605.jsonl",
        "neuclir-2023-qrels.final.tar.gz",
    ]
    with pytest.raises(
        MixlingError, match=r"no data is left .* fa\. .* in en, .* fa, ru, zh; both"
    ):
        load("neuclir", "2023", languages=["fa"])
    with pytest.raises(MixlingError, match=r"unknown split of neuclir 'test'.*2022, 2022-full"):
        load("neuclir", "test")


def test_a_file_with_another_md5_is_refused(hub, nist):
    hub.plain["/data/neuclir/2022/2022-qrels.all"] += b"\n"
    with pytest.raises(MixlingError, match=r"2022-qrels.all has MD5 [0-9a-f]{32}, expected .* get"):
        load("neuclir", "2022", languages=["en", "ru"])


def test_neuclir_from_a_folder(hub, nist, tmp_path):
    publication, files = nist
    folder = download(hub, "neuclir", publication, tmp_path)
    with pytest.raises(
        MixlingError, match=r"the file topics.0720.utf8.jsonl is missing. Get it from https"
    ):
        load("neuclir")
    for path, content in files.items():
        (folder / path.rpartition("/")[2]).write_bytes(content)
    assert counts(load("neuclir", "2022-full")) == (2, 15, 4)
    with pytest.raises(
        MixlingError, match=r"the file qrels.final.gains.fas is missing. Get it from https"
    ):
        load("neuclir", "2023")
    (folder / "2022-qrels.all").write_text("1 0 fas-0 3\n")
    with pytest.raises(BadRowError, match=r"2022-qrels.all:1: .*query, fas, rus or zho, document"):
        load("neuclir", "2022")
    (folder / "neuclir1/data/rus-00000-of-00001.jsonl.gz").unlink()
    (folder / "2022-qrels.all").write_bytes(files["/data/neuclir/2022/2022-qrels.all"])
    assert load("neuclir", "2022").languages() == ["en", "fa", "zh"]
    with pytest.raises(MixlingError, match=r"the file rus-00000-of-00001.jsonl.gz is missing"):
        load("neuclir", "2022", languages=["en", "ru"])


def test_mmarco_from_the_hub(hub):
    publish(hub, "mmarco", published.mmarco())
    dev = load("mmarco", "dev", languages=["de", "en"])
    assert counts(dev) == (2, 2, 2)
    passage = '"{}" pas\u2028sage\r 10'
    assert pairs(dev) == {
        (f"{asked} google query 2", passage.format(f"{found} google"), 1)
        for asked in ("german", "english")
        for found in ("german", "english")
    }
    assert sorted(hub.fetched()) == sorted(
        [
            "data/qrels.dev.small.tsv",
            *(
                f"data/google/{path.format(name)}"
                for name in ("german", "english")
                for path in (
                    "collections/{}_collection.tsv",
                    "queries/dev/{}_queries.dev.small.tsv",
                )
            ),
        ]
    )
    assert counts(load("mmarco", "dev-full", languages=["de"])) == (1, 12, 1)
    assert default_split(SOURCES["mmarco"]) == "dev"


def test_mmarco_train_keeps_some_negatives_of_each_query(hub, caplog, monkeypatch):
    publish(hub, "mmarco", published.mmarco(n_triples=10))
    caplog.set_level(logging.INFO, "mixling")
    monkeypatch.setattr(mmarco, "_BATCH", 3)  # a query's triples stand in several batches
    corpus = load("mmarco", "train", languages=["nl"])
    # of five triples a query, four; passages 0 and 1 and eight negatives
    assert counts(corpus) == (2, 10, 2) and corpus.negatives.num_rows == 8
    negatives = {}
    ids = corpus.passages["id"].to_pylist()
    for row in corpus.negatives.to_pylist():
        negatives.setdefault(row["query"], []).append(ids[row["passage"]])
    assert negatives == {0: ["2", "4", "6", "8"], 1: ["3", "5", "7", "9"]}
    assert "10 triples: 2 pairs, and the negatives of each query's first 4 triples" in caplog.text


def test_mmarco_from_a_folder(hub, tmp_path):
    names = ("english", "german", "hindi")
    folder = download(hub, "mmarco", published.mmarco(names), tmp_path)
    corpus = load("mmarco", "train")
    assert counts(corpus) == (6, 24, 6) and corpus.negatives.num_rows == 18
    assert not [t for t in corpus.passages["text"].to_pylist() if "helsinki" in t]
    data = folder / "mmarco/data"
    with pytest.raises(MixlingError, match=r"the file data/google/queries/dev/french_queries.dev"):
        load("mmarco", "dev", languages=["fr"])
    collection = data / "google/collections/hindi_collection.tsv"
    content = collection.read_bytes()
    collection.write_bytes(content[: len(content) // 2])
    with pytest.raises(
        BadRowError, match=r"hindi_collection.tsv:end: .*'no 10', expected all 1 ids .*; 1 are mis"
    ):
        load("mmarco", "dev", languages=["hi"])
    collection.write_bytes(content.replace(b"\t", b" "))
    with pytest.raises(BadRowError, match=r"hindi_collection.tsv:1: .*an id, a tab and a text"):
        load("mmarco", "dev", languages=["hi"])
    triples = data / "triples.train.ids.small.tsv"
    for wrong in ("0\t0\n", "0\t0\tx\n", "0\t0\t99999999\n", "-1\t0\t2\n", "0 0 2\n"):
        triples.write_text(f"1\t1\t2\n{wrong}")
        with pytest.raises(BadRowError, match=r"small.tsv:2: .*three ids below 16,777,216"):
            load("mmarco", "train", languages=["de"])
        assert len(load("mmarco", "train", languages=["de"], skip_bad=True).skipped) == 1
    triples.write_bytes(b"\xef\xbb\xbf1\t1\t2\r\n\r\n0\t0\t3")
    assert counts(load("mmarco", "train", languages=["de"])) == (2, 4, 2)


def peak_memory(call):
    """Bytes that a call takes at most at a time, beyond what there was before."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_table_is_read_in_constant_memory(suffix, tmp_path):
    peaks = []
    for megabytes in (2, 16):
        path = tmp_path / f"{megabytes}.tsv{suffix}"
        with gzip.open(path, "wb", 1) if suffix else path.open("wb") as out:
            out.writelines(published.large_table(megabytes << 20))
        peaks.append(peak_memory(lambda path=path: sum(1 for _ in table_lines(path))))
    assert max(peaks) < 1 << 20


def test_the_files_of_mmarco_are_read_in_constant_memory(tmp_path, monkeypatch):
    """What is kept are the texts that are named, and the pairs."""
    path = tmp_path / "english_collection.tsv"
    with path.open("wb") as out:
        out.writelines(published.large_table(16 << 20))
    named = {"5", "7"}
    peak = peak_memory(lambda: list(mmarco._iter_texts(path, named, named, Skipped())))
    assert peak < 1 << 20
    monkeypatch.setattr(mmarco, "_BATCH", 1 << 12)
    path = tmp_path / "triples.train.ids.small.tsv"
    peaks = []
    for n in (50_000, 400_000):  # ten queries: the pairs that are kept do not grow
        path.write_bytes(b"".join(b"%d\t%d\t%d\n" % (i % 10, i % 10, i % 9999) for i in range(n)))
        peaks.append(peak_memory(lambda: mmarco._read_triples(tmp_path, Skipped())))
    assert peaks[1] < 1.1 * peaks[0] < 4 << 20


@pytest.mark.parametrize("name", ["ciral", "mr-tydi", "mmarco"])
def test_data_check_finds_these_sets_as_they_are(name, hub, run):
    builders = {"ciral": published.ciral, "mr-tydi": published.mr_tydi, "mmarco": published.mmarco}
    publication = builders[name]()
    publish(hub, name, publication)
    status, out, _ = run("data", "check", name)
    assert status == 0, out
    assert f"{name}: ok" in out and "(pinned)" in out
    repository = SOURCES[name].repositories[-1].name
    for path, content in publication[repository].items():
        if path.endswith(("_passages.jsonl", "corpus.jsonl.gz")):
            raw = gzip.decompress(content) if path.endswith(".gz") else content
            raw = raw.replace(b'"docid"', b'"key"')
            publication[repository][path] = gzip.compress(raw) if path.endswith(".gz") else raw
        elif path.startswith("data/google") and path.endswith(".tsv"):
            publication[repository][path] = content.replace(b"\t", b" ")
    status, out, _ = run("data", "check", name)
    assert status == 1 and f"{name}: failed" in out and "has rows without" in out


def test_data_check_asks_nist_too(hub, nist, run):
    status, out, _ = run("data", "check", "neuclir")
    assert status == 0, out
    assert out.count("checksum known") == 4 and "rows have id, cc_file, time, title, text" in out
    del hub.plain["/data/neuclir/2022/2022-qrels.all"]
    status, out, _ = run("data", "check", "neuclir")
    assert status == 1 and "2022-qrels.all: status 404" in out
