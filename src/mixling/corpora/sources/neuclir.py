"""NeuCLIR (Lawrie et al. 2023, arXiv:2304.12367): English topics, graded news in three languages.

Topics are JSON lines with a list of topics by language; qrels are TREC's, with grades 0, 1 and 3.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mixling.corpora import trec
from mixling.corpora.corpus import Corpus, CorpusBuilder
from mixling.corpora.json_files import read_json_lines
from mixling.corpora.source import Languages, Source
from mixling.corpora.values import id_text, iter_objects, value_text
from mixling.errors import BadRowError, MixlingError, Skipped

_CODES = ("fas", "rus", "zho")


def read_neuclir(folder: Path, split: str, languages: Languages, skip_bad: bool) -> Corpus:
    """Read topics*.jsonl, qrels* and <language>.jsonl.

    A line of topics has topic_id and topics, each with lang, source, topic_title and
    topic_description.

    Args:
        folder: The folder.
        split: The split.
        languages: The languages; None: all.
        skip_bad: Skip rows that cannot be used.

    Returns:
        The corpus.

    Raises:
        MixlingError: A file is missing or cannot be read.
        BadRowError: A row cannot be used, and `skip_bad` is False.
    """
    full = split.endswith("-full")
    builder, skipped = CorpusBuilder("neuclir"), Skipped(skip_bad)
    topic_files = sorted(folder.glob("**/*topics*.jsonl*"))
    qrels_files = sorted(folder.glob("**/*qrels*"))
    if not topic_files or not qrels_files:
        raise MixlingError(f"{folder}: needs topics*.jsonl and qrels*; see `mixling data list`")
    topics: dict[str, str] = {}
    for path in topic_files:
        for line, row in read_json_lines(path, skipped):
            try:
                key, text = _read_topic(row, path, line, skipped)
            except BadRowError as bad:
                skipped(bad)
                continue
            topics[key] = text
    judgments: dict[tuple[str, str], int] = {}
    for path in qrels_files:
        judgments.update(trec.read_qrels(path, skipped))
    only = None if full else {document for _, document in judgments}
    for code in _CODES:
        paths = [p for p in sorted(folder.glob(f"**/{code}*.jsonl*")) if "topics" not in p.name]
        documents = trec.read_documents(paths, skipped, code, only)
        trec.add_judged(builder, topics, judgments, documents, "en")
    return builder.build(skipped.rows)


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
        raise BadRowError(path, line, "topics", key, "an English topic", "leave it out")
    return key, " ".join(part.strip() for part in parts if part)


NEUCLIR = Source(
    "neuclir",
    "English topics, news in Chinese, Persian and Russian, graded by people",
    ("en", "fa", "ru", "zh"),
    ("test", "test-full"),
    "terms of Common Crawl",
    "Lawrie et al. 2023, arXiv:2304.12367",
    "hub neuclir/neuclir1 (fas.jsonl, rus.jsonl, zho.jsonl); topics and qrels of trec.nist.gov",
    read_neuclir,
    "neuclir",
)
