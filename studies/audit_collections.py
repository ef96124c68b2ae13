"""Writes the collections of the audit's study: documents, and queries that are judged.

    python -m studies.audit_collections help FOLDER OUT [--languages de,en-US,...] [--part PART]
    python -m studies.audit_collections faq FOLDER OUT
    python -m studies.audit_collections xquad FOLDER OUT [--languages ar,de,...] [--most N]
    python -m studies.audit_collections tydi FOLDER OUT [--languages ar,bn,...] [--most N]

OUT/NAME.jsonl holds the documents: `_id`, `text`, `language`, perhaps `title` and `group`.
OUT/NAME.queries.jsonl holds queries: `text`, `language`, and `group`, the group of the documents
that answer them. They are judgments, which no audit reads.

help    LibreOffice's help (MPL-2.0; Debian's packages libreoffice-help-LL, unpacked): a page a
        document, its path is the group. Pages of fewer than 200 characters are left out, and pages
        that nobody translated: those whose title is the English one. Titles are the queries, so
        none is written. `dev` is a sixteenth of the paths, by their hash, `test` three others,
        `variants` one more.
faq     Debian's FAQ (packages debian-faq and debian-faq-LL, unpacked): an answer a document, its
        question a query. Answers that stand in English in another language are left out.
xquad   XQuAD (files of LAReQA, gzipped): a paragraph a document, its translations are a group.
tydi    TyDi QA GoldP, development files: a paragraph a document; nothing is parallel, so a
        document is its own group and no group is written.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

TAGS = {"en-US": "en", "zh-CN": "zh", "zh-cn": "zh", "zh-TW": "zh-Hant"}
MIN_BODY = 200  # characters of a page
MIN_ANSWER = 80  # characters of an answer
PARTS = {"dev": "0", "test": "123", "variants": "4"}  # first digits of the hash of a path


class Page(HTMLParser):
    """The title and the text below the display area of a page of the help."""

    def __init__(self):
        super().__init__()
        self.title, self.body = "", []
        self.inside, self.in_title, self.silent = False, False, 0

    def handle_starttag(self, tag, attributes):
        self.in_title = tag == "title"
        self.inside |= ("id", "DisplayArea") in attributes
        self.silent += tag in ("script", "style", "noscript", "h1")

    def handle_endtag(self, tag):
        self.in_title = False
        self.silent -= tag in ("script", "style", "noscript", "h1")

    def handle_data(self, data):
        if self.in_title:
            self.title += data
        elif self.inside and self.silent <= 0:
            self.body.append(data)


def read_help(folder, languages):
    """The documents of some languages of LibreOffice's help; English decides what is translated."""
    english = {}
    for code in sorted(languages, key=lambda x: not x.startswith("en")):
        root = folder / code / "text"
        for path in sorted(root.rglob("*.html")):
            page = Page()
            page.feed(path.read_text(encoding="utf-8", errors="replace"))
            title, text = page.title.strip(), " ".join(" ".join(page.body).split())
            text = re.sub(r"^" + re.escape(title), "", text).strip()
            group = path.relative_to(root).as_posix()
            if code.startswith("en"):
                english[group] = title
            elif english.get(group) == title:
                continue
            if len(text) >= MIN_BODY and title:
                yield {
                    "_id": f"{code}/{group}",
                    "title": title,
                    "text": text,
                    "language": TAGS.get(code, code),
                    "group": group,
                }


class Answers(HTMLParser):
    """The sections of a chapter of the FAQ: anchor, heading, text."""

    def __init__(self):
        super().__init__()
        self.sections = []  # [anchor, heading, text]
        self.in_heading, self.body, self.skipped = False, False, 0

    def handle_starttag(self, tag, attributes):
        names = dict(attributes)
        if tag in ("h2", "h3") and "title" in (names.get("class") or ""):
            self.sections.append(["", "", ""])
            self.in_heading, self.body = True, True
        elif tag == "a" and self.in_heading and "id" in names:
            self.sections[-1][0] = names["id"]
        elif tag == "div" and names.get("class") in ("navfooter", "navheader", "toc"):
            self.body = False

    def handle_endtag(self, tag):
        self.in_heading &= tag not in ("h2", "h3")

    def handle_data(self, data):
        if self.in_heading:
            self.sections[-1][1] += data
        elif self.body and self.sections:
            self.sections[-1][2] += data


