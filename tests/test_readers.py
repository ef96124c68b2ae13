"""All readers agree on values, rows, and the text that a model reads of a passage."""

import codecs
import gzip
import json
import math
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mixling
from mixling.corpora import folder, hub, squad, trec
from mixling.corpora.catalog import load
from mixling.corpora.corpus import CorpusBuilder
from mixling.corpora.tables import read_rows
from mixling.corpora.text_file import open_text_file
from mixling.corpora.values import grade_value, is_missing, passage_text, value_text
from mixling.encoding.read_vectors import load_vectors as vectors_of
from mixling.errors import BadRowError, MixlingError, Skipped
from mixling.evaluation.benchmarks import load_task
from mixling.evaluation.measure import measure
from mixling.searching.documents import open_documents
from mixling.searching.index import index
from mixling.searching.stores import open_store

PASSAGES = [
    {"_id": "a", "text": "Cranes sleep by the lake.", "language": "en", "title": "Cranes"},
    {"_id": "b", "text": "Brot wird nachts gebacken.", "language": "de"},
    {"_id": "c", "text": "Owls hunt voles.", "language": "en"},
]
QUERIES = [
    {"_id": "q", "text": "Where do cranes sleep?", "language": "en"},
    {"_id": "r", "text": "Wann wird Brot gebacken?", "language": "de"},
]


def lines(records):
    return "".join(json.dumps(row) + "\n" for row in records)


def own(
    where,
    passages=PASSAGES,
    queries=QUERIES,
    qrels="query-id\tcorpus-id\tscore\nq\ta\t1\nr\tb\t1\n",
):
    (where / "qrels").mkdir(parents=True)
    (where / "corpus.jsonl").write_text(lines(passages))
    (where / "queries.jsonl").write_text(lines(queries))
    (where / "qrels" / "test.tsv").write_text(qrels)
    return where


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "0"),
        (1.0, "1"),
        (1.5, "1.5"),
        (-0.0, "0"),
        (np.int64(7), "7"),
        (np.float32(2), "2"),
        (Decimal("3.0"), "3"),
        ("0", "0"),
        ("nan", "nan"),
        ("False", "False"),
        (None, None),
        (math.nan, None),
        (np.float64("nan"), None),
        (Decimal("nan"), None),
        ("", None),
        ("  ", None),
    ],
)
def test_what_a_cell_says(value, said):
    assert value_text(value, "group", "f", 1) == said and is_missing(value) == (said is None)


@pytest.mark.parametrize("value", [True, False, np.bool_(False), math.inf, [], [1], {}, b"a"])
def test_what_says_neither_is_refused(value):
    with pytest.raises(BadRowError, match="f:3: field 'group'"):
        value_text(value, "group", "f", 3)


@given(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(),
        st.lists(st.integers(), max_size=2),
    )
)
def test_any_value_is_text_missing_or_refused(value):
    try:
        said = value_text(value, "x", "f", 1)
    except BadRowError:
        assert isinstance(value, bool | list) or math.isinf(value)
    else:
        assert (said is None) == is_missing(value) and (said is None or said.strip())


@pytest.mark.parametrize(
    ("written", "read"),
    [("2", 2), ("1.0", 1), ("0.4", 1), ("0", 0), ("-1", -1), ("-0.2", 0), (3, 3)],
)
def test_grades(written, read):
    assert grade_value(written, "score", "f", 1) == read


@pytest.mark.parametrize("written", ["nan", "inf", "3000000000", "", "yes", None, True, []])
def test_what_is_no_grade_is_refused(written, tmp_path):
    with pytest.raises(BadRowError, match="'score'"):
        grade_value(written, "score", "f", 1)


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_ids_and_groups_that_are_zero_or_floats_of_pandas(tmp_path, kind):
    where = own(tmp_path / "f", qrels="query-id\tcorpus-id\tscore\n0\t0\t1\n1\t1\t1\n")
    table = [
        {"_id": float(i), "text": t, "language": x, "group": g}
        for i, (t, x, g) in enumerate(
            (("Ja.", "de", 0.0), ("Yes.", "en", 0.0), ("No.", "en", math.nan))
        )
    ]
    asked = [{"_id": i, "text": "Was?", "language": "de", "group": 0} for i in range(2)]
    for name, records in (("corpus", table), ("queries", asked)):
        (where / f"{name}.jsonl").unlink()
        path = where / f"{name}.{kind}"
        if kind == "parquet":
            pq.write_table(pa.Table.from_pylist(records), path)
        else:
            path.write_text(lines(records))
    corpus = load(str(where))
    assert corpus.passages["id"].to_pylist() == ["0", "1", "2"]
    assert corpus.queries["group"].to_pylist() == ["0", "0"]
    groups = corpus.passages["group"].to_pylist()
    assert groups[0] == groups[1] != groups[2]


