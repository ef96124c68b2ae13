"""What `studies.same_language` measures: pools by a rule, and recall in three parts."""

import numpy as np
import pytest
from studies import language_pools as pools
from studies.same_language_measures import FIGURES, compare, correct, describe, scores_of
from studies.same_language_methods import OrderScorer, as_queries, dot_scorer, fit_shift

from mixling.corpora.corpus import CorpusBuilder
from mixling.debiasing.embedded_corpus import EmbeddedCorpus
from mixling.evaluation.benchmarks import load_task
from mixling.evaluation.measure import rank_task
from mixling.evaluation.ranks import DotScorer, Ranks
from mixling.evaluation.tasks import Task
from mixling.searching.fairness import order_passages, shrunk
from mixling.transforms.transforms import normalize


@pytest.fixture(scope="module")
def sample():
    return load_task("sample")


@pytest.fixture(scope="module")
def scorer(sample):
    rng = np.random.default_rng(0)
    of_language = rng.normal(size=(len(sample.languages), 16))
    queries, passages = (
        normalize(rng.normal(size=(len(codes), 16)) + of_language[codes]).astype(np.float32)
        for codes in (sample.query_language, sample.passage_language)
    )
    return DotScorer(queries, passages)


def test_a_pool_is_mostly_english():
    counts = pools.mostly_english({"de": 240, "en": 240, "es": 240})
    assert counts == {"de": 13, "en": 240, "es": 13}
    assert counts["en"] / sum(counts.values()) == pytest.approx(0.9, abs=0.005)


def test_half_of_a_help_desk_is_english_and_the_rest_unequal():
    counts = pools.help_desk(dict.fromkeys(["en", *pools.HELP_DESK], 1000))
    others = [n for x, n in counts.items() if x != "en"]
    assert counts["en"] == sum(others) == 900
    assert others == sorted(others, reverse=True) and others[0] == 6 * others[-1]
    # a language that an encoder does not know leaves its share to the others
    fewer = pools.help_desk({"en": 1000, "de": 1000, "fr": 1000})
    assert fewer["de"] + fewer["fr"] == fewer["en"] and fewer["de"] > fewer["fr"]
    assert pools.help_desk({"en": 1000, "de": 5, "fr": 1000})["de"] == 5


def test_passages_are_drawn_by_language(sample):
    counts = {"en": 10, "sw": 3}
    rows = pools.draw(sample, counts)
    task = pools.restrict(sample, rows, "drawn")
    assert pools.counts_of(task) == counts
    assert (rows == pools.draw(sample, counts)).all()
    assert (rows != pools.draw(sample, counts, seed=1)).any()


def test_a_pool_keeps_what_is_relevant_and_counts_the_queries_it_loses(sample):
    task = pools.restrict(sample, pools.draw(sample, {"en": 10, "sw": 3}), "drawn")
    pairs = {(sample.query_ids[q], sample.passage_ids[p]) for q, p in sample.relevant}
    found = {(task.query_ids[q], task.passage_ids[p]) for q, p in task.relevant}
    assert found == {x for x in pairs if x[1] in task.passage_ids}
    lost = task.skipped["queries without an answer in the pool"]
    assert lost == len(sample.queries) - len(task.queries) > 0
    assert sorted(set(task.relevant[:, 0])) == list(range(len(task.queries)))
    assert dict(zip(task.passage_ids, task.passages, strict=True)).items() <= (
        dict(zip(sample.passage_ids, sample.passages, strict=True)).items()
    )


def test_one_language_is_missing_and_still_asked(sample):
    task = pools.restrict(sample, pools.without(sample, "de"), "no German")
    german = task.languages.index("de")
    assert not (task.passage_language == german).any() and (task.query_language == german).any()
    sides = (np.ones((len(x), 2), np.float32) for x in (task.queries, task.passages))
    same = scores_of(task, rank_task(task, DotScorer(*sides)))["same"]
    assert (np.isnan(same) == (task.query_language == german)).all()


def test_only_some_languages_are_left(sample):
    task = pools.in_languages(sample, ("de", "en"))
    for codes in (task.query_language, task.passage_language):
        assert {task.languages[i] for i in codes} == {"de", "en"}
    assert pools.in_languages(sample, sample.languages) is sample


def tiny(relevant, query_language, passage_language):
    """A task of three languages, without texts."""
    n, m = len(query_language), len(passage_language)
    return Task(
        "tiny", ("de", "en", "es"), [""] * n, [str(i) for i in range(n)], np.array(query_language),
        [str(i) for i in range(n)], [""] * m, [f"p{i:02d}" for i in range(m)],
        np.array(passage_language), [""] * m, np.array(relevant), {}, np.ones(len(relevant), int),
    )  # fmt: skip


def test_recall_is_split_by_the_language_of_the_answers():
    # the first query is German: an answer in German at 10, in English at 11, in Spanish at 1;
    # the second is English and has its answers in other languages; the third in its own alone
    relevant = [[0, 0], [0, 1], [0, 2], [1, 0], [1, 2], [2, 2]]
    task = tiny(relevant, [0, 1, 2], [0, 1, 2])
    rank = np.array([10, 11, 1, 4, 12, 3])
    within = np.array([2, 1, 1, 1, 1, 3])
    found = scores_of(task, Ranks(within, rank, np.zeros((3, 3), int), np.zeros((3, 3))))
    assert found["recall"] == pytest.approx([2 / 3, 1 / 2, 1])
    assert found["same"] == pytest.approx([1, np.nan, 1], nan_ok=True)
    assert found["other"] == pytest.approx([1 / 2, 1 / 2, np.nan], nan_ok=True)
    assert found["monolingual mAP"] == pytest.approx([1 / 2, np.nan, 1 / 3], nan_ok=True)
    counts = describe(task)
    assert counts["answers in both"] == counts["answers in other languages alone"] == 1
    assert counts["answers in the same language alone"] == 1 and counts["answers, most"] == 3


