"""MLQA (Lewis et al. 2020, arXiv:1910.07475): parallel queries on Wikipedia paragraphs.

The publisher has no training part, so test is divided into train and held-out. The queries that are
held out are listed by id in `mlqa_held_out.txt`, and not drawn from the data, because the passages
of one group are known only as far as files that join them are present. A group with a listed and
another query is in neither part. Files that are added can join groups and never part them, so no
passage that some of the files put into one part is in the other part with more files.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from mixling.corpora import mlqa
from mixling.corpora.corpus import Corpus
from mixling.corpora.source import Download, Languages, Source
from mixling.errors import MixlingError

_LIST = Path(__file__).with_name("mlqa_held_out.txt")
_DIGITS = 8


def read_mlqa_split(folder: Path, split: str, languages: Languages, skip_bad: bool) -> Corpus:
    """Read MLQA: dev and test as published; train and held-out are parts of test.

    Args:
        folder: The folder.
        split: The split.
        languages: Not used: every file tells which passages of the others are one group, and a
            split goes by the groups.
        skip_bad: Skip rows that cannot be used.

    Returns:
        The corpus.

    Raises:
        MixlingError: A file is missing or cannot be read, or the files have nothing of the split.
        BadRowError: A row cannot be used, and `skip_bad` is False.
    """
    part = "dev" if split == "dev" else "test"
    corpus = mlqa.read_mlqa(folder, "mlqa", skip_bad, f"{part}/{part}-")
    if split in ("dev", "test"):
        return corpus
    groups = passage_groups(corpus, split == "held-out")
    if not groups:
        raise MixlingError(
            f"{folder}: no passage belongs to split '{split}', which is chosen by the ids of "
            "MLQA's queries. Unpack all files of MLQA_V1.zip, as published, into the folder."
        )
    return corpus.select(passage_groups=groups)


def passage_groups(corpus: Corpus, held_out: bool) -> set[str]:
    """Return the passage groups of MLQA test that are held out, or those to train on.

    Args:
        corpus: MLQA test, from any of its files.
        held_out: Return the groups of which every query is held out, not those of which none is.
    """
    groups = corpus.passages["group"].take(corpus.links["passage"]).to_pylist()
    wanted, others = set[str](), set[str]()
    for group, query in zip(groups, corpus.links["group"].to_pylist(), strict=True):
        (wanted if is_held_out(query) == held_out else others).add(group)
    return wanted - others


def is_held_out(query: str) -> bool:
    """Return whether a query of MLQA test is in the tenth that no training run sees.

    Args:
        query: The id, 40 hexadecimal digits; the first 8 are listed.
    """
    return query[:_DIGITS] in _held_out()


@cache
def _held_out() -> frozenset[str]:
    """Return the first digits of the ids of the queries that are held out."""
    return frozenset(_LIST.read_text(encoding="ascii").split())


MLQA = Source(
    "mlqa",
    "parallel questions and paragraphs; train = test less the tenth held out",
    ("ar", "de", "en", "es", "hi", "vi", "zh"),
    ("train", "held-out", "test", "dev"),
    "CC-BY-SA-3.0",
    "Lewis et al. 2020, arXiv:1910.07475",
    "github.com/facebookresearch/MLQA",
    read_mlqa_split,
    "mlqa",
    downloads=(
        Download(
            "https://dl.fbaipublicfiles.com/MLQA/MLQA_V1.zip",
            "MLQA_V1",
            sha256="246e8089933d13007fe80684d5c5c0713d6834cf8b3b4a0ec7c66f0a0d2baac8",
        ),
    ),
)
