"""Question answering and parallel sentences: fetched, from a folder as published, and as kept."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.publications import question_answering as published

from mixling.corpora import catalog, squad
from mixling.corpora.catalog import SOURCES, find_source, load
from mixling.corpora.check import check_source
from mixling.corpora.sources import afriqa, bitext, lareqa
from mixling.corpora.sources.tydi import is_held_out
from mixling.errors import BadRowError, MixlingError
from mixling.evaluation.benchmarks import default_split, load_task

TRAIN, DEV = published.tydi()
# what the publishers' servers have, by the last part of the address
SERVED = {
    "xquad-r": {f"{lareqa.COMMIT}.zip": published.zipped(published.lareqa(lareqa.COMMIT))},
    "mlqa-r": {f"{lareqa.COMMIT}.zip": published.zipped(published.lareqa(lareqa.COMMIT))},
    "mlqa": {"MLQA_V1.zip": published.zipped(published.mlqa())},
    "tydi": {
        "tydiqa-goldp-v1.1-train.json": TRAIN,
        "tydiqa-goldp-v1.1-dev.tgz": published.tarred(DEV),
    },
    "sib-200": {f"{bitext.SIB_COMMIT}.zip": published.zipped(published.sib(bitext.SIB_COMMIT))},
    "afriqa": {f"{afriqa.COMMIT}.zip": published.zipped(published.afriqa(afriqa.COMMIT))},
    "afriqa-human": {f"{afriqa.COMMIT}.zip": published.zipped(published.afriqa(afriqa.COMMIT))},
    "arcd": published.arcd(),
    "tico-19": published.tico(),
    "jaquad": published.jaquad(),
    "xquad-mlir": published.mlir(),
}
# the same files in a folder
UNPACKED = {
    **SERVED,
    "xquad-r": published.lareqa(lareqa.COMMIT),
    "mlqa-r": published.lareqa(lareqa.COMMIT),
    "mlqa": published.mlqa(),
    "tydi": {"tydiqa-goldp-v1.1-train.json": TRAIN, **DEV},
    "sib-200": published.sib(bitext.SIB_COMMIT),
    "afriqa": published.afriqa(afriqa.COMMIT),
    "afriqa-human": published.afriqa(afriqa.COMMIT),
}
# queries, passages, links and rows that are left out
COUNTS = {
    ("xquad-r", "test"): (8, 8, 8, 0),
    ("mlqa-r", "test"): (6, 6, 6, 0),
    ("mlqa", "dev"): (9, 7, 7, 0),
    ("mlqa", "test"): (9, 7, 7, 0),
    ("tydi", "train"): (6, 6, 6, 0),
    ("tydi", "dev"): (6, 6, 6, 0),
    ("sib-200", "test"): (6, 6, 6, 0),
    ("sib-200", "all"): (18, 18, 18, 0),
    ("tico-19", "all"): (42, 42, 42, 0),
    ("afriqa", "test"): (8, 9, 8, 1),
    ("afriqa-human", "test"): (8, 9, 8, 1),
    ("arcd", "train"): (2, 2, 2, 0),
    ("arcd", "test"): (2, 2, 2, 0),
    ("jaquad", "train"): (2, 2, 2, 0),
    ("jaquad", "dev"): (1, 1, 1, 0),
    ("xquad-mlir", "test"): (6, 8, 8, 0),
    ("xquad-mlir", "en"): (2, 8, 8, 0),
    ("xquad-mlir", "zh"): (2, 8, 8, 0),
}


def counts(corpus):
    tables = (corpus.queries, corpus.passages, corpus.links)
    return (*(table.num_rows for table in tables), len(corpus.skipped))


def put(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def serve(hub, monkeypatch, name, **options):
    """Let a source be fetched from the server; its checksums are those of our own files."""
    source, files = SOURCES[name], SERVED[name]
    for repository in source.repositories:
        hub.put(repository.name, files, commit=repository.revision or "0" * 40)
    downloads = []
    for download in source.downloads:
        last = download.address.rpartition("/")[2]
        hub.plain[f"/{name}/{last}"] = files[last]
        checks = {"sha256": hashlib.sha256(files[last]).hexdigest(), "content": None, **options}
        address = f"{hub.address}/{name}/{last}"
        downloads.append(replace(download, address=address, **checks))
    monkeypatch.setitem(catalog.SOURCES, name, replace(source, downloads=tuple(downloads)))


@pytest.mark.parametrize("name, split", COUNTS)
def test_a_set_is_fetched_and_read_from_a_folder_as_published(
    name, split, hub, monkeypatch, tmp_path
):
    serve(hub, monkeypatch, name)
    fetched = load(name, split)
    assert counts(fetched) == COUNTS[name, split]
    assert set(fetched.languages()) <= {*SOURCES[name].languages, "nl"}
    assert fetched.origin
    files = put(tmp_path / "data" / SOURCES[name].folder_name, UNPACKED[name])
    metadata = {
        f".cache/huggingface/download/{path}.metadata": f"{'a' * 40}\n1\n2\n".encode()
        for path in UNPACKED[name]
    }
    put(files, metadata)
    here = load(name, split)
    assert here.fingerprint() == fetched.fingerprint()
    assert list(here.origin.values()) == ["a" * 40]
    assert load(name, split, path=files).fingerprint() == fetched.fingerprint()


@pytest.mark.parametrize("name", sorted(SERVED))
def test_a_set_that_is_published_otherwise_is_refused_with_its_form(name, tmp_path):
    """An empty folder, and one with files of other sets."""
    (tmp_path / "empty").mkdir()
    others = {"notes.txt": b"x", "data.json": b"[]", "x/README.md": b"x"}
    for folder in (tmp_path / "empty", put(tmp_path / "others", others)):
        for split in SOURCES[name].splits:
            with pytest.raises(
                MixlingError,
                match=r"is missing|no file is named|neither .* nor a file|expected both",
            ) as caught:
                load(name, split, path=folder)
            assert "\n" not in str(caught.value) and str(folder) in str(caught.value)


def test_what_is_pinned():
    """Every set has a commit or a checksum for its files, but the one whose commit is not known."""
    for name in SERVED:
        source = SOURCES[name]
        assert source.is_fetched
        assert all(d.sha256 or d.content for d in source.downloads), name
        if name != "xquad-mlir":
            assert all(r.revision for r in source.repositories), name


@pytest.mark.parametrize("name", ["xquad-r", "mlqa-r", "sib-200", "afriqa"])
def test_other_contents_at_an_address_are_refused(name, hub, monkeypatch):
    """The checksums of the contents are those of the publication, and not of our files."""
    pinned = SOURCES[name].downloads[0].content
    serve(hub, monkeypatch, name, sha256=None, content=pinned)
    with pytest.raises(MixlingError, match=f"expected {pinned}. The publication has changed"):
        load(name)


KEPT = {
    "xquad-r": {
        Path(name).name: content
        for name, content in published.lareqa(lareqa.COMMIT).items()
        if "xquad-r" in name
    },
    "mlqa-r": {
        Path(name).name: content
        for name, content in published.lareqa(lareqa.COMMIT).items()
        if "mlqa-dev-r" in name
    },
    "tydi": published.xtreme_tydi(),
    "sib-200": {"sib-200.parquet": published.sib_table()},
    "tico-19": {"tico-19.parquet": published.tico_table()},
    "afriqa": {
        name.partition("/data/")[2]: content
        for name, content in published.afriqa(afriqa.COMMIT).items()
        if "/data/" in name
    },
    "arcd": published.arcd_hub(),
    "mlqa": {name.removeprefix("MLQA_V1/"): c for name, c in published.mlqa().items()},
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", sorted(KEPT))
def test_other_forms_of_a_set_give_the_same_corpus(name, packed, tmp_path):
    files = published.gzipped(KEPT[name]) if packed else KEPT[name]
    if packed and any(".parquet" in file for file in files):
        pytest.skip("Parquet packs itself")
    as_published = put(tmp_path / "published", UNPACKED[name])
    kept = put(tmp_path / "kept", files)
    for split in (s for n, s in COUNTS if n == name):
        one, other = (load(name, split, path=folder) for folder in (as_published, kept))
        assert one.fingerprint() == other.fingerprint()


@pytest.mark.parametrize(
    "name, split, languages",
    [
        ("xquad-r", "test", ["de", "zh"]),
        ("tydi", "dev", ["fi"]),
        ("sib-200", "test", ["en", "fa-AF"]),
        ("tico-19", "all", ["es-419", "en"]),
        ("afriqa", "test", ["sw", "en"]),
    ],
)
def test_a_selection_of_languages_reads_their_files_alone(name, split, languages, tmp_path):
    whole = load(name, split, path=put(tmp_path / "whole", UNPACKED[name]), languages=languages)
    spared = {
        "xquad-r": ("en.json", "es.json"),
        "tydi": ("english.json", "swahili.json"),
        "sib-200": ("swh_Latn/test.tsv",),
        "tico-19": ("en-fr.tsv", "en-kr.tsv", "en-prs.tsv", "en-ti_ER.tsv", "en-tl.tsv"),
        "afriqa": ("fon.fr.test.json",),
    }[name]
    broken = {
        file: b"\xff\xfe broken" if file.endswith(spared) else content
        for file, content in UNPACKED[name].items()
    }
    part = load(name, split, path=put(tmp_path / "part", broken), languages=languages)
    assert part.fingerprint() == whole.fingerprint()
    with pytest.raises(MixlingError, match="UTF-8"):
        load(name, split, path=tmp_path / "part")


@pytest.mark.parametrize(
    "name, known",
    [
        ("xquad-r", "de, en, es, zh"),
        ("tydi", "en, fi, sw"),
        ("sib-200", "en, fa-AF, sw"),
        ("tico-19", "en, es-419, fa-AF, fil, fr, kr, ti-ER"),
        ("afriqa", "en, fon, fr, sw, yo"),
        ("afriqa-human", "en, fr"),
    ],
)
def test_a_language_that_a_folder_lacks_is_named(name, known, tmp_path):
    folder = put(tmp_path, UNPACKED[name])
    for languages in (["kl"], ["en", "kl"]):
        with pytest.raises(
            MixlingError, match=f"'{name}' has no language 'kl'. Its languages are: {known}$"
        ):
            load(name, default_split(SOURCES[name]), path=folder, languages=languages)


def test_queries_of_afriqa_need_the_language_of_their_passages(tmp_path):
    folder = put(tmp_path, UNPACKED["afriqa"])
    with pytest.raises(MixlingError, match=r"has passages in en and fr only, none of them in sw"):
        load("afriqa", "test", path=folder, languages=["sw"])


def test_passages_of_mlqa_r_are_grouped_by_all_files(tmp_path):
    """A German and an English passage can be one group through a third that is not selected."""
    both = [published.paragraph("de", 1, "a"), published.paragraph("de", 2, "b")]
    one = published.paragraph("zh", 1, "a")
    one["qas"] += published.paragraph("zh", 1, "b")["qas"]
    put(tmp_path, {"de.json": published.squad(both), "zh.json": published.squad([one])})
    corpus = load("mlqa-r", path=tmp_path, languages=["de"])
    assert corpus.passages["group"].to_pylist() == ["a", "a"]


def test_mlqa_r_is_not_read_from_a_clone_that_has_xquad_r_alone(tmp_path):
    files = {n: c for n, c in UNPACKED["xquad-r"].items() if "mlqa-dev-r" not in n}
    with pytest.raises(
        MixlingError, match=r"no file is named like mlqa-dev-r/ar.json.*at commit 5405d2a7"
    ):
        load("mlqa-r", path=put(tmp_path, files))


def test_only_the_files_of_the_languages_and_the_split_are_fetched(hub, monkeypatch):
    serve(hub, monkeypatch, "tico-19")
    load("tico-19", "all", languages=["en", "es-419", "fil"])
    names = [f"{p}/{p}.en-{c}.tsv" for p in ("dev", "test") for c in ("es-LA", "tl")]
    assert sorted(hub.fetched()) == names
    hub.requests.clear()
    assert load("tico-19", "all", languages=["en"]).languages() == ["en"]
    assert sorted(hub.fetched()) == ["dev/dev.en-fr.tsv", "test/test.en-fr.tsv"]
    with pytest.raises(MixlingError, match=r"no language 'de'"):
        load("tico-19", "all", languages=["de"])
    hub.requests.clear()
    serve(hub, monkeypatch, "jaquad")
    load("jaquad", "dev")
    assert hub.fetched() == ["data/dev/jaquad_dev_0000.json"]
    hub.requests.clear()
    serve(hub, monkeypatch, "xquad-mlir")
    load("xquad-mlir", "zh")
    assert {name.rpartition("/")[0] for name in hub.fetched()} == {"MLIR-zh/XQuAD_test"}
    hub.requests.clear()
    for name, split, file in (
        ("tydi", "dev", "tydiqa-goldp-v1.1-dev.tgz"),
        ("arcd", "test", "arcd-test.json"),
    ):
        serve(hub, monkeypatch, name)
        load(name, split)
        assert hub.fetched().pop() == f"/{name}/{file}"
    assert len(hub.fetched()) == 2


def test_the_check_finds_the_files_and_their_fields(hub, monkeypatch):
    for name in SERVED:
        serve(hub, monkeypatch, name)
        checked = check_source(catalog.SOURCES[name])
        assert checked.status == "ok", checked.findings
    monkeypatch.setitem(SERVED, "jaquad", dict.fromkeys(published.jaquad(), b"{}"))
    serve(hub, monkeypatch, "jaquad")
    checked = check_source(catalog.SOURCES["jaquad"])
    assert checked.status == "failed" and "rows without data" in checked.findings[0]


def test_default_splits_work(hub, monkeypatch):
    for name in SERVED:
        if name not in ("mlqa", "tico-19"):  # made of lists of the real documents and queries
            serve(hub, monkeypatch, name)
            assert load_task(name).queries


# --- TyDi


def test_tydi_names_queries_by_language_and_place_and_keeps_places_in_train(tmp_path):
    folder = put(tmp_path, UNPACKED["tydi"])
    train, dev = load("tydi", "train", path=folder), load("tydi", "dev", path=folder)
    assert train.queries["id"].to_pylist() == ["en-1", "fi-1", "fi-2", "fi-3", "sw-1", "sw-2"]
    assert train.queries["text"].to_pylist()[1:4] == ["fi 0?", "fi 3?", "fi 4?"]
    assert train.passages["text"][0].as_py() == "  en 1: the lake is deep."
    assert train.links["start"].to_pylist() == [8] * 6
    assert dev.links["start"].to_pylist() == [None] * 6
    assert load("tydi", "train", path=folder, languages=["fi"]).queries.num_rows == 3


def test_tydi_holds_out_a_fifth_of_the_paragraphs_whatever_the_form(tmp_path):
    entries = [published._tydi_entry("swahili", n, f"swahili-{n}-{n}") for n in range(200)]
    for n in range(200):  # a second question on each paragraph
        qas = entries[n]["paragraphs"][0]["qas"]
        qas.append({**qas[0], "id": f"swahili-{200 + n}-0", "question": f"also {n}?"})
    held = [n for n, e in enumerate(entries) if is_held_out(e["paragraphs"][0]["context"])]
    kept = next(n for n in range(200) if n not in held)
    # a question that stands on two paragraphs, of which one is held out
    entries[kept]["paragraphs"][0]["qas"][0]["question"] = f" SWAHILI {held[0]}"
    content = published.to_json({"version": "v1.1", "data": entries})
    folder = put(tmp_path, {"tydiqa-goldp-v1.1-train.json": content})
    train, held_out, rest = (
        load("tydi", split, path=folder) for split in ("train", "held-out", "train-rest")
    )
    for table in ("queries", "passages"):
        ids = [set(getattr(c, table)["id"].to_pylist()) for c in (train, held_out, rest)]
        lost = ids[0] - ids[1] - ids[2]
        assert len(lost) == {"queries": 2, "passages": 1}[table] and not ids[1] & ids[2]
    assert rest.left_out == {
        "queries that meet tydi:held-out": 2,
        "passages that meet tydi:held-out": 1,
    }
    assert 20 < held_out.passages.num_rows < 60
    assert held_out.queries.num_rows == 2 * held_out.passages.num_rows
    for text in train.passages["text"].to_pylist():
        assert is_held_out(text) == is_held_out(f"\n {text.replace(' ', '  ')}")


def test_tydi_refuses_an_id_that_names_no_language(tmp_path):
    content = json.loads(TRAIN)
    content["data"][2]["paragraphs"][0]["qas"][0]["id"] = "12"
    folder = put(tmp_path, {"tydiqa-goldp-v1.1-train.json": published.to_json(content)})
    with pytest.raises(
        BadRowError, match=r"data\[2\]: field 'id': found \['12'\], expected ids of"
    ):
        load("tydi", "train", path=folder)
    corpus = load("tydi", "train", path=folder, skip_bad=True)
    assert counts(corpus) == (5, 5, 5, 1)


# --- SIB-200 and TICO-19


def test_quotation_marks_belong_to_the_texts_of_sib(tmp_path):
    corpus = load("sib-200", "train", path=put(tmp_path, UNPACKED["sib-200"]))
    assert corpus.queries["text"].to_pylist()[:3] == [
        '"eng_Latn" opens 1.',
        '"eng_Latn" opens 3.',
        'eng_Latn said "2".',
    ]
    assert corpus.languages() == ["en", "fa-AF", "sw"]


@pytest.mark.parametrize(
    "table, message",
    [
        (b"index_id\ttext\n1\tx\n", r"test.tsv:1: field 'header'.*index_id, category, text"),
        (b"index_id\tcategory\ttext\n1\ttravel\n", r"test.tsv:2: field 'text'.*tabs between"),
        (b"index_id\tcategory\ttext\n1\ttravel\t \n", r"test.tsv:2: field 'text'.*none empty"),
    ],
)
def test_a_wrong_table_of_sib_is_named(table, message, tmp_path):
    with pytest.raises(BadRowError, match=message):
        load("sib-200", "test", path=put(tmp_path, {"eng_Latn/test.tsv": table}))


def test_tico_divides_documents_and_not_the_publishers_parts(tmp_path):
    folder = put(tmp_path, UNPACKED["tico-19"])
    parts = {s: load("tico-19", s, path=folder) for s in ("all", "train", "test")}
    groups = {s: set(c.queries["group"].to_pylist()) for s, c in parts.items()}
    assert groups["train"] | groups["test"] == groups["all"] and len(groups["all"]) == 6
    assert not groups["train"] & groups["test"] and groups["train"] and groups["test"]
    for s in ("train", "test"):
        documents = {g.rpartition(":")[0] for g in groups[s]}
        assert all(bitext.is_test_document(d) == (s == "test") for d in documents)
    assert parts["all"].languages() == ["en", "es-419", "fa-AF", "fil", "fr", "kr", "ti-ER"]
    assert parts["all"].queries["text"][0].as_py() == 'es-LA: "1" \tx'


@pytest.mark.parametrize(
    "file, old, new, message",
    [
        ("dev/dev.en-fr.tsv", b"2.", b"4.", r"dev.en-fr.tsv:3: field 'sourceString'.*other files"),
        ("dev/dev.en-fr.tsv", b"CMU_1:2", b"CMU_1:1", r"dev.en-fr.tsv:3: field 'stringID'.*once"),
        ("dev/dev.en-fr.tsv", b"CMU_1:2", b"CMU_1", r"dev.en-fr.tsv:3: field 'stringID'.*number"),
        ("dev/dev.en-fr.tsv", b'"fr: ""2"" \tx"', b"", r"dev.en-fr.tsv:3: field 'targetString'"),
        ("dev/dev.en-fr.tsv", b"stringID", b"id", r"dev.en-fr.tsv:1: field 'header'"),
        ("test/test.en-tl.tsv", b"wiki_9:11", b"wiki_9:12", r"files of en-.+ lack 1 segments"),
    ],
)
def test_files_of_tico_that_do_not_fit_together_are_refused(file, old, new, message, tmp_path):
    files = dict(UNPACKED["tico-19"])
    files[file] = files[file].replace(old, new)
    assert files[file] != UNPACKED["tico-19"][file]
    with pytest.raises(MixlingError, match=message):
        load("tico-19", "all", path=put(tmp_path, files))


def test_tico_needs_both_parts(tmp_path):
    files = {n: c for n, c in UNPACKED["tico-19"].items() if n != "dev/dev.en-kr.tsv"}
    with pytest.raises(MixlingError, match=r"expected both dev/dev.en-kr.tsv and test/test.en-kr"):
        load("tico-19", "all", path=put(tmp_path, files))


# --- AfriQA


def test_afriqa_leaves_out_rows_without_a_query_and_keeps_their_passages(tmp_path):
    folder = put(tmp_path, UNPACKED["afriqa"])
    corpus, human = (load(x, "test", path=folder) for x in ("afriqa", "afriqa-human"))
    assert "yor.en.test.json:3: field 'question_lang'" in corpus.skipped[0]
    assert corpus.queries["language"].to_pylist() == ["fon"] * 3 + ["sw"] * 3 + ["yo"] * 2
    assert human.queries["language"].to_pylist() == ["fr"] * 3 + ["en"] * 5
    assert human.queries["group"].to_pylist() == corpus.queries["group"].to_pylist()


# --- MIMO's and SHIFT's benchmarks


def test_translations_of_a_query_of_mimo_are_one_group(tmp_path):
    folder = put(tmp_path, UNPACKED["xquad-mlir"])
    every, chinese = (load("xquad-mlir", s, path=folder) for s in ("test", "zh"))
    assert every.queries["group"].to_pylist() == ["56beb4343aeaaa14008c925b", "q_1"] * 3
    assert every.queries["language"].to_pylist() == ["de", "de", "en", "en", "zh", "zh"]
    assert chinese.queries["language"].to_pylist() == ["zh", "zh"]
    assert every.passages["language"].to_pylist() == [
        x for x in ("de", "nl", "en", "zh") for _ in "12"
    ]


def test_queries_of_mimo_that_differ_in_their_passages_stay_apart(tmp_path):
    files = dict(UNPACKED["xquad-mlir"])
    name = "MMLIR/XQuAD_test/qrels.jsonl"
    rows = [json.loads(line) for line in files[name].splitlines()]
    del rows[0]["de_56beb4343aeaaa14008c925b"]["zh_0_0"]
    files[name] = published.json_lines(rows)
    groups = load("xquad-mlir", path=put(tmp_path, files)).queries["group"].to_pylist()
    assert groups[0] == "de_56beb4343aeaaa14008c925b" and groups[1] == groups[3] == "q_1"


def test_a_benchmark_of_mimo_by_itself(tmp_path):
    """In a folder of its name, or alone; without a language a query's id tells it, else English."""
    part = "MMLIR/XQuAD_test/"
    files = {n.removeprefix(part): c for n, c in UNPACKED["xquad-mlir"].items() if part in n}
    rows = [json.loads(line) for line in files["queries.jsonl"].splitlines()]
    files["queries.jsonl"] = published.json_lines({r["_id"]: r["text"]} for r in rows)
    alone = put(tmp_path / "alone", files)
    named = put(tmp_path / "root/XQuAD_test", files).parent
    want = load("xquad-mlir", path=put(tmp_path / "all", UNPACKED["xquad-mlir"])).fingerprint()
    assert {load("xquad-mlir", path=f).fingerprint() for f in (alone, named)} == {want}
    with pytest.raises(BadRowError, match=r"found 'de', expected queries in 'en' only"):
        load("xquad-mlir", "en", path=alone)
    with pytest.raises(MixlingError, match=r"the file MLIR-en/XQuAD_test/queries.jsonl is missing"):
        mmlir = {n: c for n, c in UNPACKED["xquad-mlir"].items() if part in n}
        load("xquad-mlir", "en", path=put(tmp_path / "mmlir", mmlir))
    (alone / "qrels.jsonl").unlink()
    with pytest.raises(MixlingError, match=r"qrels\.jsonl is missing"):
        load("xquad-mlir", path=alone)


