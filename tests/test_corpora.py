import gzip
import json

import pytest

from mixling.corpora import folder, sample, sentences, squad
from mixling.corpora.catalog import SOURCES, find_source, load
from mixling.corpora.sentences import sentence_spans
from mixling.errors import BadRowError, MixlingError


def squad_file(path, paragraphs):
    path.write_bytes(
        gzip.compress(json.dumps({"data": [{"title": "t", "paragraphs": paragraphs}]}).encode())
    )
    return path


def qa(key, question, start=0, text="a"):
    return {"id": key, "question": question, "answers": [{"answer_start": start, "text": text}]}


def test_the_sample_is_parallel_varied_and_split_by_subject():
    whole, train, test = (sample.read_sample(s) for s in ("all", "train", "test"))
    assert whole.languages() == sorted(sample.LANGUAGES)
    assert len(whole.passages["group"].unique()) >= 40
    assert whole.passages.num_rows == len(whole.passages["group"].unique()) * 8
    assert whole.queries.num_rows == 2 * whole.passages.num_rows

    def subjects(corpus):
        return {g.split(".")[0] for g in corpus.passages["group"].to_pylist()}

    assert not subjects(train) & subjects(test)
    assert len(train.passages["group"].unique()) >= 32
    for language, text in zip(
        whole.passages["language"].to_pylist(), whole.passages["text"].to_pylist(), strict=True
    ):
        assert 40 <= len(text.split()) <= 80 or (language == "zh" and 60 <= len(text) <= 160), (
            language,
            text,
        )
    assert len(set(whole.passages["text"].to_pylist())) == whole.passages.num_rows
    assert len(set(whole.queries["text"].to_pylist())) == whole.queries.num_rows


def test_an_empty_answer_has_no_place(tmp_path):
    path = squad_file(
        tmp_path / "x.json.gz", [{"context": "Ein Haus.", "qas": [qa("1", "was?", 0, "")]}]
    )
    assert squad.read_squad([(path, "de", "de")], "x").links["start"].to_pylist() == [None]


def test_lareqa_sentences_are_kept(tmp_path):
    path = squad_file(
        tmp_path / "en.json.gz",
        [
            {
                "context": "One. Two.",
                "sentence_breaks": [[0, 4], [5, 9]],
                "sentences": ["One.", "Two."],
                "qas": [qa("1", "which?", 5, "Two")],
            }
        ],
    )
    corpus = squad.read_squad([(path, "en", "en")], "x")
    assert corpus.passages["sentences"].to_pylist() == [
        [{"start": 0, "end": 4}, {"start": 5, "end": 9}]
    ]


@pytest.mark.parametrize("parquet", [False, True])
def test_a_folder_comes_back_as_it_was_written(tmp_path, parquet):
    corpus = sample.read_sample("test")
    folder.write_folder(corpus, tmp_path / "own", parquet=parquet)
    again = folder.read_folder(tmp_path / "own")
    for table, columns in (
        ("queries", ["text", "language", "group"]),
        ("passages", ["text", "language", "group"]),
        ("links", ["group", "passage"]),
    ):
        assert (
            getattr(again, table).select(columns).to_pylist()
            == getattr(corpus, table).select(columns).to_pylist()
        )
    with pytest.raises(MixlingError, match="exists already"):
        folder.write_folder(corpus, tmp_path / "own")


