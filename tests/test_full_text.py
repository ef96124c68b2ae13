"""Full text in every script: folding, single characters, parts of words, ties, older stores."""

import json
import unicodedata

import lancedb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lancedb.index import FTS

from mixling.errors import MixlingError
from mixling.searching.folding import TERMS_VERSION, fold_text, passage_terms, query_terms
from mixling.searching.fusion import fuse_scores
from mixling.searching.index import index
from mixling.searching.query import Searcher
from mixling.searching.store import passage_schema
from mixling.searching.stores import open_or_create_store, open_store

TEXTS = {
    "zh": "冬天鹤在湖边睡觉。猫在屋里。",
    "ja": "冬に鶴は湖のそばで眠る。カタカナとガラス。",
    "ko": "겨울에 두루미가 호수에서 잔다.",
    "de": "Die Donaudampfschifffahrt endet an der Straße in Łódź.",
    "tr": "İstanbul\u2019da ışıklar IŞIL IŞIL yanıyor.",
    "ar": "قرأ مُحَمَّدٌ الكِتـــابَ في المَدِينة، ورقمه ١٢٣.",
    "fa": "او به کتابخانه می\u200cرود.",
    "he": "הוא אמר שָׁלוֹם לכולם.",
    "th": "แมวนอนอยู่ในบ้านที่เชียงใหม่",
    "km": "ខ្ញុំរៀនភាសាខ្មែរនៅផ្ទះ",
    "fr": "Un café très cher, à l\u2019œuvre.",
    "hi": "वह हिन्दी में लिखता है।",
    "en": "Ｆｕｌｌ ｗｉｄｔｈ letters, 😀❤️ and C++ on page x.",
}
QUERIES = [
    ("zh", "猫"),
    ("ja", "鶴"),
    ("ko", "잔"),
    ("ko", "두루미"),
    ("ko", "호수"),
    ("ja", "ｶﾞﾗｽ"),
    ("ja", "ｶﾀｶﾅ"),
    ("zh", "仙鹤"),
    ("de", "schiff"),
    ("de", "STRASSE"),
    ("de", "lodz"),
    ("tr", "istanbul"),
    ("tr", "ISTANBUL"),
    ("tr", "İSTANBUL"),
    ("tr", "isik"),
    ("tr", "ışık"),
    ("ar", "محمد"),
    ("ar", "الكتاب"),
    ("ar", "مدينه"),
    ("ar", "123"),
    ("fa", "كتابخانه"),
    ("fa", "میرود"),
    ("he", "שלום"),
    ("th", "แมว"),
    ("th", "เชียงใหม่"),
    ("km", "ភាសា"),
    ("km", "ភាសា\u200bខ្មែរ"),
    ("fr", "CAFE"),
    ("fr", "tres"),
    ("hi", "हिन्दी"),
    ("en", "full"),
    ("en", "ＷＩＤＴＨ"),
    ("en", "😀"),
    ("en", "❤"),
    ("en", "x"),
    ("en", "c++"),
]


def rows_of(texts, d=4):
    """Passages {id: text} as a store takes them."""
    n = len(texts)
    columns = {
        "id": [f"{x}#0" for x in texts],
        "document": list(texts),
        "digest": ["a"] * n,
        "language": ["en"] * n,
        "text": list(texts.values()),
        "metadata": ["{}"] * n,
        "part": [0] * n,
    }
    v = pa.FixedSizeListArray.from_arrays(pa.array(np.ones(n * d, np.float32)), d)
    arrays = [
        v if f.name == "vector" else pa.array(columns.get(f.name, [None] * n), f.type)
        for f in passage_schema(d)
    ]
    return pa.table(arrays, schema=passage_schema(d))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = open_or_create_store(str(tmp_path_factory.mktemp("full") / "store"), 4, {})
    store.replace(list(TEXTS), rows_of(TEXTS))
    store.finish()
    return store


@pytest.mark.parametrize(("language", "query"), QUERIES)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_passage_is_found_however_its_words_are_typed(store, language, query, form):
    best = store.lexical(unicodedata.normalize(form, query), 3).to_pylist()[0]
    assert best["document"] == language and best["score"] > 0
    assert best["text"] == TEXTS[language]  # shown as it was written


def test_a_passage_that_shares_no_term_is_not_found(store):
    for query in ("zebra", "犬", "?!", " ", "…。"):
        assert store.lexical(query, 5).num_rows == 0, query
    assert store.lexical("zebra", 5).column_names == store.lexical("猫", 5).column_names


