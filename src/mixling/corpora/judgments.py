"""Tables of pairs of a query and a passage: judgments (qrels), places of answers, and negatives.

A folder of data has one such table for each of its splits, for instance `qrels/test.tsv`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mixling.corpora.files import find_file, table_lines
from mixling.corpora.tables import ROWS, data_suffix, read_rows
from mixling.corpora.values import grade_value, id_text
from mixling.errors import BadRowError, MixlingError, Skipped

_TEXT_SUFFIXES = (".tsv", ".txt", ".qrels")
_SUFFIXES = (*_TEXT_SUFFIXES, *(x for x in ROWS if x not in _TEXT_SUFFIXES))
_ID_COLUMNS = ("query-id", "corpus-id")
_HEADERS = ("query-id", "queryid", "query", "qid")


def folder_splits(folder: Path) -> dict[str, Path]:
    """Return the splits of a folder, each with its file in qrels/.

    Args:
        folder: The folder of data.

    Returns:
        The file of each split by the split's name, sorted by name.

    Raises:
        MixlingError: Two files belong to one split.
    """
    files: dict[str, Path] = {}
    for path in sorted((folder / "qrels").glob("*")):
        suffix = data_suffix(path)
        if suffix in _SUFFIXES:
            name = path.name[: path.name.lower().rindex(suffix)]
            if name in files:
                raise MixlingError(
                    f"{folder}: the folder qrels has both {files[name].name} and {path.name}. "
                    "Keep one of them, and remove the other."
                )
            files[name] = path
    return files


def find_split(folder: Path, split: str | None) -> str:
    """Return the split to read.

    Args:
        folder: The folder of data.
        split: The split; None: the only one, or train.

    Returns:
        The split.

    Raises:
        MixlingError: The folder does not have it.
    """
    names = list(folder_splits(folder))
    if not names:
        files = ", ".join(sorted(p.name for p in (folder / "qrels").glob("*"))[:10])
        raise MixlingError(
            f"{folder}: the file qrels/<split>.tsv is missing"
            + (f"; the folder qrels has {files}" if files else "")
            + ". Write it with the columns query-id, corpus-id and score."
        )
    if split is None:
        split = names[0] if len(names) == 1 else "train"
    if split not in names:
        raise MixlingError(
            f"{folder}: the data has no split '{split}'. Its splits are: {', '.join(names)}"
        )
    return split


def find_table(folder: Path, name: str, split: str) -> Path | None:
    """Return the file of a split in one of a folder's tables.

    Args:
        folder: The folder of data.
        name: The table: "qrels", "answers" or "negatives".
        split: The split.

    Returns:
        The file; None if there is none.
    """
    return find_file(folder / name, *(f"{split}{suffix}" for suffix in _SUFFIXES))


def iter_judgments(
    path: Path | None, skipped: Skipped
) -> Iterator[tuple[Path, int, str, str, int]]:
    """Yield the judgments of a file.

    A line has BEIR's three columns (a header line may come first) or TREC's four (query id, 0,
    document id, grade), with tabs between them, or spaces where the line has no tab. A file of
    JSON, CSV or Parquet has the fields query-id, corpus-id and score.

    Args:
        path: The file; None yields nothing.
        skipped: Receives an error for each line that cannot be used.

    Yields:
        File, line, query id, document id and grade.

    Raises:
        BadRowError: A line cannot be used, and `skipped` does not skip bad rows.
    """
    if path is None:
        return
    if data_suffix(path) in ROWS and data_suffix(path) not in _TEXT_SUFFIXES:
        for line, row in read_rows(path, skipped):
            try:
                query, document = (
                    id_text(row, (x, x.replace("-", "_")), path, line) for x in _ID_COLUMNS
                )
                grade = grade_value(row.get("score"), "score", path, line)
            except BadRowError as bad:
                skipped(bad)
                continue
            yield path, line, query, document, grade
        return
    for line, text in table_lines(path):
        text = text.rstrip()  # some lines of CIRAL end in tabs
        cells = text.split("\t") if "\t" in text else text.split()
        if line == 1 and _is_header(cells):
            continue
        if len(cells) != 3 and not (len(cells) == 4 and cells[1].strip() in ("0", "Q0")):
            expected = "three columns with tabs between (or TREC's four: qid 0 docid grade)"
            skipped(BadRowError(path, line, "line", text.strip(), expected, "correct the line"))
            continue
        try:
            grade = grade_value(cells[-1], "score", path, line)
        except BadRowError as bad:
            skipped(bad)
            continue
        yield path, line, cells[0], cells[-2], grade


def iter_pairs(
    path: Path | None, n_numbers: int, skipped: Skipped
) -> Iterator[tuple[Path, int, str, str, list[int]]]:
    """Yield the pairs of a table, each with some whole numbers.

    Args:
        path: The file; None yields nothing.
        n_numbers: How many numbers follow the two ids; further columns are not read.
        skipped: Receives an error for each line that cannot be used.

    Yields:
        File, line, query id, passage id and numbers.

    Raises:
        BadRowError: A line cannot be used, and `skipped` does not skip bad rows.
    """
    if path is None:
        return
    for line, text in table_lines(path):
        cells = text.split("\t")
        if line == 1 and _is_header(cells):
            continue
        if len(cells) < 2 + n_numbers:
            expected = f"{('two', 'three', 'four')[n_numbers]} columns with tabs between"
            skipped(BadRowError(path, line, "line", text.strip(), expected, "correct the line"))
            continue
        try:
            numbers = [int(cell) for cell in cells[2 : 2 + n_numbers]]
            if not all(abs(number) < 2**31 for number in numbers):
                raise ValueError
        except ValueError:
            numbers_text = "\t".join(cells[2:])
            skipped(
                BadRowError(
                    path, line, "start, end", numbers_text, "whole numbers", "correct the line"
                )
            )
            continue
        yield path, line, cells[0], cells[1], numbers


def _is_header(cells: list[str]) -> bool:
    """Return whether a line names the columns."""
    first = cells[0].strip().lower().replace("_", "-")
    return first in _HEADERS and not cells[-1].strip().isdigit()
