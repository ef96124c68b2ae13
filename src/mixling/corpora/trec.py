"""Topics, qrels and a jsonl corpus, as TREC-like collections are published (MIRACL, CIRAL, NeuCLIR and others).

topics    qid TAB text
qrels     qid 0 docid grade (spaces or tabs), or BEIR's three columns
corpus    one JSON object a line: docid (or id, _id), text (or contents), title if it has one
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from mixling.corpora import folder as beir
from mixling.corpora.corpus import Corpus, CorpusBuilder
from mixling.corpora.files import find_file, table_lines
from mixling.corpora.json_files import read_json_lines
from mixling.corpora.languages import first_known_language, language_field, language_tag
from mixling.corpora.values import id_text, is_missing, passage_text
from mixling.errors import BadRow, MixlingError, Skipped

IDS = ("docid", "id", "_id", "doc_id")
Document = tuple[str, str, str | None, str]  # id, text, title, language


def read_topics(path: Path, skipped: Skipped) -> dict[str, str]:
    """Query id -> text; without those that two lines claim."""
    found: dict[str, str] = {}
    twice: set[str] = set()
    for line, text in table_lines(path):
        key, _, question = text.partition("\t")
        if not question.strip():
            skipped(
                BadRow(
                    path,
                    line,
                    "topic",
                    text.strip(),
                    "an id, a tab and the question",
                    "mend the line",
                )
            )
        elif key in found:
            twice.add(key)
            skipped(
                BadRow(path, line, "topic", key, "an id not used before", "rename one of the two")
            )
        else:
            found[key] = question.strip()
    return {key: question for key, question in found.items() if key not in twice}


def read_qrels(path: Path, skipped: Skipped) -> dict[tuple[str, str], int]:
    """(query id, document id) -> grade."""
    found: dict[tuple[str, str], int] = {}
    for _, _, query, document, judged in beir.iter_judgments(path, skipped):
        found[query, document] = max(judged, found.get((query, document), judged))
    return found


def read_documents(
    paths: Iterable[Path],
    skipped: Skipped,
    language: str,
    wanted: set[str] | None = None,
    own: bool = False,
) -> Iterator[Document]:
    """The documents of some files; `wanted` leaves the others out. language: of all of them, or (own) of those that do not
    say theirs."""
    for path in paths:
        for line, row in read_json_lines(path, skipped):
            try:
                key = id_text(row, IDS, path, line)
                if wanted is not None and key not in wanted:
                    continue
                field = "contents" if is_missing(row.get("text")) and "contents" in row else "text"
                written = (
                    first_known_language(row.get("language"), row.get("lang"), language)
                    if own
                    else language
                )
                found = (
                    key,
                    *passage_text(row, path, line, field),
                    language_field(written, "language", path, line),
                )
            except BadRow as bad:
                skipped(bad)
                continue
            yield found


def add_judged(
    builder: CorpusBuilder,
    asked: dict[str, str],
    judged: dict[tuple[str, str], int],
    found: Iterable[Document],
    language: str,
    group: Callable[[str], str] = str,
) -> None:
    """Put one collection into the builder. language: of its questions; group: the translation group of a query id."""
    grades: dict[str, list[tuple[str, int]]] = {}
    for (query, document), grade in judged.items():
        if grade > 0 and query in asked:
            grades.setdefault(document, []).append((query, grade))
    code = language_tag(language)
    for query, text in asked.items():
        builder.add_query(query, text, code, group(query))
    for key, text, title, answered in found:
        number = builder.add_passage(key, text, answered, group=f"{answered}:{key}", title=title)
        for query, grade in grades.get(key, []):
            builder.add_link(group(query), number, grade=grade)


def read_trec(
    folder: Path, language: str | None = None, name: str | None = None, skip_bad: bool = False
) -> Corpus:
    """A folder with topics.tsv, qrels.txt and corpus.jsonl; a document may carry its own `language`."""
    builder, skipped = CorpusBuilder(name or folder.name), Skipped(skip_bad)
    parts = {}
    for what, names in (
        ("topics", ("topics.tsv", "topics.txt")),
        ("qrels", ("qrels.txt", "qrels.tsv")),
        ("corpus", ("corpus.jsonl", "docs.jsonl")),
    ):
        parts[what] = find_file(folder, *names)
        if parts[what] is None:
            raise MixlingError(
                f"{folder}: no {names[0]} (topics.tsv, qrels.txt and corpus.jsonl are needed)"
            )
    if language is None:
        raise MixlingError(f"{folder}: say in which language its questions are (--language en)")
    add_judged(
        builder,
        read_topics(parts["topics"], skipped),  # type: ignore[arg-type]
        read_qrels(parts["qrels"], skipped),  # type: ignore[arg-type]
        read_documents([parts["corpus"]], skipped, language, own=True),  # type: ignore[list-item]
        language,
    )
    return builder.build(skipped.rows)
