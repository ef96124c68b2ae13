"""Sets of one language in SQuAD's form: JaQuAD, ARCD.

JaQuAD's test part is not published. ARCD's split `test` is called `validation` on the hub; there
blanks at the ends of contexts and questions are cut off. Six of ARCD's 1,395 answers have other
blanks than their contexts (two for one, or a no-break space); their places are right.
"""

from __future__ import annotations

from pathlib import Path

from mixling.corpora import squad
from mixling.corpora.corpus import Corpus
from mixling.corpora.published_files import find_published
from mixling.corpora.source import Download, Files, Languages, Reader, Repository, Source
from mixling.errors import MixlingError

SOQAL_COMMIT = "1229d34aa2b7a0b9a2e4858c9268e68f45d7e3c4"
_JAQUAD_FILES = "{split}/jaquad_{split}_*.json"


def squad_reader(name: str, patterns: tuple[str, ...], language: str) -> Reader:
    """Return a reader of SQuAD files of one language.

    Args:
        name: The source.
        patterns: Patterns of the files, with {split}, or {hub_split} for the hub's name of it; the
            first of which there are files is read.
        language: The language.
    """

    def read(folder: Path, split: str, languages: Languages, skip_bad: bool) -> Corpus:
        hub_split = "validation" if split == "test" else split
        names = [p.format(split=split, hub_split=hub_split) for p in patterns]
        paths = next((found for p in names if (found := find_published(folder, p))), None)
        if paths is None:
            raise MixlingError(
                f"{folder}: no file is named like {' or '.join(names)}. `mixling data list` says "
                "where to get it."
            )
        return squad.read_squad([(path, language, language) for path in paths], name, skip_bad)

    return read


def _jaquad_files(split: str, languages: Languages) -> list[Files]:
    """Return the files of a split."""
    return [Files("data/" + _JAQUAD_FILES.format(split=split), ("data",))]


def _arcd(split: str, sha256: str) -> Download:
    """Return one of the two files in the authors' repository."""
    return Download(
        f"https://raw.githubusercontent.com/husseinmozannar/SOQAL/{SOQAL_COMMIT}/data/"
        f"arcd-{split}.json",
        sha256=sha256,
        splits=(split,),
    )


JAQUAD = Source(
    "jaquad",
    "Japanese questions and paragraphs",
    ("ja",),
    ("train", "dev"),
    "CC-BY-SA-3.0",
    "So et al. 2022, arXiv:2202.01764",
    "hub SkelterLabsInc/JaQuAD, folders data/train and data/dev",
    squad_reader("jaquad", (_JAQUAD_FILES,), "ja"),
    "jaquad",
    repositories=(
        Repository(
            "SkelterLabsInc/JaQuAD", _jaquad_files, "05600ff310a0970823e70f82f428893b85c71ffe"
        ),
    ),
    counts={"dev": (3939, 1431), "train": (31748, 9713)},
)
ARCD = Source(
    "arcd",
    "Arabic questions and paragraphs",
    ("ar",),
    ("train", "test"),
    "MIT",
    "Mozannar et al. 2019, arXiv:1906.05394",
    "arcd-train.json and arcd-test.json of github.com/husseinmozannar/SOQAL, or hub hsseinmz/arcd",
    squad_reader("arcd", ("arcd-{split}.json", "plain_text/{hub_split}-*-of-*.parquet"), "ar"),
    "arcd",
    downloads=(
        _arcd("train", "6a973fda9f0b066e0547a85a3396e7294fa917e24b6efd7ce430769033a6ce15"),
        _arcd("test", "b4ba4fb4227841bbce71e01b3eaecb33e9f17a08cde1ec91e5bc335da2c75135"),
    ),
    counts={"test": (702, 234), "train": (693, 231)},
)
