"""Writes the collections of the audit's study: documents, and queries that are judged.

    python -m studies.audit_collections help OUT [--languages de,en,...] [--part PART]
    python -m studies.audit_collections faq OUT
    python -m studies.audit_collections xquad OUT --folder FOLDER [--languages ar,de,...] [--most N]
    python -m studies.audit_collections tydi OUT --folder FOLDER [--languages ar,bn,...] [--most N]

OUT/NAME.jsonl holds the documents: `_id`, `text`, `language`, perhaps `title` and `group`.
OUT/NAME.queries.jsonl holds queries: `text`, `language`, and `group`, the group of the documents
that answer them. They are judgments, which no audit reads.

help    The source libreoffice-help: a page a document, with its title where that is translated;
        its path is the group. Titles are the queries, so none is written. `dev` and `test` are the
        source's splits, `variants` a sixteenth of its paths out of train.
faq     The source debian-faq: an answer a document, its question a query.
xquad   XQuAD (files of LAReQA, gzipped): a paragraph a document, its translations are a group.
tydi    TyDi QA GoldP, development files: a paragraph a document; nothing is parallel, so a
        document is its own group and no group is written.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
from pathlib import Path

from mixling.corpora.catalog import load

SPLITS = {"dev": "dev", "test": "test", "variants": "train", "": "all"}  # by part
VARIANTS = "4"  # first digit of the hash of a path
LANGUAGES = ["en", "de", "es", "eu", "ja", "km", "om", "ru", "vi", "zh"]


def key(row):
    """The language and the group of a text."""
    return row["language"], row["group"]


def read_manual(source, split, languages):
    """The documents and queries of a manual: an answer has no title, a page has its own."""
    corpus = load(source, split, languages=languages)
    queries = corpus.queries.to_pylist()
    titles = {key(x): x["text"] for x in queries}
    documents = [
        {
            "_id": f"{x['language']}/{x['id']}",
            **({} if source == "debian-faq" else {"title": titles.get(key(x), "")}),
            "text": x["text"],
            "language": x["language"],
            "group": x["group"],
        }
        for x in corpus.passages.to_pylist()
    ]
    return documents, [{k: x[k] for k in ("text", "language", "group")} for x in queries]


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
    parser.add_argument("out", type=Path)
    parser.add_argument("--folder", type=Path, help="files of xquad and tydi")
    parser.add_argument("--languages", default="")
    parser.add_argument("--most", type=int, default=10**9, help="paragraphs of a language")
    parser.add_argument("--part", choices=SPLITS, default="", help="part of the help")
    given = parser.parse_args()
    codes = [x for x in given.languages.split(",") if x]
    if given.name == "help":
        documents, queries = read_manual("libreoffice-help", SPLITS[given.part], codes or LANGUAGES)
        if given.part == "variants":
            documents, queries = (
                [x for x in rows if digest(x["group"])[0] == VARIANTS]
                for rows in (documents, queries)
            )
    elif given.name == "faq":
        documents, queries = read_manual("debian-faq", "test", codes or None)
    else:
        files = sorted(given.folder.glob("*.json.gz"))
        tagged = [(path.name.split(".")[-4 if given.name == "tydi" else 0], path) for path in files]
        chosen = [(code, path) for code, path in tagged if not codes or code in codes]
        documents, queries = questions_on_paragraphs(chosen, given.name == "xquad", given.most)
    given.out.mkdir(parents=True, exist_ok=True)
    name = f"{given.name}-{given.part}" if given.part else given.name
    write(given.out / f"{name}.jsonl", by_hash(documents))
    if given.name != "help":
        write(given.out / f"{name}.queries.jsonl", queries)


if __name__ == "__main__":
    main()
