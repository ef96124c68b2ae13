"""BM25, fusion, checks of the scale, noise, coverage."""

import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixling.errors import MixlingError
from mixling.evaluation.benchmarks import load_task
from mixling.evaluation.coverage import coverage
from mixling.evaluation.lexical import (
    Bm25Ranker,
    Bm25Scorer,
    minmax_normalize,
    reciprocal_rank_scores,
    tokenize_words,
)
from mixling.evaluation.noise import _lexicons, add_noise, diacritics, romanize, switch_code, typos
from mixling.models.retriever import Retriever
from mixling.reports.evaluate import evaluate


@pytest.mark.parametrize(
    "text, language, expected",
    [
        ("Hello, World 3.5!", "en", ["hello", "world", "3.5"]),
        ("สวัสดีชาวโลก", "th", ["สวัสดี", "ชาว", "โลก"]),
        ("今天天气很好", "zh", ["今天", "天气", "很好"]),
        ("東京に行く", "ja", ["東京", "に", "行く"]),
        ("ខ្ញុំទៅផ្សារ", "km", ["ខ្ញុំ", "ទៅ", "ផ្សារ"]),
        ("አዲስ፡አበባ", "am", ["አዲስ", "አበባ"]),
        ("ＡＢＣ", "ja", ["abc"]),
        ("…!", "en", []),
    ],
)
def test_words(text, language, expected):
    assert tokenize_words(text, language) == expected


def test_bm25_equals_another_implementation_where_words_have_spaces():
    from rank_bm25 import BM25Okapi

    one = load_task("sample")
    english = one.languages.index("en")
    documents = [
        tokenize_words(one.passages[i], "en")
        for i in np.flatnonzero(one.passage_language == english)
    ]
    queries = [
        tokenize_words(one.queries[i], "en") for i in np.flatnonzero(one.query_language == english)
    ]
    mine = Bm25Scorer(documents, queries, k1=1.2, b=0.75)(0, len(queries))
    theirs = BM25Okapi(documents, k1=1.2, b=0.75)
    # Lucene's idf, which is never negative; Lucene also leaves out the constant factor k1 + 1
    n = len(documents)
    theirs.idf = {
        w: np.log(1 + (n - d + 0.5) / (d + 0.5))
        for w, d in ((w, sum(w in x for x in documents)) for w in {w for x in documents for w in x})
    }
    for row, query in zip(mine, queries, strict=True):
        assert row == pytest.approx(theirs.get_scores(query) / 2.2, abs=1e-4)


def test_texts_without_words_do_no_harm():
    score = Bm25Scorer([[], ["a", "b"], []], [["a"], [], ["unknown"]])
    assert (score(0, 3) > 0).tolist() == [[False, True, False], [False] * 3, [False] * 3]
    assert score.at(np.array([0]), np.array([1, 2])).shape == (1, 2)


def test_fusion_by_hand():
    scores = np.array([[1.0, 3, 2, 0]], np.float32)
    assert minmax_normalize(scores, depth=3)[0].tolist() == [0, 1, 0.5, 0]
    assert reciprocal_rank_scores(scores, depth=2)[0] == pytest.approx([0, 1 / 61, 1 / 62, 0])


def test_baselines_by_name(chain, run, tmp_path):
    models = ["bm25", "random", "oracle", str(chain), f"{chain}+bm25", f"{chain}+bm25:rrf"]
    status, _, err = run("evaluate", *models, "--task", "sample", "--out", tmp_path)
    assert status == 0, err
    from mixling.evaluation.result import EvaluationResult

    names = ["bm25", "random", "oracle", "model", "model+bm25", "model+bm25-rrf"]
    value = {n: EvaluationResult.load(tmp_path / n).value("sample", "multilingual") for n in names}
    assert value["oracle"] == 1 and value["random"] < 0.15 < value["bm25"]
    assert all(0 < value[n] < 1 for n in names[3:])
    report = (tmp_path / "report.html").read_text()
    assert "against" in report and "p &lt; .05" in report
    oracle = EvaluationResult.load(tmp_path / "oracle").summary["tasks"]["sample"]["bias"]
    assert oracle["intrusion@10"] == 0 and oracle["TLR@10"] == 1 and oracle["rank_distance"] == 7


def test_chance_is_what_chance_gives():
    one = load_task("sample")
    entry = evaluate("random", [one]).summary["tasks"]["sample"]
    assert entry["monolingual"]["R@10"] == pytest.approx(10 / 12, abs=0.06)
    assert abs(entry["bias"]["same_language_preference"]) < 0.06
    assert Bm25Ranker().scorer(one)[1]["texts"] == len(one.queries) + len(one.passages)


def rng():
    return np.random.default_rng(0)


def test_noise_of_each_kind():
    assert typos("hello there my friend", "en", 1.0, rng()) != "hello there my friend"
    assert all(
        c in "qwertyuiopasdfghjklzxcvbnm " for c in typos("hello there my friend", "en", 1.0, rng())
    )
    assert all("а" <= c <= "я" or c in " ё" for c in typos("привет мир", "ru", 1.0, rng()))
    assert diacritics("Ọjọ́ mélo ni?", "yo", 1.0, rng()) == "Ojo melo ni?"
    assert diacritics("Điều đó", "vi", 1.0, rng()) == "Dieu do"
    assert diacritics("كِتَابٌ", "ar", 1.0, rng()) == "كتاب"
    assert diacritics("किताब", "hi", 1.0, rng()) == "किताब"
    assert romanize("привет мир", "ru", 1.0, rng()) == "privet mir"
    assert romanize("hello", "en", 1.0, rng()) == "hello"
    assert switch_code("Ziwa liko wapi?", "sw", 1.0, rng(), {"ziwa": "lake"}) == "lake liko wapi?"


