"""Sets of query and answer that arXiv:2408.10536 trains on, in English as published.

They are WikiQA, DuoRC, NewsQA, Natural Questions, Yahoo Answers and EntityQuestions; the paper's
other three are mr-tydi, mfaq and mmarco. The paper had them translated by machine. `mixling
translate` does that, and its folder may stand in the place of the published files.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mixling.corpora.corpus import Corpus, CorpusBuilder
from mixling.corpora.source import Files, Languages, Reader, Repository, Source
from mixling.corpora.tables import ROWS, data_suffix, read_rows
from mixling.corpora.values import first_text, iter_objects, passage_text, text_field, value_text
from mixling.errors import BadRowError, MixlingError, Skipped

Row = dict[str, Any]
# Adds the row of a file and line to a builder. Returns why the row is left out, or None; raises
# BadRowError.
RowAdder = Callable[[CorpusBuilder, Row, Path, int], str | None]


def pairs_reader(name: str, add_row: RowAdder) -> Reader:
    """Return a reader of all files of a split: Parquet, JSON lines or a JSON array, as on the hub.

    Args:
        name: The name of the source.
        add_row: Adds a row to the builder.
    """

    def read(folder: Path, split: str, languages: Languages, skip_bad: bool) -> Corpus:
        builder, skipped, left_out = CorpusBuilder(name), Skipped(skip_bad), list[Exception]()
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
                    reason = add_row(builder, row, path, line)
                    if reason is not None:
                        left_out.append(MixlingError(f"{path}:{line}: left out: {reason}"))
                except BadRowError as bad:
                    skipped(bad)
        return builder.build([*skipped.rows, *left_out])

    return read


def _query_id(row: Row, fields: tuple[str, ...], path: Path, line: int) -> str:
    """Return a query's id, or its place: files of one name may lie in several folders of a set."""
    return first_text(row, fields, path, line) or f"{path.parent.name}/{path.stem}-{line}"


def _add_pair(
    builder: CorpusBuilder, key: str, query: str, passage: str, title: str | None = None
) -> int:
    """Add an English query and passage, not yet linked, and return the passage's row."""
    builder.add_query(key, query, "en", key)
    return builder.add_passage(passage, passage, "en", title=title)


def _link_with_answer(
    builder: CorpusBuilder, key: str, passage: int, text: str, answers: Any
) -> None:
    """Link with the place of the first answer that stands in the text word for word."""
    for answer in answers if isinstance(answers, list) else []:
        start = text.find(answer) if isinstance(answer, str) and answer else -1
        if start >= 0:
            builder.add_link(key, passage, start, start + len(answer))
            return
    builder.add_link(key, passage)


def add_wikiqa_row(builder: CorpusBuilder, row: Row, path: Path, line: int) -> str | None:
    """Add a query and a sentence; a sentence whose label is 0 does not answer: a hard negative."""
    query, answer = (text_field(row, c, path, line) for c in ("question", "answer"))
    key = first_text(row, ("question_id",), path, line) or query
    label = row.get("label")
    if label not in (0, 1):
        expected, fix = "1 (it answers) or 0", "mend the row or leave it out"
        raise BadRowError(path, line, "label", label, expected, fix)
    title = value_text(row.get("document_title"), "document_title", path, line)
    passage = _add_pair(builder, key, query, answer, title)
    if label == 1:
        builder.add_link(key, passage)
    else:
        builder.add_negative(key, "en", passage)
    return None


def add_duorc_row(builder: CorpusBuilder, row: Row, path: Path, line: int) -> str | None:
    """Add a query and the plot of a film; a query that the plot does not answer is left out."""
    query, plot = (text_field(row, c, path, line) for c in ("question", "plot"))
    if row.get("no_answer"):
        return "the plot does not answer it"
    key = _query_id(row, ("question_id",), path, line)
    title = value_text(row.get("title"), "title", path, line)
    passage = _add_pair(builder, key, query, plot, title)
    _link_with_answer(builder, key, passage, plot, row.get("answers"))
    return None


def add_newsqa_row(builder: CorpusBuilder, row: Row, path: Path, line: int) -> str | None:
    """Add a query and a news article."""
    query, context = (text_field(row, c, path, line) for c in ("question", "context"))
    key = _query_id(row, ("key",), path, line)
    passage = _add_pair(builder, key, query, context)
    _link_with_answer(builder, key, passage, context, row.get("answers"))
    return None


