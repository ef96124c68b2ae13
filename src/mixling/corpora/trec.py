"""TREC-like collections: topics, judgments and a corpus (MIRACL, CIRAL, NeuCLIR and others).

topics    query id, tab, text
qrels     query id, 0, document id, grade (spaces or tabs), or BEIR's three columns
corpus    one JSON object a line: docid (or id, _id), text (or contents), title if it has one
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from mixling.corpora.corpus import Corpus, CorpusBuilder
from mixling.corpora.files import find_file, table_lines
from mixling.corpora.json_files import read_json_lines
from mixling.corpora.judgments import iter_judgments
from mixling.corpora.languages import first_known_language, language_field, language_tag
from mixling.corpora.values import id_text, is_missing, passage_text
from mixling.errors import BadRowError, MixlingError, Skipped

_ID_FIELDS = ("docid", "id", "_id", "doc_id")


class Document(NamedTuple):
    """A document of a collection; `language` is a BCP-47 tag."""

    key: str
    text: str
    title: str | None
    language: str


def read_topics(path: Path, skipped: Skipped) -> dict[str, str]:
    """Read the queries of a collection.

    Args:
        path: The file.
        skipped: Receives an error for each line without an id and a text, and for each id that
            stands in two lines.

    Returns:
        The text of each query by its id; an id of two lines is left out.

    Raises:
        BadRowError: A line cannot be used, and `skipped` does not skip bad rows.
    """
    topics: dict[str, str] = {}
    duplicates: set[str] = set()
    for line, text in table_lines(path):
        key, _, query = text.partition("\t")
        if not key.strip() or not query.strip():
            expected = "an id, a tab and the question"
            skipped(BadRowError(path, line, "topic", text.strip(), expected, "correct the line"))
        elif key in topics:
            duplicates.add(key)
            expected, fix = "an id not used before", "rename one of the two ids"
            skipped(BadRowError(path, line, "topic", key, expected, fix))
        else:
            topics[key] = query.strip()
    return {key: query for key, query in topics.items() if key not in duplicates}


def read_qrels(path: Path, skipped: Skipped) -> dict[tuple[str, str], int]:
    """Read the judgments of a collection.

    Args:
        path: The file.
        skipped: Receives an error for each line that cannot be used.

    Returns:
        The grade of each pair of query id and document id, the highest if it stands twice.

    Raises:
        BadRowError: A line cannot be used, and `skipped` does not skip bad rows.
    """
    grades: dict[tuple[str, str], int] = {}
    for _, _, query, document, grade in iter_judgments(path, skipped):
        grades[query, document] = max(grade, grades.get((query, document), grade))
    return grades


def read_documents(
    paths: Iterable[Path],
    skipped: Skipped,
    language: str,
    only: set[str] | None = None,
    use_row_language: bool = False,
) -> Iterator[Document]:
    """Yield the documents of a collection.

    Args:
        paths: The files.
        skipped: Receives an error for each row that cannot be used.
        language: The language of the documents.
        only: Ids of the documents to yield; None: all.
        use_row_language: Whether a document's own field `language` or `lang` is used where it has
            one.

    Yields:
        The documents, file by file.

    Raises:
        BadRowError: A row cannot be used, and `skipped` does not skip bad rows.
    """
    for path in paths:
        for line, row in read_json_lines(path, skipped):
            try:
                key = id_text(row, _ID_FIELDS, path, line)
                if only is not None and key not in only:
                    continue
                field = "contents" if is_missing(row.get("text")) and "contents" in row else "text"
                code = language
                if use_row_language:
                    code = first_known_language(row.get("language"), row.get("lang"), language)
                text, title = passage_text(row, path, line, field)
                document = Document(key, text, title, language_field(code, "language", path, line))
            except BadRowError as bad:
                skipped(bad)
                continue
            yield document


def add_judged(
    builder: CorpusBuilder,
    topics: Mapping[str, str],
    judgments: Mapping[tuple[str, str], int],
    documents: Iterable[Document],
    language: str,
    qrels: Path,
    pool: str | None = None,
    distinct_ids: bool = False,
) -> list[MixlingError]:
    """Add the queries, documents and judgments of a collection to a builder.

    Args:
        builder: The builder.
        topics: The text of each query by its id.
        judgments: The grade of each pair of query id and document id; pairs with a grade above 0
            are linked.
        documents: The documents; all of them become passages.
        language: The language of the queries.
        qrels: The file of the judgments, for errors.
        pool: Stands before the ids of queries in their groups: queries of other pools with the
            same id are others. None: the groups are the ids.
        distinct_ids: Whether the pool stands before the ids of the queries too, because several
            pools have queries in one language.

    Returns:
        One error for each judged query without a topic, and for each relevant document that is
        not among the documents. They are left out.
    """
    code = language_tag(language)
    groups = {query: query if pool is None else f"{pool}:{query}" for query in topics}
    for query, text in topics.items():
        builder.add_query(groups[query] if distinct_ids else query, text, code, groups[query])
    relevant: dict[str, list[tuple[str, int]]] = {}
    for (query, document_id), grade in judgments.items():
        if grade > 0 and query in topics:
            relevant.setdefault(document_id, []).append((query, grade))
    for document in documents:
        row = builder.add_passage(
            document.key,
            document.text,
            document.language,
            group=f"{document.language}:{document.key}",
            title=document.title,
        )
        for query, grade in relevant.pop(document.key, []):
            builder.add_link(groups[query], row, grade=grade)
    without_topic = sorted({query for query, _ in judgments if query not in topics})
    return [
        *(
            MixlingError(f"{qrels}: query '{q}' is left out, because it has no topic")
            for q in without_topic
        ),
        *(
            MixlingError(
                f"{qrels}: document '{d}', relevant to query '{pairs[0][0]}', is left out, "
                "because it is not in the collection"
            )
            for d, pairs in relevant.items()
        ),
    ]


def read_trec(
    folder: Path, language: str | None = None, name: str | None = None, skip_bad: bool = False
) -> Corpus:
    """Read a folder with topics.tsv, qrels.txt and corpus.jsonl.

    Args:
        folder: The folder.
        language: The language of the queries, and of documents without a field `language`.
        name: The name of the corpus; default: the folder's.
        skip_bad: Skip rows that cannot be used.

    Returns:
        The corpus.

    Raises:
        MixlingError: A file is missing or cannot be read, or `language` is missing.
        BadRowError: A row cannot be used, and `skip_bad` is False.
    """
    builder, skipped = CorpusBuilder(name or folder.name), Skipped(skip_bad)
    topics, qrels, corpus = (
        _find_part(folder, *names)
        for names in (
            ("topics.tsv", "topics.txt"),
            ("qrels.txt", "qrels.tsv"),
            ("corpus.jsonl", "docs.jsonl"),
        )
    )
    if language is None:
        raise MixlingError(
            f"{folder}: the language of the queries is not given. Give it, for instance with "
            "--language en."
        )
    left_out = add_judged(
        builder,
        read_topics(topics, skipped),
        read_qrels(qrels, skipped),
        read_documents([corpus], skipped, language, use_row_language=True),
        language,
        qrels,
    )
    return builder.build([*skipped.rows, *left_out])


def _find_part(folder: Path, *names: str) -> Path:
    """Return the first file of a TREC folder that has one of the names; raise if there is none."""
    path = find_file(folder, *names)
    if path is None:
        raise MixlingError(
            f"{folder}: the file {names[0]} is missing. Expected topics.tsv, qrels.txt and "
            "corpus.jsonl."
        )
    return path
