"""EntityQuestions (Sciavolino et al. 2021, arXiv:2109.08535): simple queries on entities.

The set is published as queries and short answers, without passages. The splits train, dev and test
read rows to which a retriever has added passages, as DPR's files have them: `positive_ctxs` and
`hard_negative_ctxs`. Those that end in `-answers` read the rows as they are published, with the
answer in the passage's place.
"""

from __future__ import annotations

from pathlib import Path

from mixling.corpora.corpus import CorpusBuilder
from mixling.corpora.source import Download, Source
from mixling.corpora.sources.pairs import (
    Row,
    Table,
    add_pair,
    answer_texts,
    find_answer,
    pairs_reader,
    place_id,
)
from mixling.corpora.values import iter_objects, text_field, value_text
from mixling.errors import BadRowError, MixlingError, Skipped

SPLITS = ("train", "dev", "test")
_NO_PASSAGES = (
    "EntityQuestions is published without passages. Take the split '{split}-answers', in which the "
    "answer itself is the passage; or add 'positive_ctxs' to each row, a list of objects with "
    "title and text, as DPR's retrieval writes them"
)


def _add_row_with_passages(builder: CorpusBuilder, row: Row, path: Path, line: int) -> str | None:
    """Add a query with the first of its positive passages, as DPR trains, and its negatives."""
    if "positive_ctxs" not in row:  # not a bad row that may be skipped: the whole set is so
        split = path.parent.name
        raise MixlingError(
            f"{path}:{line}: field 'positive_ctxs' is missing. {_NO_PASSAGES.format(split=split)}."
        )
    query, answers = text_field(row, "question", path, line), answer_texts(row, path, line)
    positives, negatives = (
        [
            (
                text_field(context, "text", path, line),
                value_text(context.get("title"), "title", path, line),
            )
            for _, context in iter_objects(row.get(name, []), name, path, line, Skipped())
        ]
        for name in ("positive_ctxs", "hard_negative_ctxs")
    )
    if not positives:
        return "no passage holds the answer"
    key, (text, title) = place_id(path, line), positives[0]
    passage = add_pair(builder, key, query, text, title)
    builder.add_link(key, passage, *(find_answer(text, answers) or ()))
    for text, title in negatives:
        builder.add_negative(key, "en", builder.add_passage(text, text, "en", title=title))
    return None


def _add_row_with_answer(builder: CorpusBuilder, row: Row, path: Path, line: int) -> str | None:
    """Add a query and the first of its answers; the others are further names of the same thing."""
    query, answers = text_field(row, "question", path, line), answer_texts(row, path, line)
    if not answers or not answers[0].strip():
        expected, fix = "a list that begins with a text", "correct the row, or leave it out"
        raise BadRowError(path, line, "answers", answers, expected, fix)
    key = place_id(path, line)
    builder.add_link(key, add_pair(builder, key, query, answers[0]))
    return None


def _table(split: str) -> Table:
    """Return the files of a split; the folder `one-off` holds further selections of the rows."""
    base = split.removesuffix("-answers")
    if split == base:
        columns = ("question", "answers", "positive_ctxs")
        return Table(f"{base}/*.{base}.json", columns, _add_row_with_passages)
    return Table(f"{base}/*.{base}.json", ("question", "answers"), _add_row_with_answer)


_ANSWER_SPLITS = tuple(f"{split}-answers" for split in SPLITS)
ENTITY_QUESTIONS = Source(
    "entity-questions",
    "simple questions on entities, published without passages",
    ("en",),
    (*SPLITS, *_ANSWER_SPLITS),
    "MIT",
    "Sciavolino et al. 2021, arXiv:2109.08535",
    "https://nlp.cs.princeton.edu/projects/entity-questions/dataset.zip, unpacked",
    pairs_reader(
        "entity-questions",
        {split: _table(split) for split in (*SPLITS, *_ANSWER_SPLITS)},
        _NO_PASSAGES,
    ),
    "entity-questions",
    # what is published lacks the passages that the other splits need
    downloads=(
        Download(
            "https://nlp.cs.princeton.edu/projects/entity-questions/dataset.zip",
            "dataset",
            splits=_ANSWER_SPLITS,
        ),
    ),
)
