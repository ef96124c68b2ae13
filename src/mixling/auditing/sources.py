"""Opens the source of an audit: documents, a store, a vector database, or Parquet files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mixling.auditing.pool import UNKNOWN, Rows, take
from mixling.connectors.connector import Batch, Connector
from mixling.connectors.registry import CONNECTORS, open_connector
from mixling.corpora.files import explain_read_errors, open_parquet
from mixling.corpora.languages import base_language, first_known_language, language_field
from mixling.corpora.languages import language_tag as parse_language
from mixling.encoding.read_vectors import table_matrix
from mixling.errors import BadRowError, MixlingError, Skipped
from mixling.searching.documents import Document, open_documents
from mixling.searching.fairness import NO_LANGUAGE
from mixling.searching.languages import LanguageIdentifier, check_languages
from mixling.searching.store import Store
from mixling.searching.stores import is_store, open_searchable_store

BATCH = 4096
IDENTIFIED = 1000  # characters of a text by which its language is identified
Identify = Callable[[str], str]
Fields = Mapping[Literal["title", "group", "text", "language"], str]


@dataclass(frozen=True)
class Source:
    """A collection that is audited.

    Args:
        name: Its address.
        source_type: "documents", "index" or "vectors".
        rows: Its passages, batch by batch.
        model: The model that made its vectors, if the source names one.
        store: The store, if it is one of Mixling's.
        metric: How a database compares vectors: "cosine", "dot", "l2", or None.
    """

    name: str
    source_type: Literal["documents", "index", "vectors"]
    rows: Iterator[Rows]
    model: str | None = None
    store: Store | None = None
    metric: str | None = None


def open_source(
    address: str,
    skipped: Skipped,
    language: str | None = None,
    languages: Sequence[str] | None = None,
    fields: Fields | None = None,
) -> Source:
    """Open a collection.

    Args:
        address: A file or folder of documents, a store of Mixling, an address of a vector database
            (`mixling.connectors.address`), Parquet files with a column `vector`, or a folder that
            `mixling encode` wrote.
        skipped: Collects what cannot be read, or raises the first of it.
        language: Language of passages that do not state theirs. Default: it is identified.
        languages: The languages among which it is identified.
        fields: Names of the fields of a database or of Parquet files.

    Raises:
        MixlingError: Nothing is there that can be audited.
    """
    identify = _identifier(language, languages)
    named = {str(option): name for option, name in (fields or {}).items()}
    store = _open_store(address)
    if store is not None:
        _refuse_fields(address, named)
        return Source(address, "index", _store_rows(store), store.info["model"], store)
    if address.partition(":")[0] in CONNECTORS or "://" in address:
        connector = open_connector(address)
        connector.address.options.update(named)
        description = connector.describe()
        if description.text_field is None and description.language_field is None and not language:
            raise MixlingError(
                f"{connector.address.text}: no field for a language or a text was found. Name "
                "one in the address (?language=FIELD or ?text=FIELD), or give --language."
            )
        rows = _connector_rows(connector, identify)
        return Source(connector.address.text, "vectors", rows, metric=description.metric)
    path = Path(address)
    files = _vector_files(path)
    if files:
        return Source(address, "vectors", _parquet_rows(files, identify, named, bool(language)))
    _refuse_fields(address, named)
    _, documents = open_documents(path, skipped, None)
    return Source(address, "documents", _document_rows(documents, identify))


def _open_store(address: str) -> Store | None:
    """Open a store of Mixling; None for anything else, such as a collection of Milvus's users."""
    if not is_store(address):
        return None
    try:
        return open_searchable_store(address)
    except MixlingError:
        if "://" not in address:
            raise
        return None  # the connector says what is wrong if it cannot be read either


