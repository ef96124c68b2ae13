import json

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mixling.batches.strategies import single
from mixling.corpora import folder
from mixling.corpora.catalog import SOURCES
from mixling.corpora.families import FAMILIES, language_family
from mixling.corpora.languages import (
    base_language,
    is_right_to_left,
    language_name,
    language_script,
    language_tag,
    nearest_language,
)
from mixling.errors import MixlingError
from mixling.models.identify import (
    identify_language,
    identify_languages,
    indistinguishable_languages,
)
from mixling.models.language_transform import LanguageTransformModule
from mixling.searching.index import index
from mixling.searching.languages import check_languages
from mixling.searching.query import Searcher
from mixling.transforms.transforms import LanguageTransform


@pytest.mark.parametrize(
    "written, expected",
    [
        ("zh", "zh"),
        ("zho", "zh"),
        ("zho_Hans", "zh"),
        ("chinese", "zh"),
        ("zho_Hant", "zh-Hant"),
        ("kor_Hang", "ko"),
        ("eng_Latn", "en"),
        ("es-LA", "es-419"),
        ("ti_ER", "ti-ER"),
        ("twi", "tw"),
        ("swa", "sw"),
        ("amh_Ethi", "am"),
        ("pt-BR", "pt-BR"),
        ("Swahili", "sw"),
        ("german", "de"),
        ("arb_Arab", "ar"),
        ("kin", "rw"),
        ("bem", "bem"),
        ("EN", "en"),
        ("zh_CN", "zh"),
        ("zh-cn", "zh"),
        ("zh-SG", "zh"),
        ("zh-Hans-CN", "zh"),
        ("zh-TW", "zh-Hant"),
        ("zh_HK", "zh-Hant"),
        ("zh-Hant-TW", "zh-Hant"),
        ("Chinese (Simplified)", "zh"),
        ("chinese-simplified", "zh"),
        ("Traditional Chinese", "zh-Hant"),
        ("繁體中文", "zh-Hant"),
        ("cmn", "zh"),
        ("yue", "yue"),
        ("de-DE", "de"),
        ("de_AT.UTF-8", "de"),
        ("de_DE@euro", "de"),
        ("de-CH-1901", "de"),
        ("en-x-private", "en"),
        ("en-GB", "en"),
        ("es-MX", "es"),
        ("es_LA", "es-419"),
        ("pt_PT", "pt"),
        ("pt_BR.utf8", "pt-BR"),
        ("Portuguese (Brazil)", "pt-BR"),
        ("iw", "he"),
        ("in", "id"),
        ("ji", "yi"),
        ("mo", "ro"),
        ("sh", "sr-Latn"),
        ("sr_RS", "sr"),
        ("sr_RS@latin", "sr-Latn"),
        ("Serbian (Latin)", "sr-Latn"),
        ("sr-Latn-RS", "sr-Latn"),
        ("no", "nb"),
        ("nob_Latn", "nb"),
        ("Norwegian", "nb"),
        ("nn_NO", "nn"),
        ("tl", "fil"),
        ("arz", "arz"),
        ("ar-EG", "ar"),
        ("prs", "fa-AF"),
        ("uz-AF", "uz-Arab"),
        ("acm", "acm-Arab"),
        ("und", "und"),
        ("mul", "und"),
        ("x-default", "und"),
        ("zxx", "zxx"),
    ],
)
def test_what_people_write_becomes_one_tag(written, expected):
    assert language_tag(written) == expected
    assert language_tag(language_tag(written)) == expected


@pytest.mark.parametrize(
    "written",
    [
        "",
        "xx-??",
        "klingonish",
        "12",
        "q",
        "C",
        "None",
        "en-",
        "en,de",
        "e",
        12,
        float("nan"),
        None,
        ["en"],
        "\ud83d",  # half a character
    ],
)
def test_what_is_no_language_is_refused(written):
    with pytest.raises(MixlingError, match="is not a language") as refused:
        language_tag(written)
    assert str(refused.value).encode()


