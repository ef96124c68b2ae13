"""What a corpus shares with tests is found, whole groups leave, and all is counted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixling.corpora.corpus import CorpusBuilder
from mixling.corpora.overlap import MIN_LETTERS, _find_parts, index_texts, without_overlap


def sentence(seed, n=12):
    """Words of a seed's own letters, longer than a passage must be to be found inside another."""
    rng = np.random.default_rng(seed)
    return " ".join("".join(rng.choice(list("abcdefghij"), 7)) for _ in range(n))


def build(rows):
    """A corpus of rows (query group, language, query, passage)."""
    builder = CorpusBuilder("mine")
    for group, language, query, passage in rows:
        builder.add_query(f"{group}-{query}", query, language, group)
        builder.add_link(group, builder.add_passage(passage, passage, language))
    return builder.build()


def texts(corpus):
    return set(corpus.queries["text"].to_pylist()), set(corpus.passages["text"].to_pylist())


def test_a_group_leaves_in_all_languages_and_is_counted():
    corpus = build(
        [
            ("a", "en", "Who built it?", sentence(1)),
            ("a", "sw", "Nani alijenga?", sentence(2)),
            ("b", "en", "Where is it?", sentence(3)),
        ]
    )
    other = (["  who BUILT it "], [])
    left = without_overlap(corpus, index_texts({"test": other}))
    assert texts(left) == ({"Where is it?"}, {sentence(3)})
    assert left.left_out == {"queries that meet test": 2, "passages that meet test": 2}


def test_queries_on_one_passage_leave_together():
    corpus = build(
        [
            ("a", "en", "One?", sentence(1)),
            ("b", "en", "Two?", sentence(1)),
            ("b", "en", "Two?", sentence(2)),
            ("c", "en", "Three?", sentence(2)),
            ("d", "en", "Four?", sentence(4)),
        ]
    )
    left = without_overlap(corpus, index_texts({"test": (["One"], [])}))
    assert texts(left) == ({"Four?"}, {sentence(4)})


@pytest.mark.parametrize("held", [True, False])
def test_a_sentence_inside_a_paragraph_is_found(held):
    short, long = sentence(1), f"{sentence(2)}. {sentence(1).upper()}! {sentence(3)}"
    corpus = build([("a", "en", "One?", short if held else long), ("b", "en", "Two?", sentence(9))])
    left = without_overlap(corpus, index_texts({"test": ([], [long if held else short])}))
    assert texts(left) == ({"Two?"}, {sentence(9)})


def test_a_short_passage_inside_another_is_no_overlap_and_equal_ones_are():
    corpus = build([("a", "en", "One?", "See also"), ("b", "en", "Two?", sentence(2))])
    other = ([], [f"See also {sentence(3)}"])
    assert without_overlap(corpus, index_texts({"test": other})) is corpus
    assert texts(without_overlap(corpus, index_texts({"test": ([], ["see also."])}))) == (
        {"Two?"},
        {sentence(2)},
    )


def test_what_meets_two_tasks_counts_once():
    corpus = build([("a", "en", "One?", sentence(1)), ("b", "en", "Two?", sentence(2))])
    others = {"first": (["One?"], []), "second": (["One?", "Two?"], [])}
    left = without_overlap(corpus, index_texts(others))
    assert left.queries.num_rows == left.passages.num_rows == left.links.num_rows == 0
    assert left.left_out == {
        "queries that meet first": 1,
        "passages that meet first": 1,
        "queries that meet second": 1,
        "passages that meet second": 1,
    }


def test_texts_without_a_letter_meet_nothing():
    corpus = build([("a", "en", "?!", "…"), ("b", "en", "Two?", sentence(2))])
    assert without_overlap(corpus, index_texts({"test": (["…", "?!"], ["--"])})) is corpus


ALPHABET = st.text("ab", max_size=4 * MIN_LETTERS)


@given(st.lists(ALPHABET, max_size=5), st.lists(ALPHABET, max_size=5), st.data())
@settings(deadline=None, max_examples=60)
def test_parts_are_those_that_python_finds(others, parts, data):
    hosts = [x for x in others if len(x) >= MIN_LETTERS]
    if hosts:  # parts that do stand in a text, which random ones hardly ever do
        host = data.draw(st.sampled_from(hosts))
        start = data.draw(st.integers(0, len(host) - MIN_LETTERS))
        parts = [*parts, host[start : data.draw(st.integers(start + MIN_LETTERS, len(host)))]]
    expected = {
        (i, j)
        for i, text in enumerate(others)
        for j, part in enumerate(parts)
        if len(part) >= MIN_LETTERS and part in text
    }
    assert set(_find_parts(others, parts)) == expected


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.sampled_from("xyz")), min_size=1),
    st.sets(st.integers(0, 5), max_size=2),
)
@settings(deadline=None, max_examples=60)
def test_nothing_that_links_join_to_a_test_remains(links, tested):
    rows = [(f"g{g}", lang, f"{lang} asks {g}", f"{lang} {sentence(p)}") for g, p, lang in links]
    corpus = build(rows)
    test = ([], [f"{x} {sentence(p)}" for p in tested for x in "xyz"])
    left = without_overlap(corpus, index_texts({"t": test}))
    remaining = set(left.queries["group"].to_pylist())
    bad = {f"g{g}" for g, p, _ in links if p in tested}
    while True:  # groups that share a passage with a bad one, in any language
        shared = {(lang, p) for g, p, lang in links if f"g{g}" in bad}
        more = {f"g{g}" for g, p, lang in links if (lang, p) in shared}
        if more <= bad:
            break
        bad |= more
    assert remaining == {f"g{g}" for g, _, _ in links} - bad
    for what, table in (("queries", "queries"), ("passages", "passages")):
        gone = getattr(corpus, table).num_rows - getattr(left, table).num_rows
        assert left.left_out.get(f"{what} that meet t", 0) == gone
