"""Sets of question and answer that arXiv:2408.10536 trains on, English as published: WikiQA, DuoRC, NewsQA, Natural
Questions, Yahoo Answers, EntityQuestions. Its other three are mr-tydi, mfaq and mmarco.

The paper had them translated by machine; `mixling translate` does that, and its folder may stand in the place of the
published files.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mixling.corpora.corpus import Corpus, CorpusBuilder
from mixling.corpora.source import Source
from mixling.corpora.tables import ROWS, data_suffix, read_rows
from mixling.corpora.values import first_text, iter_objects, passage_text, text_field, value_text
from mixling.errors import BadRow, MixlingError, Skipped

Row = dict[str, Any]
# takes a row and its place, adds it to the builder or says why it is left out; raises BadRow
Take = Callable[[CorpusBuilder, Row, Path, int], str | None]


def reader(name: str, take: Take) -> Callable[[Path, str, bool], Corpus]:
    """A reader of all files of a split, as the hub keeps them: parquet, JSON lines, or a JSON array."""

    def read(folder: Path, split: str, skip_bad: bool) -> Corpus:
        builder, skipped, left = CorpusBuilder(name), Skipped(skip_bad), list[Exception]()
        paths = sorted(
            p
            for p in folder.rglob("*")
            if data_suffix(p) in ROWS
            and split in (*p.parts[len(folder.parts) :], *p.name.replace("-", ".").split("."))
        )
        if not paths:
            raise MixlingError(
                f"{folder}: no parquet or JSON file of split '{split}'; fetch the set again"
            )
        for path in paths:
            for line, row in read_rows(path, skipped):
                try:
                    why = take(builder, row, path, line)
                    if why is not None:
                        left.append(MixlingError(f"{path}:{line}: left out: {why}"))
                except BadRow as bad:
                    skipped(bad)
        return builder.build([*skipped.rows, *left])

    return read


def _key(row: Row, fields: tuple[str, ...], path: Path, line: int) -> str:
    """A question's id, else its place: files of one name may lie in several folders of a set."""
    return first_text(row, fields, path, line) or f"{path.parent.name}/{path.stem}-{line}"


def _pair(
    builder: CorpusBuilder, key: str, question: str, passage: str, title: str | None = None
) -> int:
    builder.add_query(key, question, "en", key)
    return builder.add_passage(passage, passage, "en", title=title)


def wikiqa(builder: CorpusBuilder, row: Row, path: Path, line: int) -> str | None:
    """A sentence of an article and whether it answers (label): those that do not are hard negatives."""
    question, answer = (text_field(row, c, path, line) for c in ("question", "answer"))
    key = first_text(row, ("question_id",), path, line) or question
    label = row.get("label")
    if label not in (0, 1):
        raise BadRow(
            path, line, "label", label, "1 (it answers) or 0", "mend the row or leave it out"
        )
    passage = _pair(
        builder,
        key,
        question,
        answer,
        value_text(row.get("document_title"), "document_title", path, line),
    )
    if label == 1:
        builder.add_link(key, passage)
    else:
        builder.add_negative(key, "en", passage)
    return None


def duorc(builder: CorpusBuilder, row: Row, path: Path, line: int) -> str | None:
    """A question on a film's plot; those that the plot does not answer are left out."""
    question, plot = (text_field(row, c, path, line) for c in ("question", "plot"))
    if row.get("no_answer"):
        return "the plot does not answer it"
    key = _key(row, ("question_id",), path, line)
    passage = _pair(builder, key, question, plot, value_text(row.get("title"), "title", path, line))
    _answered(builder, key, passage, plot, row.get("answers"))
    return None


def newsqa(builder: CorpusBuilder, row: Row, path: Path, line: int) -> str | None:
    """A question on a news article."""
    question, context = (text_field(row, c, path, line) for c in ("question", "context"))
    key = _key(row, ("key",), path, line)
    _answered(builder, key, _pair(builder, key, question, context), context, row.get("answers"))
    return None


