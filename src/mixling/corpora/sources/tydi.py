"""TyDi QA GoldP 1.1 (Clark et al. 2020, arXiv:2003.05002): questions asked by native speakers, not translated.

A question's id does not tell it from others of its file, so each question is a group of its own. Several
questions share a paragraph, which is one passage. The other languages' passages are distractors.
"""

from __future__ import annotations

from pathlib import Path

from mixling.corpora import squad
from mixling.corpora.corpus import Corpus, CorpusBuilder
from mixling.corpora.json_files import read_json
from mixling.corpora.languages import language_tag
from mixling.corpora.source import Source
from mixling.errors import MixlingError, Skipped


def read(folder: Path, split: str, skip_bad: bool) -> Corpus:
    """`<split>/tydiqa.goldp.<language>.<split>.json`, SQuAD's form with one question a paragraph."""
    paths = sorted((folder / split).glob(f"tydiqa.goldp.*.{split}.json*"))
    if not paths:
        raise MixlingError(
            f"{folder / split}: no file tydiqa.goldp.<language>.{split}.json; fetch the set again"
        )
    builder, skipped = CorpusBuilder("tydi"), Skipped(skip_bad)
    for path in paths:
        language = path.name.split(".")[2]
        content = read_json(path)
        for number, qa in enumerate(squad.iter_questions(content), 1):
            qa["id"] = f"{language}-{number}"
        squad.add_squad(
            builder, content, path, language_tag(language), language_tag(language), skipped
        )
    return builder.build(skipped.rows)


TYDI = Source(
    "tydi",
    "questions of native speakers and their paragraphs, each in its own language",
    ("ar", "bn", "en", "fi", "id", "ko", "ru", "sw", "te"),
    ("dev", "train"),
    "Apache-2.0",
    "Clark et al. 2020, arXiv:2003.05002",
    "TyDi QA GoldP 1.1 of github.com/google-research-datasets/tydiqa, one file a language",
    read,
    "tydiqa-goldp",
    counts={"dev": (5077, 4488)},
)
