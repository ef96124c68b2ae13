"""Orders and quotas in every mode: by vectors, by full text, and by both."""

import json
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from studies import search_ways

from mixling.models.functions import FunctionEncoder
from mixling.searching.fairness import ORDERS
from mixling.searching.fusion import rank_by_both, rank_by_text
from mixling.searching.index import index
from mixling.searching.options import MODES
from mixling.searching.query import Searcher
from mixling.searching.ranking import PassageSearch, rank_by_vector
from mixling.serving.app import application

FAIR = [order for order in ORDERS if order != "score"]
TOPICS = 40
# Each language has words of its own script, and German and English share the names.
ALPHABETS = {
    "en": "abdegimnor",
    "de": "fhklpstuwz",
    "ru": "абвгдежзик",
    "zh": "山水火木金土日月人口",
}
BIAS = 1.3  # weight of the language in a vector; a topic weighs 1


def word(language, number):
    """A word of a language that stands for a number, the same number in every language."""
    return "".join(ALPHABETS[language][int(digit)] for digit in f"{number:03d}") * 2


def sentence(language, topic):
    """A passage on a topic: its word, its name, and words of every passage of the language."""
    own = [word(language, 700 + topic), word(language, 500), word(language, 501)]
    return " ".join([*own, *([f"Nadi{topic:02d}"] if language in ("en", "de") else [])])


def vectors(texts, role):
    """A biased encoder: a text's language weighs more than its topic."""
    made = np.zeros((len(texts), TOPICS + len(ALPHABETS)), np.float32)
    for row, text in zip(made, texts, strict=True):
        row += 0.01 * np.random.default_rng([ord(x) for x in text]).random(len(row))  # no ties
        for number, language in enumerate(ALPHABETS):
            for topic in range(TOPICS):
                if word(language, 700 + topic) in text.split():
                    row[topic], row[TOPICS + number] = 1, BIAS
    return made


