"""The sample set that ships: 44 short passages in eight languages, fully parallel, two questions each.

Written for this project and dedicated to the public domain (CC0 1.0). `groups.tsv` names each passage
group, its subject and its split; `<language>.tsv` holds group, passage, first and second question.
Subjects are split as wholes: the test split asks about subjects that training never saw.
"""

from __future__ import annotations

from pathlib import Path

from mixling.corpora.corpus import Corpus, CorpusBuilder
from mixling.errors import choose

LANGUAGES = ("ar", "de", "en", "es", "hi", "ru", "sw", "zh")
FOLDER = Path(__file__).parent


def read_sample(split: str = "train") -> Corpus:
    """The sample's `train`, `test` or `all` passages with their questions."""
    choose(split, ("train", "test", "all"), "split of sample")
    kept = [g for g, _, s in _lines("groups") if split in (s, "all")]
    builder = CorpusBuilder("sample")
    for language in LANGUAGES:
        rows = {group: texts for group, *texts in _lines(language)}
        for group in kept:
            passage, *questions = rows[group]
            row = builder.add_passage(f"{group}-{language}", passage, language, group)
            for number, question in enumerate(questions, 1):
                builder.add_query(
                    f"{group}.{number}-{language}", question, language, f"{group}.{number}"
                )
                builder.add_link(f"{group}.{number}", row)
    return builder.build()


def _lines(name: str) -> list[list[str]]:
    text = (FOLDER / f"{name}.tsv").read_text(encoding="utf-8")
    return [line.split("\t") for line in text.splitlines()[1:]]
