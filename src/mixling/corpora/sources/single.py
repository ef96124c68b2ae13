"""Sets of one language in SQuAD's form: JaQuAD, ARCD."""

from __future__ import annotations

from pathlib import Path

from mixling.corpora import squad
from mixling.corpora.corpus import Corpus
from mixling.corpora.source import Languages, Reader, Source
from mixling.errors import MixlingError


def squad_reader(pattern: str, language: str) -> Reader:
    """Return a reader of SQuAD files of one language.

    Args:
        pattern: A pattern of the files, with {split}.
        language: The language.
    """

    def read(folder: Path, split: str, languages: Languages, skip_bad: bool) -> Corpus:
        paths = sorted(folder.glob(pattern.format(split=split)))
        if not paths:
            raise MixlingError(
                f"{folder}: no file like {pattern.format(split=split)}; fetch the set again"
            )
        files = [(path, language, language) for path in paths]
        return squad.read_squad(files, folder.name, skip_bad)

    return read


JAQUAD = Source(
    "jaquad",
    "Japanese questions and paragraphs",
    ("ja",),
    ("train", "dev"),
    "CC-BY-SA-3.0",
    "So et al. 2022, arXiv:2202.01764",
    "hub SkelterLabsInc/JaQuAD",
    squad_reader("{split}/jaquad_{split}_*.json*", "ja"),
    "jaquad",
)
ARCD = Source(
    "arcd",
    "Arabic questions and paragraphs",
    ("ar",),
    ("train", "test"),
    "MIT",
    "Mozannar et al. 2019, arXiv:1906.05394",
    "hub hsseinmz/arcd",
    squad_reader("arcd-{split}.json*", "ar"),
    "arcd",
)
