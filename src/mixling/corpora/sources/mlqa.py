"""MLQA (Lewis et al. 2020, arXiv:1910.07475): parallel queries on Wikipedia paragraphs."""

from __future__ import annotations

import hashlib
from pathlib import Path

from mixling.corpora import mlqa
from mixling.corpora.corpus import Corpus
from mixling.corpora.source import Source


def read_mlqa_split(folder: Path, split: str, skip_bad: bool) -> Corpus:
    """Read MLQA: dev and test as published; train and held-out divide test by passage group.

    Args:
        folder: The folder.
        split: The split.
        skip_bad: Skip rows that cannot be used.

    Returns:
        The corpus.

    Raises:
        MixlingError: A file is missing or cannot be read.
        BadRowError: A row cannot be used, and `skip_bad` is False.
    """
    if split == "dev":
        return mlqa.read_mlqa(folder / "dev", "mlqa", skip_bad)
    corpus = mlqa.read_mlqa(folder / "test", "mlqa", skip_bad)
    if split == "test":
        return corpus
    groups = corpus.passages["group"].unique().to_pylist()
    return corpus.select(
        passage_groups=[group for group in groups if is_held_out(group) == (split == "held-out")]
    )


def is_held_out(group: str) -> bool:
    """Return whether a passage group of MLQA test is in the tenth that no training run sees.

    A hash chooses the tenth.
    """
    return hashlib.sha256(group.encode()).digest()[0] % 10 == 0


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
    archive=("https://dl.fbaipublicfiles.com/MLQA/MLQA_V1.zip", "MLQA_V1"),
)
