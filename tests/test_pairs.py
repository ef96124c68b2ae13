"""WikiQA, DuoRC, NewsQA, Natural Questions, Yahoo Answers, EntityQuestions, MFAQ and Belebele in
their published forms: from a hub, and from folders that the hub's own client wrote."""

import io
import json
import zipfile
from dataclasses import replace

import pyarrow as pa
import pytest
from tests.publications import pairs as published
from tests.test_sources import pairs

from mixling.corpora import catalog, fetch, hub
from mixling.corpora.catalog import SOURCES, load
from mixling.corpora.sources.belebele import VARIANTS
from mixling.errors import BadRowError, MixlingError

hub_reader = hub
FILES = {
    "wikiqa": published.wikiqa,
    "duorc": published.duorc,
    "newsqa": published.newsqa,
    "natural-questions": published.natural_questions,
    "yahoo-answers": published.yahoo_answers,
    "mfaq": published.mfaq,
    "belebele": published.belebele,
}
# (queries, passages, links, rows left out) of the default split of each fixture
COUNTS = {
    "wikiqa": (11, 23, 11, 1),
    "duorc": (11, 11, 11, 1),
    "newsqa": (12, 6, 12, 0),
    "natural-questions": (12, 12, 12, 0),
    "yahoo-answers": (12, 12, 12, 0),
    "mfaq": (21 * 13, 21 * 13, 21 * 13, 21),
    "belebele": (16, 12, 16, 0),
}
LANGUAGES = {"belebele": ["en", "hi", "hi-Latn", "sw"]}  # of the fixture; the set has 122


def put(hub, name, files=None):
    """Put a publication of ours at the commit that the source names."""
    (repository,) = SOURCES[name].repositories
    files = FILES[name]() if files is None else files
    return hub.put(repository.name, files, commit=repository.revision)


def write(folder, files):
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def counts(corpus):
    tables = (corpus.queries, corpus.passages, corpus.links)
    return (*(t.num_rows for t in tables), len(corpus.skipped))


@pytest.mark.parametrize("name", FILES)
def test_from_the_hub(name, hub, tmp_path):
    put(hub, name)
    languages = LANGUAGES.get(name)
    corpus = load(name, languages=languages)
    assert counts(corpus) == COUNTS[name]
    (repository,) = SOURCES[name].repositories
    assert dict(corpus.origin) == {f"hub:{repository.name}": repository.revision}
    place = tmp_path / "cache/data" / name
    assert list(place.rglob("*.metadata")), "the hub's client keeps its records beside the files"
    wanted = {f.pattern for f in repository.files(SOURCES[name].splits[0], languages)}
    assert len(hub.fetched()) == sum(
        any(fetch.matches(p, pattern) for pattern in wanted)
        for p in hub.repositories[f"datasets/{repository.name}"].files
    )
    asked = len(hub.requests)
    assert load(name, languages=languages).fingerprint() == corpus.fingerprint()
    assert len(hub.requests) == asked


@pytest.mark.parametrize("name", FILES)
def test_from_a_folder_that_the_hubs_client_wrote(name, hub, tmp_path):
    """All of the publication, below a folder of its own: other splits and configurations too."""
    from huggingface_hub import snapshot_download

    repository = put(hub, name)
    target = tmp_path / "data" / name / "copy"
    snapshot_download(
        SOURCES[name].repositories[0].name,
        repo_type="dataset",
        local_dir=target,
        revision=repository.commit,
    )
    assert list(target.rglob(".cache/huggingface/download/**/*.metadata"))
    corpus = load(name)
    assert counts(corpus) == COUNTS[name]
    assert dict(corpus.origin) == {f"hub files in {name}": repository.commit}


@pytest.mark.parametrize("name", FILES)
def test_a_folder_without_its_files_says_which(name, tmp_path):
    write(tmp_path, {"train.jsonl": b'{"question": "Who?"}\n', "data/train.csv": b"a\n"})
    with pytest.raises(
        MixlingError, match=r"(the file|no file) .*(parquet|jsonl).*\. Fetch the data set again"
    ):
        load(name, path=tmp_path)