def test_a_folder_of_mimos_form_is_a_task(tmp_path):
    files = {
        "queries.jsonl": [
            {"_id": "q1", "text": "Who?"},
            {"_id": "q2", "text": "Wer?", "lang": "de"},
        ],
        "corpus.jsonl": [
            {"d1": {"text": "He.", "lang": "en"}},
            {"d2": {"text": "Hij.", "lang": "dt"}},
        ],
        "qrels.jsonl": [{"q1": {"d1": 1, "d2": 1}}, {"q2": {"d2": 1}}],
    }
    folder = put(tmp_path / "XQuAD_test", {n: published.json_lines(r) for n, r in files.items()})
    task = load_task(str(folder))
    assert task.name == "XQuAD_test" and task.languages == ("de", "en", "nl")
    assert len(task.relevant) == 3
    put(
        folder,
        {
            "queries.jsonl": published.json_lines(
                [*files["queries.jsonl"], {"_id": "q1", "text": "x"}]
            )
        },
    )
    with pytest.raises(MixlingError, match="two queries have the id 'q1'"):
        load_task(str(folder))


# --- answers and their places


def test_arcd_has_the_same_corpus_on_the_hub_and_from_its_authors(tmp_path):
    hub, authors = (
        put(tmp_path / "hub", published.arcd_hub()),
        put(tmp_path / "a", published.arcd()),
    )
    for split in ("train", "test"):
        assert (
            load("arcd", split, path=hub).fingerprint()
            == load("arcd", split, path=authors).fingerprint()
        )
    assert load("arcd", path=hub).links["start"].to_pylist() == [18, 20]
    with pytest.raises(
        MixlingError, match=r"no file is named like arcd-train.json or plain_text/train-"
    ):
        load("arcd", path=put(tmp_path / "both", {"arcd.json": b"{}"}))
    with pytest.raises(MixlingError, match="no column 'answers'"):
        table = published.parquet([{"id": "1", "context": "c", "question": "q"}])
        load("arcd", path=put(tmp_path / "x", {"plain_text/train-0-of-1.parquet": table}))