def test_columns_of_a_data_set_are_mapped(tmp_path):
    (tmp_path / "pairs.jsonl").write_text(
        "".join(
            json.dumps({"q": f"q{i}", "a": f"a{i}", "ql": "swahili", "pl": "eng_Latn", "g": i // 2})
            + "\n"
            for i in range(6)
        )
    )
    corpus = load(
        "mine",
        hub_name="json",
        path=tmp_path / "pairs.jsonl",
        columns={
            "query": "q",
            "passage": "a",
            "query_language": "ql",
            "passage_language": "pl",
            "passage_group": "g",
        },
    )
    assert corpus.queries["language"].to_pylist() == ["sw"] * 6
    assert corpus.passages["group"].to_pylist() == ["0", "0", "1", "1", "2", "2"]


def test_bad_rows_are_skipped_counted_and_listed_if_asked(tmp_path):
    own = tmp_path / "own"
    folder.write_folder(sample.read_sample("test"), own)
    lines = (own / "corpus.jsonl").read_text().splitlines()
    lines[3] = "{not json"
    lines[5] = json.dumps({**json.loads(lines[5]), "language": "xx-??"})
    (own / "corpus.jsonl").write_text("\n".join(lines) + "\n")
    with pytest.raises(BadRowError, match=r"corpus.jsonl:4: field 'json'"):
        folder.read_folder(own)
    corpus = folder.read_folder(own, skip_bad=True)
    assert corpus.passages.num_rows == 94
    assert any("corpus.jsonl:6: field 'language'" in s for s in corpus.skipped)
    assert sum("corpus-id" in s for s in corpus.skipped) == 32  # 16 questions of each group


def test_selecting_keeps_links_right():
    corpus = sample.read_sample("all")
    part = corpus.select(languages=["sw", "zh"])
    text = part.passages["text"].to_pylist()
    whole = {
        g: corpus.passages["text"][i].as_py()
        for g, i in zip(
            corpus.links["group"].to_pylist(), corpus.links["passage"].to_pylist(), strict=True
        )
        if corpus.passages["language"][i].as_py() == "zh"
    }
    for group, row in zip(
        part.links["group"].to_pylist(), part.links["passage"].to_pylist(), strict=True
    ):
        if part.passages["language"][row].as_py() == "zh":
            assert text[row] == whole[group]


def test_the_place_of_a_source_is_the_given_one_then_the_environment(tmp_path, monkeypatch):
    (tmp_path / "a" / "xquad-r").mkdir(parents=True)
    (tmp_path / "b" / "xquad-r").mkdir(parents=True)
    monkeypatch.setenv("MIXLING_DATA", str(tmp_path / "b"))
    assert find_source("xquad-r") == tmp_path / "b" / "xquad-r"
    assert find_source("xquad-r", tmp_path / "a") == tmp_path / "a" / "xquad-r"


def test_a_source_that_is_not_here_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("MIXLING_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MixlingError, match=r"lareqa.*MIXLING_DATA"):
        load("xquad-r")


def test_every_source_says_what_it_is():
    for source in SOURCES.values():
        assert (
            source.description
            and source.license
            and source.citation
            and source.how_to_get
            and source.languages
        )


@pytest.mark.parametrize(
    "text, expected",
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("今天。明天！", ["今天。", "明天！"]),
        ("यह है। वह है।", ["यह है।", "वह है।"]),
        ("It is 3.5 m. long.", ["It is 3.5 m. long."]),
        ("هل تعلم؟ نعم.", ["هل تعلم؟", "نعم."]),
        ("  a  ", ["a"]),
    ],
)
def test_sentences(text, expected):
    assert [text[a:b] for a, b in sentence_spans(text)] == expected


def test_icu_and_the_regular_expression_agree_on_the_sample(monkeypatch, caplog):
    corpus = sample.read_sample("all")
    texts, languages = (corpus.passages[c].to_pylist() for c in ("text", "language"))
    spans = [sentence_spans(text) for text in texts]
    assert [sentence_spans(*x) for x in zip(texts, languages, strict=True)] == spans
    assert not caplog.messages
    # without ICU the regular expression cuts, with one warning
    abbreviated = "See Fig. (c. 1450) there.\nThe end."
    monkeypatch.setattr(sentences, "find_spec", lambda name: None)
    sentences.has_icu.cache_clear()
    for _ in range(2):
        assert sentence_spans(abbreviated, "en") == sentence_spans(abbreviated)
    assert len(caplog.messages) == 1 and "icu4py" in caplog.text
    sentences.has_icu.cache_clear()