def column_pairs(query_columns: tuple[str, ...], answer_column: str) -> RowAdder:
    """Return a function that adds rows of a query and its answer.

    Args:
        query_columns: Columns of the query; the first one that a row has is read.
        answer_column: The column of the answer.
    """

    def add_row(builder: CorpusBuilder, row: Row, path: Path, line: int) -> str | None:
        column = next((c for c in query_columns if c in row), query_columns[0])
        query = text_field(row, column, path, line)
        key = _query_id(row, (), path, line)
        answer = text_field(row, answer_column, path, line)
        builder.add_link(key, _add_pair(builder, key, query, answer))
        return None

    return add_row


def add_entity_row(builder: CorpusBuilder, row: Row, path: Path, line: int) -> str | None:
    """Add a query on an entity with its passages.

    They are those that the file names as DPR does (positive_ctxs, hard_negative_ctxs); without them
    the answer itself stands for the passage.
    """
    query = text_field(row, "question", path, line)
    key = _query_id(row, (), path, line)
    positives, negatives = (
        [c for _, c in iter_objects(row.get(name) or [], name, path, line, Skipped())]
        for name in ("positive_ctxs", "hard_negative_ctxs")
    )
    answers = row.get("answers") or []
    if not positives and not (isinstance(answers, list) and answers):
        expected, fix = "a list that is not empty", "leave the row out"
        raise BadRowError(path, line, "answers", answers, expected, fix)
    if positives:
        text, title = passage_text(positives[0], path, line)
        passage = _add_pair(builder, key, query, text, title)
        _link_with_answer(builder, key, passage, text, answers)
    else:
        builder.add_link(key, _add_pair(builder, key, query, str(answers[0])))
    for context in negatives:
        text, title = passage_text(context, path, line)
        builder.add_negative(key, "en", builder.add_passage(text, text, "en", title=title))
    return None


def _hub_pairs(
    name: str,
    description: str,
    license: str,
    citation: str,
    repository: str,
    add_row: RowAdder,
    splits: str,
    pattern: str,
    *fields: str,
) -> Source:
    """Return a source of English pairs that is fetched from the hub."""

    def files(split: str, languages: Languages) -> list[Files]:
        return [Files(pattern.format(split=split), fields)]

    return Source(
        name,
        description,
        ("en",),
        tuple(splits.split()),
        license,
        citation,
        f"hub {repository}",
        pairs_reader(name, add_row),
        name,
        repositories=(Repository(repository, files),),
    )


PAIRS = (
    _hub_pairs(
        "wikiqa",
        "questions and sentences of Wikipedia, right and wrong ones",
        "see publisher",
        "Yang et al. 2015, ACL D15-1237",
        "microsoft/wiki_qa",
        add_wikiqa_row,
        "train validation test",
        "data/{split}-*.parquet",
        "question_id",
        "question",
        "label",
        "answer",
    ),
    _hub_pairs(
        "duorc",
        "questions on plots of films",
        "MIT",
        "Saha et al. 2018, arXiv:1804.07927",
        "ibm-research/duorc",
        add_duorc_row,
        "train validation test",
        "SelfRC/{split}-*.parquet",
        "question_id",
        "question",
        "plot",
    ),
    _hub_pairs(
        "newsqa",
        "questions on news articles",
        "see publisher",
        "Trischler et al. 2017, arXiv:1611.09830",
        "lucadiliello/newsqa",
        add_newsqa_row,
        "train validation",
        "data/{split}-*.parquet",
        "question",
        "context",
    ),
    _hub_pairs(
        "natural-questions",
        "questions of a search engine and passages of Wikipedia",
        "CC-BY-SA-3.0",
        "Kwiatkowski et al. 2019",
        "sentence-transformers/natural-questions",
        column_pairs(("query",), "answer"),
        "train",
        "pair/{split}-*.parquet",
        "query",
        "answer",
    ),
    _hub_pairs(
        "yahoo-answers",
        "questions of people and the best answer",
        "see publisher",
        "Zhang et al. 2015, arXiv:1509.01626",
        "sentence-transformers/yahoo-answers",
        column_pairs(("question", "title"), "answer"),
        "train",
        "title-answer-pair/{split}-*.parquet",
        "title",
        "answer",
    ),
)
ENTITY_QUESTIONS = Source(
    "entity-questions",
    "simple questions on entities",
    ("en",),
    ("train", "dev", "test"),
    "MIT",
    "Sciavolino et al. 2021, arXiv:2109.08535",
    "github princeton-nlp/EntityQuestions, dataset.zip unpacked (or files of DPR's form "
    "with positive_ctxs)",
    pairs_reader("entity-questions", add_entity_row),
    "entity-questions",
)
