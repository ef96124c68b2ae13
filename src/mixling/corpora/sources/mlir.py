"""The benchmarks of MIMO and SHIFT (arXiv:2605.31171, 2606.18801; hub yjoonjang/mlir-benchmarks).

    queries.jsonl    {"_id": …, "text": …[, "lang": …]} a line (English where lang is missing)
    corpus.jsonl     {doc_id: {"text": …, "lang": …}} a line
    qrels.jsonl      {query_id: {doc_id: 1}} a line

A corpus holds all languages, and the passage of every language is relevant.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mixling.corpora.corpus import Corpus, CorpusBuilder
from mixling.corpora.files import find_file
from mixling.corpora.json_files import read_json_lines
from mixling.corpora.languages import language_field
from mixling.corpora.source import Languages, Source
from mixling.corpora.values import grade_value, id_text, text_field, value_text
from mixling.errors import BadRowError, MixlingError, Skipped

# the published files call Dutch dt
_WRONG_CODES = {"dt": "nl"}


def read_mlir(
    folder: Path, split: str = "test", languages: Languages = None, skip_bad: bool = False
) -> Corpus:
    """Read a folder of the three files.

    Args:
        folder: The folder.
        split: Not used: a folder is one split.
        languages: Not used: a file holds all languages.
        skip_bad: Skip rows that cannot be used.

    Returns:
        The corpus.

    Raises:
        MixlingError: A file is missing or cannot be read.
        BadRowError: A row cannot be used, and `skip_bad` is False.
    """
    builder, skipped = CorpusBuilder(folder.name), Skipped(skip_bad)
    corpus, queries, qrels = (_find_part(folder, part) for part in ("corpus", "queries", "qrels"))
    passages = _add_passages(builder, corpus, skipped)
    query_ids = set()
    for line, row in read_json_lines(queries, skipped):
        try:
            key = id_text(row, ("_id",), queries, line)
            text = text_field(row, "text", queries, line)
            code = _row_language(row, queries, line, "en")
        except BadRowError as bad:
            skipped(bad)
            continue
        query_ids.add(key)
        builder.add_query(key, text, code, key)
    for line, row in read_json_lines(qrels, skipped):
        for query, judgments in row.items():
            try:
                grades = _read_grades(judgments, query, qrels, line)
            except BadRowError as bad:
                skipped(bad)
                continue
            for document, grade in grades.items():
                if query not in query_ids or document not in passages:
                    unknown = query if query not in query_ids else document
                    expected = "an id of the other files"
                    skipped(BadRowError(qrels, line, "id", unknown, expected, "mend it"))
                elif grade > 0:
                    builder.add_link(query, passages[document], grade=grade)
    return builder.build(skipped.rows)


def _find_part(folder: Path, part: str) -> Path:
    """Return one of the three files; raise MixlingError if it is not there."""
    path = find_file(folder, f"{part}.jsonl")
    if path is None:
        raise MixlingError(
            f"{folder}: no {part}.jsonl; fetch the folder of hub yjoonjang/mlir-benchmarks"
        )
    return path


def _add_passages(builder: CorpusBuilder, path: Path, skipped: Skipped) -> dict[str, int]:
    """Add the passages of a file and return the row of each by its id."""
    passages: dict[str, int] = {}
    for line, row in read_json_lines(path, skipped):
        for key, value in row.items():
            try:
                text = text_field(value, "text", path, line)
                passages[key] = builder.add_passage(key, text, _row_language(value, path, line))
            except BadRowError as bad:
                skipped(bad)
    return passages


def _read_grades(judgments: Any, query: str, path: Path, line: int) -> dict[str, int]:
    """Return the grade of each document that is judged for a query; else raise BadRowError."""
    if not isinstance(judgments, dict):
        raise BadRowError(path, line, query, judgments, "{document: grade}", "mend it")
    return {
        document: grade_value(value, query, path, line) for document, value in judgments.items()
    }


def _row_language(row: dict[str, Any], path: Path, line: int, default: str | None = None) -> str:
    """Return the language of a row; raise BadRowError if it names none and there is no default."""
    name = value_text(row.get("lang"), "lang", path, line) or default
    return language_field(_WRONG_CODES.get(str(name), name), "lang", path, line)


def _mlir(name: str, description: str, languages: str) -> Source:
    """Return one of the benchmarks."""
    return Source(
        name.lower().replace("_test", "-mlir"),
        description,
        tuple(languages.split()),
        ("test",),
        "as the set it is made of",
        "MIMO, arXiv:2605.31171; SHIFT, arXiv:2606.18801",
        f"folder {name} of hub yjoonjang/mlir-benchmarks",
        read_mlir,
        f"mlir-benchmarks/{name}",
    )


MLIR = (
    _mlir("XQuAD_test", "MIMO's pool of XQuAD paragraphs, as published", "ar de en es hi ru vi zh"),
    _mlir("MLQA_test", "MIMO's pool of MLQA contexts, as published", "ar de en es hi vi zh"),
    _mlir(
        "Belebele_test",
        "MIMO's pool of Belebele passages, 14 languages",
        "ar de en es fr it ja ko nl pt ru vi zh",
    ),
    _mlir("MultiEup_test", "MIMO's pool of the European Parliament's debates", "en"),
)
