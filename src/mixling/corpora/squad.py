"""SQuAD-style JSON, the form of most sets for extractive question answering.

LAReQA (arXiv:2004.05484; XQuAD-R, MLQA-R) adds `sentence_breaks` to a paragraph: the first
character of each of its sentences and the one after its last. A query's translations share its id,
so the id is the query's group. Paragraphs that share queries are one passage group. The name of an
article is not read: these sets, as published, give an encoder the paragraph or the sentence alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

from mixling.corpora.corpus import Corpus, CorpusBuilder
from mixling.corpora.files import read_parquet
from mixling.corpora.json_files import read_json
from mixling.corpora.languages import language_tag
from mixling.corpora.values import id_text, iter_objects
from mixling.errors import BadRowError, Skipped


def read_squad(files: Iterable[tuple[Path, str, str]], name: str, skip_bad: bool = False) -> Corpus:
    """Read a corpus from SQuAD files.

    Args:
        files: Path, language of the queries and language of the passages of each file: JSON, or
            the hub's Parquet form with the columns id, context, question and answers.
        name: The name of the corpus.
        skip_bad: Skip rows that cannot be used.

    Returns:
        The corpus.

    Raises:
        MixlingError: A file cannot be read, a language is unknown, or no query has a passage.
        BadRowError: A row cannot be used, and `skip_bad` is False.
    """
    skipped, builder = Skipped(skip_bad), CorpusBuilder(name)
    for path, query_language, passage_language in files:
        add_squad(
            builder,
            _read_table(path) if path.suffix == ".parquet" else read_json(path),
            path,
            language_tag(query_language),
            language_tag(passage_language),
            skipped,
        )
    return builder.build(skipped.rows)


def _read_table(path: Path) -> dict[str, Any]:
    """Read the hub's Parquet form as a SQuAD document with a paragraph for each row."""
    columns = ["id", "context", "question", "answers"]
    paragraphs = []
    for row in read_parquet(path, columns).select(columns).to_pylist():
        context, answers = row.pop("context"), row["answers"]
        if isinstance(answers, dict):  # lists of texts and of places, side by side
            texts, starts = (answers.get(k) or [] for k in ("text", "answer_start"))
            row["answers"] = [
                {"text": text, "answer_start": start} for text, start in zip_longest(texts, starts)
            ]
        paragraphs.append({"context": context, "qas": [row]})
    return {"data": [{"paragraphs": paragraphs}]}


def add_squad(
    builder: CorpusBuilder,
    content: Any,
    path: Path | str,
    query_language: str,
    passage_language: str,
    skipped: Skipped,
) -> None:
    """Add the queries and passages of one SQuAD document to a builder.

    Args:
        builder: The builder.
        content: The parsed JSON.
        path: The file, for errors.
        query_language: BCP-47 tag of the queries.
        passage_language: BCP-47 tag of the passages.
        skipped: Receives an error for each row that cannot be used.

    Raises:
        BadRowError: The content is no SQuAD document, or a row cannot be used and `skipped` does
            not skip.
    """
    if not isinstance(content, dict) or not isinstance(content.get("data"), list):
        raise BadRowError(
            path,
            1,
            "data",
            type(content).__name__,
            'SQuAD JSON: {"data": [{"paragraphs": […]}]}',
            "give another reader or file",
        )
    for a, article in iter_objects(content["data"], "data", path, 1, skipped):
        paragraphs = article.get("paragraphs", [])
        for p, paragraph in iter_objects(paragraphs, "paragraphs", path, f"data[{a}]", skipped):
            place = f"data[{a}].paragraphs[{p}]"
            context = paragraph.get("context")
            if not isinstance(context, str) or not context.strip():
                expected, fix = "the paragraph's text", "fill the field, or leave it out"
                skipped(BadRowError(path, place, "context", context, expected, fix))
                continue
            breaks = paragraph.get("sentence_breaks")
            if breaks is not None and not _are_spans(breaks, len(context)):
                expected, fix = "offsets inside the context", "fetch the file again"
                skipped(BadRowError(path, place, "sentence_breaks", breaks, expected, fix))
                continue
            row = builder.add_passage(
                context,
                context,
                passage_language,
                sentences=None if breaks is None else [(s, e) for s, e in breaks],
            )
            for q, entry in iter_objects(paragraph.get("qas", []), "qas", path, place, skipped):
                try:
                    _add_query(
                        builder,
                        entry,
                        context,
                        row,
                        query_language,
                        path,
                        f"{place}.qas[{q}]",
                    )
                except BadRowError as bad:
                    skipped(bad)


