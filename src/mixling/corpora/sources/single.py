"""Sets of one language in SQuAD's form: JaQuAD, ARCD."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mixling.corpora import squad
from mixling.corpora.corpus import Corpus
from mixling.corpora.source import Source
from mixling.errors import MixlingError


def files(pattern: str, language: str) -> Callable[[Path, str, bool], Corpus]:
    """A reader of the files like `pattern`, with {split} in it."""

    def read(folder: Path, split: str, skip_bad: bool) -> Corpus:
        found = [(p, language, language) for p in sorted(folder.glob(pattern.format(split=split)))]
        if not found:
            raise MixlingError(
                f"{folder}: no file like {pattern.format(split=split)}; fetch the set again"
            )
        return squad.read_squad(found, folder.name, skip_bad)

    return read


JAQUAD = Source(
    "jaquad",
    "Japanese questions and paragraphs",
    ("ja",),
    ("train", "dev"),
    "CC-BY-SA-3.0",
    "So et al. 2022, arXiv:2202.01764",
    "hub SkelterLabsInc/JaQuAD",
    files("{split}/jaquad_{split}_*.json*", "ja"),
    "jaquad",
    "SkelterLabsInc/JaQuAD",
)
ARCD = Source(
    "arcd",
    "Arabic questions and paragraphs",
    ("ar",),
    ("train", "test"),
    "MIT",
    "Mozannar et al. 2019, arXiv:1906.05394",
    "hub hsseinmz/arcd",
    files("arcd-{split}.json*", "ar"),
    "arcd",
    "hsseinmz/arcd",
)
