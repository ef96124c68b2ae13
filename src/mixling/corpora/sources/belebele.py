"""Belebele (Bandarkar et al. 2024, arXiv:2308.16884): parallel questions on FLORES passages, 122 variants.

A question looks for its passage. One jsonl file a language, named by its FLORES code.
"""

from __future__ import annotations

from pathlib import Path

from mixling.corpora.corpus import Corpus, CorpusBuilder
from mixling.corpora.json_files import read_json_lines
from mixling.corpora.languages import language_tag
from mixling.corpora.source import Source
from mixling.corpora.values import id_text, text_field
from mixling.errors import BadRow, MixlingError, Skipped


def read(folder: Path, split: str, skip_bad: bool) -> Corpus:
    """Fields link, question_number, flores_passage, question; the link names the passage."""
    builder, skipped = CorpusBuilder("belebele"), Skipped(skip_bad)
    paths = sorted(folder.glob("**/*_*.jsonl*"))
    if not paths:
        raise MixlingError(f"{folder}: no file like eng_Latn.jsonl; see `mixling data list`")
    for path in paths:
        code = language_tag(path.name.split(".")[0])
        rows = list(read_json_lines(path, skipped))
        order: dict[tuple[str, str], int] = {}
        for line, row in rows:
            try:
                passage = text_field(row, "flores_passage", path, line)
                question = text_field(row, "question", path, line)
                link = text_field(row, "link", path, line)
                asked = id_text(row, ("question_number",), path, line)
            except BadRow as bad:
                skipped(bad)
                continue
            # several passages share a link: their order in the file, the same in every language, tells them apart
            place = order.setdefault((link, passage), sum(k[0] == link for k in order))
            group = f"{link}#{place}"
            number = builder.add_passage(passage, passage, code, group)
            key = f"{group}#{asked}"
            builder.add_query(key, question, code, key)
            builder.add_link(key, number)
    return builder.build(skipped.rows)


BELEBELE = Source(
    "belebele",
    "parallel questions on FLORES passages in 122 language variants",
    ("122 variants of FLORES",),
    ("test",),
    "CC-BY-SA-4.0",
    "Bandarkar et al. 2024, arXiv:2308.16884",
    "hub facebook/belebele, folder data (one jsonl a language)",
    read,
    "belebele",
    repositories=("facebook/belebele",),
)
