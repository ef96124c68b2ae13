"""Folders of data: a BEIR folder with a column `language`, and `group` where texts are parallel.

    corpus.jsonl or corpus.parquet    _id, text, language [, title, group]
    queries.jsonl or queries.parquet  _id, text, language [, group]
    qrels/<split>.tsv                 query-id, corpus-id, score; or TREC's four columns
    answers/<split>.tsv               query-id, corpus-id, start, end: the answer's characters
    negatives/<split>.tsv             query-id, corpus-id: passages that are no answers

Files of rows may also be .ndjson, .json, .csv or .tsv, packed by gzip or not. Columns of tables are
separated by tabs, and a header line may come first. Negatives resemble an answer, the hardest
first. Texts of one group are translations of each other; a text without a group is alone in its
group. Rows without a `language` need one for all (`language = "en"` in the source's table).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mixling.corpora.corpus import Corpus, CorpusBuilder, unique_ids
from mixling.corpora.data_card import data_card
from mixling.corpora.judgments import (
    find_split,
    find_table,
    folder_splits,
    iter_judgments,
    iter_pairs,
)
from mixling.corpora.languages import first_known_language, language_field, language_tag
from mixling.corpora.tables import find_rows, read_rows
from mixling.corpora.values import id_text, passage_text, text_field, value_text
from mixling.disk import new_folder
from mixling.errors import BadRowError, MixlingError, Skipped


def read_folder(
    folder: Path,
    name: str | None = None,
    split: str | None = None,
    language: str | None = None,
    skip_bad: bool = False,
) -> Corpus:
    """Read the corpus of a folder.

    Args:
        folder: The folder.
        name: The name of the corpus; default: the folder's.
        split: The split; default: the only one, or train.
        language: The language of rows that name none.
        skip_bad: Skip rows that cannot be used.

    Returns:
        The corpus. Where the folder has several splits, it has no queries of the others.

    Raises:
        MixlingError: A file is missing or cannot be read.
        BadRowError: A row cannot be used, and `skip_bad` is False.
    """
    builder, skipped = CorpusBuilder(name or folder.name), Skipped(skip_bad)
    fallback = language_tag(language) if language else None
    passages = _add_passages(builder, folder, fallback, skipped)
    queries = _add_queries(builder, folder, fallback, skipped)
    split = find_split(folder, split)

    def is_known(path: Path, line: int, query: str, passage: str) -> bool:
        for column, key, ids, table in (
            ("query-id", query, queries, "queries"),
            ("corpus-id", passage, passages, "corpus"),
        ):
            if key not in ids:
                expected, fix = f"an _id of {table}.jsonl", "add the row or drop the line"
                skipped(BadRowError(path, line, column, key, expected, fix))
                return False
        return True

    spans: dict[tuple[str, int], list[int]] = {}
    for path, line, query, passage, span in iter_pairs(
        find_table(folder, "answers", split), 2, skipped
    ):
        if is_known(path, line, query, passage):
            spans[queries[query][0], passages[passage]] = span
    for path, line, query, passage, grade in iter_judgments(
        find_table(folder, "qrels", split), skipped
    ):
        if grade > 0 and is_known(path, line, query, passage):
            link = (queries[query][0], passages[passage])
            start, end = spans.get(link, (None, None))
            builder.add_link(*link, start, end, grade)
    for path, line, query, passage, _ in iter_pairs(
        find_table(folder, "negatives", split), 0, skipped
    ):
        if is_known(path, line, query, passage):
            builder.add_negative(query, queries[query][1], passages[passage])
    if len(folder_splits(folder)) > 1:
        _drop_unlinked_queries(builder)
    return builder.build(skipped.rows)


def _add_passages(
    builder: CorpusBuilder, folder: Path, fallback: str | None, skipped: Skipped
) -> dict[str, int]:
    """Add the passages of a folder to a builder.

    Args:
        builder: The builder.
        folder: The folder.
        fallback: The language of rows that name none.
        skipped: Receives an error for each row that cannot be used.

    Returns:
        The row of each passage by its id, without the ids of two passages: nobody can know which of
        the two a judgment means.
    """
    rows: dict[str, int] = {}
    duplicates: set[str] = set()
    for path, line, row in _iter_rows(folder, "corpus", skipped):
        try:
            key = _new_id(row, path, line, rows, duplicates)
            code = _row_language(row, fallback, path, line)
            text, title = passage_text(row, path, line)
            group = value_text(row.get("group"), "group", path, line) or key
            rows[key] = builder.add_passage(key, text, code, group, title)
        except BadRowError as bad:
            skipped(bad)
    return {key: row for key, row in rows.items() if key not in duplicates}


def _add_queries(
    builder: CorpusBuilder, folder: Path, fallback: str | None, skipped: Skipped
) -> dict[str, tuple[str, str]]:
    """Add the queries of a folder to a builder; see `_add_passages`.

    Returns:
        Group and language of each query by its id, without the ids of two queries.
    """
    queries: dict[str, tuple[str, str]] = {}
    duplicates: set[str] = set()
    for path, line, row in _iter_rows(folder, "queries", skipped):
        try:
            key = _new_id(row, path, line, queries, duplicates)
            code = _row_language(row, fallback, path, line)
            group = value_text(row.get("group"), "group", path, line) or key
            builder.add_query(key, text_field(row, "text", path, line), code, group)
            queries[key] = group, code
        except BadRowError as bad:
            skipped(bad)
    return {key: query for key, query in queries.items() if key not in duplicates}


def _iter_rows(
    folder: Path, table: str, skipped: Skipped
) -> Iterator[tuple[Path, int, dict[str, Any]]]:
    """Yield file, line and row of each row of a folder's `corpus` or `queries`."""
    path = find_rows(folder, table)
    if path is None:
        raise MixlingError(
            f"{folder}: the file {table}.jsonl or {table}.parquet is missing. `mixling data "
            "--help` describes the form of the folder."
        )
    yield from ((path, line, row) for line, row in read_rows(path, skipped))


