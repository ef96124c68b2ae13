"""Manuals in Debian's packages: what is text, what is translated, and how they are fetched."""

import shutil
import stat
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.publications.packages import (
    HELP,
    build_deb,
    heading,
    paragraph,
    write_faq,
    write_help,
)

import mixling
from mixling.corpora.catalog import SOURCES, load
from mixling.corpora.check import check_source
from mixling.corpora.sources import help_pages, libreoffice_help
from mixling.corpora.sources.help_pages import parse_page
from mixling.corpora.sources.libreoffice_help import PARTS, in_split
from mixling.errors import MixlingError
from mixling.evaluation.benchmarks import load_task

LONG = "This paragraph is long enough to be a passage of its own, as most of a manual's are. " * 3
SATZ = "Dieser Absatz ist lang genug, um allein zu stehen, wie die meisten eines Handbuchs. " * 3


def write_pages(folder):
    """Six English pages, of which German has translated three, one of them only in its title."""
    for number, title in enumerate(("Open", "Print", "Borders", "Borders", "Notes", "Short"), 1):
        path = f"swriter/guide/{number}.html"
        text = "Too short." if title == "Short" else f"{number} {LONG}"
        blocks = (paragraph("7", text), heading("8", f"Part {number}"), paragraph("9", text))
        write_help(folder, "en-US", path, title, *blocks)
        translated = {1: "Öffnen", 2: "Print", 5: "Notizen"}.get(number, title)
        german = text if number in (3, 4, 5, 6) else f"{number} {SATZ}"
        blocks = (
            paragraph("7", german),
            heading("8", f"Teil {number}"),
            paragraph("9", german),
        )
        write_help(folder, "de", path, translated, *blocks)


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MIXLING_CACHE", str(tmp_path / "cache"))


def test_titles_ask_for_translated_pages(tmp_path):
    write_pages(tmp_path)
    corpus = load("libreoffice-help", "all", path=tmp_path)
    queries = {(r["language"], r["id"][-6:]): r["text"] for r in corpus.queries.to_pylist()}
    assert queries == {
        ("en", "1.html"): "Open",
        ("en", "2.html"): "Print",
        ("en", "5.html"): "Notes",
        ("de", "1.html"): "Öffnen",
    }
    assert Counter(corpus.passages["language"].to_pylist()) == {"en": 5, "de": 2}
    assert corpus.left_out == {
        "queries that several passages have": 2,
        "queries that stand in English": 1,
        "short passages": 1,
        "untranslated pages": 4,
    }
    # a page is its text: no title, no link to another page, nothing of its foot
    (text,) = {r["text"] for r in corpus.passages.to_pylist() if r["text"].startswith("1 Dieser")}
    assert text == f"1 {SATZ}Save. Teil 1 1 {SATZ}Save."


def test_headings_ask_for_their_sections(tmp_path):
    write_pages(tmp_path)
    shared = (paragraph("7", f"7 {LONG}"), heading("70", "Saving"), paragraph("71", LONG))
    for path in ("swriter/a.html", "swriter/b.html"):  # one section that two pages show
        write_help(tmp_path, "en-US", path, path, *shared)
        write_help(tmp_path, "de", path, path, *shared)
    corpus = load("libreoffice-sections", "all", path=tmp_path, languages=["en"])
    texts = {r["id"]: r["text"] for r in corpus.queries.to_pylist()}
    assert texts["hd_id70"] == "Saving"
    assert [r["text"] for r in corpus.passages.to_pylist()].count(f"{LONG}Save.") == 1


def test_one_language_has_one_folder_and_a_link_to_another_language_is_none(tmp_path):
    write_pages(tmp_path)
    expected = load("libreoffice-help", "all", path=tmp_path).fingerprint()
    help_folder = tmp_path / HELP
    for variety in ("en-GB", "ca", "ca-valencia"):
        write_help(tmp_path, variety, "a.html", "Títol", paragraph("1", LONG))
    (help_folder / "sk").symlink_to("de")  # Slovak, as Debian packs it
    corpus = load("libreoffice-help", "all", path=tmp_path)
    assert corpus.languages() == ["ca", "de", "en"]
    assert corpus.select(languages=["de", "en"]).fingerprint() == expected
    assert "sk" not in SOURCES["libreoffice-help"].languages


def test_pages_are_parsed_once_and_anew_where_a_file_has_changed(tmp_path, monkeypatch):
    folder = tmp_path / "data"
    write_pages(folder)
    parsed = []

    def hash_of(name):
        return load(name, "all", path=folder).fingerprint()

    def parse(html):
        parsed.append(html)
        return parse_page(html)

    monkeypatch.setattr(help_pages, "parse_page", parse)
    first = hash_of("libreoffice-help")
    everything = len(parsed)
    assert everything and hash_of("libreoffice-help") == first
    sections = hash_of("libreoffice-sections")
    assert len(parsed) == everything
    file = next(iter(sorted((folder / HELP / "de").rglob("*.html"))))
    file.write_text(file.read_text().replace("Dieser", "Jener"))
    changed = load("libreoffice-help", "all", path=folder)
    assert len(parsed) == everything + len(list((folder / HELP / "de").rglob("*.html")))
    assert any("Jener" in x for x in changed.passages["text"].to_pylist())
    for kept in (tmp_path / "cache" / "help-pages").iterdir():
        kept.write_bytes(kept.read_bytes()[:100])
    assert hash_of("libreoffice-help") == changed.fingerprint()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MIXLING_CACHE", str(tmp_path / "file"))  # nothing can be kept there
    assert hash_of("libreoffice-help") == changed.fingerprint()
    assert hash_of("libreoffice-sections") != sections


