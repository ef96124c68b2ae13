"""Readers of published sources: counts where a source is here, else small files of its form."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mixling.corpora.catalog import SOURCES, find_source, load, loaded_split
from mixling.corpora.folder import write_folder
from mixling.debiasing.debias import read_source
from mixling.errors import MixlingError
from mixling.evaluation.benchmarks import load_task
from mixling.preparation.mine_negatives import mine_negatives
from mixling.training.bitext import load_bitext
from mixling.training.config import SourceConfig
from mixling.training.training_data import load_source


def put(path, content):
    """Text, or rows as JSON lines; gzipped if the name says so."""
    text = (
        content
        if isinstance(content, str)
        else "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in content)
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("MIXLING_DATA", str(tmp_path))
    return tmp_path


def pairs(corpus):
    """{(question text, passage text, grade)}"""
    question = {}
    for text, group in zip(
        corpus.queries["text"].to_pylist(), corpus.queries["group"].to_pylist(), strict=True
    ):
        question.setdefault(group, []).append(text)
    passage = corpus.passages["text"].to_pylist()
    links = corpus.links.to_pydict()
    return {
        (q, passage[p], k)
        for g, p, k in zip(links["group"], links["passage"], links["grade"], strict=True)
        for q in question.get(g, [])
    }


CASES = [
    (s.name, split) for s in SOURCES.values() for split in s.counts if split in ("test", "dev")
]


@pytest.mark.parametrize("name, split", CASES)
def test_counts_of_the_published_sets(name, split):
    if find_source(name) is None:
        pytest.skip(f"{name} is not on this machine")
    corpus = load(name, split)
    assert (corpus.queries.num_rows, corpus.passages.num_rows) == SOURCES[name].counts[split]
    assert set(corpus.languages()) <= set(SOURCES[name].languages)


def test_beir_with_grades_and_one_language(tmp_path):
    put(
        tmp_path / "nf/corpus.jsonl",
        [{"_id": f"d{n}", "title": "", "text": f"text {n}"} for n in range(3)],
    )
    put(tmp_path / "nf/queries.jsonl", [{"_id": "q", "text": "what?"}])
    put(
        tmp_path / "nf/qrels/test.tsv", "query-id\tcorpus-id\tscore\nq\td0\t2\nq\td1\t1\nq\td2\t0\n"
    )
    one = load_task(str(tmp_path / "nf"), language="en")
    assert one.grades.tolist() == [2, 1] and one.scenarios() == ["monolingual"]
    with pytest.raises(MixlingError, match="language"):
        load_task(str(tmp_path / "nf"))


def test_trec_topics_qrels_and_corpus(tmp_path):
    put(tmp_path / "t/topics.tsv", "1\tfirst question\n2\tsecond question\n")
    put(tmp_path / "t/qrels.txt", "1 0 a 2\n1 0 b 0\n2 0 b 1\n")
    put(
        tmp_path / "t/corpus.jsonl",
        [{"docid": "a", "text": "one"}, {"id": "b", "contents": "zwei", "language": "de"}],
    )
    one = load_task(str(tmp_path / "t"), language="en")
    assert one.languages == ("de", "en") and one.grades.tolist() == [2, 1]
    with pytest.raises(MixlingError, match="--language"):
        load_task(str(tmp_path / "t"))


@pytest.fixture
def bitext(data):
    rows = [
        {
            "language": code,
            "split": "test",
            "index_id": n,
            "category": "x",
            "text": f"{code} sentence {n}",
        }
        for code in ("eng_Latn", "swh_Latn", "deu_Latn")
        for n in range(4)
    ]
    (data / "sib-200").mkdir()
    pq.write_table(pa.Table.from_pylist(rows), data / "sib-200/sib-200.parquet")
    return data


def test_training_reads_the_training_split(bitext, tmp_path, caplog):
    file = bitext / "sib-200/sib-200.parquet"
    rows = pq.read_table(file).to_pylist()
    rows += [{**r, "split": "train", "text": f"learn {r['text']}"} for r in rows]
    pq.write_table(pa.Table.from_pylist(rows), file)
    found = [
        load_source(SourceConfig(name="sib-200"), skip_bad=False),
        load_bitext("sib-200"),
        read_source("sib-200", None)[0],
    ]
    mine_negatives("bm25", "sib-200", tmp_path / "mined")
    found.append(load(str(tmp_path / "mined")))
    found.append(load("sib-200"))
    for corpus in found:
        assert all(t.startswith("learn ") for t in corpus.passages["text"].to_pylist())
    assert "no split train" not in caplog.text


def test_training_on_a_source_that_is_measured_is_said(caplog):
    for name, source in SOURCES.items():
        assert (loaded_split(name) == "train") == ("train" in source.splits)
    if find_source("xquad-r") is None:
        pytest.skip("xquad-r is not on this machine")
    load("xquad-r")
    assert "no split train" not in caplog.text
    load_source(SourceConfig(name="xquad-r"), skip_bad=False)
    assert "source 'xquad-r' has no split train" in caplog.text


def test_a_sentence_looks_for_its_translations_and_not_for_itself(bitext):
    one = load_task("sib-200")
    assert len(one.queries) == len(one.passages) == 12 and len(one.relevant) == 24
    assert all(one.passages[c] == one.queries[q] for q, c in enumerate(one.excluded))
    assert one.scenarios() == ["cross-lingual", "multilingual"] and one.pivot == "en"


def test_pairs_of_two_languages_are_those_with_the_pivot(bitext, chain):
    from mixling.reports.evaluate import evaluate

    entry = evaluate(str(chain), ["sib-200"]).summary["tasks"]["sib-200"]
    assert set(entry["cross-lingual"]["by_language"]) == {"de-en", "en-de", "sw-en", "en-sw"}
    assert entry["multilingual"]["mAP"] > 0 and "monolingual" not in entry


def test_a_column_that_is_missing_or_empty_is_named(data):
    (data / "sib-200").mkdir()
    pq.write_table(pa.table({"language": ["eng_Latn"]}), data / "sib-200/sib-200.parquet")
    with pytest.raises(MixlingError, match="no column 'split'"):
        load("sib-200")


def test_the_list_has_every_benchmark_and_says_how_to_get_it(run, data):
    status, out, _ = run("data", "list")
    assert status == 0
    for name in SOURCES:
        assert name in out
    assert "ciral: Mixling fetches it at the first use (hub CIRAL/ciral" in out
    assert "miracl: Mixling fetches it at the first use, after you have accepted its terms" in out


def test_what_is_converted_keeps_the_name_of_its_split(run, tmp_path):
    for split in ("train", "test"):
        folder = tmp_path / split
        write_folder(load("sample", "test"), folder, split)
        assert run("data", "convert", str(folder), str(tmp_path / f"{split}-2"))[0] == 0
        assert (tmp_path / f"{split}-2" / "qrels" / f"{split}.tsv").exists()
