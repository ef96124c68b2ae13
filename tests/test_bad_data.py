"""A reader of a wrong file gives a corpus, or says in one message what is wrong."""

import copy
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mixling.corpora.catalog import SOURCES, load
from mixling.corpora.corpus import Corpus
from mixling.corpora.text_file import open_text_file
from mixling.debiasing.embedded_corpus import read_embedded
from mixling.errors import MixlingError, Skipped
from mixling.evaluation.benchmarks import load_task
from mixling.searching.documents import open_documents
from mixling.searching.parquet import stored_info

WRONG = (None, 5, -1, "x", "", [], [5], {}, {"x": 5}, True, "\ud800")
PARAGRAPH = {
    "context": "Wer baut? Wir bauen.",
    "sentence_breaks": [[0, 9], [10, 20]],
    "qas": [{"id": "q1", "question": "Wer?", "answers": [{"text": "Wir", "answer_start": 10}]}],
}
SQUAD = {"data": [{"title": "Bau", "paragraphs": [PARAGRAPH]}]}
PASSAGE = {"docid": "1#0", "title": "Ziwa", "text": "Ziwa ni refu."}
# source: {file: JSON (a .json file) or rows (JSON lines) or text}
FILES: dict[str, dict[str, Any]] = {
    "own": {
        "corpus.jsonl": [
            {"_id": "p", "text": "Ja.", "language": "de", "title": "T", "group": "g"},
            {"_id": "r", "text": "Nein.", "language": "de"},
        ],
        "queries.jsonl": [{"_id": "q", "text": "Wer?", "language": "de", "group": "h"}],
        "qrels/test.tsv": "query-id\tcorpus-id\tscore\nq\tp\t1\n",
        "negatives/test.tsv": "query-id\tcorpus-id\nq\tr\n",
    },
    "mlqa": {"test/test-context-de-question-en.json": SQUAD},
    "xquad-r": {"de.json": SQUAD},
    "tydi": {"dev/tydiqa.goldp.sw.dev.json": SQUAD},
    "jaquad": {"train/jaquad_train_0000.json": SQUAD},
    "xquad-mlir": {
        "queries.jsonl": [{"_id": "q", "text": "Who?", "lang": "en"}],
        "corpus.jsonl": [{"d": {"text": "He.", "lang": "en"}}],
        "qrels.jsonl": [{"q": {"d": 1}}],
    },
    "mfaq": {
        "de/train.jsonl": [
            {
                "domain": "a.org",
                "qa_pairs": [{"question": "Was?", "answer": "Ja.", "language": "de"}],
            }
        ]
    },
    "mr-tydi": {
        "mrtydi-v1.1-swahili/test.jsonl": [
            {
                "query_id": "1",
                "query": "Refu?",
                "positive_passages": [PASSAGE],
                "negative_passages": [PASSAGE],
            }
        ]
    },
    "belebele": {
        "data/eng_Latn.jsonl": [
            {"link": "a.org", "question_number": 1, "flores_passage": "Yes.", "question": "Is it?"}
        ]
    },
    "afriqa": {
        "gold_passages/swa/gold_span_passages.afriqa.swa.en.test.json": [
            {
                "context": "Yes.",
                "question_lang": "Ni?",
                "question_translated": "Is it?",
                "title": "T",
            }
        ]
    },
    "afriqa-human": {
        "gold_passages/swa/gold_span_passages.afriqa.swa.en.test.jsonl": [
            {
                "context": "Yes.",
                "question_lang": "Ni?",
                "question_translated": "Is it?",
                "title": "T",
            }
        ]
    },
    "neuclir": {
        "topics.0720.utf8.jsonl": [
            {
                "topic_id": "7",
                "topics": [{"lang": "eng", "topic_title": "D", "topic_description": "F"}],
            }
        ],
        "2022-qrels.all": "7 rus a 3\n",
        "rus-00000-of-00001.jsonl": [{"id": "a", "title": "T", "text": "T"}],
    },
    "wikiqa": {
        "data/train-00000-of-00001.parquet": [
            {
                "question_id": "1",
                "question": "Who?",
                "answer": "He.",
                "document_title": "T",
                "label": 1,
            }
        ]
    },
    "duorc": {
        "SelfRC/train-00000-of-00001.parquet": [
            {
                "question_id": "1",
                "question": "Who?",
                "plot": "He.",
                "title": "T",
                "answers": ["He"],
                "no_answer": False,
            }
        ]
    },
    "newsqa": {
        "data/train-00000-of-00001-0.parquet": [
            {
                "key": "1",
                "question": "Who?",
                "context": "He.",
                "answers": ["He"],
                "labels": [{"end": [1], "start": [0]}],
            }
        ]
    },
    "yahoo-answers": {
        "title-answer-pair/train-00000-of-00001.parquet": [{"title": "Who?", "answer": "He."}]
    },
    "entity-questions": {
        "train/P19.train.json": [
            {
                "question": "Who?",
                "answers": ["He"],
                "positive_ctxs": [{"text": "He.", "title": "T"}],
                "hard_negative_ctxs": [{"text": "She.", "title": "T"}],
            }
        ]
    },
    "trec": {
        "topics.tsv": "1\tWho?\n",
        "qrels.txt": "1 0 a 2\n",
        "corpus.jsonl": [{"docid": "a", "text": "He.", "title": "T", "language": "en"}],
    },
}


