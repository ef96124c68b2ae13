"""Reranking: candidates, language offsets, services, the server, and measuring `NAME>RERANKER`."""

import dataclasses
import json
import math
import re
from functools import cache as memory

import numpy as np
import pytest
from fastapi.testclient import TestClient

import mixling
from mixling.corpora import folder, sample
from mixling.errors import MixlingError
from mixling.evaluation.benchmarks import load_task
from mixling.models import providers
from mixling.models.rerank_service import log_odds
from mixling.models.reranker import (
    Reranker,
    RerankerError,
    load_reranker,
    pair_scores,
    reranker_input,
)
from mixling.searching.fairness import ORDERS
from mixling.searching.index import index
from mixling.searching.query import Searcher, search
from mixling.searching.rerank import language_offsets
from mixling.serving.app import application
from rerank_server import RerankServer

SECRET = "sk-very-secret-0123456789"
QUERY = "Why does a lake freeze from the top?"
GERMAN = "Warum friert ein See von oben zu?"
CORPUS = sample.read_sample("all")
PASSAGES = CORPUS.passages.to_pylist()
LANGUAGE = {row["text"]: row["language"] for row in PASSAGES}
N_LANGUAGES = len(CORPUS.languages())
ANSWERED = {}
for link in CORPUS.links.to_pylist():
    ANSWERED.setdefault(link["group"], set()).add(PASSAGES[link["passage"]]["group"])
GROUP = {row["text"]: row["group"] for row in PASSAGES}
ANSWERS = {row["text"]: ANSWERED[row["group"]] for row in CORPUS.queries.to_pylist()}


def passage_of(text):
    """Return the passage of the sample that holds what a reranker was given, after its title."""
    rows = (row for row in PASSAGES if text.removeprefix(f"{row['title']} ") in row["text"])
    return next(rows)["text"]


def knowing(query, passages):
    """A reranker that knows the right answers; `python:test_rerank:knowing` names it."""
    return [4.0 * (GROUP[passage_of(p)] in ANSWERS[query]) for p in passages]


def biased(query, passages):
    """The same with a preference for English that is larger than relevance."""
    right = knowing(query, passages)
    return [
        s + 6.0 * (LANGUAGE[passage_of(p)] == "en") for s, p in zip(right, passages, strict=True)
    ]


def judging(query, passages):
    """A reranker of the task `sample` that knows its judgments."""
    return [float((query, passage) in _judged()) for passage in passages]


@memory
def _judged():
    task = load_task("sample")
    return {
        (task.queries[q], reranker_input(task.titles[p], task.passages[p]))
        for q, p in task.relevant
    }


def letters(query, passage):
    """A score of what both texts share, a probability."""
    a, b = set(query.lower()), set(passage.lower())
    return len(a & b) / len(a | b)


class Recorder:
    """A reranker that notes the passages that it is given."""

    name = "recorder"

    def __init__(self, function=lambda query, passages: [0.0] * len(passages)):
        self.function, self.calls = function, []

    def scores(self, pairs):
        self.calls.append(list(pairs))
        return np.array([self.function(q, [p])[0] for q, p in pairs], np.float32)


@pytest.fixture(scope="module")
def store(chain, tmp_path_factory):
    root = tmp_path_factory.mktemp("reranked")
    folder.write_folder(CORPUS, root / "sample")
    index(str(chain), root / "sample", str(root / "store"), overlap=0, precision="fp32")
    return str(root / "store")


@pytest.fixture(scope="module")
def encoder(chain):
    return mixling.Retriever(str(chain))