def read_one(tmp_path, answers, skip_bad=False):
    one = published.paragraph("en", 1)
    one["qas"][0]["answers"] = answers
    other = published.paragraph("en", 2)
    path = put(tmp_path, {"x.json": published.squad([one, other])}) / "x.json"
    return squad.read_squad([(path, "en", "en")], "x", skip_bad)


def test_an_answer_that_is_not_at_its_place_is_refused(tmp_path):
    right = {"text": "The town", "answer_start": 18}
    assert read_one(tmp_path, [right]).links["start"].to_pylist() == [18, 18]
    # at 17 is the blank before it, which belongs to no sentence
    for start in (0, 16, 17, 19, 500, -1, None, True):
        wrong = {"text": "The town", "answer_start": start}
        with pytest.raises(BadRowError, match=r"paragraphs\[0\]\.qas\[0\]: field 'answer_start'"):
            read_one(tmp_path, [wrong])
        # the query is left out; the next answer, which may be in another sentence, is not taken
        corpus = read_one(tmp_path, [wrong, right], skip_bad=True)
        assert counts(corpus) == (1, 2, 2, 1) and corpus.queries["id"].to_pylist() == ["q2"]
        assert corpus.links["start"].to_pylist() == [None, 18]
    assert counts(read_one(tmp_path, ["x", right], skip_bad=True)) == (1, 2, 2, 1)