@pytest.fixture(scope="module")
def searcher(tmp_path_factory):
    root = tmp_path_factory.mktemp("fair")
    rows = [
        {"_id": f"{language}{topic}", "text": sentence(language, topic), "language": language}
        for topic in range(TOPICS)
        for language in ALPHABETS
    ]
    (root / "d.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    index(FunctionEncoder(vectors), root / "d.jsonl", str(root / "store"))
    return Searcher(str(root / "store"), FunctionEncoder(vectors))


def found(searcher, mode, order, k=4, language="en", **options):
    hits = searcher.search(
        sentence(language, 5), k, mode=mode, order=order, query_language=language, **options
    )
    return [hit.document for hit in hits]


@pytest.mark.parametrize("mode", ["dense", "both"])
@pytest.mark.parametrize("language", ALPHABETS)
def test_the_answers_of_all_languages_come_first_in_every_fair_order(searcher, mode, language):
    answers = {f"{x}5" for x in ALPHABETS}
    for order in FAIR:
        assert set(found(searcher, mode, order, language=language)) == answers, order
    # by score alone the preference of both lists stays: wrong passages in the query's language
    assert all(x.startswith(language) for x in found(searcher, mode, "score", language=language))


def test_full_text_puts_an_answer_that_shares_a_name_before_the_querys_language(searcher):
    for order in FAIR:
        assert found(searcher, "text", order, 2) == ["en5", "de5"], order
    # nothing in Russian or Chinese shares a term
    assert {x[:2] for x in found(searcher, "text", "round-robin", 40)} == {"en", "de"}


@pytest.mark.parametrize("order", ORDERS)
def test_a_language_that_shares_no_word_keeps_its_order(searcher, order):
    for language, others in (("en", ["ru", "zh"]), ("zh", ["en", "de", "ru"])):
        dense = found(searcher, "dense", order, 200, language)
        both = found(searcher, "both", order, 200, language)
        for other in others:
            assert [x for x in both if x[:2] == other] == [x for x in dense if x[:2] == other]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("order", ORDERS)
def test_more_results_and_quotas_that_bind_nothing_change_no_order(searcher, mode, order):
    whole = found(searcher, mode, order, 200)
    assert found(searcher, mode, order, 5) == whole[:5]
    assert found(searcher, mode, order, 200, quotas={"en": 48, "de": 48}) == whole
    limited = found(searcher, mode, order, 200, quotas={"en": 2, "zh": 0})
    expected = [x for x in whole if x[:2] != "zh"]
    surplus = [x for x in expected if x[:2] == "en"][2:]
    assert limited == [x for x in expected if x not in surplus]
    assert Counter(x[:2] for x in limited)["en"] == 2


class Lists:
    """A store that answers with given rows: {language: [(score by vector, by text or None)]}."""

    def __init__(self, passages):
        self.rows = [
            {"id": f"{x}{i:02d}", "language": x, "dense": dense, "text": text}
            for x, scores in passages.items()
            for i, (dense, text) in enumerate(scores)
        ]

    def _best(self, column, k, languages):
        rows = [
            {"id": r["id"], "language": r["language"], "score": r[column]}
            for r in self.rows
            if r[column] is not None and (languages is None or r["language"] in languages)
        ]
        rows.sort(key=lambda row: (-row["score"], row["id"]))
        return pa.Table.from_pylist(rows[:k])

    def nearest(self, vector, k, languages=None):
        return self._best("dense", k, languages)

    def lexical(self, text, k, languages=None):
        return self._best("text", k, languages)


def search_of(passages, order, quotas=None, depth=50):
    """A search of given rows; the language offset is half a language's best score by vector."""
    means = {x: np.array([max((s for s, _ in v), default=0) / 2]) for x, v in passages.items()}
    return PassageSearch(Lists(passages), means, list(passages), depth, order, "a", quotas or {})


def ranked(search, mode):
    if mode == "dense":
        return rank_by_vector(search, np.ones(1))
    if mode == "text":
        return rank_by_text(search, "words")
    return rank_by_both(search, np.ones(1), "words")


SCORE = st.integers(1, 30).map(float)
PASSAGES = st.lists(st.tuples(SCORE, st.none() | SCORE), max_size=8)
COLLECTION = st.fixed_dictionaries({"a": PASSAGES, "b": PASSAGES, "c": PASSAGES})


@settings(deadline=None)  # the machine may be busy
@given(COLLECTION, PASSAGES, st.sampled_from(ORDERS), st.sampled_from(["dense", "text"]))
def test_the_order_within_a_language_is_its_own(passages, others, order, mode):
    changed = {**passages, "b": others, "c": []}
    orders = [
        [row["id"] for row in ranked(search_of(x, order), mode) if row["language"] == "a"]
        for x in (passages, changed, {"a": passages["a"]})
    ]
    assert orders[0] == orders[1] == orders[2]


@settings(deadline=None)  # the machine may be busy
@given(COLLECTION, st.sampled_from(ORDERS))
def test_by_both_a_passage_follows_none_of_its_language_that_is_worse_by_each(passages, order):
    rows = ranked(search_of(passages, order), "both")
    place = {row["id"]: i for i, row in enumerate(rows)}
    assert len(place) == sum(map(len, passages.values()))
    for language, scores in passages.items():
        for i, (dense, text) in enumerate(scores):
            for j, (other_dense, other_text) in enumerate(scores):
                better = (dense, text or 0), (other_dense, other_text or 0)
                if better[0] != better[1] and all(x >= y for x, y in zip(*better, strict=True)):
                    assert place[f"{language}{i:02d}"] < place[f"{language}{j:02d}"]


@settings(deadline=None)  # the machine may be busy
@given(COLLECTION, PASSAGES, st.sampled_from(ORDERS))
def test_other_languages_change_the_weight_of_full_text_alone(passages, others, order):
    """With the best scores of the query the same, a language's order by both is its own."""
    best = [(40.0, 40.0)]  # before all in "a", whose order is looked at
    orders = [
        [row["id"] for row in ranked(search_of(x, order), "both") if row["language"] == "a"]
        for x in ({**passages, "b": best + others, "c": []}, {**passages, "b": best})
    ]
    assert orders[0] == orders[1]


@settings(deadline=None)  # the machine may be busy
@given(
    COLLECTION,
    st.dictionaries(st.sampled_from("abc"), st.integers(0, 9)),
    st.sampled_from(ORDERS),
    st.sampled_from(MODES),
)
def test_quotas_are_kept_and_only_drop_passages(passages, quotas, order, mode):
    free = [row["id"] for row in ranked(search_of(passages, order), mode)]
    limited = [row["id"] for row in ranked(search_of(passages, order, quotas), mode)]
    used, expected = Counter(), []
    for name in free:
        used[name[0]] += 1
        if used[name[0]] <= quotas.get(name[0], 99):
            expected.append(name)
    assert limited == expected


@settings(deadline=None)  # the machine may be busy
@given(COLLECTION, st.sampled_from(ORDERS))
def test_one_list_stays_as_it_is(passages, order):
    without_text = {x: [(dense, None) for dense, _ in rows] for x, rows in passages.items()}
    search = search_of(without_text, order)
    assert ranked(search, "text") == []
    dense = [(row["id"], row["score"]) for row in rank_by_vector(search, np.ones(1))]
    assert [(row["id"], row["score"]) for row in ranked(search, "both")] == dense
    search = search_of(passages, "score")
    assert ranked(search, "text") == search.store.lexical("words", 50).to_pylist()


@settings(deadline=None)  # the machine may be busy
@given(COLLECTION, st.sampled_from(FAIR))
def test_a_language_without_shared_words_is_not_punished(passages, order):
    """Its passages have the centered scores that they have by vector."""
    passages = {**passages, "c": [(dense, None) for dense, _ in passages["c"]]}
    search = search_of(passages, order)
    centered = [
        {
            row["id"]: row["score"] - row["language_offset"]
            for row in ranked(search, mode)
            if row["language"] == "c"
        }
        for mode in ("both", "dense")
    ]
    assert centered[0] == centered[1]


def test_languages_that_one_search_of_many_does_not_reach_are_searched_for_what_text_found(
    monkeypatch,
):
    passages = {"a": [(9.0 - i, None) for i in range(5)], "b": [(0.1, 3.0)], "c": [(0.2, None)]}
    monkeypatch.setattr("mixling.searching.ranking.MAX_SEPARATE_LANGUAGES", 2)
    search = search_of(passages, "round-robin")
    nearest = search.store.nearest
    monkeypatch.setattr(
        search.store, "nearest", lambda v, k, x=None: nearest(v, 5 if len(x) > 2 else k, x)
    )
    assert {row["language"] for row in ranked(search, "dense")} == {"a"}
    assert {row["language"] for row in ranked(search, "both")} == {"a", "b"}


def test_translations_find_what_they_share_words_with(searcher):
    queries = [sentence("en", 5), sentence("ru", 5)]
    for mode in ("text", "both"):
        hits = searcher.search(queries, 4, mode=mode, order="round-robin", query_language="en")
        assert {"en5", "ru5"} <= {hit.document for hit in hits}


def test_the_study_ranks_as_a_searcher_does(tmp_path):
    codes = np.repeat(list(ALPHABETS), TOPICS)
    passages = [sentence(x, topic) for x in ALPHABETS for topic in range(TOPICS)]
    queries, relevant = [sentence("de", 3), sentence("ru", 9)], [np.array([3]), np.array([9])]
    collection = search_ways.Collection(
        "planted", queries, ["de", "ru"], [[], []], unit(queries), [], passages, codes,
        unit(passages), relevant,
    )  # fmt: skip
    searcher = search_ways.index_collection(collection, str(tmp_path))
    store = search_ways.KnownStore(collection, searcher.store)
    for query, vector, language in zip(
        queries, collection.query_vectors, collection.query_languages, strict=True
    ):
        store.ask(vector)
        for order in ORDERS:
            search = PassageSearch(
                store, searcher.means, list(searcher.means), 200, order, language, {}
            )
            for mode, way in search_ways.MODES.items():
                rows = way(search, vector, [query])
                hits = searcher.search_vectors(
                    [query], vector[None], 200, mode=mode, order=order, query_language=language
                )
                assert [row["id"] for row in rows] == [hit.id for hit in hits], (mode, order)
                scores = np.array([[row["score"] for row in rows], [hit.score for hit in hits]])
                assert scores[0] == pytest.approx(scores[1], abs=1e-5)


def unit(texts):
    """Unit vectors of texts."""
    made = vectors(texts, None)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("order", ORDERS)
def test_command_python_and_server_agree(searcher, mode, order, run, monkeypatch):
    query, quotas = sentence("en", 3), {"en": 2}
    options = {"mode": mode, "order": order, "query_language": "en", "quotas": quotas}
    expected = searcher.search(query, 6, highlight=False, **options)
    assert len(expected) >= 3
    with TestClient(application(searcher)) as client:
        answer = client.post("/v1/search", json={"query": query, "k": 6, **options}).json()
    assert answer["results"] == json.loads(json.dumps([hit.to_dict() for hit in expected]))
    monkeypatch.setattr("mixling.searching.query.Searcher", lambda *a, **k: searcher)
    status, out, error = run(
        *("search", searcher.address, query, "-k", "6", "--json", "--mode", mode),
        *("--order", order, "--query-language", "en", "--quota", "en=2"),
    )
    assert status == 0, error
    rows = [json.loads(line) for line in out.splitlines()]
    assert [(r["document"], r["score"]) for r in rows] == [(h.document, h.score) for h in expected]
