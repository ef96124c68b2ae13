"""Data sets of ir_datasets: every registered one has known languages or asks for them."""

from collections import Counter

import pytest

from mixling.errors import MixlingError
from mixling.evaluation.benchmarks import load_task
from mixling.evaluation.ir_datasets_tasks import CODES, data_set_languages

ir_datasets = pytest.importorskip("ir_datasets")
from ir_datasets.formats import GenericDoc, GenericQrel, GenericQuery  # noqa: E402
from ir_datasets.formats.extracted_cc import (  # noqa: E402
    ExctractedCCDoc,
    ExctractedCCMultiMtQuery,
    ExctractedCCQuery,
)


class Small:
    """A data set of our own texts, as ir_datasets gives it."""

    def __init__(self, docs, queries, qrels, docs_lang=None, queries_lang=None):
        self.docs, self.queries, self.qrels = docs, queries, qrels
        self.languages = docs_lang, queries_lang

    def has_docs(self):
        return True

    has_queries = has_qrels = has_docs

    def docs_lang(self):
        return self.languages[0]

    def queries_lang(self):
        return self.languages[1]

    def docs_cls(self):
        return type(self.docs[0])

    def queries_cls(self):
        return type(self.queries[0])

    def docs_iter(self):
        return iter(self.docs)

    def queries_iter(self):
        return iter(self.queries)

    def qrels_iter(self):
        return iter(self.qrels)


@pytest.fixture
def registered(monkeypatch):
    """Registers data sets on the spot: no network."""
    found = {}
    monkeypatch.setattr(ir_datasets, "load", found.__getitem__)
    return found


HOUSE = [GenericDoc("a", "ein Haus"), GenericDoc("b", "ein Baum")]
TREE = [GenericQuery("1", "a tree?")]
GRADES = [GenericQrel("1", "b", 3), GenericQrel("1", "a", 0)]


def tags(task):
    """The languages of the queries and of the passages, by text."""
    return (
        {t: task.languages[c] for t, c in zip(task.queries, task.query_language, strict=True)},
        {t: task.languages[c] for t, c in zip(task.passages, task.passage_language, strict=True)},
    )


def test_an_ir_datasets_set_is_read(registered):
    registered["small"] = Small(HOUSE, [*TREE, GenericQuery("2", " ")], GRADES, "de", "en")
    one = load_task("ir_datasets:small", language="sw")  # what is stated stands
    assert one.passages == ["ein Haus", "ein Baum"] and one.relevant.tolist() == [[0, 1]]
    assert one.grades.tolist() == [3] and one.languages == ("de", "en")
    assert one.scenarios() == ["cross-lingual"]
    assert one.skipped["bad rows"] == 1 and "small:2: field 'text'" in one.bad_rows[0]


def test_a_language_that_is_not_stated_is_asked_for(registered):
    registered["docs"] = Small(HOUSE, TREE, GRADES, None, "en")
    registered["queries"] = Small(HOUSE, TREE, GRADES, "de", None)
    for name, what in (("docs", "documents"), ("queries", "queries")):
        with pytest.raises(MixlingError, match=rf"language of its {what} is not known"):
            load_task(f"ir_datasets:{name}")
    assert tags(load_task("ir_datasets:docs", language="deu_Latn")) == (
        {"a tree?": "en"},
        {"ein Haus": "de", "ein Baum": "de"},
    )
    assert load_task("ir_datasets:queries", language="en").languages == ("de", "en")


