"""SQuAD-style JSON, which most extractive question answering sets use, LAReQA's among them.

LAReQA (arXiv:2004.05484; XQuAD-R, MLQA-R) adds `sentence_breaks` to a paragraph: [start, end) offsets of
its sentences. A question's translations share its id, so the id is the question's group; paragraphs that
share questions are one passage group. An article's name is not read: these sets, as published, give an encoder the paragraph
or sentence alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mixling.corpora.corpus import Corpus, CorpusBuilder
from mixling.corpora.json_files import read_json
from mixling.corpora.languages import language_tag
from mixling.corpora.values import id_text, iter_objects
from mixling.errors import BadRow, Skipped


def read_squad(files: Iterable[tuple[Path, str, str]], name: str, skip_bad: bool = False) -> Corpus:
    """A corpus from files of (path, question language, passage language)."""
    skipped, builder = Skipped(skip_bad), CorpusBuilder(name)
    for path, question_language, passage_language in files:
        add_squad(
            builder,
            read_json(path),
            path,
            language_tag(question_language),
            language_tag(passage_language),
            skipped,
        )
    return builder.build(skipped.rows)


def add_squad(
    builder: CorpusBuilder,
    content: Any,
    path: Path | str,
    question_language: str,
    passage_language: str,
    skipped: Skipped,
) -> None:
    """Put one SQuAD document into the builder."""
    if not isinstance(content, dict) or not isinstance(content.get("data"), list):
        raise BadRow(
            path,
            1,
            "data",
            type(content).__name__,
            'SQuAD JSON: {"data": [{"paragraphs": […]}]}',
            "give another reader or file",
        )
    for a, article in iter_objects(content["data"], "data", path, 1, skipped):
        for p, paragraph in iter_objects(
            article.get("paragraphs", []), "paragraphs", path, f"data[{a}]", skipped
        ):
            where = f"data[{a}].paragraphs[{p}]"
            context = paragraph.get("context")
            if not isinstance(context, str) or not context.strip():
                skipped(
                    BadRow(
                        path,
                        where,
                        "context",
                        context,
                        "the paragraph's text",
                        "fill it or leave it out",
                    )
                )
                continue
            breaks = paragraph.get("sentence_breaks")
            if breaks is not None and not _spans(breaks, len(context)):
                skipped(
                    BadRow(
                        path,
                        where,
                        "sentence_breaks",
                        breaks,
                        "offsets inside the context",
                        "fetch the file again",
                    )
                )
                continue
            row = builder.add_passage(
                context,
                context,
                passage_language,
                sentences=None if breaks is None else [(s, e) for s, e in breaks],
            )
            for q, qa in iter_objects(paragraph.get("qas", []), "qas", path, where, skipped):
                _question(
                    builder, qa, context, row, question_language, path, f"{where}.qas[{q}]", skipped
                )


def _spans(breaks: Any, length: int) -> bool:
    """Whether this is a list of [start, end) inside a text of that length."""
    return isinstance(breaks, list) and all(
        isinstance(b, list) and [type(x) for x in b] == [int, int] and 0 <= b[0] < b[1] <= length
        for b in breaks
    )


def iter_questions(content: Any) -> Iterator[dict]:
    """The objects of a SQuAD document that hold its questions; `add` says what is no such object."""
    quiet = Skipped(True)
    found = content.get("data") if isinstance(content, dict) else None
    for _, article in iter_objects(found, "data", "", 1, quiet):
        for _, paragraph in iter_objects(article.get("paragraphs"), "paragraphs", "", 1, quiet):
            for _, qa in iter_objects(paragraph.get("qas"), "qas", "", 1, quiet):
                yield qa


def _question(
    builder: CorpusBuilder,
    qa: dict,
    context: str,
    row: int,
    language: str,
    path: Path | str,
    where: str,
    skipped: Skipped,
) -> None:
    text = qa.get("question")
    try:
        key = id_text(qa, ("id",), path, where)
    except BadRow as bad:
        skipped(bad)
        return
    if not isinstance(text, str) or not text.strip():
        skipped(
            BadRow(path, where, "question", text, "the question's text", "fill it or leave it out")
        )
        return
    start = end = None
    _, answer = next(
        iter_objects(qa.get("answers") or [], "answers", path, where, skipped), (0, {})
    )
    if answer.get("text"):
        start = answer.get("answer_start")
        if type(start) is not int or not 0 <= start < len(context):
            skipped(
                BadRow(
                    path,
                    where,
                    "answer_start",
                    start,
                    "an offset inside the context",
                    "mend the offset",
                )
            )
            return
        end = min(start + len(str(answer["text"])), len(context))
    builder.add_query(key, text, language, key)
    builder.add_link(key, row, start, end)
