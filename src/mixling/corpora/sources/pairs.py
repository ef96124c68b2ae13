"""English sets of query and answer that arXiv:2408.10536 trains on, as tables of the hub.

They are WikiQA, DuoRC, NewsQA, Natural Questions and Yahoo Answers; EntityQuestions has a file of
its own, and the paper's other three are mr-tydi, mfaq and mmarco. The paper had the English ones
translated by machine. `mixling translate` does that, and its folder may stand in the place of the
published files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mixling.corpora.corpus import Corpus, CorpusBuilder
from mixling.corpora.published_files import find_published
from mixling.corpora.source import Files, Languages, Reader, Repository, Source
from mixling.corpora.tables import read_rows
from mixling.corpora.values import first_text, id_text, text_field, value_text
from mixling.errors import BadRowError, MixlingError, Skipped

Row = dict[str, Any]
# Adds the row of a file and line to a builder, after all of it was checked. Returns why the row is
# left out, or None; raises BadRowError.
RowAdder = Callable[[CorpusBuilder, Row, Path, int], str | None]
_SHARD = re.compile(r"-(\d{5})-of-(\d{5})\b")


@dataclass(frozen=True)
class Table:
    """The files of a publication that one split is read from.

    Args:
        pattern: The end of their paths.
        columns: The columns that they must have; no others are read.
        add_row: Adds a row to the builder.
    """

    pattern: str
    columns: tuple[str, ...]
    add_row: RowAdder


def pairs_reader(
    name: str, tables: Mapping[str, Table], hint: str = "fetch the data set again"
) -> Reader:
    """Return a reader of tables with a query and its answer in each row.

    Args:
        name: The name of the source.
        tables: The table of each split.
        hint: What the user should do if a split has no files; {split} stands for the split.
    """

    def read(folder: Path, split: str, languages: Languages, skip_bad: bool) -> Corpus:
        table = tables[split]
        builder, skipped, left_out = CorpusBuilder(name), Skipped(skip_bad), list[Exception]()
        for path in _find_shards(folder, table.pattern, hint.format(split=split)):
            for line, row in read_rows(path, skipped, table.columns):
                try:
                    reason = table.add_row(builder, row, path, line)
                    if reason is not None:
                        left_out.append(
                            MixlingError(f"{path}:{line}: the row is left out, because {reason}")
                        )
                except BadRowError as bad:
                    skipped(bad)
        answered = {group for group, _ in builder.links}
        left_out += [
            MixlingError(f"{folder}: query '{key}' is left out, because no passage answers it")
            for key, _, _, group in builder.queries
            if group not in answered
        ]
        return builder.build([*skipped.rows, *left_out]).select()

    return read


def _find_shards(folder: Path, pattern: str, hint: str) -> list[Path]:
    """Return the files of a pattern; raise MixlingError unless each `-00000-of-00002` is there."""
    paths = find_published(folder, pattern)
    if not paths:
        raise MixlingError(f"{folder}: the file {pattern} is missing. {hint[0].upper()}{hint[1:]}.")
    shards = [m.groups() for p in paths if (m := _SHARD.search(p.name))]
    if shards and sorted(shards) != [(f"{n:05}", shards[0][1]) for n in range(int(shards[0][1]))]:
        raise MixlingError(
            f"{folder}: {pattern} has {', '.join(p.name for p in paths)}. Expected every part of "
            "one table, each once. Fetch the data set again into an empty folder."
        )
    return paths


def place_id(path: Path, line: int) -> str:
    """Return the id of a row that has none: its folder, file and line."""
    return f"{path.parent.name}/{path.stem}-{line}"


def add_pair(
    builder: CorpusBuilder, key: str, query: str, passage: str, title: str | None = None
) -> int:
    """Add an English query and passage, not yet linked, and return the passage's row."""
    builder.add_query(key, query, "en", key)
    return builder.add_passage(passage, passage, "en", title=title)


def answer_texts(row: Row, path: Path, line: int) -> list[str]:
    """Return the texts of a row's answers; raise BadRowError if `answers` is no list of texts."""
    answers = row.get("answers")
    if not isinstance(answers, list) or not all(isinstance(a, str) for a in answers):
        expected, fix = "a list of texts", "correct the row, or leave it out"
        raise BadRowError(path, line, "answers", answers, expected, fix)
    return answers