@given(st.text("abc/.0123456789", min_size=1))
def test_a_page_is_in_one_split(path):
    assert sum(in_split(path, x) for x in ("train", *PARTS)) == 1
    assert in_split(path, "all")


def test_a_folder_without_english_is_refused(tmp_path):
    write_help(tmp_path, "de", "a.html", "Titel", paragraph("1", SATZ))
    with pytest.raises(MixlingError, match=r"en-US.*libreoffice-help-en-us"):
        load("libreoffice-help", path=tmp_path)


def test_an_answer_that_nobody_translated_is_left_out(tmp_path):
    write_faq(
        tmp_path, "en", "basics", ("what", "What is it?", LONG), ("why", "Why?", f"Why: {LONG}")
    )
    write_faq(
        tmp_path, "de", "basics", ("what", "Was ist das?", SATZ), ("why", "Warum?", f"Why: {LONG}")
    )
    write_faq(tmp_path, "zh-cn", "basics", ("what", "What is it?", SATZ), ("why", "为何", "短"))
    corpus = load("debian-faq", path=tmp_path)
    assert {(r["language"], r["text"]) for r in corpus.queries.to_pylist()} == {
        ("en", "What is it?"),
        ("en", "Why?"),
        ("de", "Was ist das?"),
    }
    assert Counter(corpus.passages["language"].to_pylist()) == {"en": 2, "de": 1, "zh": 1}
    assert corpus.left_out == {
        "queries that stand in English": 1,
        "short passages": 1,
        "untranslated answers": 1,
    }


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A program apt-get that has two packages; it notes what it is asked for."""
    if shutil.which("dpkg-deb") is None:
        pytest.skip("packages of Debian are built by dpkg-deb, which is not here")
    write_pages(tmp_path / "all")
    for name, language in (("en-us", "en-US"), ("de", "de")):
        folder = tmp_path / name
        below = f"usr/share/libreoffice/help/{language}"
        shutil.copytree(tmp_path / "all" / below, folder / below)
        build_deb(folder, f"libreoffice-help-{name}", tmp_path / f"libreoffice-help-{name}.deb")
    programs = tmp_path / "bin"
    programs.mkdir()
    program = programs / "apt-get"
    program.write_text(
        f"#!/bin/sh\nfor name; do :; done\necho $name >> {tmp_path}/asked\n"
        f'cp {tmp_path}/$name.deb "${{name}}_1.0_all.deb"\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setenv("MIXLING_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MIXLING_DATA", str(tmp_path / "nothing"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_packages_are_fetched_once_and_named_in_the_result(repository):
    task = load_task("libreoffice-help:all@de")
    assert set(task.queries) == {"Öffnen"}
    assert task.skipped["untranslated pages"] == 4
    assert sorted(task.origin) == ["apt:libreoffice-help-de", "apt:libreoffice-help-en-us"]
    assert task.origin["apt:libreoffice-help-de"].startswith("libreoffice-help-de_1.0_all.deb ")
    mixling.load("libreoffice-help", "all", languages=["en", "de"])
    mixling.load("libreoffice-sections", "all", languages=["de"])
    asked = (repository / "asked").read_text().split()
    assert sorted(asked) == ["libreoffice-help-de", "libreoffice-help-en-us"]


def test_a_package_that_cannot_be_had_says_how_to_get_it(repository, monkeypatch):
    with pytest.raises(MixlingError, match=r"libreoffice-help-fr.*apt-get download"):
        load("libreoffice-help", "all", languages=["fr"])
    monkeypatch.setenv("PATH", str(repository))
    with pytest.raises(MixlingError, match=r"apt-get is not on this machine.*MIXLING_DATA"):
        load("libreoffice-help", "all", languages=["de"])
    assert check_source(SOURCES["libreoffice-help"]).status == "failed"


def test_a_package_without_the_folder_is_refused(repository):
    empty = repository / "empty"
    (empty / "usr/share/doc").mkdir(parents=True)
    (empty / "usr/share/doc/copyright").write_text("none")
    build_deb(empty, "libreoffice-help-de", repository / "libreoffice-help-de.deb")
    with pytest.raises(MixlingError, match="has no folder 'usr/share/libreoffice/help'"):
        load("libreoffice-help", "all", languages=["de"])


def test_a_language_without_text_is_left_out_where_nobody_asked_for_it(
    repository, monkeypatch, caplog
):
    """Debian 12's libreoffice-help-sk holds a copyright and no page."""
    empty = repository / "empty"
    (empty / "usr/share/doc").mkdir(parents=True)
    (empty / "usr/share/doc/copyright").write_text("none")
    build_deb(empty, "libreoffice-help-sk", repository / "libreoffice-help-sk.deb")
    monkeypatch.setattr(libreoffice_help, "_PACKAGES", ("de", "en-us", "sk"))
    found = load("libreoffice-help", "all")
    assert found.languages() == ["de", "en"]
    assert "libreoffice-help-sk" in caplog.text and "no text" in caplog.text
    caplog.clear()
    assert load("libreoffice-help", "all").languages() == ["de", "en"]
    assert "apt:libreoffice-help-sk" in found.origin and not caplog.text
    with pytest.raises(MixlingError, match="no language 'sk'"):
        load("libreoffice-help", "all", languages=["sk"])


def test_a_language_that_a_source_lacks_is_refused_before_anything_is_fetched(repository):
    with pytest.raises(MixlingError, match="no language 'xh'"):
        load("libreoffice-help", "all", languages=["de", "xh"])
    assert not (repository / "asked").exists()