def test_a_csv_of_floats_is_named_by_what_it_says(tmp_path):
    where = own(tmp_path / "f")
    (where / "corpus.jsonl").unlink()
    (where / "corpus.csv").write_text("_id,text,language\n1.0,Ja.,de\n")
    (where / "qrels" / "test.tsv").write_text("q\t1\t1\n")
    with pytest.raises(BadRowError, match=r"test.tsv:1: field 'corpus-id': found '1'"):
        load(str(where))


def test_columns_of_a_data_set_with_zeros_and_gaps(tmp_path):
    records = [
        {"q": "Wer?", "a": "Er.", "n": 0, "g": 0, "l": None, "no": ["Sie."]},
        {"q": "Who?", "a": "He.", "n": 1, "g": 0, "l": "en", "no": None},
    ]
    (tmp_path / "a.jsonl").write_text(lines(records))
    names = {
        "query": "q",
        "passage": "a",
        "id": "n",
        "passage_group": "g",
        "language": "l",
        "negative": "no",
    }
    corpus = hub.read_hub("json", names, "mine", language="de", path=str(tmp_path / "a.jsonl"))
    assert corpus.queries["id"].to_pylist() == ["0", "1"] and corpus.queries[
        "language"
    ].to_pylist() == [
        "de",
        "en",
    ]
    assert corpus.passages["group"].to_pylist()[:1] == ["0"] and corpus.negatives.num_rows == 1
    rows_of = [dict(r, n=0) for r in records]
    (tmp_path / "a.jsonl").write_text(lines([{**r, "l": "de"} for r in rows_of]))
    with pytest.raises(MixlingError, match="two queries have the id '0'"):
        hub.read_hub("json", names, "mine", language="de", path=str(tmp_path / "a.jsonl"))


def test_two_texts_of_one_id_are_refused_and_grades_keep_the_highest():
    builder = CorpusBuilder("x")
    first = builder.add_passage("1", "Ja.", "de")
    assert builder.add_passage("1", "Ja.", "de") == first != builder.add_passage("1", "Yes.", "en")
    with pytest.raises(MixlingError, match="two passages have the id '1'"):
        builder.add_passage("1", "Nein.", "de")
    assert builder.add_passage("T", "T", "de", title="A") != builder.add_passage(
        "T", "T", "de", title="B"
    )
    for value in (1, 3, 2):
        builder.add_link("g", first, grade=value)
    builder.add_query("q", "Was?", "de", "g")
    corpus = builder.build()
    assert corpus.links["grade"].to_pylist() == [3]
    # no text is shown, of which a corpus may hold millions
    assert (
        "passages=4" in repr(corpus) and "Nein." not in repr(corpus) and "Ja." not in repr(corpus)
    )


@pytest.mark.parametrize(
    "end", ["jsonl", "ndjson", "JSONL", "json", "csv", "tsv", "parquet", "jsonl.gz", "csv.gz"]
)
@pytest.mark.parametrize("form", ["plain", "bom and crlf"])
def test_rows_in_every_form(tmp_path, end, form):
    path, kind = tmp_path / f"corpus.{end}", end.lower().removesuffix(".gz")
    records = [{"_id": str(i), "text": f'Zeile {i}, "so"', "language": "de"} for i in range(3)]
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(records), path)
    else:
        if kind in ("csv", "tsv"):
            by = "," if kind == "csv" else "\t"
            body = [
                by.join('"' + v.replace('"', '""') + '"' for v in row.values()) for row in records
            ]
            text = "\n".join((by.join(records[0]), *body)) + "\n"
        else:
            text = json.dumps(records, indent=1) if kind == "json" else lines(records)
        raw = text.encode()
        if form != "plain":
            raw = codecs.BOM_UTF8 + (text + "\n\n").replace("\n", "\r\n").encode()
        path.write_bytes(gzip.compress(raw) if end.endswith("gz") else raw)
    assert [row for _, row in read_rows(path, Skipped())] == records
    own(tmp_path / "f", qrels="q 0 1 1\r\nr 0 2 1\r\n")
    (tmp_path / "f" / "corpus.jsonl").unlink()
    path.rename(tmp_path / "f" / path.name)
    corpus = load(str(tmp_path / "f"))
    assert corpus.passages["text"].to_pylist() == [row["text"] for row in records]
    assert corpus.links["passage"].to_pylist() == [1, 2]
    found = list(open_documents(tmp_path / "f", Skipped(), "de")[1])
    assert [d.id for d in found] == ["0", "1", "2"]