def _new_id(
    row: dict[str, Any], path: Path, line: int, ids: dict[str, Any], duplicates: set[str]
) -> str:
    """Return a row's id; if it is in `ids`, add it to `duplicates` and raise BadRowError."""
    key = id_text(row, ("_id", "id"), path, line)
    if key in ids:
        duplicates.add(key)
        raise BadRowError(
            path, line, "_id", key, "an id not used before", "rename one of the two rows"
        )
    return key


def _row_language(row: dict[str, Any], fallback: str | None, path: Path, line: int) -> str:
    """Return the language of a row; raise BadRowError if it names none and there is no fallback."""
    value = first_known_language(row.get("language"), row.get("lang"), fallback)
    if value is None:
        expected, fix = "a BCP-47 tag", "add the column, or give `language` for all rows"
        raise BadRowError(path, line, "language", row.get("language"), expected, fix)
    return language_field(value, "language", path, line)


def _drop_unlinked_queries(builder: CorpusBuilder) -> None:
    """Drop the queries of other splits: those whose group has no passage in this one."""
    linked = {group for group, _ in builder.links}
    rows = [i for i, query in enumerate(builder.queries) if query[3] in linked]
    new_row = {row: i for i, row in enumerate(rows)}
    builder.queries = [builder.queries[i] for i in rows]
    builder.negatives = {
        (new_row[q], passage): None for q, passage in builder.negatives if q in new_row
    }