def test_a_passage_of_a_bad_query_still_answers_its_translations(tmp_path):
    """Otherwise it would count as a wrong one, or be trained against."""
    bad = published.paragraph("de", 1)
    bad["qas"][0]["question"] = " "
    files = {
        "de.json": published.squad([bad]),
        "en.json": published.squad([published.paragraph("en", 1), published.paragraph("en", 2)]),
    }
    corpus = load("xquad-r", path=put(tmp_path, files), skip_bad=True)
    assert corpus.queries["language"].to_pylist() == ["en", "en"] and len(corpus.skipped) == 1
    links = list(zip(*corpus.links.select(["group", "passage"]).to_pydict().values(), strict=True))
    assert links == [("q1", 0), ("q1", 1), ("q2", 2)]
    assert corpus.passages["group"].to_pylist() == ["q1", "q1", "q2"]
    with pytest.raises(MixlingError, match="no query is linked"):
        alone = put(tmp_path / "alone", {"de.json": files["de.json"]})
        load("xquad-r", path=alone, skip_bad=True)


def test_an_answer_may_have_other_blanks_than_its_context(tmp_path):
    for text in ("The  town", "The\xa0town "):
        answer = {"text": text, "answer_start": 18}
        assert read_one(tmp_path, [answer]).links["start"].to_pylist() == [18, 18]
    answer = {"text": " The town", "answer_start": 17}  # as published: twelve in TyDi train
    assert read_one(tmp_path, [answer]).links["start"].to_pylist() == [17, 18]


