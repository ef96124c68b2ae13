"""Tasks that other tools describe: mteb's retrieval tasks by name, those of ir_datasets by id."""

from __future__ import annotations

from typing import Any

from mixling.corpora.corpus import CorpusBuilder
from mixling.corpora.languages import language_tag
from mixling.corpora.values import grade_value, id_text, is_missing, passage_text
from mixling.errors import MixlingError
from mixling.evaluation.tasks import Task, task_from_corpus

SPLITS = ("test", "dev", "validation")


def mteb_task(name: str, splits: tuple[str, ...] = SPLITS) -> Task:
    """Load a retrieval task of mteb (2.x) with all its subsets in one pool.

    A subset `de-en` has German queries or passages: which side has which language is not the same
    in all tasks. Where its metadata names two languages, the first is taken as that of the queries
    (mteb's order).

    Args:
        name: Name of the task in mteb.
        splits: Splits by preference; the first that a subset has is used.

    Returns:
        The task.

    Raises:
        MixlingError: mteb is not installed, or cannot load the task.
    """
    try:
        import mteb
    except ImportError:
        raise MixlingError("mteb is not installed: pip install 'mixling[benchmarks]'") from None
    try:
        source = mteb.get_task(name)
        source.load_data()
    except Exception as error:
        raise MixlingError(
            f"mteb task '{name}' cannot be loaded ({type(error).__name__}: "
            f"{str(error).splitlines()[0]}); its data comes from the hub: run once with a network, "
            "or point HF_HOME at a copy"
        ) from None
    return read_mteb(source, splits)


def read_mteb(source: Any, splits: tuple[str, ...] = SPLITS) -> Task:
    """Convert a loaded retrieval task of mteb.

    Args:
        source: The task, as `mteb.get_task` returns it, with its data loaded.
        splits: Splits by preference; the first that a subset has is used.

    Returns:
        The task.

    Raises:
        MixlingError: A row cannot be used.
    """
    name = source.metadata.name
    builder = CorpusBuilder(name)
    for subset, parts in source.dataset.items():
        split = next((s for s in splits if s in parts), None)
        if split is not None:
            query_language, passage_language = _subset_languages(source.metadata, subset)
            rows = _add_passages(builder, name, subset, parts[split]["corpus"], passage_language)
            _add_queries(builder, name, subset, parts[split], query_language, rows)
    return task_from_corpus(builder.build(), name=f"mteb:{name}")


def _add_passages(
    builder: CorpusBuilder, name: str, subset: str, documents: Any, language: str
) -> dict[str, int]:
    """Add a subset's documents; return the row of each id."""
    rows: dict[str, int] = {}
    for document in documents:
        key = id_text(document, ("id",), name, "corpus")
        # mteb's data sets have some empty documents
        if is_missing(document.get("text")) and is_missing(document.get("title")):
            continue
        text, title = passage_text(document, name, key)
        rows[key] = builder.add_passage(f"{subset}:{key}", text, language, f"{subset}:{key}", title)
    return rows


def _add_queries(
    builder: CorpusBuilder, name: str, subset: str, data: Any, language: str, rows: dict[str, int]
) -> None:
    """Add a subset's queries and their relevant documents."""
    for query in data["queries"]:
        key = f"{subset}:{query['id']}"
        builder.add_query(key, str(query["text"]), language, key)
        for document, score in data["relevant_docs"].get(str(query["id"]), {}).items():
            value = grade_value(score, "score", name, key)
            if value > 0 and document in rows:
                builder.add_link(key, rows[document], grade=value)


def _subset_languages(metadata: Any, subset: str) -> tuple[str, str]:
    """Return the languages of a subset's queries and passages."""
    languages = metadata.eval_langs
    codes = languages[subset] if isinstance(languages, dict) else languages
    tags = [language_tag(c) for c in codes]
    return tags[0], tags[-1]


def ir_datasets_task(name: str, language: str | None = None) -> Task:
    """Load a data set of ir_datasets that has documents, queries and judgments.

    Args:
        name: Its id in ir_datasets.
        language: Language of the queries, by default the one that the data set states, or that of
            the documents.

    Returns:
        The task.

    Raises:
        MixlingError: ir_datasets is not installed or has no such data set, a part is missing, or
            the language is not known.
    """
    try:
        import ir_datasets
    except ImportError:
        raise MixlingError(
            "ir_datasets is not installed: pip install 'mixling[benchmarks]'"
        ) from None
    try:
        data = ir_datasets.load(name)
        complete = data.has_docs() and data.has_queries() and data.has_qrels()
    except Exception as error:
        raise MixlingError(f"ir_datasets has no '{name}' ({error})") from None
    if not complete:
        raise MixlingError(
            f"ir_datasets '{name}' has no docs, queries and qrels together; name one of its splits"
        )
    passage_language = data.docs_lang() or language
    query_language = language or data.queries_lang() or passage_language
    if not passage_language or not query_language:
        raise MixlingError(f"ir_datasets '{name}' does not say its language; give --language")
    builder, rows = CorpusBuilder(name), {}
    for document in data.docs_iter():
        text = document.default_text() if hasattr(document, "default_text") else document.text
        if text.strip():
            rows[document.doc_id] = builder.add_passage(
                document.doc_id, text, language_tag(passage_language), document.doc_id
            )
    for query in data.queries_iter():
        text = query.default_text() if hasattr(query, "default_text") else query.text
        builder.add_query(query.query_id, text, language_tag(query_language), query.query_id)
    for judgment in data.qrels_iter():
        value = grade_value(judgment.relevance, "relevance", name, judgment.query_id)
        if value > 0 and judgment.doc_id in rows:
            builder.add_link(judgment.query_id, rows[judgment.doc_id], grade=value)
    return task_from_corpus(builder.build(), name=f"ir_datasets:{name}")
