"""AfriQA (Ogundepo et al. 2023, arXiv:2305.06897): questions in African languages, passages in English or French.

Read as the gold passages' files are published. A row's question comes with its human translation into the
passage's language: `afriqa-human` asks that one, the ceiling for any machine translation of the question.
An article's name is not read: what is measured on AfriQA here gives an encoder the passage alone.
Rows without a question or passage (four in test) are left out and counted; their passages stay in the pool.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from mixling.corpora.corpus import Corpus, CorpusBuilder
from mixling.corpora.files import read_text
from mixling.corpora.json_files import read_json, read_json_lines
from mixling.corpora.languages import language_tag
from mixling.corpora.source import Source
from mixling.corpora.values import iter_objects, text_field
from mixling.errors import BadRow, MixlingError, Skipped

COMMIT = "5c29933753692c28773c34ac1f68482007f1d2bb"


def reader(human: bool) -> Callable[[Path, str, bool], Corpus]:
    """human: ask the translated question."""

    def read(folder: Path, split: str, skip_bad: bool) -> Corpus:
        paths = sorted(folder.glob(f"gold_passages/*/gold_span_passages.afriqa.*.{split}.json*"))
        if not paths:
            raise MixlingError(
                f"{folder}: no file gold_passages/<language>/gold_span_passages.afriqa.<language>.<pivot>."
                f"{split}.json; fetch the set again"
            )
        builder, incomplete = CorpusBuilder("afriqa-human" if human else "afriqa"), Skipped(True)
        for path in paths:
            asked, pivot = path.name.split(".")[2:4]
            for line, row in _rows(path, Skipped(skip_bad)):
                key = f"{asked}-{line}"
                try:
                    context = text_field(row, "context", path, line)
                    passage = builder.add_passage(context, context, language_tag(pivot))
                    question = text_field(row, "question_lang", path, line)
                    translated = text_field(row, "question_translated", path, line)
                except BadRow as bad:
                    incomplete(bad)
                    continue
                builder.add_query(
                    key,
                    translated if human else question,
                    language_tag(pivot if human else asked),
                    key,
                )
                builder.add_link(key, passage)
        return builder.build(incomplete.rows)

    return read


def _rows(path: Path, skipped: Skipped) -> Iterator[tuple[int, dict]]:
    """Some files are a JSON array, some JSON lines."""
    if read_text(path).lstrip()[:1] == "[":
        yield from (
            (n + 1, row) for n, row in iter_objects(read_json(path), "rows", path, 1, skipped)
        )
    else:
        yield from read_json_lines(path, skipped)


def _source(name: str, about: str, human: bool) -> Source:
    return Source(
        name,
        about,
        ("bem", "en", "fon", "fr", "ha", "ig", "rw", "sw", "tw", "yo", "zu"),
        ("test", "dev", "train"),
        "CC-BY-SA-4.0",
        "Ogundepo et al. 2023, arXiv:2305.06897",
        "github.com/masakhane-io/afriqa, folder data/gold_passages",
        reader(human),
        "afriqa",
        archive=(
            f"https://github.com/masakhane-io/afriqa/archive/{COMMIT}.zip",
            f"afriqa-{COMMIT}/data",
        ),
        counts={"test": (3107, 2926), "dev": (1855, 1767), "train": (2092, 1993)},
    )


AFRIQA = _source(
    "afriqa", "questions in nine African languages, passages in English and French", False
)
AFRIQA_HUMAN = _source(
    "afriqa-human", "AfriQA with its questions as people translated them: a ceiling", True
)
