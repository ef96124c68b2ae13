"""TyDi QA GoldP 1.1 (Clark et al. 2020, arXiv:2003.05002): native speakers' queries, untranslated.

A query's id does not tell it from others of its file, so each query is a group of its own. Several
queries share a paragraph, which is one passage. The passages of other languages are distractors.
"""

from __future__ import annotations

from pathlib import Path

from mixling.corpora import squad
from mixling.corpora.corpus import Corpus, CorpusBuilder
from mixling.corpora.json_files import read_json
from mixling.corpora.languages import language_tag
from mixling.corpora.source import Languages, Source
from mixling.errors import MixlingError, Skipped


def read_tydi(folder: Path, split: str, languages: Languages, skip_bad: bool) -> Corpus:
    """Read `<split>/tydiqa.goldp.<language>.<split>.json`: SQuAD's form, one query a paragraph.

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
    paths = sorted((folder / split).glob(f"tydiqa.goldp.*.{split}.json*"))
    if not paths:
        raise MixlingError(
            f"{folder / split}: no file tydiqa.goldp.<language>.{split}.json; fetch the set again"
        )
    builder, skipped = CorpusBuilder("tydi"), Skipped(skip_bad)
    for path in paths:
        language = path.name.split(".")[2]
        content = read_json(path)
        for number, entry in enumerate(squad.iter_questions(content), 1):
            entry["id"] = f"{language}-{number}"
        code = language_tag(language)
        squad.add_squad(builder, content, path, code, code, skipped)
    return builder.build(skipped.rows)


TYDI = Source(
    "tydi",
    "questions of native speakers and their paragraphs, each in its own language",
    ("ar", "bn", "en", "fi", "id", "ko", "ru", "sw", "te"),
    ("dev", "train"),
    "Apache-2.0",
    "Clark et al. 2020, arXiv:2003.05002",
    "TyDi QA GoldP 1.1 of github.com/google-research-datasets/tydiqa, one file a language",
    read_tydi,
    "tydiqa-goldp",
    counts={"dev": (5077, 4488)},
)
