"""The sample that ships with Mixling: 44 short passages in eight languages, each with two queries.

All passages and queries are parallel. They were written for this project and are dedicated to the
public domain (CC0 1.0). `groups.tsv` names each passage group, its subject and its split;
`<language>.tsv` holds group, passage, first and second query. All passages of a subject are in one
split, so the test split asks about subjects that no training sees.
"""

from __future__ import annotations

from pathlib import Path

from mixling.corpora.corpus import Corpus, CorpusBuilder
from mixling.errors import choose

LANGUAGES = ("ar", "de", "en", "es", "hi", "ru", "sw", "zh")
FOLDER = Path(__file__).parent


def read_sample(split: str = "train") -> Corpus:
    """Read the sample.

    Args:
        split: "train", "test" or "all".

    Returns:
        The passages of the split with their queries.

    Raises:
        MixlingError: There is no such split.
    """
    choose(split, ("train", "test", "all"), "split of sample")
    groups = [group for group, _, name in _table_rows("groups") if split in (name, "all")]
    builder = CorpusBuilder("sample")
    for language in LANGUAGES:
        rows = {group: texts for group, *texts in _table_rows(language)}
        for group in groups:
            passage, *queries = rows[group]
            row = builder.add_passage(f"{group}-{language}", passage, language, group)
            for number, query in enumerate(queries, 1):
                builder.add_query(
                    f"{group}.{number}-{language}", query, language, f"{group}.{number}"
                )
                builder.add_link(f"{group}.{number}", row)
    return builder.build()


def _table_rows(name: str) -> list[list[str]]:
    """Return the cells of a table of the sample, without its header."""
    text = (FOLDER / f"{name}.tsv").read_text(encoding="utf-8")
    return [line.split("\t") for line in text.splitlines()[1:]]
