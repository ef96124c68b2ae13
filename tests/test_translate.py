"""`mixling translate`: a tiny model, a command, the checks, and a call that was killed."""

import json
import signal
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tests.conftest import tiny_tokenizer

from mixling.corpora import folder, sample
from mixling.corpora.catalog import load
from mixling.corpora.corpus import CorpusBuilder
from mixling.errors import MixlingError
from mixling.preparation.check_translations import check_translations
from mixling.preparation.missing_texts import MissingText, missing_texts
from mixling.preparation.seq2seq import CommandTranslator, Seq2SeqTranslator, language_tokens
from mixling.preparation.similarity import ratio_margins
from mixling.preparation.translate import add_translations, translate


@pytest.fixture(scope="module")
def translator(tmp_path_factory):
    """A tiny model with NLLB's names of languages that knows some of the sample's German."""
    from tokenizers.decoders import Metaspace
    from transformers import BartConfig, BartForConditionalGeneration

    tokenizer = tiny_tokenizer()
    tokenizer.backend_tokenizer.decoder = Metaspace()
    tokenizer.add_special_tokens({"extra_special_tokens": ["eng_Latn", "deu_Latn"]})
    torch.manual_seed(0)
    config = BartConfig(
        vocab_size=len(tokenizer),
        d_model=64,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=128,
        decoder_ffn_dim=128,
        max_position_embeddings=160,
        dropout=0.0,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
        decoder_start_token_id=2,
        forced_eos_token_id=None,
    )
    model = BartForConditionalGeneration(config)
    texts = {x: _queries(x) for x in ("en", "de")}
    groups = sorted(texts["en"])[:24]
    source = tokenizer([texts["en"][g] for g in groups], padding=True, return_tensors="pt")
    target = tokenizer([texts["de"][g] for g in groups], padding=True, return_tensors="pt")[
        "input_ids"
    ]
    german = tokenizer.convert_tokens_to_ids("deu_Latn")
    target[:, 0] = german  # in the place of <s>
    labels = target.masked_fill(target == 1, -100)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(170):
        loss = model(**{k: source[k] for k in ("input_ids", "attention_mask")}, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    where = tmp_path_factory.mktemp("translator") / "model"
    model.save_pretrained(where)
    tokenizer.save_pretrained(where)
    return where


def _queries(language):
    corpus = sample.read_sample("all")
    return {r["group"]: r["text"] for r in corpus.queries.to_pylist() if r["language"] == language}


@pytest.fixture
def without_german(tmp_path):
    corpus = sample.read_sample("all")
    folder.write_folder(
        corpus.select(languages=[x for x in corpus.languages() if x != "de"]), tmp_path / "less"
    )
    return tmp_path / "less"


def test_a_tiny_model_fills_in_a_language(translator, without_german, tmp_path, run):
    out = tmp_path / "more"
    call = (
        "translate",
        without_german,
        "--to",
        "de",
        "--out",
        out,
        "--model",
        translator,
        "--beams",
        "1",
    )
    status, output, error = run(*call)
    assert status == 0, error
    report = json.loads((out / "translate.json").read_text())
    rows = [json.loads(x) for x in (out / "translations.jsonl").read_text().splitlines()]
    assert (
        report["texts"]
        == len(rows)
        == report["accepted"] + sum(r["dropped"] is not None for r in rows)
    )
    assert (
        0 < report["accepted"] < report["texts"]
        and f"{report['accepted']:,} of {report['texts']:,}" in output
    )
    # what it learnt by heart is there, word for word; what it babbles is for the most part dropped
    texts = _queries("de")
    corpus = folder.read_folder(out)
    german = [r for r in corpus.queries.to_pylist() if r["language"] == "de"]
    # (the tiny tokenizer has no question mark)
    assert sum(texts[r["group"]].rstrip("?").split() == r["text"].split() for r in german) > 10
    assert all(r["dropped"] in (None, "empty", "copied", "length", "language") for r in rows)
    kept = [r for r in rows if r["dropped"] is None and r["table"] == "query"]
    assert sorted(r["text"] for r in kept) == sorted(r["text"] for r in german)
    assert {r["source_language"] for r in rows} == {"en"} and {r["translator"] for r in rows} == {
        str(translator)
    }
    # the same call again is done already; another one is refused
    assert run(*call)[0] == 0
    assert "another call" in run(*call, "--ratio", "9")[2]


SCRIPT = """
import sys
for line in sys.stdin: print("wort " + line.rstrip()[::-1])
"""


def test_a_command_translates_line_by_line(without_german, tmp_path):
    (tmp_path / "t.py").write_text(SCRIPT)
    corpus = load(str(without_german))
    out = tmp_path / "out"
    report = translate(
        corpus,
        out,
        ["de"],
        command=f"{sys.executable} {tmp_path / 't.py'} {{source}} {{target}}",
        ratio=50,
    )
    assert report.texts == len(corpus.queries["group"].unique()) + len(
        corpus.passages["group"].unique()
    )
    rows = [json.loads(x) for x in (out / "translations.jsonl").read_text().splitlines()]
    english = {r["text"] for r in corpus.queries.to_pylist() if r["language"] == "en"}
    assert {r["text"].removeprefix("wort ")[::-1] for r in rows if r["table"] == "query"} == english


def test_a_translated_passage_answers_with_its_sentence():
    builder = CorpusBuilder("own")
    text = "Rain fell. The bridge was closed at noon. Nobody came."
    builder.add_query("q", "When was it closed?", "en", "g")
    builder.add_link(
        "g", builder.add_passage("p", text, "en", "P"), text.index("noon"), text.index("noon") + 4
    )
    corpus = builder.build()
    missing = [w for w in missing_texts(corpus, ["sw"], "en") if w.table == "passage"]
    translations = [[f"S{k} {len(s)}." for k, s in enumerate(w.sentences)] for w in missing]
    whole = add_translations(corpus, missing, translations, [True] * len(missing))
    passages, links = whole.passages.to_pylist(), whole.links.to_pylist()
    new = [x for x in links if passages[x["passage"]]["language"] == "sw"]
    assert len(new) == sum(passages[x["passage"]]["language"] == "en" for x in links)
    text = passages[new[0]["passage"]]["text"]
    assert text[new[0]["start"] : new[0]["end"]] == "S1 30."


def test_what_is_dropped_and_why():
    texts = {
        "A man walks through the old town in the morning.": (
            "Ein Mann geht am Morgen durch die alte Stadt.",
            None,
        ),
        "The river is wide and slow.": ("", "empty"),
        "Bread is baked at night.": ("Bread is baked at night.", "copied"),
        "Birds fly south when the days grow short.": ("Vögel " * 60, "length"),
        "Nobody knows how old this bridge really is.": (
            "Nobody really knows the age of this old bridge.",
            "language",
        ),
    }
    missing = [MissingText("query", i, "en", "de", (x,)) for i, x in enumerate(texts)]
    rows = check_translations(
        missing, [[t] for t, _ in texts.values()], ["en", "fr"], 2.5, None, 1.0
    )
    assert [r.dropped for r in rows] == [why for _, why in texts.values()]


@given(arrays.arrays(np.float32, (6, 4), elements=st.floats(-1, 1, width=16)))
def test_margin_by_its_formula(x):
    x = x + np.float32([3, 0, 0, 0])
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    y = np.roll(x, 1, axis=1)
    scores = x @ y.T
    for i, found in enumerate(ratio_margins(x, y, 2)):
        near = [np.sort(np.delete(s, i))[-2:].mean() for s in (scores[i], scores[:, i])]
        assert found == pytest.approx(scores[i, i] / max(np.mean(near), 1e-6), rel=1e-4)


def test_similarity_drops_what_is_no_translation(chain, tmp_path):
    english, german = _queries("en"), _queries("de")
    groups = sorted(english)
    missing = [MissingText("query", i, "en", "de", (english[g],)) for i, g in enumerate(groups)]
    translations = [[german[g]] for g in groups]
    translations[0], translations[1] = translations[1], translations[0]
    from mixling.models.retriever import Retriever

    rows = check_translations(missing, translations, ["en"], 9, Retriever(str(chain)), 1.0)
    assert all(r.margin is not None for r in rows if r.dropped not in ("empty", "copied"))
    assert "similarity" in {r.dropped for r in rows}


def test_names_of_languages_of_every_kind():
    found = language_tokens(
        {
            "<s>": 0,
            "swh_Latn": 1,
            "zho_Hant": 2,
            "__sw__": 3,
            ">>deu<<": 4,
            "fr_XX": 5,
            "word": 6,
            "__init__": 7,
        }
    )
    assert found == {"sw": "swh_Latn", "zh-Hant": "zho_Hant", "de": ">>deu<<", "fr": "fr_XX"}


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"command": "false"}, "ended with status 1"),
        ({"command": "true"}, "It must write one line for each"),
        ({"command": "no-such-program-here"}, "cannot be run"),
        ({"command": "echo '"}, "cannot be parsed"),
        ({"command": "cat {source} {other}"}, "cannot be parsed"),
        ({"command": "cat {source} {}"}, "cannot be parsed"),
        ({"command": ""}, "the command is empty"),
        ({"command": "tr '[:print:]' '\\377'"}, "must read and write UTF-8"),
        ({"model": "no/such"}, "the translation model cannot be loaded"),
        ({}, "either a model or a command"),
        ({"command": "cat", "to": ["en"]}, "every text is in en already"),
    ],
)
def test_a_mistake_is_one_sentence(tmp_path, more, says):
    more = {"to": ["xh"], **more}
    with pytest.raises(MixlingError, match=says):
        translate("sample", tmp_path / "out", **more)
    assert not (tmp_path / "out").exists()


