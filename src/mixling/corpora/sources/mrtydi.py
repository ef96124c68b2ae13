"""Mr. TyDi (Zhang et al. 2021, arXiv:2108.08787): TyDi's queries on all of Wikipedia."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mixling.corpora import trec
from mixling.corpora.corpus import Corpus, CorpusBuilder
from mixling.corpora.json_files import read_json_lines
from mixling.corpora.source import Files, Languages, Repository, Source, is_wanted
from mixling.corpora.values import id_text, iter_objects, passage_text, text_field
from mixling.errors import BadRowError, MixlingError, Skipped

LANGUAGES = {
    "arabic": "ar",
    "bengali": "bn",
    "english": "en",
    "finnish": "fi",
    "indonesian": "id",
    "japanese": "ja",
    "korean": "ko",
    "russian": "ru",
    "swahili": "sw",
    "telugu": "te",
    "thai": "th",
}


def read_mrtydi(folder: Path, split: str, languages: Languages, skip_bad: bool) -> Corpus:
    """Read `*<language>*/<split>.jsonl`, which holds positive and negative passages of each query.

    A split with `-full` also reads the collection `*<language>*/corpus.jsonl`.

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
    base, full = split.removesuffix("-full"), split.endswith("-full")
    builder, skipped = CorpusBuilder("mr-tydi"), Skipped(skip_bad)
    for name, code in LANGUAGES.items():
        for path in sorted(folder.glob(f"**/*{name}*/{base}.jsonl*")):
            for line, row in read_json_lines(path, skipped):
                try:
                    _add_row(builder, row, path, line, code, skipped)
                except BadRowError as bad:
                    skipped(bad)
        if full:
            paths = sorted(folder.glob(f"**/*{name}*/corpus.jsonl*"))
            for document in trec.read_documents(paths, skipped, code):
                builder.add_passage(
                    document.key, document.text, code, f"{code}:{document.key}", document.title
                )
    if not builder.queries:
        raise MixlingError(
            f"{folder}: no file like <language>/{base}.jsonl; see `mixling data list`"
        )
    return builder.build(skipped.rows)


def _add_row(
    builder: CorpusBuilder, row: dict[str, Any], path: Path, line: int, code: str, skipped: Skipped
) -> None:
    """Add a query with its passages; raise BadRowError if the row has no query."""
    text = text_field(row, "query", path, line)
    key = id_text(row, ("query_id",), path, line)
    group = f"{code}:{key}"
    builder.add_query(key, text, code, group)
    for field in ("positive_passages", "negative_passages"):
        for _, passage in iter_objects(row.get(field) or [], field, path, line, skipped):
            try:
                passage_row = _add_passage(builder, passage, path, line, code)
            except BadRowError as bad:  # some training rows of the published set have empty texts
                skipped(bad)
                continue
            if field == "positive_passages":
                builder.add_link(group, passage_row)
            else:
                builder.add_negative(key, code, passage_row)


def _add_passage(
    builder: CorpusBuilder, passage: dict[str, Any], path: Path, line: int, code: str
) -> int:
    """Add a passage and return its row; raise BadRowError if it has no text."""
    key = id_text(passage, ("docid",), path, line)
    # a passage of which a training row gives the title alone has its text in the collection
    text_field(passage, "text", path, line)
    text, title = passage_text(passage, path, line)
    return builder.add_passage(key, text, code, f"{code}:{key}", title)


def _query_files(split: str, languages: Languages) -> list[Files]:
    """Return the files of queries that a split and some languages need."""
    base = split.removesuffix("-full")
    return [
        Files(f"mrtydi-v1.1-{name}/{base}.jsonl.gz", ("query_id", "query", "positive_passages"))
        for name, code in LANGUAGES.items()
        if is_wanted(code, languages)
    ]


def _corpus_files(split: str, languages: Languages) -> list[Files]:
    """Return the files of documents that some languages need."""
    return [
        Files(f"mrtydi-v1.1-{name}/corpus.jsonl.gz", ("docid", "title", "text"))
        for name, code in LANGUAGES.items()
        if is_wanted(code, languages)
    ]


MR_TYDI = Source(
    "mr-tydi",
    "TyDi's questions on the Wikipedia of their language",
    tuple(LANGUAGES.values()),
    ("test", "test-full", "dev", "dev-full", "train"),
    "Apache-2.0",
    "Zhang et al. 2021, arXiv:2108.08787",
    "hub castorini/mr-tydi and castorini/mr-tydi-corpus, both as they are",
    read_mrtydi,
    "mr-tydi",
    repositories=(
        Repository("castorini/mr-tydi", _query_files),
        Repository("castorini/mr-tydi-corpus", _corpus_files),
    ),
)
