"""MFAQ (De Bruyn et al. 2021, arXiv:2109.12870): queries and answers of web pages."""

from __future__ import annotations

from pathlib import Path

from mixling.corpora.corpus import Corpus, CorpusBuilder
from mixling.corpora.json_files import read_json_lines
from mixling.corpora.languages import language_field
from mixling.corpora.source import Files, Languages, Repository, Source, is_wanted, parse_languages
from mixling.corpora.values import iter_objects, text_field, value_text
from mixling.errors import BadRowError, MixlingError, Skipped

LANGUAGES = parse_languages("cs da de en es fi fr he hr hu id it nb nl pl pt ro ru sv tr vi")


def read_mfaq(folder: Path, split: str, languages: Languages, skip_bad: bool) -> Corpus:
    """Read the files <language>/<split>.jsonl, which hold a page a line.

    A page has a domain and `qa_pairs`, each with question, answer and language.

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
    builder, skipped = CorpusBuilder("mfaq"), Skipped(skip_bad)
    names = {"validation": ("validation", "valid")}.get(split, (split,))
    paths = sorted(p for n in names for p in folder.glob(f"**/{n}.jsonl*"))
    if not paths:
        raise MixlingError(
            f"{folder}: no file like <language>/{split}.jsonl; see `mixling data list`"
        )
    for path in paths:
        for line, page in read_json_lines(path, skipped):
            pairs = page.get("qa_pairs") or []
            for n, pair in iter_objects(pairs, "qa_pairs", path, line, skipped):
                place = f"{line}.qa_pairs[{n}]"
                try:
                    query = text_field(pair, "question", path, place)
                    answer = text_field(pair, "answer", path, place)
                    language = value_text(pair.get("language"), "language", path, place)
                    code = language_field(language or path.parent.name, "language", path, place)
                except BadRowError as bad:
                    skipped(bad)
                    continue
                key = f"{path.parent.name}-{line}-{n}"
                builder.add_query(key, query, code, key)
                builder.add_link(key, builder.add_passage(answer, answer, code))
    return builder.build(skipped.rows)


def _files(split: str, languages: Languages) -> list[Files]:
    """Return the files that a split and some languages need."""
    return [
        Files(f"data/{code}/{split.replace('validation', 'valid')}.jsonl", ("qa_pairs",))
        for code in LANGUAGES
        if is_wanted(code, languages)
    ]


MFAQ = Source(
    "mfaq",
    "questions and answers of web pages in 21 languages",
    LANGUAGES,
    ("train", "validation"),
    "CC0-1.0",
    "De Bruyn et al. 2021, arXiv:2109.12870",
    "hub clips/mfaq, folder data (one folder a language)",
    read_mfaq,
    "mfaq",
    repositories=(Repository("clips/mfaq", _files),),
)