def _identifier(language: str | None, languages: Sequence[str] | None) -> Identify:
    """Return a function that names the language of a text which does not state it."""
    if first_known_language(language) is not None:
        tag = parse_language(str(language))
        return lambda text: tag
    among = check_languages(languages)
    identifier: list[LanguageIdentifier] = []  # made when it is first needed

    def identify(text: str) -> str:
        if not text.strip():
            return UNKNOWN
        if not identifier:
            identifier.append(LanguageIdentifier(among))
        code = identifier[0](text[:IDENTIFIED])[0]
        return UNKNOWN if base_language(code) in NO_LANGUAGE else code

    return identify


def _document_rows(documents: Iterator[Document], identify: Identify) -> Iterator[Rows]:
    batch: list[Document] = []
    for document in documents:
        batch.append(document)
        if len(batch) == BATCH:
            yield _rows_of(batch, identify)
            batch = []
    yield _rows_of(batch, identify)


def _rows_of(documents: list[Document], identify: Identify) -> Rows:
    return Rows(
        [x.id for x in documents],
        [x.language or identify(x.text) for x in documents],
        [x.group or "" for x in documents],
        [_title(x) for x in documents],
        [x.text for x in documents],
    )


def _title(document: Document) -> str:
    """Return the title of a document that has one; the name of its file is none."""
    if document.embedded_title:
        return document.embedded_title
    heading = document.title.strip()
    return heading if heading and document.text.lstrip("# \n").startswith(heading) else ""


