"""MLQA is put together by question id, and its parts hold whichever of its files are present."""

import hashlib
import json
import tempfile
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mixling.corpora import mlqa
from mixling.corpora.catalog import find_source, load
from mixling.corpora.sources.mlqa import is_held_out, read_mlqa_split
from mixling.errors import MixlingError

LANGUAGES = ("ar", "de", "zh")
LIST = Path(mlqa.__file__).parent / "sources" / "mlqa_held_out.txt"
LISTED = LIST.read_text(encoding="ascii").splitlines()
HELD_OUT = [f"{digits:0<40}" for digits in LISTED[:4]]
OTHERS = [hashlib.sha1(bytes([i])).hexdigest() for i in range(4)]
# the files that the committed studies were trained on: language of the contexts, of the questions
STUDIED = """
    de-ar de-es de-hi de-vi de-zh es-ar es-de es-hi es-vi es-zh
    vi-de zh-ar zh-de zh-es zh-hi zh-vi
"""
STUDIES = Path(__file__).parents[1] / "studies"


def write_file(folder, split, context_language, question_language, paragraphs):
    """Write a file as published: from each paragraph's text to the ids of its questions."""
    content = [
        {
            "context": text,
            "qas": [{"id": q, "question": f"{question_language} {q}?", "answers": []} for q in ids],
        }
        for text, ids in paragraphs.items()
    ]
    path = folder / split / f"{split}-context-{context_language}-question-{question_language}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"data": [{"paragraphs": content}]}), encoding="utf-8")


def test_mlqa_is_put_together_by_question_id(tmp_path):
    write_file(tmp_path, "test", "de", "ar", {"Ein Haus.": ["1", "2"], "Ein Hund.": ["3"]})
    write_file(tmp_path, "test", "es", "ar", {"Una casa.": ["2"]})
    write_file(tmp_path, "test", "de", "zh", {"Ein Haus.": ["1"]})
    corpus = mlqa.read_mlqa(tmp_path / "test")
    assert (
        corpus.queries.num_rows == 4
        and corpus.passages.num_rows == 3
        and corpus.links.num_rows == 4
    )
    group = dict(
        zip(corpus.passages["text"].to_pylist(), corpus.passages["group"].to_pylist(), strict=True)
    )
    assert group["Ein Haus."] == group["Una casa."] == "1" and group["Ein Hund."] == "3"


def test_the_list_has_first_digits_of_ids():
    assert sorted(set(LISTED)) == LISTED and len(LISTED) == 1005
    assert all(len(x) == 8 and set(x) <= set("0123456789abcdef") for x in LISTED)
    assert all(map(is_held_out, HELD_OUT)) and not any(map(is_held_out, OTHERS))


def texts_and_ids(folder, split):
    """Return passage texts and query ids of a split; none where the files have nothing of it."""
    try:
        corpus = read_mlqa_split(folder, split, None, False)
    except MixlingError as error:
        assert "no passage belongs" in str(error)
        return set(), set()
    return set(corpus.passages["text"].to_pylist()), set(corpus.queries["id"].to_pylist())


# for each question and language: the number of its paragraph; None: not in this language
PARAGRAPHS = st.fixed_dictionaries(
    {
        q: st.fixed_dictionaries({x: st.none() | st.integers(0, 3) for x in LANGUAGES})
        for q in HELD_OUT + OTHERS
    }
)
FILES = st.sets(st.sampled_from([(x, y) for x in LANGUAGES for y in LANGUAGES]), min_size=1)


def links_of(paragraphs, files):
    """Return, for each file, the ids of the questions on each of its paragraphs."""
    links = {}
    for x, y in files:
        links[x, y] = defaultdict(list)
        for q, numbers in paragraphs.items():
            if numbers[x] is not None and numbers[y] is not None:
                links[x, y][f"{x} {numbers[x]}"].append(q)
    return links


def groups_of(links):
    """Return passage texts and ids of each group, by joining until nothing changes."""
    groups = []
    for text, ids in (paragraph for file in links.values() for paragraph in file.items()):
        texts, questions = {text}, set(ids)
        for other in [g for g in groups if text in g[0] or questions & g[1]]:
            groups.remove(other)
            texts |= other[0]
            questions |= other[1]
        groups.append((texts, questions))
    return groups