@given(st.text(max_size=40))
@settings(max_examples=50)
def test_a_text_is_folded_once_and_finds_itself(text):
    folded = fold_text(text)
    assert fold_text(folded) == folded
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert fold_text(unicodedata.normalize(form, text)) == folded
    assert set(query_terms(text)) <= set(passage_terms(text))


def test_equal_scores_stand_by_id_also_at_the_cut(tmp_path):
    names = [f"d{i:02d}" for i in range(40)]
    texts = dict.fromkeys(names, "one crane")
    texts["d07"] = "crane crane one"
    expected = None
    for number, order in enumerate((names, names[::-1])):
        store = open_or_create_store(str(tmp_path / f"s{number}"), 4, {})
        store.replace(order, rows_of({x: texts[x] for x in order}))
        store.finish()
        documents = store.lexical("crane", 5)["document"].to_pylist()
        assert documents[1:] == ["d00", "d01", "d02", "d03"] and documents[0] == "d07"
        expected = expected or documents
        assert documents == expected


def test_fusion_adds_scores_and_what_a_cut_list_lacks_counts_as_its_last():
    near = [{"id": "a", "score": 0.9}, {"id": "b", "score": 0.8}]
    found = [{"id": "c", "score": 4.0}, {"id": "b", "score": 2.0}]
    for is_cut, a in ((False, 0.9), (True, 1.1)):
        rows = fuse_scores(near, found, (1, 0.1), is_cut)
        assert {r["id"]: r["score"] for r in rows} == pytest.approx({"a": a, "b": 1, "c": 1.2})
    assert fuse_scores(near, [], (1, 0), False) == near


def test_both_is_the_encoders_order_where_full_text_finds_nothing(chain, tmp_path):
    source = tmp_path / "d.jsonl"
    rows = [
        {"_id": x, "text": t, "title": "犬" if x == "fr" else "", "language": x}
        for x, t in TEXTS.items()
    ]
    for name, ordered_rows in (("a", rows), ("b", rows[::-1])):
        source.write_text("".join(json.dumps(r) + "\n" for r in ordered_rows))
        index(str(chain), source, str(tmp_path / name), size=60, precision="fp32")
        searcher = Searcher(str(tmp_path / name))
        dense, both = (
            [hit.id for hit in searcher.search("ზამთარი", 5, mode=mode, query_language="en")]
            for mode in ("dense", "both")
        )
        assert dense == both and searcher.search("ზამთარი", 5, mode="text") == []
        titled = searcher.search("犬", 5, mode="text")
        assert [hit.document for hit in titled] == ["fr"]


def test_an_older_store_answers_warns_once_and_is_renewed(tmp_path, caplog):
    folder = tmp_path / "old"
    table = lancedb.connect(str(folder)).create_table("passages", rows_of(TEXTS))
    table.create_index(
        "text",
        config=FTS(
            base_tokenizer="ngram",
            ngram_min_length=2,
            ngram_max_length=3,
            stem=False,
            remove_stop_words=False,
        ),
    )
    (folder / "mixling.json").write_text("{}")
    older = open_store(str(folder))
    assert (
        older.lexical("睡觉", 3)["document"].to_pylist() == ["zh"]
        and older.lexical("猫", 3).num_rows == 0
    )
    assert caplog.text.count("earlier version") == 1
    caplog.clear()
    older.replace(["en"], rows_of({"en": "猫 too"}))
    older.finish()
    again = open_store(str(folder))
    assert again.info["full_text"] == TERMS_VERSION and again.count() == len(TEXTS)
    assert set(again.lexical("猫", 3)["document"].to_pylist()) == {"zh", "en"}
    assert again.passages(["zh"]).schema.names == passage_schema(4).names
    assert "earlier" not in caplog.text
    # the terms of another version are renewed too
    again.write_info({**again.info, "full_text": 0})
    again.table.update(values={"terms": "nothing"})
    again.finish()
    assert open_store(str(folder)).lexical("잔", 3)["document"].to_pylist() == ["ko"]


def test_milvus_refuses_full_text_in_one_message():
    from mixling.searching.milvus import MilvusStore

    with pytest.raises(MixlingError, match="no full text"):
        MilvusStore(None, "x", {}).lexical("猫", 3)