def _are_spans(breaks: Any, length: int) -> bool:
    """Return whether a value is a list of [start, end) offsets inside a text of some length."""
    return isinstance(breaks, list) and all(
        isinstance(b, list) and [type(x) for x in b] == [int, int] and 0 <= b[0] < b[1] <= length
        for b in breaks
    )


def iter_questions(content: Any) -> Iterator[dict[str, Any]]:
    """Yield the objects of a SQuAD document that hold its queries.

    Args:
        content: The parsed JSON. What is no such object is passed over; `add_squad` reports it.

    Yields:
        The objects in `qas`, which the caller may change.
    """
    ignored = Skipped(True)
    articles = content.get("data") if isinstance(content, dict) else None
    for _, article in iter_objects(articles, "data", "", 1, ignored):
        for _, paragraph in iter_objects(article.get("paragraphs"), "paragraphs", "", 1, ignored):
            for _, entry in iter_objects(paragraph.get("qas"), "qas", "", 1, ignored):
                yield entry


def _add_query(
    builder: CorpusBuilder,
    entry: dict[str, Any],
    context: str,
    row: int,
    language: str,
    path: Path | str,
    place: str,
) -> None:
    """Add a query and its link to a passage, with the place of its first answer.

    Args:
        builder: The builder.
        entry: An object in `qas`.
        context: The passage's text.
        row: The passage's row.
        language: BCP-47 tag of the query.
        path: The file, for errors.
        place: The place in the file, for errors.

    Raises:
        BadRowError: The query cannot be used, or its first answer does not stand at its place.
    """
    key = id_text(entry, ("id",), path, place)
    try:
        text, start, end = _read_question(entry, context, path, place)
    except BadRowError:
        # the passage still answers the translations of the query, in a place that is not known
        builder.add_link(key, row)
        raise
    builder.add_query(key, text, language, key)
    builder.add_link(key, row, start, end)


def _read_question(
    entry: dict[str, Any], context: str, path: Path | str, place: str
) -> tuple[str, int | None, int | None]:
    """Return a question's text, and the place of its first answer; else raise BadRowError."""
    text = entry.get("question")
    if not isinstance(text, str) or not text.strip():
        expected, fix = "the question's text", "fill the field, or leave it out"
        raise BadRowError(path, place, "question", text, expected, fix)
    # a first answer that cannot be used makes the query a bad one: the second may stand in another
    # sentence
    answers = iter_objects(entry.get("answers") or [], "answers", path, place, Skipped())
    _, answer = next(answers, (0, {}))
    if not answer.get("text"):
        return text, None, None
    start, words = answer.get("answer_start"), str(answer["text"])
    if type(start) is not int or not 0 <= start < len(context):
        expected, fix = "an offset inside the context", "correct the offset"
        raise BadRowError(path, place, "answer_start", start, expected, fix)
    if not _stands_at(words, context, start):
        expected, fix = f"the place of the answer '{words[:40]}'", "correct the offset"
        raise BadRowError(path, place, "answer_start", start, expected, fix)
    return text, start, min(start + len(words), len(context))


def _stands_at(words: str, context: str, start: int) -> bool:
    """Return whether words stand at a place of a text; between them may be other blanks there."""
    if context.startswith(words, start):
        return True
    rest = context[start:]
    return rest[:1].strip() != "" and "".join(rest.split()).startswith("".join(words.split()))