def test_the_check_of_publications_finds_the_columns(hub, run):
    for name in FILES:
        put(hub, name, published.belebele(VARIANTS) if name == "belebele" else None)
    status, out, _ = run("data", "check", *FILES)
    assert status == 0 and all(f"{name}: ok" in out for name in FILES), out
    renamed = published.parquet([{"question": "Who?", "answer": "He."}])
    put(hub, "natural-questions", {"pair/train-00000-of-00001.parquet": renamed})
    status, out, _ = run("data", "check", "natural-questions")
    assert status == 1 and "rows without query; their fields are question, answer" in out
    with pytest.raises(
        MixlingError, match=r"no column 'query'\. Its columns are: question, answer"
    ):
        load("natural-questions", skip_bad=True)


@pytest.mark.parametrize("label", [pa.int64(), pa.string(), pa.float64()])
def test_wikiqa_reads_labels_of_any_type(label, tmp_path):
    write(tmp_path, published.wikiqa(3, label))
    corpus = load("wikiqa", "test", path=tmp_path)
    assert pairs(corpus) == {
        (f"who built tower {i}?", f"tower {i} was built by mason {i}.", 1) for i in (1, 2)
    }
    negatives = {
        (corpus.queries["text"][q].as_py(), corpus.passages["text"][p].as_py())
        for q, p in map(dict.values, corpus.negatives.to_pylist())
    }
    assert negatives == {(f"who built tower {i}?", f"tower {i} has {i} steps.") for i in (1, 2)}
    assert "tower 0 has 0 steps." in corpus.passages["text"].to_pylist()
    assert corpus.skipped == (f"{tmp_path}: query 'Q0' is left out, because no passage answers it",)


def test_wikiqa_never_promotes_a_wrong_sentence(tmp_path):
    rows = published.wikiqa_rows(4)
    bad = {1: {"label": None}, 2: {"answer": None}, 3: {"label": 7}}
    rows = [
        {**r, **bad[int(r["question_id"][1:])]} if r["label"] == 1 else r for r in rows
    ] + published.wikiqa_rows(6)[-2:]
    write(
        tmp_path, {"data/train-00000-of-00001.parquet": published.parquet(rows, label=pa.int64())}
    )
    with pytest.raises(BadRowError, match=r"parquet:3: field 'label': found None"):
        load("wikiqa", path=tmp_path)
    corpus = load("wikiqa", path=tmp_path, skip_bad=True)
    assert pairs(corpus) == {("who built tower 5?", "tower 5 was built by mason 5.", 1)}
    assert corpus.queries["id"].to_pylist() == ["Q5"] and corpus.negatives.num_rows == 1
    assert [s.partition(": ")[0].rpartition(":")[2] for s in corpus.skipped[:3]] == ["3", "5", "7"]
    assert sum("no passage answers it" in s for s in corpus.skipped) == 4


def test_duorc_reads_one_configuration(hub):
    put(hub, "duorc")
    selfrc, paraphrase = load("duorc", "test"), load("duorc", "test-paraphrase")
    for corpus, words in ((selfrc, "a letter"), (paraphrase, "a note")):
        texts = corpus.passages["text"].to_pylist()
        assert len(texts) == 11 and all(words in text for text in texts)
        link = corpus.links.to_pylist()[0]
        assert texts[link["passage"]][link["start"] : link["end"]] == words
    assert set(hub.fetched()) == {
        f"{folder}/test-00000-of-00001.parquet" for folder in ("SelfRC", "ParaphraseRC")
    }
    assert "the row is left out, because the plot does not answer the question" in selfrc.skipped[0]


def test_an_answer_is_found_as_whole_words_only(tmp_path):
    (row,) = published.duorc_rows(2)[1:]
    row |= {"answers": ["let", "", "letter"]}
    raw = published.parquet([row], answers=published.TEXTS, no_answer=pa.bool_())
    write(tmp_path, {"SelfRC/train-00000-of-00001.parquet": raw})
    (link,) = load("duorc", path=tmp_path).links.to_pylist()
    assert row["plot"][link["start"] : link["end"]] == "letter"
    assert link["start"] == row["plot"].index("letter in")


def test_newsqa_takes_the_marked_place(hub):
    put(hub, "newsqa")
    corpus = load("newsqa", "validation")
    link = corpus.links.to_pylist()[0]
    text = corpus.passages["text"][link["passage"]].as_py()
    assert text[link["start"] : link["end"]] == "a bridge" and link["start"] > len(
        "Once a bridge was"
    )
    assert corpus.queries["id"].to_pylist()[1] == f"{1:032x}"
    with pytest.raises(MixlingError, match="unknown split of newsqa 'test'"):
        load("newsqa", "test")