def test_sentences_of_answers_are_found(hub, monkeypatch):
    serve(hub, monkeypatch, "jaquad")
    serve(hub, monkeypatch, "arcd")
    task = load_task("arcd-sentences")
    assert "The  town builds house 1." in task.passages
    answers = [task.passages[p] for _, p in task.relevant.tolist()]
    assert answers == ["The  town builds house 1.", "Die Stadt baut Haus 2."]
    (found,) = load_task("jaquad-sentences").relevant.tolist()
    assert load_task("jaquad-sentences").passages[found[1]] == "镇上建房子0。"


# --- the publications that are on this machine; test_sources has more of their counts


def load_here(name, split=None):
    if find_source(name) is None:
        pytest.skip(f"{name} is not on this machine")
    return load(name, split)


@pytest.mark.parametrize(
    "name, n_queries, n_passages", [("xquad-r", 1190, 240), ("mlqa-r", 1148, 0)]
)
def test_groups_of_lareqa(name, n_queries, n_passages):
    corpus = load_here(name)
    assert len(corpus.queries["group"].unique()) == n_queries
    assert n_passages in (0, len(corpus.passages["group"].unique()))


def test_rows_that_are_left_out_of_afriqa():
    corpus = load_here("afriqa", "test")
    assert len(corpus.skipped) == 4 and all("fill" in line for line in corpus.skipped)


def test_counts_of_tico():
    corpus = load_here("tico-19", "all")
    n = SOURCES["tico-19"].counts["all"]
    assert (corpus.queries.num_rows, corpus.passages.num_rows) == n == (116698, 116698)
