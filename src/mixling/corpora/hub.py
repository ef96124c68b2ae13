"""Data sets of the Hugging Face hub, or local files that `datasets` reads, with a table of columns.

    [[data.sources]]
    name = "my-pairs"
    hub = "organization/name"      # or a local folder, or "json", "csv", "parquet" with `path`
    split = "train"
    columns = { query = "question", passage = "answer", language = "lang" }

`query` and `passage` must be named. `language` is a column for both sides, `query_language` and
`passage_language` are one for each; without a column, the source's `language` holds for all rows.
`query_group` and `passage_group` name the columns that translations share; `id` names the row's id,
`title` the passage's title. `negative` holds one or several passages, in the passage's language,
that resemble an answer and are none.
"""

from __future__ import annotations

from typing import Any

from mixling.corpora.corpus import Corpus, CorpusBuilder
from mixling.corpora.languages import first_known_language, language_field
from mixling.corpora.values import id_text, is_missing, passage_text, text_field, value_text
from mixling.errors import BadRowError, MixlingError, Skipped, first_line

COLUMNS = (
    "query",
    "passage",
    "language",
    "query_language",
    "passage_language",
    "query_group",
    "passage_group",
    "id",
    "title",
    "negative",
)


def read_hub(
    hub: str,
    columns: dict[str, str],
    name: str | None = None,
    split: str = "train",
    language: str | None = None,
    path: str | None = None,
    skip_bad: bool = False,
    revision: str | None = None,
) -> Corpus:
    """Read a data set that has one query and one passage a row.

    Args:
        hub: The data set's name on the hub, a local folder, or "json", "csv" or "parquet".
        columns: The data set's column for each of some `COLUMNS`.
        name: The name of the corpus; default: `hub`.
        split: The split.
        language: The language of rows that name none.
        path: The file, where `hub` names a format.
        skip_bad: Skip rows that cannot be used.
        revision: The commit of a data set of the hub. Default: the newest one.

    Returns:
        The corpus.

    Raises:
        MixlingError: The data set cannot be loaded or lacks a column.
        BadRowError: A row cannot be used, and `skip_bad` is False.
    """
    name = name or hub
    for key in columns:
        if key not in COLUMNS:
            raise MixlingError(
                f"{name}: columns.{key} is unknown. Expected one of: {', '.join(COLUMNS)}"
            )
    for key in ("query", "passage"):
        if key not in columns:
            raise MixlingError(
                f"{name}: columns.{key} is missing. Write which column holds the {key}."
            )
    rows = _hub_rows(hub, name, split, path, revision)
    for key, column in columns.items():
        if column not in rows.column_names:
            raise MixlingError(
                f"{name}: the data set has no column '{column}' (columns.{key}). Its columns "
                f"are: {', '.join(rows.column_names)}"
            )
    builder, skipped = CorpusBuilder(name), Skipped(skip_bad)
    for number, row in enumerate(rows, 1):
        try:
            _add_row(builder, row, number, columns, language)
        except BadRowError as bad:
            skipped(bad)
    return builder.build(skipped.rows)


def _hub_rows(hub: str, name: str, split: str, path: str | None, revision: str | None) -> Any:
    """Load a split of a data set through the `datasets` library.

    Args:
        hub: The data set's name on the hub, a local folder, or "json", "csv" or "parquet".
        name: The name of the source, for the error.
        split: The split.
        path: The file, where `hub` names a format.
        revision: The commit of a data set of the hub.

    Returns:
        A `datasets.Dataset`.

    Raises:
        MixlingError: The data set cannot be loaded.
    """
    import datasets

    try:
        if path is not None:
            return datasets.load_dataset(hub, data_files={split: path}, split=split)
        return datasets.load_dataset(hub, split=split, revision=revision)
    except Exception as error:
        raise MixlingError(
            f"{name}: cannot load '{hub}', split '{split}' ({type(error).__name__}: "
            f"{first_line(error)}). Without a network, save the data set once with "
            '`datasets.load_dataset(…).to_json(…)`, and give hub = "json" and the path of the '
            "file."
        ) from None


def _add_row(
    builder: CorpusBuilder,
    row: dict[str, Any],
    number: int,
    columns: dict[str, str],
    language: str | None,
) -> None:
    """Add a row's query, passage and negatives to a builder.

    Args:
        builder: The builder; its name stands in errors.
        row: The row, with the data set's columns.
        number: The row's number, from 1: its id where it has none.
        columns: The data set's column for each of some `COLUMNS`.
        language: The language of rows that name none.

    Raises:
        BadRowError: The row cannot be used.
    """
    name = builder.name
    values = {key: row[column] for key, column in columns.items()}
    query = text_field(row, columns["query"], name, number)
    text, title = passage_text(row, name, number, columns["passage"], columns.get("title"))
    query_language, passage_language = (
        language_field(
            first_known_language(values.get(f"{side}_language"), values.get("language"), language),
            f"{side}_language",
            name,
            number,
            "map a column, or give `language` for all rows",
        )
        for side in ("query", "passage")
    )
    key = id_text(values, ("id",), name, number) if "id" in columns else str(number)
    group = value_text(values.get("query_group"), "query_group", name, number) or key
    passage_group = value_text(values.get("passage_group"), "passage_group", name, number)
    negatives = _negative_texts(values.get("negative"), columns.get("negative", ""), name, number)
    builder.add_query(key, query, query_language, group)
    builder.add_link(group, builder.add_passage(text, text, passage_language, passage_group, title))
    for negative in negatives:
        passage = builder.add_passage(negative, negative, passage_language)
        builder.add_negative(key, query_language, passage)


def _negative_texts(value: Any, column: str, name: str, number: int) -> list[str]:
    """Return the texts of a value that holds none, one or several; else raise BadRowError."""
    if is_missing(value):
        return []
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(x, str) and x.strip() for x in texts):
        expected, fix = "a text or a list of texts", "correct the row, or leave it out"
        raise BadRowError(name, number, column, value, expected, fix)
    return texts