def test_a_language_that_the_model_does_not_know(translator):
    with pytest.raises(MixlingError, match=r"does not know 'sw'\. Its languages are: de, en"):
        Seq2SeqTranslator(str(translator))(["a"], "en", "sw")
    assert CommandTranslator("cat")(["a\nb", "c"], "en", "de") == ["a b", "c"]


CODE = """
import os, signal, sys
import mixling.preparation.translate as t
t.BLOCK = 8
real, done = t.write_text, []
def write(path, text):
    real(path, text)
    done.extend([path] * path.name.startswith("block-"))
    if len(done) == 3: os.kill(os.getpid(), signal.SIGKILL)
t.write_text = write
t.translate("sample", sys.argv[1], ["xh"], command="rev", ratio=50)
"""


@pytest.mark.slow
def test_killed_it_goes_on_where_it_was(tmp_path, forks, monkeypatch):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    killed = forks.run(CODE, cut)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not cut.exists() and len(list((tmp_path / "cut.part").glob("block-*"))) == 3
    monkeypatch.setattr("mixling.preparation.translate.BLOCK", 8)
    for out in (whole, cut):
        translate("sample", out, ["xh"], command="rev", ratio=50)
    assert not (tmp_path / "cut.part").exists()
    for name in ("corpus.jsonl", "queries.jsonl", "translations.jsonl", "translate.json"):
        assert (cut / name).read_text() == (whole / name).read_text()