def read_faq(folder):
    """The answers of all languages of the FAQ with their questions as titles."""
    english = {}
    for path in [*sorted(folder.glob("*.html")), *sorted(folder.glob("*/*.html"))]:
        code = "en" if path.parent == folder else path.parent.name
        if code == "en" and not path.name.endswith(".en.html"):
            continue  # the same pages under a second name
        page = Answers()
        page.feed(path.read_text(encoding="utf-8", errors="replace"))
        for anchor, heading, raw in page.sections:
            title = re.sub(r"^[\d.\s]+", "", " ".join(heading.split()))
            text, group = " ".join(raw.split()), f"{path.name.partition('.')[0]}#{anchor}"
            if code == "en":
                english[group] = text
            elif english.get(group) == text:
                continue
            if len(text) >= MIN_ANSWER and title:
                yield {
                    "_id": f"{code}/{group}",
                    "title": title,
                    "text": text,
                    "language": TAGS.get(code, code),
                    "group": group,
                }


def read_squad(path):
    """The paragraphs of a gzipped file in SQuAD's form, each with its questions."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for article in json.load(file)["data"]:
            for paragraph in article["paragraphs"]:
                yield paragraph["context"], [x["question"] for x in paragraph["qas"]]


def questions_on_paragraphs(files, is_parallel, most):
    """Documents and queries: a paragraph is counted once, and its place is its group."""
    documents, queries = [], []
    for code, path in files:
        names = {}
        for number, (text, asked) in enumerate(read_squad(path)):
            if text not in names:
                if len(names) == most:
                    continue
                names[text] = f"p{number}" if is_parallel else f"{code}{number}"
                group = {"group": names[text]} if is_parallel else {}
                documents.append(
                    {"_id": f"{code}-p{number}", "text": text, "language": code, **group}
                )
            queries += [{"text": x, "language": code, "group": names[text]} for x in asked]
    return documents, queries


def digest(text):
    """The hash that splits and orders documents."""
    return hashlib.md5(text.encode()).hexdigest()


def by_hash(rows):
    """Rows in an order that keeps groups together and says nothing of their content."""
    return sorted(rows, key=lambda x: (digest(x.get("group", x["_id"])), x["_id"]))


def write(path, rows):
    """Write JSON lines."""
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8")


def main() -> None:
    """Write a collection."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("name", choices=["help", "faq", "xquad", "tydi"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--languages", default="")
    parser.add_argument("--most", type=int, default=10**9, help="paragraphs of a language")
    parser.add_argument("--part", choices=PARTS, help="part of the help")
    given = parser.parse_args()
    codes, queries = [x for x in given.languages.split(",") if x], []
    if given.name == "help":
        documents = list(read_help(given.folder, codes or ["en-US", "de", "hi", "ja", "km", "om"]))
        if given.part:
            documents = [x for x in documents if digest(x["group"])[0] in PARTS[given.part]]
    elif given.name == "faq":
        rows = list(read_faq(given.folder))
        queries = [
            {"text": x["title"], "language": x["language"], "group": x["group"]} for x in rows
        ]
        documents = [{k: v for k, v in x.items() if k != "title"} for x in rows]
    else:
        files = sorted(given.folder.glob("*.json.gz"))
        tagged = [(path.name.split(".")[-4 if given.name == "tydi" else 0], path) for path in files]
        chosen = [(code, path) for code, path in tagged if not codes or code in codes]
        documents, queries = questions_on_paragraphs(chosen, given.name == "xquad", given.most)
    given.out.mkdir(parents=True, exist_ok=True)
    name = f"{given.name}-{given.part}" if given.part else given.name
    write(given.out / f"{name}.jsonl", by_hash(documents))
    if queries:
        write(given.out / f"{name}.queries.jsonl", queries)


if __name__ == "__main__":
    main()