def test_direction_and_name():
    assert is_right_to_left("ar") and not is_right_to_left("sw")
    assert language_name("sw") == "Swahili"


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["zh", "sr", "de", "pt", "ar", "uz", "ti", "no", "iw"]),
    st.sampled_from(["", "Hans", "Hant", "Latn", "Cyrl", "Arab"]),
    st.sampled_from(["", "DE", "TW", "CN", "BR", "AF", "ER", "419"]),
    st.sampled_from("-_"),
    st.booleans(),
)
def test_a_tag_is_its_own_tag_however_it_is_spelled(language, script, territory, joint, upper):
    parts = [x for x in (language, script, territory) if x]
    found = language_tag("-".join(parts))
    assert language_tag(found) == found
    written = joint.join(parts)
    assert language_tag(written.upper() if upper else written.lower()) == found


def test_a_country_for_a_language_is_refused_with_the_language():
    for country, language in (("jp", "ja"), ("cz", "cs"), ("ua", "uk")):
        with pytest.raises(MixlingError, match=f"did you mean '{language}'"):
            language_tag(country)


def test_base_script_and_the_nearest_of_some():
    assert [base_language(x) for x in ("zh-Hant", "pt-BR", "no", "acm")] == [
        "zh",
        "pt",
        "nb",
        "acm",
    ]
    assert [language_script(x) for x in ("zh", "zh_TW", "sr-Latn", "am")] == [
        "Hans",
        "Hant",
        "Latn",
        "Ethi",
    ]
    assert nearest_language("zh-TW", ["zh_CN", "zh_Hant"]) == "zh_Hant"
    assert (
        nearest_language("pt", ["en", "pt-BR"]) == "pt-BR"
        and nearest_language("sw", ["en"]) is None
    )


TEXTS = {
    "zh-Hant": "鶴在冬天睡在湖邊，而且很安靜。",
    "zh": "鹤在冬天睡在湖边，而且很安静。",
    "ja": "つるは冬に湖のそばで寝ます。",
    "sr-Latn": "Ždral zimi spava pored jezera i veoma je tih.",
    "sr": "Ждрал зими спава поред језера и веома је тих.",
    "en": "The crane sleeps by the lake in winter and is very quiet.",
    "ti": "ዝርከብ ኣብ ክረምቲ ኣብ ጥቓ ቀላይ ይድቅስ።",
    "uz-Cyrl": "Турна қишда кўл бўйида ухлайди ва жуда тинч.",
}


@pytest.mark.parametrize(
    "among",
    [
        ("en", "zh-Hant"),
        ("en", "sr-Latn"),
        ("zh", "zh-Hant", "en"),
        ("sr", "sr-Latn", "en"),
        ("en", "zh", "ja"),
        ("en", "ti"),
        ("en", "uz-Cyrl"),
        tuple(TEXTS)[:-1],
    ],
)
def test_a_text_is_told_by_language_and_script_among_those_wanted(among):
    assert [identify_language(TEXTS[x], among)[0] for x in among] == list(among)


def test_languages_come_back_as_they_were_given_and_scripts_are_told_unasked():
    assert identify_languages([TEXTS["zh"], TEXTS["en"]], ["zh_CN", "eng_Latn"]) == [
        "zh_CN",
        "eng_Latn",
    ]
    assert identify_language("Der Kranich 鶴 schläft im Winter am See.", ("de", "zh"))[0] == "de"
    assert [identify_language(TEXTS[x])[0] for x in ("zh", "zh-Hant", "sr", "sr-Latn")] == [
        "zh",
        "zh-Hant",
        "sr",
        "sr-Latn",
    ]
    assert identify_language("😀 😀") == ("zxx", 1.0)


def test_languages_that_cannot_be_told_apart_are_refused_by_name():
    assert indistinguishable_languages(["en", "bem", "ti"]) == [
        "bem"
    ] and indistinguishable_languages(["en", "hi-Latn"]) == ["hi-Latn"]
    assert (
        indistinguishable_languages(["pt", "pt-BR", "en"]) == ["pt-BR"]
        and indistinguishable_languages(["zh", "zh-Hant", "yue"]) == []
    )
    assert check_languages(["zh_CN", "zho_Hans", "EN"]) == ["zh", "en"]
    with pytest.raises(MixlingError, match="uz-Cyrl"):
        check_languages(["ru", "uz_Cyrl"])


