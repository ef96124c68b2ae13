"""AfriQA (Ogundepo et al. 2023, arXiv:2305.06897): African queries, English or French passages.

The gold passages' files are read as they are published. A row's query comes with its human
translation into the passage's language: `afriqa-human` takes that one, the ceiling for machine
translation of queries. The name of an article is not read: the figures on AfriQA here give an
encoder the passage alone. Rows without a query or passage (four in test) are left out and counted;
their passages stay in the corpus.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mixling.corpora.corpus import Corpus, CorpusBuilder
from mixling.corpora.files import read_text
from mixling.corpora.json_files import read_json, read_json_lines
from mixling.corpora.languages import language_tag
from mixling.corpora.published_files import find_published
from mixling.corpora.source import Download, Languages, Reader, Source, is_wanted, require_languages
from mixling.corpora.values import iter_objects, text_field
from mixling.errors import BadRowError, MixlingError, Skipped

COMMIT = "5c29933753692c28773c34ac1f68482007f1d2bb"


def afriqa_reader(human: bool) -> Reader:
    """Return a reader of AfriQA.

    Args:
        human: Take the human translations of the queries instead of the queries.
    """

    def read(folder: Path, split: str, languages: Languages, skip_bad: bool) -> Corpus:
        paths = find_published(folder, f"gold_span_passages.afriqa.*.*.{split}.json*")
        if not paths:
            raise MixlingError(
                f"{folder}: the file "
                f"gold_passages/<language>/gold_span_passages.afriqa.<language>.<pivot>.{split}"
                ".json is missing. Fetch the data set again."
            )
        name = "afriqa-human" if human else "afriqa"
        tags = [[language_tag(x) for x in path.name.split(".")[2:4]] for path in paths]
        passage_tags = sorted({pivot for _, pivot in tags})
        query_tags = [] if human else [tag for tag, _ in tags]
        require_languages(name, languages, sorted({*passage_tags, *query_tags}))
        if not any(is_wanted(tag, languages) for tag in passage_tags):
            raise MixlingError(
                f"source '{name}' has passages in {' and '.join(passage_tags)} only, none of "
                f"them in {', '.join(languages or ())}. Add one of these languages."
            )
        builder, incomplete = CorpusBuilder(name), Skipped(True)
        for path in paths:
            query_language, pivot = path.name.split(".")[2:4]
            if not is_wanted(language_tag(pivot), languages):
                continue  # without its passages, a query has no answer
            for line, row in _iter_rows(path, Skipped(skip_bad)):
                key = f"{query_language}-{line}"
                try:
                    context = text_field(row, "context", path, line)
                    passage = builder.add_passage(context, context, language_tag(pivot))
                    query = text_field(row, "question_lang", path, line)
                    translated = text_field(row, "question_translated", path, line)
                except BadRowError as bad:
                    incomplete(bad)
                    continue
                builder.add_query(
                    key,
                    translated if human else query,
                    language_tag(pivot if human else query_language),
                    key,
                )
                builder.add_link(key, passage)
        return builder.build(incomplete.rows)

    return read


def _iter_rows(path: Path, skipped: Skipped) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield number and row of a file's rows: some files are a JSON array, some JSON lines."""
    if read_text(path).lstrip()[:1] == "[":
        for n, row in iter_objects(read_json(path), "rows", path, 1, skipped):
            yield n + 1, row
    else:
        yield from read_json_lines(path, skipped)


def _afriqa(name: str, description: str, human: bool) -> Source:
    """Return AfriQA with its queries or with their human translations."""
    return Source(
        name,
        description,
        ("bem", "en", "fon", "fr", "ha", "ig", "rw", "sw", "tw", "yo", "zu"),
        ("test", "dev", "train"),
        "CC-BY-SA-4.0",
        "Ogundepo et al. 2023, arXiv:2305.06897",
        "github.com/masakhane-io/afriqa, folder data/gold_passages",
        afriqa_reader(human),
        "afriqa",
        downloads=(
            Download(
                f"https://github.com/masakhane-io/afriqa/archive/{COMMIT}.zip",
                f"afriqa-{COMMIT}/data/gold_passages",
                content="d8cb11a670584bc87f1ee2e9c4222e2983fbe8c7539913e0069b6e77f1cddf33",
            ),
        ),
        counts={"test": (3107, 2926), "dev": (1855, 1767), "train": (2092, 1993)},
    )


AFRIQA = _afriqa(
    "afriqa", "questions in nine African languages, passages in English and French", False
)
AFRIQA_HUMAN = _afriqa(
    "afriqa-human", "AfriQA with its questions as people translated them: a ceiling", True
)