def test_topics_of_hc4_are_english_and_the_documents_of_neuclirs_pool_are_not(registered):
    """Topics carry translations, and English is what they give as their text."""
    text = {"zh": "猫头鹰。", "fa": "جغد.", "ru": "Сова."}
    for tag, owl in text.items():
        doc = ExctractedCCDoc(tag, "", owl, "", "", "")
        registered[f"neuclir/1/{tag}"] = Small([doc], [None], [], tag)
    fields = dict.fromkeys(ExctractedCCMultiMtQuery._fields, "x")
    topics = [ExctractedCCMultiMtQuery(**(fields | {"query_id": "1", "title": "owls"}))]
    qrels = [GenericQrel("1", tag, 1) for tag in text]
    docs = [doc for tag in text for doc in registered[f"neuclir/1/{tag}"].docs]
    registered["neuclir/1/multi/trec-2023"] = Small(docs, topics, qrels)
    one = load_task("ir_datasets:neuclir/1/multi/trec-2023", language="de")
    assert tags(one) == ({"owls": "en"}, {f" {owl}": tag for tag, owl in text.items()})
    fields = dict.fromkeys(ExctractedCCQuery._fields, "جغدها")
    topics = [ExctractedCCQuery(**(fields | {"query_id": "1", "title": "owls"}))]
    docs = [ExctractedCCDoc("a", "", text["fa"], "", "", "")]
    registered["hc4/fa/test"] = Small(docs, topics, [GenericQrel("1", "a", 1)], "fa")
    one = load_task("ir_datasets:hc4/fa/test")
    assert tags(one) == ({"owls": "en"}, {f" {text['fa']}": "fa"})


def test_documents_with_their_own_language(registered):
    from ir_datasets.datasets.tweets2013_ia import TweetDoc

    blank = dict.fromkeys(TweetDoc._fields)
    docs = [
        TweetDoc(**(blank | {"doc_id": key, "text": text, "lang": tag}))
        for key, text, tag in (("a", "ein Haus", "de"), ("b", "a tree", "en"), ("c", "?", None))
    ]
    registered["tweets"] = Small(docs, TREE, GRADES, None, "en")
    with pytest.raises(MixlingError, match="language of document 'c' is not known"):
        load_task("ir_datasets:tweets")
    assert tags(load_task("ir_datasets:tweets", language="sw"))[1] == {
        "ein Haus": "de", "a tree": "en", "?": "sw",
    }  # fmt: skip


def test_codes_of_their_own(registered):
    for code, tag in CODES.items():
        registered[code] = Small(HOUSE, TREE, GRADES, code, code)
        assert load_task(f"ir_datasets:{code}").languages == (tag,)


def test_what_cannot_be_read_is_one_error(registered, monkeypatch):
    with pytest.raises(MixlingError, match=r"no data set 'nothing' \('nothing'\)"):
        load_task("ir_datasets:nothing")
    registered["offline"] = Small(HOUSE, TREE, GRADES, "de", "en")

    def refuse():
        raise ConnectionError("no route\nto the host")

    registered["offline"].docs_iter = refuse
    with pytest.raises(MixlingError, match=r"'offline' cannot be read \(no route\)\. It needs"):
        load_task("ir_datasets:offline")


def test_every_registered_data_set_has_its_languages_or_asks_for_them():
    outcome, queries = Counter(), {}
    for name in sorted(ir_datasets.registry._registered):
        data = ir_datasets.load(name)
        if not (data.has_docs() and data.has_queries() and data.has_qrels()):
            continue
        try:
            queries[name], parts = data_set_languages(name, data)
            outcome["known"] += 1
        except MixlingError as error:
            assert "Give it with --language" in str(error)
            outcome["asks"] += 1
            data_set_languages(name, data, "en")
            continue
        documents = {tag for _, tag in parts}
        if name.startswith(("hc4", "neuclir", "csl")):
            assert queries[name] == "en" and "en" not in documents, name
        if name.startswith("mmarco/v2/dt"):
            assert (queries[name], documents) == ("nl", {"nl"})
        if name.startswith(("mmarco", "mr-tydi", "miracl", "wikir")) and "/dt" not in name:
            assert documents == {queries[name]} and f"/{queries[name]}" in name, name
        if name.startswith("wikiclir"):
            assert queries[name] == "en", name
    print(dict(outcome))
    assert outcome["known"] > 20 * outcome["asks"] > 0
    assert queries["trec-mandarin/trec5"] == "zh" and queries["trec-spanish/trec4"] == "es"


def test_texts_that_no_field_names_are_refused():
    for name in ("codesearchnet/test", "touche-image/2022-06-13/touche-2022-task-3"):
        with pytest.raises(MixlingError, match="does not tell which one is the text"):
            load_task(f"ir_datasets:{name}", language="en")