def _answered(builder: CorpusBuilder, key: str, passage: int, text: str, answers: Any) -> None:
    """Link with the place of the first answer that stands in the text word for word."""
    for answer in answers if isinstance(answers, list) else []:
        at = text.find(answer) if isinstance(answer, str) and answer else -1
        if at >= 0:
            builder.add_link(key, passage, at, at + len(answer))
            return
    builder.add_link(key, passage)


def columns(question: tuple[str, ...], answer: str) -> Take:
    """Rows of a question and its answer; the question is in the first of some columns that a row has."""

    def take(builder: CorpusBuilder, row: Row, path: Path, line: int) -> str | None:
        asked = text_field(row, next((c for c in question if c in row), question[0]), path, line)
        key = _key(row, (), path, line)
        builder.add_link(key, _pair(builder, key, asked, text_field(row, answer, path, line)))
        return None

    return take


def entities(builder: CorpusBuilder, row: Row, path: Path, line: int) -> str | None:
    """A question on an entity. Where the file names passages as DPR does (positive_ctxs, hard_negative_ctxs) they are taken,
    else the answer itself stands for the passage."""
    question = text_field(row, "question", path, line)
    key = _key(row, (), path, line)
    positive, wrong = (
        [c for _, c in iter_objects(row.get(name) or [], name, path, line, Skipped())]
        for name in ("positive_ctxs", "hard_negative_ctxs")
    )
    answers = row.get("answers") or []
    if not positive and not (isinstance(answers, list) and answers):
        raise BadRow(
            path, line, "answers", answers, "a list that is not empty", "leave the row out"
        )
    for context in positive[:1]:
        text, title = passage_text(context, path, line)
        passage = _pair(builder, key, question, text, title)
        _answered(builder, key, passage, text, answers)
    if not positive:
        builder.add_link(key, _pair(builder, key, question, str(answers[0])))
    for context in wrong:
        text, title = passage_text(context, path, line)
        builder.add_negative(key, "en", builder.add_passage(text, text, "en", title=title))
    return None


def _source(
    name: str, about: str, license: str, citation: str, repository: str, take: Take, splits: str
) -> Source:
    return Source(
        name, about, ("en",), tuple(splits.split()), license, citation, f"hub {repository}", reader(name, take), name,
        repositories=(repository,),
    )  # fmt: skip


PAIRS = (
    _source("wikiqa", "questions and sentences of Wikipedia, right and wrong ones", "see publisher",
            "Yang et al. 2015, ACL D15-1237", "microsoft/wiki_qa", wikiqa, "train validation test"),
    _source("duorc", "questions on plots of films", "MIT", "Saha et al. 2018, arXiv:1804.07927", "ibm-research/duorc",
            duorc, "train validation test"),
    _source("newsqa", "questions on news articles", "see publisher", "Trischler et al. 2017, arXiv:1611.09830",
            "lucadiliello/newsqa", newsqa, "train validation"),
    _source("natural-questions", "questions of a search engine and passages of Wikipedia", "CC-BY-SA-3.0",
            "Kwiatkowski et al. 2019", "sentence-transformers/natural-questions", columns(("query",), "answer"), "train"),
    _source("yahoo-answers", "questions of people and the best answer", "see publisher", "Zhang et al. 2015, arXiv:1509.01626",
            "sentence-transformers/yahoo-answers", columns(("question", "title"), "answer"), "train"),
)  # fmt: skip
ENTITY_QUESTIONS = Source(
    "entity-questions",
    "simple questions on entities",
    ("en",),
    ("train", "dev", "test"),
    "MIT",
    "Sciavolino et al. 2021, arXiv:2109.08535",
    "github princeton-nlp/EntityQuestions, dataset.zip unpacked (or files of DPR's form with positive_ctxs)",
    reader("entity-questions", entities),
    "entity-questions",
)