@settings(max_examples=200, deadline=None)
@given(PARAGRAPHS, FILES, FILES)
def test_what_some_files_hold_out_is_not_trained_on_with_more(paragraphs, few, others):
    parts = {}
    for name, files in (("few", few), ("more", few | others)):
        links = links_of(paragraphs, files)
        assume(any(links.values()))
        with tempfile.TemporaryDirectory() as folder:
            for (x, y), found in links.items():
                write_file(Path(folder), "test", x, y, found)
            parts[name] = {s: texts_and_ids(Path(folder), s) for s in ("train", "held-out")}
        for split, ids in (("train", set(OTHERS)), ("held-out", set(HELD_OUT))):
            whole = [g for g in groups_of(links) if g[1] <= ids]
            assert parts[name][split] == tuple(set().union(*(g[i] for g in whole)) for i in (0, 1))
    for a, b in (("few", "more"), ("more", "few")):
        for held_out, trained in zip(parts[a]["held-out"], parts[b]["train"], strict=True):
            assert not held_out & trained


def test_a_group_with_a_listed_and_another_query_is_in_neither_part(tmp_path):
    write_file(
        tmp_path,
        "test",
        "de",
        "ar",
        {"Ein Haus.": HELD_OUT[:1], "Ein Hund.": [HELD_OUT[1], OTHERS[0]], "Ein See.": OTHERS[1:2]},
    )
    assert texts_and_ids(tmp_path, "held-out") == ({"Ein Haus."}, {HELD_OUT[0]})
    assert texts_and_ids(tmp_path, "train") == ({"Ein See."}, {OTHERS[1]})
    assert len(texts_and_ids(tmp_path, "test")[0]) == 3


def test_files_with_other_ids_have_nothing_held_out(tmp_path):
    write_file(tmp_path, "test", "de", "ar", {"Ein Haus.": ["1"]})
    assert read_mlqa_split(tmp_path, "train", None, False).passages.num_rows == 1
    with pytest.raises(MixlingError, match=r"'held-out', .*Unpack all files of MLQA_V1\.zip"):
        read_mlqa_split(tmp_path, "held-out", None, False)


@pytest.fixture(scope="module")
def studied(tmp_path_factory):
    """The parts of the 16 files of MLQA test that the committed studies were trained on."""
    source, folder = find_source("mlqa"), tmp_path_factory.mktemp("studied")
    (folder / "test").mkdir()
    for pair in STUDIED.split():
        x, y = pair.split("-")
        name = f"test-context-{x}-question-{y}.json"
        path = next((source / "test").glob(f"{name}*"), None) if source else None
        if path is None:
            pytest.skip(f"MLQA's {name} is not on this machine")
        (folder / "test" / path.name).symlink_to(path.absolute())
    return {s: read_mlqa_split(folder, s, None, False) for s in ("train", "held-out", "test")}


def test_the_parts_are_those_of_the_committed_studies(studied):
    train, held_out, test = (studied[x] for x in ("train", "held-out", "test"))
    assert train.passages.num_rows + held_out.passages.num_rows == test.passages.num_rows
    assert len(test.queries["group"].unique()) == 9677
    located = json.loads((STUDIES / "located.json").read_text())["located"]
    assert located["train"]["corpus"] == train.fingerprint()
    assert located["held-out"]["corpus"] == held_out.fingerprint()
    for name in ("rivals", "terms", "low-resource", "xquad-strategies"):
        runs = json.loads((STUDIES / f"{name}.json").read_text())["runs"]
        data = [r["training_data"] for r in runs if r.get("training_data")]
        used = {d["mlqa"] for d in data if "mlqa" in d}
        assert used == {train.fingerprint()}, name


def test_the_list_is_what_a_hash_drew_from_the_studied_files(studied):
    test = studied["test"]
    groups = test.passages["group"].take(test.links["passage"]).to_pylist()
    drawn = {
        query[:8]
        for group, query in zip(groups, test.links["group"].to_pylist(), strict=True)
        if hashlib.sha256(group.encode()).digest()[0] % 10 == 0
    }
    assert sorted(drawn) == LISTED


@pytest.mark.skipif(find_source("mlqa") is None, reason="MLQA is not on this machine")
def test_training_never_holds_what_is_held_out():
    train, held = load("mlqa", "train"), load("mlqa", "held-out")
    assert not set(train.passages["text"].to_pylist()) & set(held.passages["text"].to_pylist())
    assert not set(train.queries["group"].to_pylist()) & set(held.queries["group"].to_pylist())