def test_a_corpus_written_in_many_ways_has_one_language(tmp_path):
    (tmp_path / "qrels").mkdir()
    ways = ["zh", "zh_CN", "zho_Hans", "Chinese (Simplified)", "ZH-cn", "und"]
    rows = [{"_id": f"p{i}", "language": x, "text": f"鹤 {i}"} for i, x in enumerate(ways)]
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    (tmp_path / "queries.jsonl").write_text(
        json.dumps({"_id": "q", "text": "鹤?", "lang": "cmn"}) + "\n"
    )
    (tmp_path / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\nq\tp0\t1\n")
    assert folder.read_folder(tmp_path, language="zh-SG").languages() == ["zh"]
    with pytest.raises(MixlingError, match=r"corpus.jsonl:6.*language.*und"):
        folder.read_folder(tmp_path)


@pytest.fixture(scope="module")
def store(chain, tmp_path_factory):
    place = tmp_path_factory.mktemp("tags")
    rows = [
        (TEXTS["zh"], "zh_CN"),
        (TEXTS["en"], "en-US"),
        (TEXTS["sr-Latn"], "sr_RS@latin"),
        (TEXTS["zh-Hant"], "und"),
    ]
    lines = [
        json.dumps({"_id": str(i), "text": x, "language": y}) + "\n"
        for i, (x, y) in enumerate(rows)
    ]
    (place / "rows.jsonl").write_text("".join(lines))
    report = index(str(chain), place / "rows.jsonl", str(place / "store"))
    assert report.languages == {"en": 1, "sr-Latn": 1, "zh": 1, "zh-Hant": 1}
    assert not report.skipped
    return str(place / "store")


def test_a_store_is_searched_in_languages_as_people_write_them(store):
    searcher = Searcher(store)
    hits = searcher.search(
        "crane", 9, languages=["zho_Hans", "Serbian (Latin)"], quotas={"zh_CN": 0}
    )
    assert [hit.language for hit in hits] == ["sr-Latn"]
    hits = searcher.search("crane", 9, languages=["zh-TW"], mode="text")
    assert {hit.language for hit in hits} <= {"zh-Hant"}
    with pytest.raises(MixlingError, match="no passages in zh-Latn"):
        searcher.search("crane", languages=["zh-Latn"])
    queries = (TEXTS["zh-Hant"], TEXTS["zh"], TEXTS["sr"])
    assert [searcher.query_language([x]) for x in queries] == ["zh-Hant", "zh", "sr-Latn"]


def test_a_store_with_older_tags_is_searched(store):
    searcher = Searcher(store)
    searcher.means = {"zh-CN": searcher.means["zh"], "no": searcher.means["en"]}
    assert searcher.query_language(["?"], "nb_NO") == "no"
    assert searcher.query_language(["?"], "zh") == "zh-CN"
    assert searcher.query_language([TEXTS["zh-Hant"]]) == "zh-CN"  # Chinese, if not in its script
    seen = []
    searcher.store.nearest = lambda vector, k, languages=None: (
        seen.append(languages) or pa.table({"id": []})
    )
    searcher.search("crane", languages=["zh_Hans"], order="score", highlight=False)
    assert seen == [["zh-CN"]]


def test_maps_by_language_and_strategies_read_the_same_tags():
    one = LanguageTransformModule(["zh_CN", "deu"], 0, 2).set_tensors(
        np.ones((2, 2, 2)), np.zeros((2, 0, 2))
    )
    features = {"sentence_embedding": torch.zeros(4, 2), "text_language": ["zh", "de-AT", "sw", ""]}
    assert one(features)["sentence_embedding"].tolist() == [[-1, -1], [-1, -1], [0, 0], [0, 0]]
    moved = LanguageTransform(("zh-CN", "ger"), np.ones((2, 2, 2)), np.zeros((2, 0, 2)))
    assert moved.transform_raw(np.zeros((2, 2)), ["zho_Hans", "de"], "query").tolist() == [
        [-1, -1],
        [-1, -1],
    ]
    assert single("zh_CN")[0].language == "zh"


@pytest.mark.parametrize(
    "name", ["sib-200", "tico-19", "afriqa", "libreoffice-help", "quran", "mlqa", "tydi", "jaquad"]
)
def test_every_language_of_a_training_set_has_a_family(name):
    assert [x for x in SOURCES[name].languages if language_family(x) is None] == []


def test_a_language_has_one_family_and_its_script_makes_no_difference():
    tags = [tag for tags in FAMILIES.values() for tag in tags.split()]
    assert len(tags) == len(set(tags)) and all(language_family(x) for x in tags)
    assert language_family("ks-Deva") == language_family("ks") == "Indo-Aryan"
    assert language_family("zho_Hant") == "Sinitic" and language_family("tlh") is None