def test_yahoo_answers_reads_one_of_its_four_tables(hub):
    put(hub, "yahoo-answers")
    for split, question in (
        ("train", "how do i cook dish 3?"),
        ("train-question-answer", "my guests like dish 3. how long does it boil?"),
        ("train-title-question-answer", "my guests like dish 3. how long does it boil?"),
    ):
        corpus = load("yahoo-answers", split)
        assert counts(corpus) == (12, 12, 12, 0)
        assert (question, "boil dish 3 for an hour", 1) in pairs(corpus)
    assert not any(path.startswith("title-question-pair/") for path in hub.fetched())
    assert len(hub.fetched()) == 4


def test_yahoo_answers_refuses_a_part_of_a_table_and_one_of_other_columns(tmp_path):
    files = published.yahoo_answers()
    second = files.pop("title-answer-pair/train-00001-of-00002.parquet")
    write(tmp_path, files)
    for more in ({}, {"title-answer-pair/train-00000-of-00001.parquet": second}):
        write(tmp_path, more)
        with pytest.raises(MixlingError, match=r"Expected every part of one table, each once"):
            load("yahoo-answers", path=tmp_path, skip_bad=True)
    name = "train-00000-of-00001.parquet"
    other = write(
        tmp_path / "b", {f"title-answer-pair/{name}": files[f"title-question-pair/{name}"]}
    )
    with pytest.raises(
        MixlingError,
        match=r"no column 'answer'. Its columns are: title, question. Expected title, ans",
    ):
        load("yahoo-answers", path=other, skip_bad=True)


def test_a_row_that_is_skipped_moves_no_other(tmp_path):
    rows = [{"query": f"q {i}?", "answer": f"a {i}." if i != 1 else None} for i in range(4)]
    write(tmp_path, {"pair/train-00000-of-00001.parquet": published.parquet(rows)})
    corpus = load("natural-questions", path=tmp_path, skip_bad=True)
    assert pairs(corpus) == {(f"q {i}?", f"a {i}.", 1) for i in (0, 2, 3)}
    assert corpus.queries["id"].to_pylist() == [
        f"pair/train-00000-of-00001-{line}" for line in (1, 3, 4)
    ]


@pytest.fixture
def zipped(hub, monkeypatch):
    """EntityQuestions' packed file at an address of the server."""
    hub.plain["/dataset.zip"] = published.entity_questions()
    source = SOURCES["entity-questions"]
    (download,) = source.downloads
    at = replace(download, address=f"{hub.address}/dataset.zip")
    monkeypatch.setitem(catalog.SOURCES, "entity-questions", replace(source, downloads=(at,)))
    return hub


def test_entity_questions_come_packed_and_without_passages(zipped, tmp_path):
    for split in ("train", "dev", "test"):
        with pytest.raises(
            MixlingError, match=rf"the file {split}/.*without passages. Take the split '{split}-ans"
        ):
            load("entity-questions", split)
    assert not zipped.fetched(), "what is published would not do"
    corpus = load("entity-questions", "test-answers")
    assert counts(corpus) == (12, 6, 12, 0)
    assert ("Where was person 3 buried?", "town 3", 1) in pairs(corpus)
    assert corpus.queries["id"].to_pylist()[:2] == ["test/P19.test-1", "test/P19.test-2"]
    assert load("entity-questions", "train-answers").queries.num_rows == 12
    assert zipped.fetched() == ["/dataset.zip"]
    with pytest.raises(
        MixlingError, match=r"P19.dev.json:1: field 'positive_ctxs' is missing.*'dev-answers'.*DPR"
    ):
        load("entity-questions", "dev", skip_bad=True)
    record = json.loads((tmp_path / "cache/data/entity-questions" / fetch.RECORD).read_text())
    assert list(record["downloads"]) == list(corpus.origin) == [f"{zipped.address}/dataset.zip"]


def test_entity_questions_unpacked_by_hand(tmp_path):
    with zipfile.ZipFile(io.BytesIO(published.entity_questions())) as archive:
        archive.extractall(tmp_path / "data/entity-questions")
    assert list((tmp_path / "data").rglob("__MACOSX/**/._P19.dev.json"))
    corpus = load("entity-questions", "dev-answers", path=tmp_path / "data/entity-questions")
    assert counts(corpus) == (12, 6, 12, 0)
    assert not any("seen" in text for text in corpus.queries["text"].to_pylist())


