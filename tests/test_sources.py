"""Readers of published sources: counts where a source is here, else small files of its form."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mixling.corpora.catalog import SOURCES, find_source, load
from mixling.errors import MixlingError
from mixling.evaluation.benchmarks import default_split, load_task


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


def test_miracl(data):
    root = data / "miracl"
    put(
        root / "miracl-v1.0-sw/topics/topics.miracl-v1.0-sw-dev.tsv",
        "1#0\tNani aliandika?\n2#0\tLini ilianza?\n",
    )
    put(
        root / "miracl-v1.0-sw/qrels/qrels.miracl-v1.0-sw-dev.tsv",
        "1#0\tQ0\t10#0\t1\n1#0\tQ0\t10#1\t0\n2#0\tQ0\t11#0\t1\n",
    )
    rows = [
        {"docid": f"{a}#{b}", "title": "Kichwa", "text": f"Maandishi {a} {b}"}
        for a in (10, 11, 12)
        for b in (0, 1)
    ]
    put(root / "miracl-corpus-v1.0-sw/docs-0.jsonl.gz", rows)
    judged, full = load("miracl", "dev"), load("miracl", "dev-full")
    assert judged.passages.num_rows == 3 and full.passages.num_rows == 6
    assert pairs(judged) == {
        ("Nani aliandika?", "Maandishi 10 0", 1),
        ("Lini ilianza?", "Maandishi 11 0", 1),
    }
    one = load_task("miracl")
    assert one.titles[0] == "Kichwa" and one.scenarios() == ["monolingual"] and one.name == "miracl"
    assert len(load_task("miracl:dev-full").passages) == 6


def test_mr_tydi(data):
    root = data / "mr-tydi"

    def passage(n, language):
        return {"docid": f"{n}#0", "title": "T", "text": f"{language} text {n}"}

    for language in ("swahili", "thai"):
        rows = [
            {
                "query_id": str(q),
                "query": f"{language} question {q}",
                "positive_passages": [passage(q, language)],
                "negative_passages": [passage(q + 50, language)],
            }
            for q in range(2)
        ]
        put(root / f"mrtydi-v1.1-{language}/test.jsonl.gz", rows)
        put(
            root / f"mrtydi-v1.1-{language}/corpus.jsonl.gz",
            [passage(n, language) for n in (0, 1, 50, 51, 90)],
        )
    judged, full = load("mr-tydi", "test"), load("mr-tydi", "test-full")
    assert (judged.queries.num_rows, judged.passages.num_rows, full.passages.num_rows) == (4, 8, 10)
    assert ("thai question 1", "thai text 1", 1) in pairs(full) and len(pairs(full)) == 4
    assert set(load_task("mr-tydi").languages) == {"sw", "th"}


def test_ciral(data):
    root = data / "ciral"
    put(root / "ciral-hausa/topics/topics.ciral-v1.0-ha-dev.tsv", "4\tWhere do herders live?\n")
    put(
        root / "ciral-hausa/qrels/qrels.ciral-v1.0-ha-dev.tsv",
        "4 Q0 DailyTrust#1#0 1\n4 Q0 DailyTrust#2#0 0\n",
    )
    rows = [
        {"docid": f"DailyTrust#{n}#0", "title": "L", "text": f"labari {n}", "url": ""}
        for n in (1, 2, 3)
    ]
    put(root / "passages-v1.0/hausa_passages.jsonl.gz", rows)
    assert (
        load("ciral", "dev").passages.num_rows == 2
        and load("ciral", "dev-full").passages.num_rows == 3
    )
    assert pairs(load("ciral")) == {("Where do herders live?", "labari 1", 1)}
    assert load_task("ciral").scenarios() == ["cross-lingual"]


def test_neuclir_keeps_grades(data):
    root = data / "neuclir"
    topics = [
        {
            "lang": "eng",
            "source": "original",
            "topic_title": "Dams",
            "topic_description": "Find dams.",
        }
    ]
    put(
        root / "topics.jsonl",
        [{"topic_id": "7", "topics": [{"lang": "rus", "topic_title": "x"}, *topics]}],
    )
    put(root / "qrels.neuclir", "7 0 a 3\n7 0 b 1\n7 0 c 0\n")
    put(
        root / "rus.jsonl",
        [{"id": "a", "title": "П", "text": "плотина"}, {"id": "d", "title": "", "text": "мост"}],
    )
    put(
        root / "zho.jsonl",
        [{"id": "b", "title": "", "text": "水坝"}, {"id": "c", "title": "", "text": "桥"}],
    )
    assert pairs(load("neuclir")) == {
        ("Dams Find dams.", "плотина", 3),
        ("Dams Find dams.", "水坝", 1),
    }
    one = load_task("neuclir:test-full")
    assert len(one.passages) == 4 and sorted(one.grades.tolist()) == [1, 3]


def test_mmarco(data):
    root = data / "mmarco"
    for language, word in (("english", "en"), ("german", "de")):
        put(
            root / f"collections/{language}_collection.tsv",
            "".join(f"{n}\t{word} passage {n}\n" for n in range(5)),
        )
        for split, name in (("train", "train"), ("dev", "dev.small")):
            put(
                root / f"queries/{split}/{language}_queries.{name}.tsv",
                f"100\t{word} query\n101\t{word} other\n",
            )
    put(root / "triples.train.ids.small.tsv", "100\t0\t1\n101\t2\t3\n")
    put(root / "qrels.dev.small.tsv", "100\t0\t4\t1\n")
    train, dev = load("mmarco", "train"), load("mmarco", "dev")
    assert train.passages.num_rows == 8 and dev.passages.num_rows == 2
    assert ("de query", "en passage 0", 1) in pairs(train) and (
        "en query",
        "de passage 4",
        1,
    ) in pairs(dev)
    assert default_split(SOURCES["mmarco"]) == "dev"


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
    assert "ciral: fetched when it is first used (hub CIRAL/ciral" in out
    assert "miracl: fetched when it is first used, once you have accepted its terms" in out
