"""NeuCLIR (Lawrie et al. 2023, arXiv:2304.12367): English topics, graded news in three languages.

A split is a year of the track. A query is the title and the description of an English topic, as in
the track's own runs; the topics that nobody judged are left out. The same topics are asked of all
three collections. Grades are the published ones, from 0 to 3.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from mixling.corpora import trec
from mixling.corpora.corpus import Corpus, CorpusBuilder
from mixling.corpora.files import table_lines
from mixling.corpora.json_files import read_json_lines
from mixling.corpora.published_files import find_published
from mixling.corpora.source import Download, Files, Languages, Repository, Source
from mixling.corpora.sources.collections import choose_pools
from mixling.corpora.values import grade_value, id_text, iter_objects, value_text
from mixling.errors import BadRowError, MixlingError, Skipped

_POOLS = {"fas": ("en", "fa"), "rus": ("en", "ru"), "zho": ("en", "zh")}
_TOPICS = {"2022": "topics.0720.utf8.jsonl", "2023": "neuclir-2023-topics.0605.jsonl"}
# one file for the three languages, with the language in its second column; or one for each
_QRELS = {"2022": "2022-qrels.all", "2023": "qrels.final.gains.{pool}"}


class _Judgment(NamedTuple):
    """A line of a file of judgments; `column` is TREC's second one."""

    query: str
    column: str
    document: str
    grade: int


def read_neuclir(folder: Path, split: str, languages: Languages, skip_bad: bool) -> Corpus:
    """Read the documents of the hub with the topics and judgments of trec.nist.gov.

    Args:
        folder: The folder.
        split: The year; with `-full`, all documents are read and not only judged ones.
        languages: The languages, English among them; None: all whose documents the folder has.
        skip_bad: Skip rows that cannot be used.

    Returns:
        The corpus. Its `skipped` also lists judged queries without a topic, and relevant documents
        that the collection lacks.

    Raises:
        MixlingError: A file is missing or cannot be read.
        BadRowError: A row cannot be used, and `skip_bad` is False.
    """
    year, full = split.removesuffix("-full"), split.endswith("-full")
    builder, skipped = CorpusBuilder("neuclir"), Skipped(skip_bad)
    left_out: list[MixlingError] = []
    topics = _read_topics(_find(folder, _TOPICS[year]), skipped)
    judged: dict[Path, list[_Judgment]] = {}
    for pool in choose_pools(f"neuclir:{split}", _POOLS, languages):
        documents = find_published(folder, _documents(pool))
        if not documents and languages is None:
            continue
        if not documents:
            raise MixlingError(
                f"{folder}: the file {_documents(pool)} is missing. Fetch the data set again."
            )
        qrels = _find(folder, _QRELS[year].format(pool=pool))
        if qrels not in judged:
            judged[qrels] = _read_judgments(qrels, year, skipped)
        judgments: dict[tuple[str, str], int] = {}
        for query, column, document, grade in judged[qrels]:
            if year != "2022" or column == pool:
                earlier = judgments.get((query, document), grade)
                judgments[query, document] = max(grade, earlier)
        queries = {query for query, _ in judgments}
        left_out += trec.add_judged(
            builder,
            {query: text for query, text in topics.items() if query in queries},
            judgments,
            trec.read_documents(
                documents, skipped, _POOLS[pool][1], None if full else {d for _, d in judgments}
            ),
            "en",
            qrels,
        )
    if not builder.passages:
        raise MixlingError(
            f"{folder}: no file is named like {_documents('<language>')}. Fetch the data set again."
        )
    return builder.build([*skipped.rows, *left_out])


def _documents(pool: str) -> str:
    """Return the name of a file of documents; `fas-mt-eng-…` are translations by machine."""
    return f"{pool}-00000-of-00001.jsonl.gz"


def _find(folder: Path, name: str) -> Path:
    """Return a published file; raise MixlingError if the folder lacks it."""
    paths = find_published(folder, name)
    if not paths:
        raise MixlingError(f"{folder}: the file {name} is missing. Get it from {_ADDRESS}")
    return paths[0]