def test_entity_questions_with_passages(tmp_path):
    def row(i, **more):
        return {
            "question": f"Where was person {i} born?",
            "answers": [f"town {i}"],
            "positive_ctxs": [{"title": f"P {i}", "text": f"Person {i} was born in town {i}."}],
            "hard_negative_ctxs": [{"title": f"Q {i}", "text": f"Person {i} moved to a city."}],
            **more,
        }

    second = [{"title": "R", "text": "Another one, of town 1."}]
    rows = [
        row(0),
        7,
        row(1, positive_ctxs=[5, *second]),
        row(2, positive_ctxs=[{"title": "P 2", "text": None}, *second]),
        row(3, hard_negative_ctxs=[{"title": "", "text": ""}]),
        row(4, positive_ctxs=[]),
        row(5, positive_ctxs=[*row(5)["positive_ctxs"], *second]),
        row(6, answers="town 6"),
    ]
    write(tmp_path, {"train/P19.train.json": json.dumps(rows).encode()})
    with pytest.raises(BadRowError, match=r"P19.train.json:1: field 'data\[1\]': found 7"):
        load("entity-questions", "train", path=tmp_path)
    corpus = load("entity-questions", "train", path=tmp_path, skip_bad=True)
    assert pairs(corpus) == {
        (f"Where was person {i} born?", f"Person {i} was born in town {i}.", 1) for i in (0, 5)
    }
    assert corpus.queries["id"].to_pylist() == [f"train/P19.train-{n}" for n in (1, 7)]
    assert corpus.negatives.num_rows == 2 and corpus.passages.num_rows == 4
    link = corpus.links.to_pylist()[0]
    assert "Person 0 was born in town 0."[link["start"] : link["end"]] == "town 0"
    assert len(corpus.skipped) == 6 and "no passage holds the answer" in corpus.skipped[-1]


def test_mfaq_keeps_the_language_of_each_pair(hub):
    put(hub, "mfaq")
    both = load("mfaq", "validation")
    assert both.languages() == sorted(SOURCES["mfaq"].languages)
    assert counts(both) == COUNTS["mfaq"]
    assert both.select(languages=["fi"]).queries.num_rows == 12 + 21
    assert ("no: hinta?", "no: ei", 1) in pairs(both)
    assert "qa_pairs[1]: the pair is left out, because 'answer' is empty" in both.skipped[0]
    asked = len(hub.requests)
    norwegian = load("mfaq", "validation", languages=["no"])
    assert norwegian.languages() == ["nb"] and counts(norwegian) == (12, 12, 12, 1)
    assert len(hub.requests) == asked


def test_mfaq_fetches_one_language(hub):
    put(hub, "mfaq", published.mfaq(folders=("de", "en")))
    assert counts(load("mfaq", languages=["en"])) == (12, 12, 12, 1)
    assert hub.fetched() == ["data/en/train.jsonl"]
    with pytest.raises(
        MixlingError, match=r"has no file data/sv/train.jsonl. Its files are: .*data/de/tr"
    ):
        load("mfaq", languages=["en", "sv"])


def test_mfaq_refuses_what_is_no_pair(tmp_path):
    pages = [
        {"qa_pairs": [{"question": "A?", "answer": "a.", "language": "en"}]},
        {"qa_pairs": None},
        {"qa_pairs": ["x", {"question": 5, "answer": "b.", "language": "en"}]},
        {"qa_pairs": [{"question": "C?", "answer": "c.", "language": "klingonish"}]},
        {"qa_pairs": [{"question": "D?", "answer": "d."}]},
    ]
    write(tmp_path, {"en/train.jsonl": published.json_lines(pages)})
    with pytest.raises(BadRowError, match=r"train.jsonl:2: field 'qa_pairs': found None"):
        load("mfaq", path=tmp_path)
    corpus = load("mfaq", path=tmp_path, skip_bad=True)
    assert pairs(corpus) == {("A?", "a.", 1), ("D?", "d.", 1)} and len(corpus.skipped) == 4
    assert corpus.queries["id"].to_pylist() == ["en-1-0", "en-5-0"]


