"""Tasks that other tools describe: mteb's retrieval tasks by name, ir_datasets by id."""

from __future__ import annotations

from typing import Any

from mixling.corpora.corpus import CorpusBuilder
from mixling.corpora.languages import language_tag
from mixling.corpora.values import grade_value, id_text, is_missing, passage_text
from mixling.errors import MixlingError
from mixling.evaluation.tasks import Task, task_from_corpus


def mteb_task(name: str, splits: tuple[str, ...] = ("test", "dev", "validation")) -> Task:
    """A retrieval task of mteb (2.x), its subsets in one pool; a subset `de-en` has German questions or passages.

    Which side of a subset has which language is not the same in all tasks: where its metadata names two
    languages, the first is taken as the questions' (mteb's order). Raises MixlingError.
    """
    try:
        import mteb
    except ImportError:
        raise MixlingError("mteb is not installed: pip install 'mixling[benchmarks]'") from None
    try:
        found = mteb.get_task(name)
        found.load_data()
    except Exception as error:
        raise MixlingError(
            f"mteb task '{name}' cannot be loaded ({type(error).__name__}: {str(error).splitlines()[0]}); its data "
            "comes from the hub: run once with a network, or point HF_HOME at a copy"
        ) from None
    return read_mteb(found, splits)


def read_mteb(found: Any, splits: tuple[str, ...] = ("test", "dev", "validation")) -> Task:
    """A loaded mteb retrieval task as a Task."""
    name = found.metadata.name
    builder = CorpusBuilder(name)
    for subset, parts in found.dataset.items():
        split = next((s for s in splits if s in parts), None)
        if split is None:
            continue
        data = parts[split]
        asked, answered = _languages(found.metadata, subset)
        rows: dict[str, int] = {}
        for row in data["corpus"]:
            key = id_text(row, ("id",), name, "corpus")
            # a document that says nothing is none: mteb's own sets have some
            if is_missing(row.get("text")) and is_missing(row.get("title")):
                continue
            text, title = passage_text(row, name, key)
            rows[key] = builder.add_passage(
                f"{subset}:{key}", text, answered, f"{subset}:{key}", title
            )
        for row in data["queries"]:
            key = f"{subset}:{row['id']}"
            builder.add_query(key, str(row["text"]), asked, key)
            for document, judged in data["relevant_docs"].get(str(row["id"]), {}).items():
                value = grade_value(judged, "score", name, key)
                if value > 0 and document in rows:
                    builder.add_link(key, rows[document], grade=value)
    return task_from_corpus(builder.build(), name=f"mteb:{found.metadata.name}")


def _languages(metadata: Any, subset: str) -> tuple[str, str]:
    spoken = metadata.eval_langs
    codes = spoken[subset] if isinstance(spoken, dict) else spoken
    tags = [language_tag(c) for c in codes]
    return tags[0], tags[-1]


def ir_datasets_task(name: str, language: str | None = None) -> Task:
    """A data set of ir_datasets with docs, queries and qrels; language: of the questions, else of the documents."""
    try:
        import ir_datasets
    except ImportError:
        raise MixlingError(
            "ir_datasets is not installed: pip install 'mixling[benchmarks]'"
        ) from None
    try:
        data = ir_datasets.load(name)
        there = data.has_docs() and data.has_queries() and data.has_qrels()
    except Exception as error:
        raise MixlingError(f"ir_datasets has no '{name}' ({error})") from None
    if not there:
        raise MixlingError(
            f"ir_datasets '{name}' has no docs, queries and qrels together; name one of its splits"
        )
    answered = data.docs_lang() or language
    asked = language or data.queries_lang() or answered
    if not answered or not asked:
        raise MixlingError(f"ir_datasets '{name}' does not say its language; give --language")
    builder, rows = CorpusBuilder(name), {}
    for document in data.docs_iter():
        text = document.default_text() if hasattr(document, "default_text") else document.text
        if text.strip():
            rows[document.doc_id] = builder.add_passage(
                document.doc_id, text, language_tag(answered), document.doc_id
            )
    for query in data.queries_iter():
        text = query.default_text() if hasattr(query, "default_text") else query.text
        builder.add_query(query.query_id, text, language_tag(asked), query.query_id)
    for judged in data.qrels_iter():
        value = grade_value(judged.relevance, "relevance", name, judged.query_id)
        if value > 0 and judged.doc_id in rows:
            builder.add_link(judged.query_id, rows[judged.doc_id], grade=value)
    return task_from_corpus(builder.build(), name=f"ir_datasets:{name}")
