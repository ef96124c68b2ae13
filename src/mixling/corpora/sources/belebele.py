"""Belebele (Bandarkar et al. 2024, arXiv:2308.16884): parallel queries on FLORES passages.

A query looks for its passage. Each of the 122 language variants has a JSON-lines file, named by its
code in FLORES.
"""

from __future__ import annotations

from pathlib import Path

from mixling.corpora.corpus import Corpus, CorpusBuilder
from mixling.corpora.json_files import read_json_lines
from mixling.corpora.languages import language_tag
from mixling.corpora.source import Files, Languages, Repository, Source
from mixling.corpora.values import id_text, text_field
from mixling.errors import BadRowError, MixlingError, Skipped


def read_belebele(folder: Path, split: str, languages: Languages, skip_bad: bool) -> Corpus:
    """Read Belebele; the fields are link, question_number, flores_passage and question.

    Args:
        folder: The folder.
        split: The split.
        languages: The languages; None: all.
        skip_bad: Skip rows that cannot be used.

    Returns:
        The corpus.

    Raises:
        MixlingError: A file is missing or cannot be read.
        BadRowError: A row cannot be used, and `skip_bad` is False.
    """
    builder, skipped = CorpusBuilder("belebele"), Skipped(skip_bad)
    paths = sorted(folder.glob("**/*_*.jsonl*"))
    if not paths:
        raise MixlingError(f"{folder}: no file like eng_Latn.jsonl; see `mixling data list`")
    for path in paths:
        code = language_tag(path.name.split(".")[0])
        passage_numbers: dict[tuple[str, str], int] = {}
        # the whole file is checked before its first row is added
        for line, row in list(read_json_lines(path, skipped)):
            try:
                passage = text_field(row, "flores_passage", path, line)
                query = text_field(row, "question", path, line)
                link = text_field(row, "link", path, line)
                query_number = id_text(row, ("question_number",), path, line)
            except BadRowError as bad:
                skipped(bad)
                continue
            # Several passages share a link. Their order in the file, which is the same in every
            # language, tells them apart.
            number = passage_numbers.setdefault(
                (link, passage), sum(key[0] == link for key in passage_numbers)
            )
            group = f"{link}#{number}"
            passage_row = builder.add_passage(passage, passage, code, group)
            key = f"{group}#{query_number}"
            builder.add_query(key, query, code, key)
            builder.add_link(key, passage_row)
    return builder.build(skipped.rows)


def _files(split: str, languages: Languages) -> list[Files]:
    """Return the files that some languages need."""
    return [Files("data/*_*.jsonl", ("link", "question_number", "flores_passage", "question"))]


BELEBELE = Source(
    "belebele",
    "parallel questions on FLORES passages in 122 language variants",
    ("122 variants of FLORES",),
    ("test",),
    "CC-BY-SA-4.0",
    "Bandarkar et al. 2024, arXiv:2308.16884",
    "hub facebook/belebele, folder data (one jsonl a language)",
    read_belebele,
    "belebele",
    repositories=(Repository("facebook/belebele", _files),),
)
