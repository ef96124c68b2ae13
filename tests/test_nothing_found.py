"""Whether a search says that nothing answers."""

import json
from functools import partial

import numpy as np
import pytest

import mixling
from mixling.models.functions import FunctionEncoder
from mixling.searching.answerable import (
    MIN_STANDARD_SCORE,
    has_good_answer,
    standard_scores,
)
from mixling.searching.hits import SearchHit

DIMENSIONS = 64


def planted(texts, role, bias=2):
    """Give each text a random direction of its own; a query that ends in N? is near to text N.

    Passages of a language share a direction, as in many encoders.
    """
    language = {"en": 0, "sw": 1}
    rows = []
    for text in texts:
        name = text.removesuffix("?")
        seed = int(name.split()[-1]) if name.split()[-1].isdigit() else 10_000
        row = np.random.default_rng(seed).standard_normal(DIMENSIONS)
        tag = text.split()[0]
        if tag in language:
            row += bias * np.eye(DIMENSIONS)[language[tag]]
        rows.append(row)
    return np.array(rows)


def make(root, n):
    rows = [
        {"_id": str(i), "text": f"{tag} passage {i}", "language": tag}
        for i, tag in enumerate(["en", "sw"] * (n // 2))
    ]
    (root / "d.jsonl").write_text("\n".join(map(json.dumps, rows)))
    mixling.index(FunctionEncoder(planted), root / "d.jsonl", str(root / "store"))
    return mixling.Searcher(str(root / "store"), FunctionEncoder(planted))


@pytest.fixture(scope="module")
def searcher(tmp_path_factory):
    return make(tmp_path_factory.mktemp("nothing"), 200)


@pytest.mark.parametrize("order", ["score", "centered", "round-robin", "query-language-first"])
def test_an_answer_that_was_taken_out_is_missed_and_others_are_not(searcher, order):
    search = partial(searcher.search, order=order, query_language="en", highlight=False)
    answered = [has_good_answer(search(f"sw where is {i}?", 5)) for i in range(60)]
    missing = [has_good_answer(search(f"sw where is {i}?", 5)) for i in range(1000, 1060)]
    assert all(answered) and sum(missing) <= 25  # a random direction may be near to a passage
    assert len(search("sw where is 1000?", 5)) == 5  # what is found is still given


def test_the_score_is_in_deviations_of_the_stores_own_scores(searcher):
    hits = searcher.search("en where is 7?", 200, order="centered", highlight=False)
    centered = np.array([hit.score - hit.language_offset for hit in hits])
    stated = np.array([hit.standard_score for hit in hits])
    assert len(hits) == 200
    # the offset of a search order is shrunk, the mean that a score is judged by is not
    languages = np.array([hit.language for hit in hits])
    for tag in ("en", "sw"):
        centered[languages == tag] -= centered[languages == tag].mean()
    assert np.allclose(stated, centered / centered.std(), atol=1e-3)


@pytest.mark.parametrize("n", [5, 20])
def test_a_small_language_of_a_biased_encoder_is_judged_as_a_large_one(tmp_path, n):
    """Half of the bias was left in the scores of 20 passages, so all of them seemed to answer."""

    biased = partial(planted, bias=12)
    shares = {}
    for name, count in (("small", n), ("large", 200)):
        root = tmp_path / name
        root.mkdir()
        tags = ["sw"] * count + ["en"] * (400 - count)
        rows = [
            {"_id": str(i), "text": f"{tag} passage {i}", "language": tag}
            for i, tag in enumerate(tags)
        ]
        (root / "d.jsonl").write_text("\n".join(map(json.dumps, rows)))
        mixling.index(FunctionEncoder(biased), root / "d.jsonl", str(root / "store"))
        search = mixling.Searcher(str(root / "store"), FunctionEncoder(biased)).search
        ask = partial(search, k=200, languages=["sw"], query_language="sw", highlight=False)

        def is_answered(number, ask=ask):
            # of the passages that both stores have
            hits = [x for x in ask(f"sw where is {number}?") if int(x.document) < n]
            return has_good_answer(hits)

        assert all(is_answered(i) for i in range(n))
        shares[name] = np.mean([not is_answered(i) for i in range(1000, 1100)])
    assert shares["large"] > 0.8 and abs(shares["small"] - shares["large"]) < 0.1


def test_json_carries_the_score_there_and_back(searcher):
    (hit,) = searcher.search("en where is 7?", 1, highlight=False)
    row = json.loads(json.dumps(hit.to_dict()))
    assert row["standard_score"] == hit.standard_score > MIN_STANDARD_SCORE
    assert SearchHit.from_dict(row) == hit


def test_where_it_cannot_be_told_nothing_is_said(searcher, tmp_path):
    assert has_good_answer(searcher.search("en where is 7?", 3, mode="text")) is None
    assert has_good_answer(searcher.search("en where is 7?", 3, mode="both")) is None
    few = make(tmp_path, 60)
    assert few.sample is None
    hits = few.search("en where is 7?", 3)
    assert has_good_answer(hits) is None and "standard_score" not in hits[0].to_dict()
    assert has_good_answer([]) is False and standard_scores([], np.zeros(2), {}, None) == []


def test_the_sample_stands_for_all_of_a_store(searcher):
    languages, vectors = searcher.store.sample(50)
    assert len(languages) == len(vectors) == 50
    assert 15 <= languages.count("sw") <= 35
    assert vectors.shape == (50, DIMENSIONS)


def test_the_command_says_so_and_still_gives_what_it_found(searcher, run, monkeypatch):
    monkeypatch.setattr(
        "mixling.searching.query.load_store_model", lambda *_: FunctionEncoder(planted)
    )
    questions = (f"sw where is {i}?" for i in range(1000, 1060))
    missed = next(x for x in questions if has_good_answer(searcher.search(x, 3)) is False)
    status, out, err = run("search", searcher.address, missed, "-k", "3", "--json")
    assert status == 0 and len(out.splitlines()) == 3 and "no good answer" in err
    assert max(json.loads(line)["standard_score"] for line in out.splitlines()) < MIN_STANDARD_SCORE
    status, out, err = run("search", searcher.address, "sw where is 7?", "-k", "3")
    assert status == 0 and "7" in out and "no good answer" not in err