def test_belebele_takes_languages_by_their_tags(hub):
    put(hub, "belebele")
    corpus = load("belebele", languages=["sw", "hi-Latn"])
    assert corpus.languages() == ["hi-Latn", "sw"] and counts(corpus) == (8, 6, 8, 0)
    assert hub.fetched() == ["data/hin_Latn.jsonl", "data/swh_Latn.jsonl"]
    assert pairs(corpus.select(query_languages=["sw"])) >= {
        ("swh_Latn river 0 2?", "hin_Latn river 0.", 1),
        ("swh_Latn river 1 1?", "hin_Latn river 1.", 1),
    }
    assert ("swh_Latn river 1 1?", "hin_Latn river 0.", 1) not in pairs(corpus)
    assert len(SOURCES["belebele"].languages) == 122


def test_belebele_leaves_out_what_it_cannot_place(tmp_path):
    """A passage that is skipped must not give its number to the next one of its link."""
    rows = {code: published.belebele_rows(code) for code in ("eng_Latn", "swh_Latn", "zul_Latn")}
    rows["swh_Latn"] = rows["swh_Latn"][1:]
    rows["swh_Latn"][0]["question"] = None  # the only row of the first passage that is left
    write(tmp_path, {f"data/{code}.jsonl": published.json_lines(r) for code, r in rows.items()})
    with pytest.raises(BadRowError, match=r"swh_Latn.jsonl:1: field 'question': found None"):
        load("belebele", path=tmp_path)
    corpus = load("belebele", path=tmp_path, skip_bad=True)
    assert not any(
        q.startswith("swh_Latn river") or p.startswith("swh_Latn river")
        for q, p, _ in pairs(corpus)
    )
    assert ("swh_Latn hill 0 1?", "eng_Latn hill 0.", 1) in pairs(corpus)
    assert len(corpus.skipped) == 2 and "all rows of https://example.org/river" in corpus.skipped[1]
    rows["swh_Latn"] = published.belebele_rows("swh_Latn")[2:]  # a file that was cut off
    write(tmp_path, {"data/swh_Latn.jsonl": published.json_lines(rows["swh_Latn"])})
    cut = load("belebele", path=tmp_path)
    assert not any("swh_Latn river" in q + p for q, p, _ in pairs(cut))
    assert (
        "the rows of https://example.org/river are left out, because they do not match"
        in cut.skipped[0]
    )
    rows["swh_Latn"][0]["link"] = None
    write(tmp_path, {"data/swh_Latn.jsonl": published.json_lines(rows["swh_Latn"])})
    with pytest.raises(BadRowError, match=r"swh_Latn.jsonl:1: field 'link'"):
        load("belebele", path=tmp_path, skip_bad=True)


def test_belebele_links_no_passages_in_another_order(tmp_path):
    first, _, third, last = published.belebele_rows("swh_Latn")  # two passages in another order
    english = published.belebele_rows("eng_Latn")
    two = {"eng_Latn": [english[0], *english[2:]], "swh_Latn": [third, first, last]}
    write(tmp_path, {f"data/{code}.jsonl": published.json_lines(r) for code, r in two.items()})
    swapped = load("belebele", path=tmp_path)
    assert not any("swh_Latn river" in q and "eng_Latn" in p for q, p, _ in pairs(swapped))
    assert counts(swapped)[3] == 1


def test_a_bad_row_of_a_table_of_ones_own_moves_nothing(tmp_path):
    """`hub = "json"`: the positive is never replaced by a negative, and rows keep their numbers."""
    rows = [
        {"q": "A?", "p": "a.", "n": ["wrong a."]},
        {"q": "B?", "p": None, "n": ["wrong b."]},
        {"q": "C?", "p": "c.", "n": ["wrong c.", " "]},
        {"q": "D?", "p": "d.", "n": "wrong d."},
    ]
    (tmp_path / "a.jsonl").write_bytes(published.json_lines(rows))
    columns = {"query": "q", "passage": "p", "negative": "n"}
    options = {"language": "en", "path": str(tmp_path / "a.jsonl")}
    with pytest.raises(BadRowError, match="mine:2: field 'p': found None"):
        hub_reader.read_hub("json", columns, "mine", **options)
    corpus = hub_reader.read_hub("json", columns, "mine", **options, skip_bad=True)
    assert pairs(corpus) == {("A?", "a.", 1), ("D?", "d.", 1)}
    assert corpus.queries["id"].to_pylist() == ["1", "4"] and corpus.negatives.num_rows == 2
    assert not {"wrong b.", "wrong c."} & set(corpus.passages["text"].to_pylist())
