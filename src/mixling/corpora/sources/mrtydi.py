"""Mr. TyDi (Zhang et al. 2021, arXiv:2108.08787): TyDi's queries on all of Wikipedia."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mixling.corpora import trec
from mixling.corpora.corpus import Corpus, CorpusBuilder
from mixling.corpora.json_files import read_json_lines
from mixling.corpora.published_files import find_published
from mixling.corpora.source import Files, Languages, Repository, Source, is_wanted
from mixling.corpora.values import id_text, is_missing, iter_objects, passage_text, text_field
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
_PASSAGES = ("positive_passages", "negative_passages")


def read_mrtydi(folder: Path, split: str, languages: Languages, skip_bad: bool) -> Corpus:
    """Read `mrtydi-v1.1-<language>/<split>.jsonl.gz`: queries with their passages.

    The passages of dev and test have ids and no texts, as some of train may. Their texts are taken
    from the collection `mrtydi-v1.1-<language>/corpus.jsonl.gz`, which is read where it is needed.

    Args:
        folder: The folder.
        split: The split. With `-full`, the whole collection is read.
        languages: The languages; None: all that the folder has.
        skip_bad: Skip rows that cannot be used.

    Returns:
        The corpus. Its `skipped` also lists passages that the collection lacks.

    Raises:
        MixlingError: A file is missing or cannot be read.
        BadRowError: A row cannot be used, and `skip_bad` is False.
    """
    base, full = split.removesuffix("-full"), split.endswith("-full")
    builder, skipped = CorpusBuilder("mr-tydi"), Skipped(skip_bad)
    left_out: list[MixlingError] = []
    for name, code in LANGUAGES.items():
        if not is_wanted(code, languages):
            continue
        patterns = [f"mrtydi-v1.1-{name}/{file}.jsonl.gz" for file in (base, "corpus")]
        (paths, collection) = (find_published(folder, pattern) for pattern in patterns)
        if not paths and languages is None:
            continue
        if not paths:
            raise MixlingError(
                f"{folder}: the file {patterns[0]} is missing. Fetch the data set again."
            )
        ids, without_text = _passage_ids(paths[0])
        if not collection and (without_text or full):
            reason = f", which has the texts of {len(without_text):,} passages of {paths[0].name}"
            raise MixlingError(
                f"{folder}: the file {patterns[1]} is missing{reason if without_text else ''}. "
                "Fetch hub castorini/mr-tydi-corpus."
            )
        passage_rows: dict[str, int] = {}
        if full or without_text:
            only = None if full else without_text
            for document in trec.read_documents(collection, skipped, code, only):
                row = _add_passage(builder, document.key, document.text, document.title, code)
                if document.key in ids:
                    passage_rows[document.key] = row
        for line, content in read_json_lines(paths[0], skipped):
            try:
                left_out += _add_row(builder, content, paths[0], line, code, passage_rows, skipped)
            except BadRowError as bad:
                skipped(bad)
    if not builder.queries:
        raise MixlingError(
            f"{folder}: no file is named like mrtydi-v1.1-<language>/{base}.jsonl.gz. `mixling "
            "data list` says where to get it."
        )
    return builder.build([*skipped.rows, *left_out])


def _passage_ids(path: Path) -> tuple[set[str], set[str]]:
    """Return the ids of all passages of a file of queries, and of those that lack a text."""
    ids, without_text = set[str](), set[str]()
    skipped = Skipped(skip_bad=True)  # bad rows are reported where the rows are used
    for line, row in read_json_lines(path, skipped):
        for field in _PASSAGES:
            for _, passage in iter_objects(row.get(field) or [], field, path, line, skipped):
                try:
                    key = id_text(passage, ("docid",), path, line)
                except BadRowError:
                    continue
                ids.add(key)
                if is_missing(passage.get("text")):
                    without_text.add(key)
    return ids, without_text


def _add_row(
    builder: CorpusBuilder,
    row: dict[str, Any],
    path: Path,
    line: int,
    code: str,
    passage_rows: Mapping[str, int],
    skipped: Skipped,
) -> list[MixlingError]:
    """Add a query with its passages.

    Args:
        builder: The builder.
        row: The row.
        path: The file.
        line: The line.
        code: The language.
        passage_rows: Rows of the passages that came from the collection, by id.
        skipped: Receives an error for each passage that cannot be used.

    Returns:
        One error for each passage that has no text here and is not in the collection.

    Raises:
        BadRowError: The row has no query.
    """
    text = text_field(row, "query", path, line)
    key = id_text(row, ("query_id",), path, line)
    group = f"{code}:{key}"
    builder.add_query(key, text, code, group)
    left_out: list[MixlingError] = []
    for field in _PASSAGES:
        for _, passage in iter_objects(row.get(field) or [], field, path, line, skipped):
            try:
                document = id_text(passage, ("docid",), path, line)
                passage_row = passage_rows.get(document)
                if passage_row is None and is_missing(passage.get("text")):
                    left_out.append(
                        MixlingError(
                            f"{path}:{line}: passage '{document}' of '{field}' is left out, "
                            "because it has no text and is not in the collection"
                        )
                    )
                    continue
                if passage_row is None:
                    passage_row = _add_passage(
                        builder, document, *passage_text(passage, path, line), code
                    )
            except BadRowError as bad:
                skipped(bad)
                continue
            if field == "positive_passages":
                builder.add_link(group, passage_row)
            else:
                builder.add_negative(key, code, passage_row)
    return left_out


def _add_passage(builder: CorpusBuilder, key: str, text: str, title: str | None, code: str) -> int:
    """Add a passage and return its row."""
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
    # commits that attevon-llc/OpenTranscribe downloads; mteb named the first too, and files there
    # have the checksums of castorini/anserini-tools
    repositories=(
        Repository("castorini/mr-tydi", _query_files, "1d43c80218d06d0ef80f5b172ccabd848b948bc1"),
        Repository(
            "castorini/mr-tydi-corpus", _corpus_files, "3a3aa212bbe94a8cc0dc858710a3dad49d532054"
        ),
    ),
)
