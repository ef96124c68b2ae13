"""The benchmarks of MIMO and SHIFT (arXiv:2605.31171, 2606.18801; hub yjoonjang/mlir-benchmarks).

    MMLIR/<benchmark>/      queries of all languages, named `<language>_<id>`: what MIMO measures
    MLIR-en/<benchmark>/    queries of one language (also zh, vi, hi): what SHIFT measures
        queries.jsonl       {"_id": …, "text": …[, "lang": …]} a line, or {query_id: text}
        corpus.jsonl        {doc_id: {"text": …, "lang": …}} a line
        qrels.jsonl         {query_id: {doc_id: 1}} a line

A corpus holds all languages, and the passage of every language is relevant. The split `test` is
MMLIR, the splits `en`, `hi`, `vi` and `zh` are MLIR-en and so on. The files call Dutch `dt`, and
Belebele's Mesopotamian Arabic (acm_Arab) `ar`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mixling.corpora.corpus import Corpus, CorpusBuilder
from mixling.corpora.files import find_file
from mixling.corpora.json_files import read_json_lines
from mixling.corpora.languages import language_field
from mixling.corpora.published_files import find_published
from mixling.corpora.source import Files, Languages, Reader, Repository, Source, parse_languages
from mixling.corpora.values import grade_value, id_text, text_field, value_text
from mixling.errors import BadRowError, MixlingError, Skipped

# the published files call Dutch dt
_WRONG_CODES = {"dt": "nl"}
_QUERY_LANGUAGES = ("en", "hi", "vi", "zh")


def read_mlir(folder: Path, query_language: str | None = None, skip_bad: bool = False) -> Corpus:
    """Read a folder of the three files.

    Queries that are named `<language>_<id>`, differ in the language alone and have the same
    relevant passages are translations of each other and form one group.

    Args:
        folder: The folder.
        query_language: The language that all queries must have. None: they may have any; a query
            that names none is English.
        skip_bad: Skip rows that cannot be used.

    Returns:
        The corpus.

    Raises:
        MixlingError: A file is missing or cannot be read.
        BadRowError: A row cannot be used, and `skip_bad` is False.
    """
    builder, skipped = CorpusBuilder(folder.name), Skipped(skip_bad)
    corpus, queries, qrels = (_find_part(folder, part) for part in ("corpus", "queries", "qrels"))
    passages, codes = _add_passages(builder, corpus, skipped)
    rows: list[tuple[str, str, str]] = []  # id, text, language
    for line, row in read_json_lines(queries, skipped):
        is_entry = bool(row.keys() & {"_id", "text", "lang"})
        for entry in [row] if is_entry else [{"_id": k, "text": v} for k, v in row.items()]:
            try:
                key = id_text(entry, ("_id",), queries, line)
                text = text_field(entry, "text", queries, line)
                default = _split_id(key, codes)[0] or query_language or "en"
                code = _row_language(entry, queries, line, default)
                if query_language not in (None, code):
                    expected = f"queries in '{query_language}' alone"
                    raise BadRowError(
                        queries,
                        line,
                        "lang",
                        code,
                        f"queries in '{query_language}' only",
                        "take split 'test' for all languages",
                    )
            except BadRowError as bad:
                skipped(bad)
                continue
            rows.append((key, text, code))
    keys = {key for key, _, _ in rows}
    judgments: dict[str, dict[int, int]] = {}
    for line, row in read_json_lines(qrels, skipped):
        for query, judged in row.items():
            try:
                grades = _read_grades(judged, query, qrels, line)
            except BadRowError as bad:
                skipped(bad)
                continue
            for document, grade in grades.items():
                if query not in keys or document not in passages:
                    unknown = query if query not in keys else document
                    expected = "an id of the other files"
                    skipped(BadRowError(qrels, line, "id", unknown, expected, "correct the id"))
                elif grade > 0:
                    judgments.setdefault(query, {})[passages[document]] = grade
    groups = _translation_groups([(key, code) for key, _, code in rows], judgments, codes)
    for key, text, code in rows:
        builder.add_query(key, text, code, groups[key])
    for key, links in judgments.items():
        for passage, grade in links.items():
            builder.add_link(groups[key], passage, grade=grade)
    return builder.build(skipped.rows)


def _split_id(key: str, codes: set[str]) -> tuple[str | None, str]:
    """Return language and base of an id like `de_17`; (None, the id) if it names no language.

    Args:
        key: The id.
        codes: The codes of languages in the corpus, as its file writes them.
    """
    code, _, base = key.partition("_")
    return (code, base) if base and code in codes else (None, key)


def _translation_groups(
    queries: list[tuple[str, str]], judgments: dict[str, dict[int, int]], codes: set[str]
) -> dict[str, str]:
    """Return the group of each query: its id, or what the ids of its translations share.

    Args:
        queries: Id and language of each query.
        judgments: Grade by row of the passage, for each query.
        codes: The codes of languages in the corpus, as its file writes them.
    """
    members: dict[str, list[tuple[str, str]]] = {}
    for key, language in queries:
        members.setdefault(_split_id(key, codes)[1], []).append((key, language))
    groups = {}
    for base, found in members.items():
        first = judgments.get(found[0][0])
        are_translations = len({language for _, language in found}) == len(found)
        if are_translations and all(judgments.get(key) == first for key, _ in found):
            groups.update({key: base for key, _ in found})
        else:
            groups.update({key: key for key, _ in found})
    return groups


def _find_part(folder: Path, part: str) -> Path:
    """Return one of the three files; raise MixlingError if it is not there."""
    path = find_file(folder, f"{part}.jsonl")
    if path is None:
        raise MixlingError(
            f"{folder}: the file {part}.jsonl is missing. Fetch the folder of hub "
            "yjoonjang/mlir-benchmarks."
        )
    return path


def _add_passages(
    builder: CorpusBuilder, path: Path, skipped: Skipped
) -> tuple[dict[str, int], set[str]]:
    """Add the passages of a file; return the row of each by its id, and the codes of languages."""
    passages: dict[str, int] = {}
    codes = set[str]()
    for line, row in read_json_lines(path, skipped):
        for key, value in row.items():
            try:
                text = text_field(value, "text", path, line)
                passages[key] = builder.add_passage(key, text, _row_language(value, path, line))
                codes.add(str(value["lang"]))
            except BadRowError as bad:
                skipped(bad)
    return passages, codes


def _read_grades(judgments: Any, query: str, path: Path, line: int) -> dict[str, int]:
    """Return the grade of each document that is judged for a query; else raise BadRowError."""
    if not isinstance(judgments, dict):
        raise BadRowError(path, line, query, judgments, "{document: grade}", "correct the line")
    return {
        document: grade_value(value, query, path, line) for document, value in judgments.items()
    }


def _row_language(row: dict[str, Any], path: Path, line: int, default: str | None = None) -> str:
    """Return the language of a row; raise BadRowError if it names none and there is no default."""
    name = value_text(row.get("lang"), "lang", path, line) or default
    return language_field(_WRONG_CODES.get(str(name), name), "lang", path, line)


def _variant(split: str) -> str:
    """Return the published folder of a split."""
    return "MMLIR" if split == "test" else f"MLIR-{split}"


def _reader(benchmark: str) -> Reader:
    """Return a reader of one benchmark, in the published folders or in a folder of its name."""

    def read(folder: Path, split: str, languages: Languages, skip_bad: bool) -> Corpus:
        variant = _variant(split)
        found = find_published(folder, f"{variant}/{benchmark}/queries.jsonl")
        others = find_published(folder, f"M*LIR*/{benchmark}/queries.jsonl")
        plain = [f for f in (folder / benchmark, folder) if find_file(f, "queries.jsonl")]
        if found:
            place = found[0].parent
        elif plain and not others:
            place = plain[0]
        else:
            raise MixlingError(
                f"{folder}: the file {variant}/{benchmark}/queries.jsonl is missing (split "
                f"'{split}'). Get folder {variant}/{benchmark} of hub yjoonjang/mlir-benchmarks."
            )
        return read_mlir(place, None if split == "test" else split, skip_bad)

    return read


def _mlir(benchmark: str, description: str, languages: str) -> Source:
    """Return one of the benchmarks."""
    name = benchmark.lower().replace("_test", "-mlir")

    def files(split: str, languages: Languages) -> list[Files]:
        folder = f"{_variant(split)}/{benchmark}"
        return [Files(f"{folder}/{part}.jsonl") for part in ("queries", "corpus", "qrels")]

    codes = parse_languages(languages)
    return Source(
        name,
        description,
        codes,
        ("test", *(code for code in _QUERY_LANGUAGES if code in codes)),
        "MIT (its texts: as the set it is made of)",
        "MIMO, arXiv:2605.31171; SHIFT, arXiv:2606.18801",
        f"folder MMLIR/{benchmark} of hub yjoonjang/mlir-benchmarks",
        _reader(benchmark),
        "mlir-benchmarks",
        repositories=(Repository("yjoonjang/mlir-benchmarks", files),),
    )


MLIR = (
    _mlir("XQuAD_test", "MIMO's pool of XQuAD paragraphs", "ar de en es hi ru vi zh"),
    _mlir("MLQA_test", "MIMO's pool of MLQA contexts", "ar de en es hi vi zh"),
    _mlir(
        "Belebele_test",
        "MIMO's pool of Belebele passages, 14 languages",
        "ar de en es fr hi id it ja nl pt ru vi zh",
    ),
    _mlir("MultiEup_test", "MIMO's pool of the European Parliament's debates", "de en es fr it pt"),
)