def spoiled(content: Any) -> Iterator[Any]:
    """The content with one value in it, at any depth, exchanged for each wrong one, or left out."""
    yield from WRONG
    inside = (
        content.items()
        if isinstance(content, dict)
        else enumerate(content)
        if isinstance(content, list)
        else ()
    )
    for key, value in inside:
        for other in spoiled(value):
            whole = copy.copy(content)
            whole[key] = other
            yield whole
        if isinstance(content, dict):
            yield {k: v for k, v in content.items() if k != key}


def put(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        try:
            pq.write_table(pa.Table.from_pylist(content), path)
            return
        except (pa.ArrowException, AttributeError, LookupError, TypeError, ValueError):
            pass  # no Parquet file can hold it
    if isinstance(content, list) and not path.name.endswith(".json"):
        text = "".join(json.dumps(row) + "\n" for row in content)
    else:
        text = json.dumps(content) if path.suffix in (".json", ".jsonl", ".parquet") else content
    path.write_text(text, encoding="utf-8")


def read(name: str, folder: Path, skip_bad: bool) -> Corpus | None:
    if name == "trec":
        load_task(str(folder), language="en")
        return None
    if name == "own":
        return load("own", path=folder, skip_bad=skip_bad)
    return load(name, SOURCES[name].splits[0], path=folder, skip_bad=skip_bad)


@pytest.mark.parametrize("name", FILES)
def test_a_wrong_value_is_one_clear_error_or_skipped(name, tmp_path):
    for file, content in FILES[name].items():
        put(tmp_path / file, content)
    assert read(name, tmp_path, False) is None or not read(name, tmp_path, False).skipped
    tried = 0
    for file, content in FILES[name].items():
        if isinstance(content, str):
            continue
        for other in spoiled(content):
            put(tmp_path / file, other)
            for skip_bad in (False, True):
                try:
                    read(name, tmp_path, skip_bad)
                except MixlingError as error:
                    assert str(error).strip() and "Traceback" not in str(error)
                except Exception as error:
                    raise AssertionError(
                        f"{file}: {json.dumps(other)}: {type(error).__name__}: {error}"
                    ) from error
                tried += 1
        put(tmp_path / file, content)
    assert tried > 50


def test_every_reader_of_json_is_tried():
    # their tables and lines: test_sources; HTML: test_packages; test_parallel_texts
    other = {"sample", "tico-19", "sib-200", "mmarco", "miracl", "ciral"}
    other |= {"debian-faq", "libreoffice-help", "libreoffice-sections"}
    other |= {"udhr", "quran", "quran-romanized"}
    same = {"mlqa-r": "xquad-r", "arcd": "jaquad", "natural-questions": "yahoo-answers"}
    mlir = {name for name in SOURCES if name.endswith("-mlir")}
    assert set(SOURCES) - other - set(same) - mlir == set(FILES) - {"own", "trec", "xquad-mlir"}


def test_documents_with_wrong_values_are_refused_or_skipped(tmp_path):
    path = tmp_path / "d.jsonl"
    row = {
        "_id": "a",
        "text": "Ja.",
        "title": "T",
        "language": "de",
        "url": "u",
        "group": "g",
        "more": {"x": [1]},
    }
    for other in spoiled([row]):
        put(path, other)
        for skip_bad in (False, True):
            try:
                for document in open_documents(path, Skipped(skip_bad))[1]:
                    document.digest()
            except MixlingError as error:
                assert str(error).startswith(f"{path}:1: field ")


def test_half_a_character_is_refused_by_line_in_texts_and_replaced_in_names(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text('{"text": "gut \\ud83d\\ude00"}\n{"text": "halb \\ud83d"}\n')
    assert open_text_file(path, 1).read_shard(0)[1] == ["gut 😀"]
    with pytest.raises(MixlingError, match=r"t\.jsonl:2: field 'text'"):
        open_text_file(path, 1).read_shard(1)
    (tmp_path / "plain.txt").write_text("so steht es da: \\ud83d\n")
    assert open_text_file(tmp_path / "plain.txt", 1).read_shard(0)[1] == ["so steht es da: \\ud83d"]
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / os.fsdecode(b"caf\xe9.txt")).write_text("Ja.")
    (found,) = open_documents(folder, Skipped())[1]
    assert found.id == "caf?.txt" and found.digest()


@pytest.mark.parametrize("content", [b"", b"no table", b"PAR1xxxxPAR1"])
def test_what_is_no_parquet_file_is_said_by_every_reader(content, tmp_path):
    names = ("a.parquet", "corpus.parquet", "sib-200.parquet", "data/train-0.parquet")
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    put(tmp_path / "qrels/train.tsv", "query-id\tcorpus-id\tscore\n")
    path = tmp_path / "a.parquet"
    for read in (
        lambda: open_text_file(path, 1),
        lambda: open_documents(path, Skipped()),
        lambda: stored_info(path),
        lambda: read_embedded(path),
        lambda: load(str(tmp_path)),
        lambda: SOURCES["sib-200"].read(tmp_path, "train", None, False),
        lambda: SOURCES["wikiqa"].read(tmp_path, "train", None, False),
    ):
        with pytest.raises(MixlingError, match="not a Parquet file"):
            read()
