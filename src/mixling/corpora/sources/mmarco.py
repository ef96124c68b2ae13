"""mMARCO (Bonifacio et al. 2021, arXiv:2108.13897): MS MARCO translated by machine into 13 languages.

A query's and a passage's numbers are the same in every language, so they are the groups.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mixling.corpora.corpus import Corpus, CorpusBuilder
from mixling.corpora.files import table_lines
from mixling.corpora.languages import language_tag
from mixling.corpora.source import Source
from mixling.errors import BadRow, MixlingError, Skipped

LANGUAGES = [
    "arabic",
    "chinese",
    "dutch",
    "english",
    "french",
    "german",
    "hindi",
    "indonesian",
    "italian",
    "japanese",
    "portuguese",
    "russian",
    "spanish",
    "vietnamese",
]


def read(folder: Path, split: str, skip_bad: bool) -> Corpus:
    """collections/<language>_collection.tsv, queries/<split>/<language>_queries.*.tsv; the pairs of train stand in
    triples.train.ids.small.tsv (query, positive, negative), those of dev in qrels.dev.small.tsv."""
    builder, skipped = CorpusBuilder("mmarco"), Skipped(skip_bad)
    source = folder / ("triples.train.ids.small.tsv" if split == "train" else "qrels.dev.small.tsv")
    pairs, passages, negatives = set(), set(), dict[tuple[str, str], None]()
    for _, parts in _rows(source, 3 if split == "train" else 4, skipped):
        pairs.add((parts[0], parts[1] if split == "train" else parts[2]))
        if split == "train":
            negatives[parts[0], parts[2]] = None
        passages.update(parts[1:] if split == "train" else parts[2:3])
    asked = {q for q, _ in pairs}
    for path in sorted((folder / "queries" / split).glob("*_queries.*")):
        for _, (key, text) in _rows(path, 2, skipped):
            if key in asked:
                builder.add_query(key, text, language_tag(path.name.split("_")[0]), key)
    asked_in: dict[str, list[str]] = {}
    for _, _, language, key in builder.queries:
        asked_in.setdefault(key, []).append(language)
    of: dict[str, list[int]] = {}
    for path in sorted((folder / "collections").glob("*_collection.tsv*")):
        for _, (key, text) in _rows(path, 2, skipped):
            if key in passages:
                of.setdefault(key, []).append(
                    builder.add_passage(key, text, language_tag(path.name.split("_")[0]), f"p{key}")
                )
    if not of or not builder.queries:
        raise MixlingError(
            f"{folder}: no collections/ or queries/{split}/ for its pairs; fetch the set again"
        )
    for query, passage in sorted(pairs):
        for number in of.get(passage, []):
            builder.add_link(query, number)
    for (
        query,
        passage,
    ) in negatives:  # in the question's own language; `batches.negatives_in` may choose another
        for number in of.get(passage, []):
            if builder.passages[number][2] in asked_in.get(query, []):
                builder.add_negative(query, builder.passages[number][2], number)
    return builder.build(skipped.rows)


def _rows(path: Path, columns: int, skipped: Skipped) -> Iterator[tuple[int, list[str]]]:
    for line, text in table_lines(path):
        parts = text.split("\t", columns - 1)
        if len(parts) != columns or not all(p.strip() for p in parts):
            skipped(
                BadRow(
                    path,
                    line,
                    "line",
                    text.strip(),
                    f"{columns} columns with tabs between",
                    "mend it",
                )
            )
            continue
        yield line, parts


MMARCO = Source(
    "mmarco",
    "MS MARCO in 14 languages, translated by machine (candidates: passages that a pair names)",
    tuple(language_tag(x) for x in LANGUAGES),
    ("train", "dev"),
    "Apache-2.0",
    "Bonifacio et al. 2021, arXiv:2108.13897",
    "hub unicamp-dl/mmarco, folder data/google, and qrels.dev.small.tsv of MS MARCO",
    read,
    "mmarco",
)