@given(
    st.text(min_size=1, max_size=40),
    st.sampled_from(["en", "ru", "ar", "zh", "th", "hi"]),
    st.floats(0.01, 1),
)
@settings(deadline=None, max_examples=100)
def test_noise_never_empties_a_text_and_is_the_same_every_time(text, language, rate):
    found = typos(text, language, rate, np.random.default_rng(1))
    assert found == typos(text, language, rate, np.random.default_rng(1))
    assert bool(found.strip()) == bool(text.strip())


def test_noise_is_seeded_by_question():
    one = load_task("sample")
    whole = add_noise(one, "typos", 0.2)
    part = add_noise(one.with_query_languages(["sw"], "part"), "typos", 0.2)
    mine = [
        q
        for q, c in zip(whole.queries, whole.query_language, strict=True)
        if one.languages[c] == "sw"
    ]
    assert part.queries == mine and whole.name == "sample~typos:0.2"
    assert add_noise(one, "typos", 0.2, seed=1).queries != whole.queries
    rate = np.mean([a != b for a, b in zip(whole.queries, one.queries, strict=True)])
    assert rate > 0.9


def test_a_lexicon_is_learnt_from_parallel_questions():
    one = load_task("sample:all")
    found = _lexicons(one)
    swahili = one.languages.index("sw")
    assert found[swahili] and all(
        y in " ".join(one.queries).casefold() for y in found[swahili].values()
    )
    assert add_noise(one, "switch", 1.0).queries != one.queries


def test_robustness_is_reported(chain):
    result = evaluate(str(chain), ["sample"], noise=["typos", "romanize"])
    found = result.summary["noise"]["sample"]
    pool = found["typos"]["multilingual"]
    assert set(pool["scores"]) == {"0.05", "0.1", "0.2"} and set(
        found["romanize"]["multilingual"]["ratio"]
    ) == {"1"}
    assert pool["ratio"]["0.2"] == pytest.approx(pool["scores"]["0.2"] / pool["clean"])
    assert pool["slope"] <= 0.05
    from mixling.reports.html import render_report

    text = render_report([result])
    assert "Queries with noise" in text and text.count("<section") == 1


def test_noise_that_cannot_be_is_refused(chain):
    with pytest.raises(MixlingError, match="Did you mean 'typos'"):
        evaluate(str(chain), ["sample"], noise=["typo"])
    with pytest.raises(MixlingError, match="TYPE:RATE"):
        evaluate(str(chain), ["sample"], noise=["typos:x"])
    with pytest.raises(MixlingError, match=r"the rate is 0\.0"):
        evaluate(str(chain), ["sample"], noise=["typos:0"])


def test_coverage(chain, caplog, monkeypatch):
    one = load_task("sample")
    found = coverage(Retriever(str(chain)), one)
    assert set(found) == set(one.languages)
    for values in found.values():
        assert (
            values["fertility"] >= 1
            and 0 <= values["unknown"] <= 1
            and 0 <= values["truncated"] <= 1
        )
    short = Retriever(str(chain), max_length=8)
    monkeypatch.setattr(logging.getLogger("transformers"), "propagate", True)
    assert coverage(short, one)["en"]["truncated"] == 1
    assert not caplog.records  # the library warns of indexing errors, which cannot happen


def test_vectors_are_kept_and_taken_up_again(chain, tmp_path, monkeypatch):
    from mixling.encoding import vectors as room

    retriever, texts = Retriever(str(chain)), [f"text number {i}" for i in range(25)]
    plain = retriever.encode(texts, "passage")
    monkeypatch.setattr(room, "SHARD", 10)
    calls = []
    real = Retriever.encode_head

    def cut(self, tokens, **more):
        calls.append(len(tokens))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(self, tokens, **more)

    monkeypatch.setattr(Retriever, "encode_head", cut)
    with pytest.raises(KeyboardInterrupt):
        room.encode_cached(retriever, texts, "passage", folder=tmp_path)
    made, tokens = room.encode_cached(retriever, texts, "passage", folder=tmp_path)
    assert calls == [10, 10, 10, 5] and tokens > 0
    assert made == pytest.approx(plain, abs=1e-6)
    made, tokens = room.encode_cached(retriever, [*texts[::-1], "new"], "passage", folder=tmp_path)
    assert calls[4:] == [1] and made[:25] == pytest.approx(plain[::-1], abs=1e-6)
    room.encode_cached(retriever, texts[:3], "query", folder=tmp_path)
    assert calls[5:] == [3]


def test_two_processes_may_write_to_one_shelf(chain, tmp_path, forks):
    lists = [[f"{name} number {i}" for i in range(40)] for name in ("one", "two")]
    processes = [forks.call(_encode, str(chain), t, tmp_path) for t in lists]
    assert [p.wait() for p in processes] == [0, 0]
    from mixling.encoding.vectors import encode_cached

    retriever = Retriever(str(chain))
    for texts in lists:
        made, tokens = encode_cached(retriever, texts, "passage", precision="fp32", folder=tmp_path)
        assert tokens == 0 and made == pytest.approx(retriever.encode(texts, "passage"), abs=1e-6)


def _encode(model, texts, folder):
    from mixling.encoding import vectors as room

    room.SHARD = 4
    room.encode_cached(Retriever(model), texts, "passage", precision="fp32", folder=folder)


def test_another_model_does_not_take_these_vectors(chain, tmp_path):
    import torch

    from mixling.models.fingerprints import model_fingerprint

    one, two = Retriever(str(chain)), Retriever(str(chain))
    assert model_fingerprint(one) == model_fingerprint(two)
    with torch.no_grad():
        next(two.model.parameters()).add_(0.01)
    assert model_fingerprint(one) != model_fingerprint(two)