def find_answer(text: str, answers: list[str]) -> tuple[int, int] | None:
    """Return the place of the first answer that stands in a text as whole words.

    Args:
        text: The text.
        answers: The answers, in the order in which they are tried.

    Returns:
        The answer's first character, and the one after its last; None if none of them stands there.
    """
    for answer in filter(str.strip, answers):
        match = re.search(rf"(?<!\w){re.escape(answer)}(?!\w)", text)
        if match is not None:
            return match.span()
    return None


def _add_wikiqa_row(builder: CorpusBuilder, row: Row, path: Path, line: int) -> str | None:
    """Add a query and a sentence; a sentence whose label is 0 does not answer: a hard negative."""
    query, answer = (text_field(row, c, path, line) for c in ("question", "answer"))
    key = id_text(row, ("question_id",), path, line)
    label = value_text(row.get("label"), "label", path, line)
    if label not in ("0", "1"):
        expected, fix = "1 (it answers) or 0", "correct the row, or leave it out"
        raise BadRowError(path, line, "label", row.get("label"), expected, fix)
    title = value_text(row.get("document_title"), "document_title", path, line)
    passage = add_pair(builder, key, query, answer, title)
    if label == "1":
        builder.add_link(key, passage)
    else:
        builder.add_negative(key, "en", passage)
    return None


def _add_duorc_row(builder: CorpusBuilder, row: Row, path: Path, line: int) -> str | None:
    """Add a query and the plot of a film; a query that the plot does not answer is left out."""
    query, plot = (text_field(row, c, path, line) for c in ("question", "plot"))
    key = id_text(row, ("question_id",), path, line)
    title = value_text(row.get("title"), "title", path, line)
    answers, no_answer = answer_texts(row, path, line), row.get("no_answer")
    if not isinstance(no_answer, bool):
        expected, fix = "true or false", "correct the row, or leave it out"
        raise BadRowError(path, line, "no_answer", no_answer, expected, fix)
    if no_answer:
        return "the plot does not answer the question"
    passage = add_pair(builder, key, query, plot, title)
    builder.add_link(key, passage, *(find_answer(plot, answers) or ()))
    return None


def _add_newsqa_row(builder: CorpusBuilder, row: Row, path: Path, line: int) -> str | None:
    """Add a query and a news article, with the marked place of the answer."""
    query, context = (text_field(row, c, path, line) for c in ("question", "context"))
    key = first_text(row, ("key",), path, line) or place_id(path, line)
    answers = answer_texts(row, path, line)
    place = _marked_place(context, answers, row.get("labels")) or find_answer(context, answers)
    builder.add_link(key, add_pair(builder, key, query, context), *(place or ()))
    return None


def _marked_place(text: str, answers: list[str], labels: Any) -> tuple[int, int] | None:
    """Return the first place that labels mark and at which an answer stands, or None.

    Args:
        text: The text.
        answers: The answers.
        labels: Objects with lists `start` and `end`. Only `start` is read, since the publication
            does not say whether the character at `end` belongs to the answer.
    """
    for label in labels if isinstance(labels, list) else []:
        starts = label.get("start") if isinstance(label, dict) else None
        for start in starts if isinstance(starts, list) else []:
            for answer in filter(str.strip, answers):
                if type(start) is int and start >= 0 and text.startswith(answer, start):
                    return start, start + len(answer)
    return None


def _column_pairs(query: str, answer: str) -> RowAdder:
    """Return a function that adds rows with a column of the query and one of its answer."""

    def add_row(builder: CorpusBuilder, row: Row, path: Path, line: int) -> str | None:
        texts = [text_field(row, c, path, line) for c in (query, answer)]
        key = place_id(path, line)
        builder.add_link(key, add_pair(builder, key, *texts))
        return None

    return add_row