@pytest.fixture(scope="module")
def cross_encoder(plain, tmp_path_factory):
    """A cross-encoder of two layers, whose weights are drawn from a fixed seed."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(plain, num_labels=1)
    model.classifier.weight.data.mul_(10_000)  # scores that lie well apart
    path = tmp_path_factory.mktemp("cross") / "encoder"
    model.save_pretrained(path)
    AutoTokenizer.from_pretrained(plain).save_pretrained(path)
    return str(path)


@pytest.fixture
def quick(monkeypatch):
    """Waiting between attempts takes no time; the seconds are noted."""
    waits = []
    monkeypatch.setattr("mixling.models.service.sleep", waits.append)
    return waits


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MIXLING_CACHE", str(tmp_path / "cache"))
    for name in ("MIXLING_API_KEY", "COHERE_API_KEY", "JINA_API_KEY", "VOYAGE_API_KEY"):
        monkeypatch.delenv(name, raising=False)


# a search


def test_a_cross_encoder_reranks_a_search(store, encoder, cross_encoder):
    reranker = Reranker(cross_encoder, device="cpu")
    plain, reranked = Searcher(store, encoder), Searcher(store, encoder, reranker=cross_encoder)
    hits = reranked.search(QUERY, 5, order="score", rerank_depth=20)
    candidates = plain.search(QUERY, 20, order="score")
    scores = reranker.scores([(QUERY, reranker_input(h.title, h.text)) for h in candidates])
    assert np.ptp(scores) > 0.1
    assert [h.id for h in hits] == [candidates[i].id for i in np.argsort(-scores)[:5]]
    assert [h.id for h in hits] != [h.id for h in candidates[:5]]
    assert [h.score for h in hits] == pytest.approx(sorted(scores, reverse=True)[:5], abs=1e-2)
    assert [h.rank for h in hits] == [1, 2, 3, 4, 5] and hits[0].language_offset is None
    assert any(h.sentence for h in hits)
    function = search(store, QUERY, 5, model=encoder, reranker=cross_encoder, order="score",
                      rerank_depth=20)  # fmt: skip
    assert function == hits


@pytest.mark.parametrize("mode", ["dense", "both"])
def test_a_rerankers_preference_for_a_language_is_taken_out(store, encoder, mode):
    searcher = Searcher(store, encoder, reranker=biased)
    options = {"mode": mode, "rerank_depth": 1000, "highlight": False, "query_language": "en"}
    by_score = searcher.search(QUERY, N_LANGUAGES, order="score", **options)
    assert {h.language for h in by_score} == {"en"} and by_score[0].language_offset is None
    # English passages that do not answer stand before others that do
    assert not all(GROUP[passage_of(h.text)] in ANSWERS[QUERY] for h in by_score)
    centered = searcher.search(QUERY, 40, order="centered", **options)
    right = [GROUP[passage_of(h.text)] in ANSWERS[QUERY] for h in centered]
    assert right == sorted(right, reverse=True) and not all(right)
    answers = {h.language for h, is_right in zip(centered, right, strict=True) if is_right}
    assert len(answers) == N_LANGUAGES
    gains = [h.score - h.language_offset for h in centered]
    assert gains == sorted(gains, reverse=True)


def test_candidates_are_drawn_in_turn_unless_by_score(store, encoder):
    seen = Recorder()
    searcher = Searcher(store, encoder, reranker=seen)
    searcher.search(QUERY, 3, rerank_depth=4 * N_LANGUAGES, highlight=False)
    languages = [LANGUAGE[passage_of(p)] for _, p in seen.calls[-1]]
    assert set(np.unique(languages, return_counts=True)[1]) == {4}
    searcher.search(QUERY, 3, rerank_depth=4 * N_LANGUAGES, order="score", highlight=False)
    expected = Searcher(store, encoder).search(QUERY, 4 * N_LANGUAGES, order="score")
    assert [p for _, p in seen.calls[-1]] == [reranker_input(h.title, h.text) for h in expected]
    searcher.search(QUERY, 3, order="score", quotas={"en": 1}, rerank_depth=16, highlight=False)
    languages = [LANGUAGE[passage_of(p)] for _, p in seen.calls[-1]]
    assert set(np.unique(languages, return_counts=True)[1]) == {2}
    searcher.search(QUERY, 9, rerank_depth=2, highlight=False)  # all that is shown is reranked
    assert len(seen.calls[-1]) == 9
    searcher.search([QUERY, GERMAN], 3, rerank_depth=10, highlight=False)
    assert [q for q, _ in seen.calls[-1]] == [QUERY] * 10 + [GERMAN] * 10


def test_without_a_reranker_or_depth_nothing_changes(store, encoder):
    seen = Recorder()
    plain = Searcher(store, encoder)
    for order in ORDERS:
        expected = plain.search(QUERY, 6, order=order)
        assert plain.search(QUERY, 6, order=order, rerank_depth=50) == expected
        found = Searcher(store, encoder, reranker=seen).search(
            QUERY, 6, order=order, rerank_depth=0
        )
        assert found == expected
    assert not seen.calls
    with pytest.raises(MixlingError, match="rerank_depth is -1"):
        Searcher(store, encoder, reranker=seen).search(QUERY, rerank_depth=-1)


def test_filters_quotas_and_translations_hold(store, encoder):
    searcher = Searcher(store, encoder, reranker=biased)
    hits = searcher.search(QUERY, 8, languages=["sw", "de"], highlight=False)
    assert {h.language for h in hits} == {"sw", "de"}
    hits = searcher.search(QUERY, 8, quotas={"en": 1}, order="score", highlight=False)
    assert [h.language for h in hits].count("en") == 1 and len(hits) == 8
    function = search(store, QUERY, 4, model=encoder, reranker=biased, highlight=False)
    assert function == searcher.search(QUERY, 4, highlight=False)
    halves = Searcher(store, encoder, reranker=lambda q, ps: [2.0 * (q == QUERY)] * len(ps))
    assert halves.search([QUERY, "b"], 1, highlight=False)[0].score == 1.0


def test_language_offsets_by_hand():
    languages = ["en", "en", "en", "en", "sw", "sw"]
    scores = np.array([9.0, 3.0, 1.0, 5.0, -2.0, 4.0])
    # the mean of both means is 2.75
    assert language_offsets(languages, scores, c=0) == {"en": 4.5, "sw": 1.0}
    shrunk = language_offsets(languages, scores, c=2)
    both = 2.75
    assert shrunk == pytest.approx({"en": (4 * 4.5 + 2 * both) / 6, "sw": (2 * 1 + 2 * both) / 4})
    assert language_offsets([], np.zeros(0)) == {}


@pytest.mark.parametrize(
    ("reranker", "message"),
    [
        (lambda q, ps: [math.nan] * len(ps), "is nan"),
        (lambda q, ps: [1.0], r"shape \[1\]"),
        (lambda q, ps: ["a"] * len(ps), "returns a number for each passage"),
    ],
)
def test_scores_that_are_none_are_refused(store, encoder, reranker, message):
    with pytest.raises(RerankerError, match=message):
        Searcher(store, encoder, reranker=reranker).search(QUERY, 2)


def test_a_cross_encoder_object_is_a_reranker(cross_encoder):
    from sentence_transformers import CrossEncoder

    pairs = [(QUERY, PASSAGES[0]["text"]), ("b", PASSAGES[1]["text"])]
    given = load_reranker(CrossEncoder(cross_encoder, device="cpu"))
    np.testing.assert_allclose(
        given.scores(pairs), Reranker(cross_encoder, device="cpu").scores(pairs), rtol=1e-5
    )
    with pytest.raises(MixlingError, match="Expected the name of a reranker"):
        load_reranker(3)


# services


@pytest.mark.parametrize("form", ["cohere", "jina", "voyage", "tei", "address"])
def test_each_service_gets_its_own_form(form, monkeypatch):
    passages = [f"passage {i} of the bridge" + " old" * (i % 7) for i in range(70)]
    served = {"address": "cohere"}.get(form, form)
    with RerankServer(letters, served, key=SECRET) as server:
        if form in providers.PROVIDERS:
            provider = providers.PROVIDERS[form]
            here = dataclasses.replace(provider, address=f"{server.address}/v2")
            monkeypatch.setitem(providers.PROVIDERS, form, here)
            monkeypatch.setenv(provider.key, SECRET)
            reranker = load_reranker(f"{form}:some-model")
        else:
            monkeypatch.setenv("MIXLING_API_KEY", SECRET)
            model = "#some-model" if form == "address" else ""
            reranker = load_reranker(f"{server.address}/v2/rerank{model}")
        scores = reranker.scores([(QUERY, p) for p in passages])
        p = np.array([letters(QUERY, x) for x in passages])
        np.testing.assert_allclose(scores, np.log(p / (1 - p)), atol=1e-4)
        assert set(server.paths) == {"/v2/rerank"}
        assert server.headers[0]["authorization"] == f"Bearer {SECRET}"
        body = server.bodies[0]
        assert body.pop("query") == QUERY
        sent = sorted(len(b.get("documents", b.get("texts"))) for b in server.bodies)
        assert sent == ([6, 32, 32] if form in ("tei", "address") else [70])
        n = len(body.get("documents", body.get("texts")))
        expected = {
            "cohere": {"model": "some-model", "top_n": n},
            "jina": {"model": "some-model", "top_n": n, "return_documents": False},
            "voyage": {"model": "some-model", "truncation": True},
            "tei": {"raw_scores": True, "truncate": True},
        }[served]
        texts = body.pop("texts" if form == "tei" else "documents")
        assert body == expected and texts[0] in passages


def test_a_service_that_fails_is_asked_again(quick):
    faults = ["busy", "fail", "short", "twice", "nan", "nonsense"]
    with RerankServer(letters, "tei", faults) as server:
        scores = load_reranker(f"{server.address}/rerank").scores([(QUERY, "abc"), (QUERY, "old")])
        assert scores[1] > scores[0] and len(server.bodies) == 7
        assert quick[0] == 2.0  # what Retry-After says
        assert "authorization" not in server.headers[0]  # there is no key


@pytest.mark.parametrize(
    ("spelling", "message"),
    [
        ("openai:gpt-9", "no reranker of openai. Expected cohere:MODEL"),
        ("cohere:rerank-v3.5", "COHERE_API_KEY is not set"),
        ("cohere:", "no model is named"),
        ("https://host/v1#m", "does not end in /rerank"),
        ("https://me:secret@host/rerank#m", "user name, a password"),
        ("no/such/folder/anywhere", "model folder does not exist"),
        ("python:test_rerank:nothing", "nothing"),
    ],
)
def test_a_spelling_that_names_nothing_is_one_error(spelling, message, store, run):
    status, _, err = run("search", store, QUERY, "--rerank", spelling)
    assert status == 2 and re.search(message, err), err
    assert "secret" not in err and err.count("\n") <= 2


def test_a_service_that_refuses_is_one_error_without_the_key(monkeypatch):
    monkeypatch.setenv("MIXLING_API_KEY", SECRET)
    with RerankServer(letters, faults=["refuse"]) as server:
        reranker = load_reranker(f"{server.address}/rerank#m")
        with pytest.raises(MixlingError, match="model not found") as error:
            reranker.scores([(QUERY, "a")])
        assert len(server.bodies) == 1 and SECRET not in str(error.value)
        assert "is kept" not in str(error.value)
    with RerankServer(letters, "tei") as server:  # asked in the other form
        reranker = load_reranker(f"{server.address}/rerank#m")
        with pytest.raises(MixlingError, match="missing field `texts`"):
            reranker.scores([(QUERY, "a")])


def test_scores_that_are_kept_are_not_paid_for_again():
    pairs = [(QUERY, "a"), (QUERY, "b"), (QUERY, "a"), ("other", "a")]
    with RerankServer(letters) as server:
        first = load_reranker(f"{server.address}/rerank#m", keep_scores=True).scores(pairs)
        assert [b["documents"] for b in server.bodies] == [["a", "b"], ["a"]]
        again = load_reranker(f"{server.address}/rerank#m", keep_scores=True).scores(pairs)
        assert len(server.bodies) == 2 and (first == again).all() and first[0] == first[2]
        load_reranker(f"{server.address}/rerank#m").scores(pairs)
        load_reranker(f"{server.address}/rerank#n", keep_scores=True).scores(pairs)
        assert len(server.bodies) == 6


def test_scores_that_came_while_another_request_failed_are_kept():
    passages = [f"passage {i} of the bridge" for i in range(70)]
    pairs = [(QUERY, p) for p in passages]
    with RerankServer(letters, "tei", ["refuse"]) as server:
        reranker = load_reranker(f"{server.address}/rerank", keep_scores=True)
        with pytest.raises(MixlingError, match="model not found"):
            reranker.scores(pairs)
        assert len(reranker.scores(pairs)) == 70
        answered = [text for body in server.bodies[1:] for text in body["texts"]]
        assert sorted(answered) == sorted(passages)  # each is asked once


def test_probabilities_become_log_odds_in_the_same_order():
    p = np.array([0.0, 1e-5, 0.3, 0.5, 0.9999, 1.0], np.float32)
    odds = log_odds(p)
    assert np.isfinite(odds).all() and (np.diff(odds) > 0).all() and odds[3] == 0
    assert odds[2] == pytest.approx(math.log(0.3 / 0.7))
    logits = np.array([0.2, 3.0], np.float32)
    assert (log_odds(logits) == logits).all() and not len(log_odds(p[:0]))


# the command line and the server


def test_the_command_line_reranks(store, run):
    with RerankServer(letters, "tei") as server:
        options = ("--rerank", f"{server.address}/rerank", "--rerank-depth", 24, "-k", 3)
        status, out, _ = run("search", store, QUERY, *options, "--json")
        rows = [json.loads(line) for line in out.splitlines()]
        assert status == 0 and len(rows) == 3
        assert len(server.bodies[0]["texts"]) == 24
        odds = [letters(QUERY, reranker_input(r["title"], r["text"])) for r in rows]
        assert [r["score"] for r in rows] == pytest.approx([math.log(p / (1 - p)) for p in odds])
        status, out, err = run("search", store, QUERY, *options)
        assert status == 0 and "its language's candidates" in err


def test_the_server_reranks_and_a_request_may_decline(store, encoder):
    with TestClient(application(Searcher(store, encoder, reranker=biased))) as client:
        assert client.get("/v1/info").json()["reranker"] == "biased"
        body = {"query": QUERY, "k": 4}
        answer = client.post("/v1/search", json=body).json()
        expected = Searcher(store, encoder, reranker=biased).search(QUERY, 4, highlight=False)
        assert [r["id"] for r in answer["results"]] == [h.id for h in expected]
        assert answer["reranked"] is True
        declined = client.post("/v1/search", json={**body, "rerank": False}).json()
        plain = Searcher(store, encoder).search(QUERY, 4, highlight=False)
        assert [r["id"] for r in declined["results"]] == [h.id for h in plain]
        assert declined["reranked"] is False
        assert client.post("/v1/search", json={**body, "rerank_depth": 0}).status_code == 422
    with TestClient(application(Searcher(store, encoder))) as client:
        assert client.get("/v1/info").json()["reranker"] is None
        answer = client.post("/v1/search", json={**body, "rerank": True})
        assert answer.status_code == 400 and "has no reranker" in answer.text
        assert client.post("/v1/search", json={**body, "rerank": False}).status_code == 200


def test_a_reranker_that_fails_is_no_mistake_of_the_clients(store, encoder):
    failing = Recorder(lambda query, passages: [math.inf])
    with TestClient(application(Searcher(store, encoder, reranker=failing))) as client:
        for _ in range(3):  # its place is free again
            answer = client.post("/v1/search", json={"query": QUERY})
            assert answer.status_code == 502 and "recorder: the score" in answer.text
        assert client.post("/v1/search", json={"query": QUERY, "rerank": False}).status_code == 200
        assert (
            client.post("/v1/search", json={"query": QUERY, "languages": ["xx"]}).status_code == 400
        )


# measuring


def test_a_reranked_retriever_is_measured(chain, run, tmp_path):
    name = f"{chain}>python:test_rerank:judging"
    result = mixling.evaluate(name, ["sample"], rerank_depth=1000)
    scenarios = ("monolingual", "cross-lingual", "multilingual")
    assert [result.value("sample", s, "mAP") for s in scenarios] == pytest.approx([1, 1, 1])
    assert "MRC@20" not in result.summary["tasks"]["sample"]["bias"]
    task = load_task("sample")
    depth = 7
    found = mixling.evaluate(name, ["sample"], rerank_depth=depth)
    plain = mixling.evaluate(str(chain), ["sample"])
    # by hand: right answers among the first seven come first, the others stay
    ranks = _multilingual_ranks(chain, task)
    means = []
    for query in range(len(task.queries)):
        own = np.sort(ranks[task.relevant[:, 0] == query])
        first = int((own <= depth).sum())
        places = np.r_[np.arange(1, first + 1), own[first:]]
        means.append(float(np.mean(np.arange(1, len(places) + 1) / places)))
    by_language = [
        np.mean([m for m, c in zip(means, task.query_language, strict=True) if c == code])
        for code in range(len(task.languages))
    ]
    assert found.value("sample", "multilingual", "mAP") == pytest.approx(np.mean(by_language))
    assert found.value("sample", "multilingual", "mAP") > plain.value(
        "sample", "multilingual", "mAP"
    )
    entry = found.summary["tasks"]["sample"]["reranked"]
    assert entry == {"reranker": "judging", "depth": depth, "pairs": depth * len(task.queries)}
    out = tmp_path / "out"
    status, text, _ = run(
        "evaluate", name, str(chain), "-t", "sample", "-o", out, "--rerank-depth", 7
    )
    assert status == 0 and (out / f"{chain.name}-python-test_rerank-judging").is_dir(), text


def test_a_reranker_of_equal_scores_leaves_every_figure(chain):
    same = mixling.evaluate(f"{chain}>python:test_rerank:indifferent", ["sample"])
    plain = mixling.evaluate(str(chain), ["sample"])
    for a, b in ((same, plain), (plain, same)):
        for scenario in ("monolingual", "cross-lingual", "multilingual"):
            for name, value in a.summary["tasks"]["sample"][scenario].items():
                assert b.summary["tasks"]["sample"][scenario][name] == value, name
    bias = plain.summary["tasks"]["sample"]["bias"]
    for name, value in same.summary["tasks"]["sample"]["bias"].items():
        assert name == "by_language" or bias[name] == value, name
    assert set(bias) - set(same.summary["tasks"]["sample"]["bias"]) == {"MRC@20"}


def indifferent(query, passages):
    """What `python:test_rerank:indifferent` names."""
    return [0.0] * len(passages)


@pytest.mark.parametrize(
    "name", [">x", "bm25>", "bm25>openai:x", "no-such>python:test_rerank:knowing"]
)
def test_half_a_name_is_refused(name, run):
    status, _, err = run("evaluate", name, "-t", "sample")
    assert status == 2 and err.startswith("mixling: "), err


def test_pairs_are_scored_by_query(encoder):
    scores = pair_scores(load_reranker(knowing), [(QUERY, PASSAGES[0]["text"])] * 2)
    assert scores.shape == (2,) and scores.dtype == np.float32


def _multilingual_ranks(chain, task):
    from mixling.evaluation.baselines import make_ranker
    from mixling.evaluation.measure import rank_task

    scorer, _ = make_ranker(str(chain)).scorer(task)
    return rank_task(task, scorer).multilingual