def test_json_of_one_object_of_data_and_of_lines(tmp_path):
    path = tmp_path / "a.json"
    for text, count in (
        ('{"text": "a"}', 1),
        ('{"data": [{"text": "a"}, {"text": "b"}]}', 2),
        ('{"text": "a"}\n{"text": "b"}\n', 2),
    ):
        path.write_text(text)
        assert len(list(read_rows(path, Skipped()))) == count


@pytest.mark.parametrize(
    ("text", "where"),
    [('text,a\n"x,1\ny,2\n', ":"), ("text,a\nx\n", ":2:"), ("text,text\nx,y\n", ":1:")],
)
def test_a_table_that_is_torn_is_refused_by_line(tmp_path, text, where):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(BadRowError, match=f"a.csv{where}"):
        list(read_rows(tmp_path / "a.csv", Skipped()))


def test_two_files_of_one_name_are_not_chosen_between(tmp_path):
    where = own(tmp_path / "f")
    (where / "corpus.csv").write_text("_id,text,language\na,b,en\n")
    with pytest.raises(MixlingError, match=r"corpus.jsonl and corpus\.csv"):
        load(str(where))


@pytest.mark.parametrize("coding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_refused_with_and_without_its_mark(tmp_path, coding):
    where = own(tmp_path / "f")
    raw = lines(PASSAGES).encode(coding)
    (where / "corpus.jsonl").write_bytes(raw)
    for name in ("a.txt", "a.md", "a.csv"):
        (tmp_path / name).write_bytes("Cranes sleep.\nOwls hunt.\n".encode(coding))
    with pytest.raises(BadRowError, match=r"corpus.jsonl:1: .*UTF-8"):
        load(str(where))
    with pytest.raises(BadRowError, match=r"a.txt:1: .*UTF-8"):
        open_text_file(tmp_path / "a.txt", 5).read_shard(0)
    for name in ("a.txt", "a.md", "a.csv"):
        with pytest.raises(BadRowError, match=f"{name}:1: .*UTF-8"):
            list(open_documents(tmp_path / name, Skipped(), "en")[1])


@pytest.mark.parametrize(
    "text",
    [
        "query-id\tcorpus-id\tscore\nq\ta\t2\n",
        "q\ta\t2\n",
        "query_id\tcorpus_id\tscore\r\nq\ta\t2\r\n\r\n",
        "q 0 a 2\n",
        "q\t0\ta\t2\n",
        "q Q0 a 2\n",
        "q a 2\n",
    ],
)
def test_judgements_in_every_form(tmp_path, text):
    corpus = load(str(own(tmp_path / "f", qrels=text)))
    assert corpus.links.select(["group", "passage", "grade"]).to_pylist() == [
        {"group": "q", "passage": 0, "grade": 2}
    ]


@pytest.mark.parametrize(
    "line", ["q\ta\tnan\n", "q\ta\tinf\n", "q\ta\t1\textra\n", "q\ta\n", "q 1 a 2 x\n"]
)
def test_a_judgement_that_cannot_be_read_is_refused(tmp_path, line):
    with pytest.raises(BadRowError, match=r"test.tsv:1: field '(score|line)'"):
        load(str(own(tmp_path / "f", qrels=line)))


def test_dev_is_measured_before_train_and_the_split_is_said(tmp_path):
    where = own(tmp_path / "f")
    (where / "qrels" / "test.tsv").rename(where / "qrels" / "train.tsv")
    assert load_task(str(where)).name == "f"
    (where / "qrels" / "dev.tsv").write_text("q\tc\t1\n")
    one = load_task(str(where))
    assert one.name == "f:dev" and [one.passages[c] for c in one.relevant[:, 1]] == [
        "Owls hunt voles."
    ]
    assert len(load_task(f"{where}:train").queries) == 2
    (where / "qrels" / "dev.tsv").rename(where / "qrels" / "mine.tsv")
    with pytest.raises(MixlingError, match="mine, train"):
        load_task(str(where))


def test_a_title_alone_is_the_text_everywhere(tmp_path, chain):
    bare = [*PASSAGES, {"_id": "d", "title": "Herons", "text": "", "language": "en"}]
    where = own(tmp_path / "f", bare)
    one = load_task(str(where))
    assert one.titled_passages()[3] == "Herons" == load(str(where)).passages["text"][3].as_py()
    assert [d.text for d in open_documents(where, Skipped())[1]][3] == "Herons"
    assert open_text_file(where, 10).read_shard(0)[1] == one.passages
    (where / "topics.tsv").write_text("q\tWhere?\n")
    (where / "qrels.txt").write_text("q 0 d 1\n")
    assert trec.read_trec(where, "en").passages["text"].to_pylist()[-1] == "Herons"
    with pytest.raises(BadRowError):
        passage_text({"title": None, "text": math.nan}, "f", 1)


def test_a_title_is_read_once_by_encode_index_and_evaluate(tmp_path, chain):
    where = own(tmp_path / "f")
    result = measure(str(chain), [str(where)])
    assert result.summary["tasks"]["f"]["titles"] == {"form": "title, space, text", "passages": 1}
    mixling.encode(str(chain), where, tmp_path / "v", precision="fp32")
    manifest = json.loads((tmp_path / "v" / "manifest.json").read_text())
    assert manifest["titles"] == {"form": "title, space, text", "texts": 1}
    made = []
    for name, more in (("one", {}), ("two", {"vectors": tmp_path / "v"})):
        report = index(str(chain), where, str(tmp_path / name), precision="fp32", **more)
        assert report.passages_titled == 1
        made.append(open_store(str(tmp_path / name)).table.to_arrow().sort_by("document"))
    one, two = (np.stack(t["vector"].to_numpy(zero_copy_only=False)) for t in made)
    assert np.abs(one - two).max() < 1e-5
    want = mixling.Retriever(str(chain)).encode(["Cranes Cranes sleep by the lake."], "passage")[0]
    assert np.abs(vectors_of(tmp_path / "v")[1][0] - want).max() < 1e-5
    assert (
        made[0]["title"].to_pylist()[0] == "Cranes"
        and made[0]["text"].to_pylist()[0] == PASSAGES[0]["text"]
    )
    store = open_store(str(tmp_path / "one"))
    store.write_info({k: v for k, v in store.info.items() if k != "titles"})
    with pytest.raises(MixlingError, match="titles"):
        index(str(chain), where, str(tmp_path / "one"), precision="fp32")


def test_one_text_under_two_titles_is_two_candidates_and_articles_names_are_no_titles(tmp_path):
    twins = [
        {**PASSAGES[0], "_id": i, "title": t}
        for i, t in (("x", "Model 3"), ("y", "Model 5"), ("z", "Model 5"))
    ]
    one = load_task(str(own(tmp_path / "f", twins, QUERIES[:1], "q\ty\t1\n")))
    assert one.titles == ["Model 3", "Model 5"] and one.relevant.tolist() == [[0, 1]]
    assert one.skipped["identical passages"] == 1
    paragraph = {"context": "Er baut.", "qas": [{"id": 0, "question": "Wer?", "answers": []}]}
    path = tmp_path / "de.json"
    path.write_text(json.dumps({"data": [{"title": "Bau", "paragraphs": [paragraph]}]}))
    corpus = squad.read_squad([(path, "de", "de")], "x")
    assert corpus.passages["title"].to_pylist() == [None] and corpus.queries["id"].to_pylist() == [
        "0"
    ]


def test_skip_bad_counts_names_and_never_moves_a_positive(tmp_path, run):
    bad = [
        *PASSAGES,
        {"_id": "d", "text": None, "language": "en"},
        {"_id": "a", "text": "Something else.", "language": "en"},
    ]
    where = own(tmp_path / "f", bad, QUERIES, "q\ta\t1\nq\td\t1\nr\tb\t1\n")
    with pytest.raises(BadRowError, match=r"corpus.jsonl:4"):
        load_task(str(where))
    one = load_task(str(where), skip_bad=True)
    # `a` stands twice: which of the two is meant is not known, so neither is an answer
    assert (
        one.queries == ["Wann wird Brot gebacken?"]
        and one.passages[one.relevant[0, 1]] == PASSAGES[1]["text"]
    )
    assert one.skipped["bad rows"] == len(one.bad_rows) == 4
    status, out, _ = run(
        "evaluate", "random", "--task", where, "--skip-bad", "-o", tmp_path / "out"
    )
    entry = json.loads((tmp_path / "out" / "summary.json").read_text())["tasks"]["f"]
    assert (
        status == 0
        and entry["skipped"]["bad rows"] == 4
        and "corpus.jsonl:4" in entry["bad_rows"][0]
    )
    assert "4 bad rows" in out and "corpus.jsonl:4" in out


def test_ids_stay_as_they_came_in_folders_and_trec_files(tmp_path, run):
    where = own(tmp_path / "f")
    status, out, _ = run("data", "convert", where, tmp_path / "g", "--split", "test")
    assert status == 0 and "several languages" not in out
    for name in ("corpus", "queries"):
        ids = [
            [json.loads(x)["_id"] for x in (p / f"{name}.jsonl").read_text().splitlines()]
            for p in (where, tmp_path / "g")
        ]
        assert ids[0] == ids[1]
    assert (tmp_path / "g" / "qrels" / "test.tsv").read_text() == (
        where / "qrels" / "test.tsv"
    ).read_text()
    assert run("evaluate", "random", "--task", where, "--trec", "-o", tmp_path / "out")[0] == 0
    assert (tmp_path / "out" / "trec" / "f.qrels").read_text() == "q 0 a 1\nr 0 b 1\n"
    both = CorpusBuilder("x")
    for language in ("de", "en"):
        both.add_query("1", f"Q {language}", language, "1")
        both.add_link("1", both.add_passage("7", f"P {language}", language, "7"))
    both.add_link("1", both.add_passage("Nur Text.", "Nur Text.", "de", "8"))
    assert folder.write_folder(both.build(), tmp_path / "h") == 4
    again = folder.read_folder(tmp_path / "h")
    assert again.passages["id"].to_pylist() == ["de:7", "en:7", "p2"]
    assert again.queries["id"].to_pylist() == ["de:1", "en:1"]


def test_rows_to_encode_have_ids_that_differ_and_groups_of_one_type(tmp_path, chain, run):
    path = tmp_path / "a.jsonl"
    records = [
        {"_id": None, "text": "cat", "group": 0, "language": "en"},
        {"text": "dog", "group": "b", "_id": math.nan},
    ]
    path.write_text(lines(records[:1]) + "\r\n\n" + lines(records[1:]) + "\n")
    ids, texts, more = open_text_file(path, 9).read_shard(0)
    assert ids == ["0", "3"] and texts == ["cat", "dog"]
    assert more == {"language": ["en", None], "group": ["0", "b"]}
    path.write_text(lines([{"_id": 0, "text": "cat"}, {"text": "dog"}]))
    with pytest.raises(BadRowError, match=r"a.jsonl:2: field '_id'"):
        open_text_file(path, 9).read_shard(0)
    path.write_text(lines([{"_id": 0, "text": "cat"}, {"_id": 0, "text": "dog"}]))
    status, out, _ = run("encode", chain, path, "-o", tmp_path / "v", "--precision", "fp32")
    assert status == 0 and "1 rows have the same id as another row" in out
    for name in ("a.ndjson", "a.json", "a.csv", "a.tsv", "a.jsonl.gz", "a.docx"):
        (tmp_path / name).write_bytes(b"x")
        status, _, err = run("encode", chain, tmp_path / name, "-o", tmp_path / "w")
        assert status == 2 and name in err and not (tmp_path / "w").exists()