def write_folder(
    corpus: Corpus,
    folder: Path,
    split: str = "train",
    parquet: bool = False,
    extra_files: dict[str, str] | None = None,
) -> int:
    """Write a corpus as a folder that `read_folder` reads, complete or not at all.

    Ids stay as the source has them; see `unique_ids`. The places of sentences are not written.

    Args:
        corpus: The corpus.
        folder: The folder, which must not exist.
        split: The name of the split.
        parquet: Write Parquet files instead of JSON lines.
        extra_files: The text of further files by their names.

    Returns:
        How many ids stand in several languages and have their language before them therefore.

    Raises:
        MixlingError: The folder exists, or an id cannot be written.
    """
    if folder.exists():
        raise MixlingError(
            f"{folder}: the folder exists already. Choose another folder, or remove it."
        )
    passage_ids, query_ids = unique_ids(corpus.passages, "p"), unique_ids(corpus.queries, "q")
    for key in (*passage_ids, *query_ids):
        if any(c in key for c in "\t\r\n"):
            raise MixlingError(
                f"{corpus.name}: the id {key!r} has a tab or a line break, which qrels cannot "
                "hold. Rename the id."
            )
    with new_folder(folder) as temporary:
        files = _write_texts(temporary, corpus, passage_ids, query_ids, parquet)
        _write_tables(temporary, corpus, passage_ids, query_ids, split)
        texts = {"README.md": data_card(corpus, files), **(extra_files or {})}
        for name, text in texts.items():
            (temporary / name).write_text(text, encoding="utf-8")
    return sum(
        new == f"{language}:{old}"
        for table, ids in ((corpus.passages, passage_ids), (corpus.queries, query_ids))
        for new, old, language in zip(
            ids, table["id"].to_pylist(), table["language"].to_pylist(), strict=True
        )
    )


def _write_texts(
    folder: Path,
    corpus: Corpus,
    passage_ids: Sequence[str],
    query_ids: Sequence[str],
    parquet: bool,
) -> dict[str, str]:
    """Write a corpus' passages and queries and return the names of their files."""
    tables = {
        "corpus": corpus.passages.select(["text", "language", "group", "title"]).add_column(
            0, "_id", pa.array(passage_ids)
        ),
        "queries": corpus.queries.select(["text", "language", "group"]).add_column(
            0, "_id", pa.array(query_ids)
        ),
    }
    files = {name: f"{name}.{'parquet' if parquet else 'jsonl'}" for name in tables}
    for name, table in tables.items():
        if parquet:
            pq.write_table(table, folder / files[name])
        else:
            rows = ({k: v for k, v in row.items() if v is not None} for row in table.to_pylist())
            lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            (folder / files[name]).write_text(lines, encoding="utf-8")
    return files


def _write_tables(
    folder: Path,
    corpus: Corpus,
    passage_ids: Sequence[str],
    query_ids: Sequence[str],
    split: str,
) -> None:
    """Write a corpus' links, the places of its answers, and its negatives."""
    members: dict[str, list[str]] = {}
    for key, group in zip(query_ids, corpus.queries["group"].to_pylist(), strict=True):
        members.setdefault(group, []).append(key)
    links = corpus.links.to_pylist()
    _write_table(
        folder / "qrels" / f"{split}.tsv",
        ("score",),
        (
            (key, passage_ids[link["passage"]], link["grade"])
            for link in links
            for key in members.get(link["group"], [])
        ),
    )
    if any(link["start"] is not None for link in links):
        # one line a link is enough: the queries of a group share the place
        _write_table(
            folder / "answers" / f"{split}.tsv",
            ("start", "end"),
            (
                (
                    members[link["group"]][0],
                    passage_ids[link["passage"]],
                    link["start"],
                    link["end"],
                )
                for link in links
                if link["start"] is not None and link["group"] in members
            ),
        )
    if corpus.negatives.num_rows:
        negatives = zip(
            *(corpus.negatives[c].to_pylist() for c in ("query", "passage")), strict=True
        )
        _write_table(
            folder / "negatives" / f"{split}.tsv",
            (),
            ((query_ids[q], passage_ids[p]) for q, p in negatives),
        )


def _write_table(path: Path, columns: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> None:
    """Write a table of query ids, passage ids and further columns."""
    path.parent.mkdir(exist_ok=True)
    with path.open("w", encoding="utf-8") as out:
        out.write("\t".join(("query-id", "corpus-id", *columns)) + "\n")
        out.writelines("\t".join(map(str, row)) + "\n" for row in rows)