def _hub_pairs(
    name: str,
    description: str,
    license: str,
    citation: str,
    repository: str,
    revision: str,
    tables: Mapping[str, Table],
) -> Source:
    """Return a source of English pairs that is fetched from the hub."""

    def files(split: str, languages: Languages) -> list[Files]:
        return [Files(tables[split].pattern, tables[split].columns)]

    return Source(
        name,
        description,
        ("en",),
        tuple(tables),
        license,
        citation,
        f"hub {repository}",
        pairs_reader(name, tables),
        name,
        repositories=(Repository(repository, files, revision),),
    )


def _splits(
    splits: str, pattern: str, columns: str, add_row: RowAdder, suffix: str = ""
) -> dict[str, Table]:
    """Return the table of each split; split names get the suffix, and the pattern has {split}."""
    return {
        split + suffix: Table(pattern.format(split=split), tuple(columns.split()), add_row)
        for split in splits.split()
    }


_WIKIQA_COLUMNS = "question_id question document_title answer label"
_DUORC_COLUMNS = "question_id question plot title answers no_answer"
# Where the commits are from: those of WikiQA, DuoRC, NewsQA and Natural Questions from public code
# that pins them and from the hub's own pages; that of Yahoo Answers from the hub's pages alone.
PAIRS = (
    _hub_pairs(
        "wikiqa",
        "questions and sentences of Wikipedia, right and wrong ones",
        "see publisher",
        "Yang et al. 2015, ACL D15-1237",
        "microsoft/wiki_qa",
        "3f104672b5de699878fe7907afc486f0de325eb5",
        _splits(
            "train validation test", "data/{split}-*.parquet", _WIKIQA_COLUMNS, _add_wikiqa_row
        ),
    ),
    # SelfRC, whose questions were written from the very plot; those of ParaphraseRC were written
    # from another telling of it, and are splits of their own
    _hub_pairs(
        "duorc",
        "questions on plots of films",
        "MIT",
        "Saha et al. 2018, arXiv:1804.07927",
        "ibm-research/duorc",
        "2de12436b8945030c283bf4af83925d60efe10c6",
        {
            **_splits(
                "train validation test", "SelfRC/{split}-*.parquet", _DUORC_COLUMNS, _add_duorc_row
            ),
            **_splits(
                "train validation test",
                "ParaphraseRC/{split}-*.parquet",
                _DUORC_COLUMNS,
                _add_duorc_row,
                "-paraphrase",
            ),
        },
    ),
    _hub_pairs(
        "newsqa",
        "questions on news articles",
        "see publisher",
        "Trischler et al. 2017, arXiv:1611.09830",
        "lucadiliello/newsqa",
        "728e52920b8e4ffcfaad93fa47556f26a1d82546",
        _splits(
            "train validation",
            "data/{split}-*.parquet",
            "context question answers key labels",
            _add_newsqa_row,
        ),
    ),
    _hub_pairs(
        "natural-questions",
        "questions of a search engine and passages of Wikipedia",
        "CC-BY-SA-3.0",
        "Kwiatkowski et al. 2019",
        "sentence-transformers/natural-questions",
        "f9e894e1081e206e577b4eaa9ee6de2b06ae6f17",
        _splits(
            "train", "pair/{split}-*.parquet", "query answer", _column_pairs("query", "answer")
        ),
    ),
    # The set's four tables are made of the same questions, so one split reads one of them. Its
    # fourth, title-question-pair, has no answers.
    _hub_pairs(
        "yahoo-answers",
        "questions of people and the best answer",
        "see publisher",
        "Zhang et al. 2015, arXiv:1509.01626",
        "sentence-transformers/yahoo-answers",
        "93b3605c508cf93e3666c9d3e34640b5fe62b507",
        {
            **_splits(
                "train",
                "title-answer-pair/{split}-*.parquet",
                "title answer",
                _column_pairs("title", "answer"),
            ),
            **_splits(
                "train",
                "question-answer-pair/{split}-*.parquet",
                "question answer",
                _column_pairs("question", "answer"),
                "-question-answer",
            ),
            **_splits(
                "train",
                "title-question-answer-pair/{split}-*.parquet",
                "question answer",
                _column_pairs("question", "answer"),
                "-title-question-answer",
            ),
        },
    ),
)