def _store_rows(store: Store) -> Iterator[Rows]:
    """Read the passages of a store; a passage's title is its document's, on the first passage."""
    for ids in store.document_ids():
        for begin in range(0, len(ids), BATCH // 4):
            table = store.passages(ids[begin : begin + BATCH // 4])
            columns = table.select(["id", "language", "group", "title", "text", "part"]).to_pydict()
            first = [part == 0 for part in columns["part"]]
            yield Rows(
                columns["id"],
                [_tag(x) for x in columns["language"]],
                # the parts of a document and of its translations correspond only where there is one
                [g or "" if ok else "" for g, ok in zip(columns["group"], first, strict=True)],
                [t or "" if ok else "" for t, ok in zip(columns["title"], first, strict=True)],
                [x or "" for x in columns["text"]],
                np.concatenate(table_matrix(table)),
            )


def _connector_rows(connector: Connector, identify: Identify) -> Iterator[Rows]:
    """Read the rows of a vector database, with titles and groups where their fields are named."""
    name, options = connector.address.text, connector.address.options
    for batch in connector.iter_batches(BATCH, with_texts=True):
        texts = [str(x or "") for x in batch.texts or [""] * len(batch)]
        stated = batch.languages or [None] * len(batch)
        languages = [
            identify(text)
            if first_known_language(code) is None
            else language_field(code, "language", name, str(row))
            for code, text, row in zip(stated, texts, batch.ids, strict=True)
        ]
        groups, titles = (_field(batch, options.get(x), name) for x in ("group", "title"))
        yield Rows([str(x) for x in batch.ids], languages, groups, titles, texts, batch.vectors)


def _refuse_fields(address: str, fields: Mapping[str, str]) -> None:
    for option in fields:
        raise MixlingError(
            f"{address}: --{option}-field works with databases and Parquet files only. The "
            "fields of this source are called title, group, text and language; leave the option "
            "out."
        )


def _field(batch: Batch, name: str | None, source: str) -> list[str]:
    """Return the values of a field that the rows of a database keep; "" where a row has none."""
    if name is None:
        return [""] * len(batch)
    kept = [row if isinstance(row, tuple) else (row,) for row in batch.rows]
    records = [[x for x in row if isinstance(x, dict)] for row in kept]
    values = [next((x[name] for x in row if x.get(name) is not None), "") for row in records]
    if not any(name in record for row in records for record in row):
        names = sorted({key for row in records for record in row for key in record})
        raise MixlingError(
            f"{source}: the rows have no field '{name}'. Their fields are: "
            f"{', '.join(names) or 'none'}"
        )
    return [str(x) for x in values]


def _tag(value: str | None) -> str:
    return UNKNOWN if not value or base_language(value) in NO_LANGUAGE else value


def _vector_files(path: Path) -> list[Path]:
    """Return the Parquet files with vectors at a path; none where there are other things."""
    if path.is_dir():
        files = sorted(path.glob("*.parquet")) or sorted((path / "vectors").glob("*.parquet"))
    else:
        files = [path] if path.suffix.lower() == ".parquet" and path.is_file() else []
    return [x for x in files if "vector" in open_parquet(x).schema_arrow.names]


def _parquet_rows(
    files: list[Path], identify: Identify, fields: Mapping[str, str], is_language_given: bool
) -> Iterator[Rows]:
    for path in files:
        file = open_parquet(path)
        names = set(file.schema_arrow.names)
        for option, name in fields.items():
            if name not in names:
                raise MixlingError(
                    f"{path}: the file has no column '{name}' for {option}. Its columns are: "
                    + ", ".join(sorted(names))
                )
        renamed = {name: option for option, name in fields.items()}
        wanted = [
            "vector", "_id", "id", "role", *fields.values(),
            *(x for x in ("language", "group", "title", "text") if x not in fields),
        ]  # fmt: skip
        names |= set(fields)
        if not is_language_given and "language" not in names and "text" not in names:
            raise MixlingError(
                f"{path}: the file has neither a column 'language' nor a column 'text'. An audit "
                "compares languages: write one of these columns beside the vectors, or give "
                "--language."
            )
        row = 0
        present = set(file.schema_arrow.names)
        batches = file.iter_batches(BATCH, columns=[x for x in wanted if x in present])
        while True:
            with explain_read_errors(path):
                batch = next(batches, None)
            if batch is None:
                break
            table = pa.Table.from_batches([batch])
            table = table.rename_columns([renamed.get(x, x) for x in table.column_names])
            yield _rows_of_table(table, path, row, identify)
            row += batch.num_rows


def _rows_of_table(table: pa.Table, path: Path, first: int, identify: Identify) -> Rows:
    n = len(table)

    def column(*names: str) -> list[Any]:
        found = next((x for x in names if x in table.column_names), None)
        return [None] * n if found is None else list(table[found].to_pylist())

    ids = [
        f"{path.name}:{first + i + 1}" if x is None else str(x)
        for i, x in enumerate(column("_id", "id"))
    ]
    texts = [x or "" for x in column("text")]
    languages = [
        language_field(stated, "language", path, first + i + 1)
        if first_known_language(stated) is not None
        else identify(text)
        for i, (stated, text) in enumerate(zip(column("language"), texts, strict=True))
    ]
    groups = ["" if x is None else str(x) for x in column("group")]
    titles = [x or "" for x in column("title")]
    rows = Rows(ids, languages, groups, titles, texts)
    passages = np.flatnonzero([x in (None, "passage") for x in column("role")])
    return take(rows, passages, _matrix(table, path, first))


def _matrix(table: pa.Table, path: Path, first: int) -> np.ndarray:
    """Return the vectors of a table, float32 `[n, dim]`; each must have the same size."""
    values = table["vector"].combine_chunks()
    sizes = np.array(pc.fill_null(pc.list_value_length(values), 0))
    wrong = np.flatnonzero((sizes != sizes[:1]) | (sizes == 0))
    if len(wrong):
        row = int(wrong[0])
        raise BadRowError(
            path,
            first + row + 1,
            "vector",
            f"{sizes[row]} numbers",
            f"{sizes[0]} numbers, as in the rows before" if sizes[0] else "a list of numbers",
            "make all vectors with one model",
        )
    with np.errstate(over="ignore"):
        flat = np.asarray(values.flatten()).astype(np.float32)
    return flat.reshape(len(values), -1) if len(values) else np.zeros((0, 0), np.float32)