def test_recall_of_all_answers_is_the_weighted_mean_of_both_parts(sample, scorer):
    found = scores_of(sample, rank_task(sample, scorer))
    same = sample.query_language[sample.relevant[:, 0]]
    same = same == sample.passage_language[sample.relevant[:, 1]]
    n_same, n_other = (np.bincount(sample.relevant[mask, 0]) for mask in (same, ~same))
    both = (found["same"] * n_same + found["other"] * n_other) / (n_same + n_other)
    assert found["recall"] == pytest.approx(both)
    assert found["same"].mean() > found["other"].mean()  # the vectors prefer their language


@pytest.mark.parametrize("order", ["centered", "round-robin", "query-language-first"])
def test_an_order_is_that_of_a_search_and_keeps_each_language(sample, scorer, order):
    counts = pools.counts_of(sample)
    vectors, language = scorer.passages.numpy(), np.array(sample.languages)[sample.passage_language]
    means = shrunk({x: vectors[language == x].mean(0) for x in counts}, counts)
    scores = OrderScorer(sample, scorer, order)
    ranks, zero = rank_task(sample, scores), rank_task(sample, scorer)
    for query in range(0, len(sample.queries), 29):
        vector = scorer.queries[query].numpy()
        offsets = {x: float(vector @ mean) for x, mean in means.items()}
        asked = sample.languages[sample.query_language[query]]
        served = order_passages(language.tolist(), vectors @ vector, offsets, order, asked)
        assert (ranks.top[query] == served[: ranks.top.shape[1]]).all()
    assert (ranks.within_language == zero.within_language).all()
    assert (ranks.multilingual != zero.multilingual).any()


@pytest.fixture
def bitext():
    """Five sentences in two languages; German lies off by 1 as a passage, and by 2 as a query."""
    rng, builder = np.random.default_rng(0), CorpusBuilder("bitext")
    meaning = rng.normal(size=(5, 4)).astype(np.float32)
    # queries and passages stand in different orders
    for group in (3, 1, 0, 4, 2):
        for code in ("en", "de"):
            builder.add_query(str(group), f"{code} {group}", code, str(group))
    passages = []
    for group in range(5):
        for code in ("de", "en"):
            passages.append(meaning[group] + (code == "de"))
            row = builder.add_passage(str(group), f"{code} {group}", code, str(group))
            builder.add_link(str(group), row)
    corpus = builder.build()
    asked = zip(*(corpus.queries[x].to_pylist() for x in ("group", "language")), strict=True)
    queries = [meaning[int(g)] + 2 * (code == "de") for g, code in asked]
    return EmbeddedCorpus(corpus, np.stack(queries), np.stack(passages), True), meaning


def test_shift_moves_passages_and_on_request_queries_by_their_own_offset(bitext):
    corpus, _ = bitext
    german, english = (fit_shift(corpus, 0.5, False).languages.index(x) for x in ("de", "en"))
    published, sold = (fit_shift(corpus, 0.5, queries) for queries in (False, True))
    assert published.offset[1, german] == pytest.approx(np.full(4, 0.5), abs=1e-6)
    assert not published.offset[0].any()
    assert sold.offset[0, german] == pytest.approx(np.full(4, 1.0), abs=1e-6)
    assert (sold.offset[1] == published.offset[1]).all() and not sold.offset[:, english].any()


def test_whole_shift_of_both_sides_brings_translations_together(bitext):
    corpus, meaning = bitext
    task = tiny([[0, 0], [0, 1]], [0], [0, 1])
    sides = (meaning[:1] + 2, np.stack([meaning[0] + 1, meaning[0]]))
    scores = dot_scorer(task, sides, fit_shift(corpus, 1.0, True))(0, 1)
    assert scores == pytest.approx(np.ones((1, 2)), abs=1e-6)
    assert (dot_scorer(task, sides, fit_shift(corpus, 1.0, False))(0, 1) < 0.99).all()


def test_sentences_as_queries_stand_where_their_passages_stood(bitext):
    corpus, meaning = bitext
    language, group = corpus.passage_language(), corpus.corpus.links["group"].to_pylist()
    wanted = [meaning[int(g)] + 2 * (x == "de") for g, x in zip(group, language, strict=True)]
    assert as_queries(corpus).passages == pytest.approx(np.stack(wanted))


def test_what_gets_better_is_found_and_corrected(sample, scorer):
    before = scores_of(sample, rank_task(sample, scorer))
    after = {k: np.where(np.isnan(v), v, 1.0) for k, v in before.items()}
    found = compare(sample, before, after)
    assert list(found) == list(FIGURES) and found["other"]["difference"] > 0
    assert found["other"]["p"] < 0.05 and found["other"]["low"] > 0
    rows = [
        {"encoder": "e", "collection": c, "from zero-shot": {"other": {"p": p}}}
        for c, p in (("a", 0.01), ("a", 0.04), ("b", 0.04))
    ]
    correct([*rows, {"encoder": "e", "collection": "a"}])
    p_holm = [r["from zero-shot"]["other"]["p_holm"] for r in rows]
    assert p_holm == pytest.approx([0.02, 0.04, 0.04])