def _read_topics(path: Path, skipped: Skipped) -> dict[str, str]:
    """Return the English text of each topic by its id."""
    topics: dict[str, str] = {}
    for line, row in read_json_lines(path, skipped):
        try:
            key, text = _read_topic(row, path, line, skipped)
            if topics.setdefault(key, text) != text:
                expected, fix = "an id not used before", "rename one of the two ids"
                raise BadRowError(path, line, "topic_id", key, expected, fix)
        except BadRowError as bad:
            skipped(bad)
    return topics


def _read_topic(row: dict[str, Any], path: Path, line: int, skipped: Skipped) -> tuple[str, str]:
    """Return id and English text of a topic; raise BadRowError if it has no English text."""
    topics = iter_objects(row.get("topics"), "topics", path, line, skipped)
    english = [topic for _, topic in topics if topic.get("lang") in ("eng", "en")]
    key = id_text(row, ("topic_id",), path, line)
    parts = [
        value_text(english[0].get(field), field, path, line) if english else None
        for field in ("topic_title", "topic_description")
    ]
    if not any(parts):
        raise BadRowError(path, line, "topics", key, "an English topic", "leave the topic out")
    return key, " ".join(part.strip() for part in parts if part)


def _read_judgments(path: Path, year: str, skipped: Skipped) -> list[_Judgment]:
    """Return the lines of a file of judgments: query, column two, document, grade."""
    judgments = []
    for line, text in table_lines(path):
        cells = text.split()
        try:
            if len(cells) != 4 or (year == "2022" and cells[1] not in _POOLS):
                second = "fas, rus or zho" if year == "2022" else "0"
                expected = f"four columns: query, {second}, document, grade"
                raise BadRowError(path, line, "line", text.strip(), expected, "correct the line")
            grade = grade_value(cells[3], "grade", path, line)
        except BadRowError as bad:
            skipped(bad)
            continue
        judgments.append(_Judgment(cells[0], cells[1], cells[2], grade))
    return judgments


def _document_files(split: str, languages: Languages) -> list[Files]:
    """Return the files of documents that some languages need."""
    return [
        Files(f"data/{_documents(pool)}", ("id", "title", "text"))
        for pool in choose_pools(f"neuclir:{split}", _POOLS, languages)
    ]


_ADDRESS = "https://trec.nist.gov/data/neuclir"
_YEARS = {year: (year, f"{year}-full") for year in _TOPICS}
NEUCLIR = Source(
    "neuclir",
    "English topics, news in Chinese, Persian and Russian, graded by people",
    ("en", "fa", "ru", "zh"),
    (*_YEARS["2022"], *_YEARS["2023"]),
    "terms of Common Crawl",
    "Lawrie et al. 2023, arXiv:2304.12367",
    f"hub neuclir/neuclir1 (the three files without mt in their names), topics and qrels of "
    f"{_ADDRESS}",
    read_neuclir,
    "neuclir",
    # the commit that the hub's page calls "Delete loading script"
    repositories=(
        Repository("neuclir/neuclir1", _document_files, "12c390ab1939be75403113a31f1fc5b797f35714"),
    ),
    # MD5 as ir_datasets has them
    downloads=(
        Download(
            f"{_ADDRESS}/2022/{_TOPICS['2022']}",
            md5="264bf244f798670f063f32ff57ba6135",
            splits=_YEARS["2022"],
        ),
        Download(
            f"{_ADDRESS}/2022/{_QRELS['2022']}",
            md5="8dc1aecf13fbe358eea74ade7496b085",
            splits=_YEARS["2022"],
        ),
        Download(
            f"{_ADDRESS}/2023/{_TOPICS['2023']}",
            md5="3dbb41b02bfbd719d8b55632d9b15b83",
            splits=_YEARS["2023"],
        ),
        Download(
            f"{_ADDRESS}/2023/neuclir-2023-qrels.final.tar.gz",
            inside="",
            md5="cea4ff3d9eba612c7119e6490217d4e1",
            splits=_YEARS["2023"],
        ),
    ),
)
