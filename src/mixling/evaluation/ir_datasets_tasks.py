"""Data sets of ir_datasets by id.

ir_datasets states languages for collections and queries, with its own codes, and not always. Where
a language is stated nowhere, it must be given: nothing is taken from the other side.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mixling.corpora.corpus import CorpusBuilder
from mixling.corpora.languages import first_known_language, language_tag
from mixling.corpora.values import grade_value, is_missing
from mixling.errors import BadRowError, MixlingError, first_line, not_installed
from mixling.evaluation.tasks import Task, task_from_corpus

# codes of ir_datasets that mean another language in BCP-47, or none
CODES = {
    "dt": "nl",  # mMARCO's Dutch
    "simple": "en",  # Simple English Wikipedia
    "als": "gsw",  # Alemannic Wikipedia; als is Tosk Albanian
}
# Languages of the text that a class of queries gives as its own (`default_text`), where its data
# sets state none: HC4's and NeuCLIR's topics are English and carry translations beside.
QUERY_LANGUAGES = {
    "ExctractedCCQuery": "en",
    "ExctractedCCNoReportQuery": "en",
    "ExctractedCCNoReportNoHtNarQuery": "en",
    "ExctractedCCMultiMtQuery": "en",
    "TrecMandarinQuery": "zh",  # title_zh
    "TrecSpanish3Query": "es",  # title_es
    "TrecSpanish4Query": "es",  # description_es1
}
# collections that are other collections one after the other, each in its language
PARTS = {"neuclir/1/multi": ("neuclir/1/zh", "neuclir/1/fa", "neuclir/1/ru")}


def ir_datasets_task(name: str, language: str | None = None) -> Task:
    """Load a data set of ir_datasets that has documents, queries and judgments.

    Args:
        name: Its id in ir_datasets.
        language: Language of the documents and queries whose language ir_datasets does not state.

    Returns:
        The task.

    Raises:
        MixlingError: ir_datasets is not installed or has no such data set, a part is missing or
            cannot be fetched, or a language is not known.
    """
    try:
        import ir_datasets
    except ImportError:
        raise not_installed("ir_datasets", "benchmarks") from None
    try:
        data = ir_datasets.load(name)
        complete = data.has_docs() and data.has_queries() and data.has_qrels()
    except Exception as error:
        raise MixlingError(
            f"ir_datasets has no data set '{name}' ({first_line(error)}). Check the name at "
            "ir-datasets.com"
        ) from None
    if not complete:
        raise MixlingError(
            f"ir_datasets '{name}' does not have docs, queries and qrels together. Name one of "
            "its splits."
        )
    _check_texts(name, data)
    query_language, parts = data_set_languages(name, data, language)
    builder, rows = CorpusBuilder(name), dict[str, int]()
    try:
        for part, passage_language in parts:
            for document in part.docs_iter():
                key, text = document.doc_id, _text(document)
                if not is_missing(text):
                    tag = _own_tag(document) or passage_language
                    if tag is None:
                        raise MixlingError(
                            f"ir_datasets '{name}': the language of document '{key}' is not "
                            "known. Give it with --language."
                        )
                    rows[key] = builder.add_passage(key, text, tag, key)
        skipped = list(_add_queries(builder, name, data, query_language))
        for judgment in data.qrels_iter():
            value = grade_value(judgment.relevance, "relevance", name, judgment.query_id)
            if value > 0 and judgment.doc_id in rows:
                builder.add_link(judgment.query_id, rows[judgment.doc_id], grade=value)
    except MixlingError:
        raise
    except Exception as error:
        raise MixlingError(
            f"ir_datasets '{name}' cannot be read ({first_line(error)}). It needs a network, or "
            f"files that its publisher gives on request: ir-datasets.com/{name.partition('/')[0]}"
        ) from None
    return task_from_corpus(builder.build(skipped), name=f"ir_datasets:{name}")


def data_set_languages(
    name: str, data: Any, language: str | None = None
) -> tuple[str, list[tuple[Any, str | None]]]:
    """Find the languages of a data set's queries and documents.

    Args:
        name: Its id in ir_datasets.
        data: The data set.
        language: Language of what ir_datasets does not state.

    Returns:
        The tag of the queries, and each part of the collection with the tag of its documents; None
        where each document states its own.

    Raises:
        MixlingError: A language is not known.
    """
    import ir_datasets

    given = _tag(language)
    stated = _tag(data.queries_lang()) or QUERY_LANGUAGES.get(data.queries_cls().__name__)
    query_language = stated or given
    parts = [ir_datasets.load(part) for part in _parts(name)] or [data]
    tags = [_tag(part.docs_lang()) or given for part in parts]
    each_states_its_own = "lang" in data.docs_cls()._fields
    for what, known in (
        ("queries", query_language),
        ("documents", each_states_its_own or all(tags)),
    ):
        if not known:
            raise MixlingError(
                f"ir_datasets '{name}': the language of its {what} is not known. Give it with "
                "--language."
            )
    return str(query_language), list(zip(parts, tags, strict=True))


def _add_queries(
    builder: CorpusBuilder, name: str, data: Any, language: str
) -> Iterator[BadRowError]:
    """Add the queries; yield an error for each one without text."""
    for query in data.queries_iter():
        text = _text(query)
        if is_missing(text):
            yield BadRowError(name, query.query_id, "text", text, "text", "the query is left out")
        else:
            builder.add_query(query.query_id, text, language, query.query_id)


def _check_texts(name: str, data: Any) -> None:
    """Refuse documents and queries that give no text of their own, pictures for example."""
    for what, kind in (("documents", data.docs_cls()), ("queries", data.queries_cls())):
        if not hasattr(kind, "default_text") and "text" not in kind._fields:
            raise MixlingError(
                f"ir_datasets '{name}': its {what} have the fields {', '.join(kind._fields)}, "
                "and ir_datasets does not tell which one is the text to read. Write the data as "
                "a folder (`mixling data --help`)."
            )


def _text(row: Any) -> Any:
    """Return the text that a document or query gives as its own."""
    return row.default_text() if hasattr(row, "default_text") else row.text


def _parts(name: str) -> tuple[str, ...]:
    """Return the collections that make up a data set's collection, if there are several."""
    return next((parts for whole, parts in PARTS.items() if name.startswith(f"{whole}/")), ())


def _tag(code: str | None) -> str | None:
    """Return the tag of a language code of ir_datasets."""
    return language_tag(CODES.get(code, code)) if code else None


def _own_tag(document: Any) -> str | None:
    """Return the tag of a document's own language, where it states one that exists."""
    code = first_known_language(getattr(document, "lang", None))
    try:
        return _tag(code)
    except MixlingError:
        return None
