"""MFAQ (De Bruyn et al. 2021, arXiv:2109.12870): questions and answers of web pages, each in its language."""

from __future__ import annotations

from pathlib import Path

from mixling.corpora.corpus import Corpus, CorpusBuilder
from mixling.corpora.json_files import read_json_lines
from mixling.corpora.languages import language_field
from mixling.corpora.source import Source, parse_languages
from mixling.corpora.values import iter_objects, text_field, value_text
from mixling.errors import BadRow, MixlingError, Skipped


def read(folder: Path, split: str, skip_bad: bool) -> Corpus:
    """`**/<language>/<split>.jsonl`, a page a line: domain, qa_pairs[question, answer, language]."""
    builder, skipped = CorpusBuilder("mfaq"), Skipped(skip_bad)
    names = {"validation": ("validation", "valid")}.get(split, (split,))
    paths = sorted(p for n in names for p in folder.glob(f"**/{n}.jsonl*"))
    if not paths:
        raise MixlingError(
            f"{folder}: no file like <language>/{split}.jsonl; see `mixling data list`"
        )
    for path in paths:
        for line, page in read_json_lines(path, skipped):
            for n, pair in iter_objects(
                page.get("qa_pairs") or [], "qa_pairs", path, line, skipped
            ):
                where = f"{line}.qa_pairs[{n}]"
                try:
                    question = text_field(pair, "question", path, where)
                    answer = text_field(pair, "answer", path, where)
                    code = language_field(
                        value_text(pair.get("language"), "language", path, where)
                        or path.parent.name,
                        "language",
                        path,
                        where,
                    )
                except BadRow as bad:
                    skipped(bad)
                    continue
                key = f"{path.parent.name}-{line}-{n}"
                builder.add_query(key, question, code, key)
                builder.add_link(key, builder.add_passage(answer, answer, code))
    return builder.build(skipped.rows)


MFAQ = Source(
    "mfaq",
    "questions and answers of web pages in 21 languages",
    parse_languages("cs da de en es fi fr he hr hu id it nb nl pl pt ro ru sv tr vi"),
    ("train", "validation"),
    "CC0-1.0",
    "De Bruyn et al. 2021, arXiv:2109.12870",
    "hub clips/mfaq, folder data (one folder a language)",
    read,
    "mfaq",
    repositories=("clips/mfaq",),
)
