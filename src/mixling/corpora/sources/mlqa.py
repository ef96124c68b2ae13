"""MLQA (Lewis et al. 2020, arXiv:1910.07475): parallel questions on Wikipedia paragraphs."""

from __future__ import annotations

import hashlib
from pathlib import Path

from mixling.corpora import mlqa
from mixling.corpora.corpus import Corpus
from mixling.corpora.source import Source


def read(folder: Path, split: str, skip_bad: bool) -> Corpus:
    """dev and test as published; train and held-out share test by passage group."""
    if split == "dev":
        return mlqa.read_mlqa(folder / "dev", "mlqa", skip_bad)
    corpus = mlqa.read_mlqa(folder / "test", "mlqa", skip_bad)
    if split == "test":
        return corpus
    groups = corpus.passages["group"].unique().to_pylist()
    wanted = [g for g in groups if is_held_out(g) == (split == "held-out")]
    return corpus.select(passage_groups=wanted)


def is_held_out(group: str) -> bool:
    """Whether a passage group of MLQA test is in the tenth that no training run sees: a hash decides."""
    return hashlib.sha256(group.encode()).digest()[0] % 10 == 0


MLQA = Source(
    "mlqa",
    "parallel questions and paragraphs; train = test less the tenth held out",
    ("ar", "de", "en", "es", "hi", "vi", "zh"),
    ("train", "held-out", "test", "dev"),
    "CC-BY-SA-3.0",
    "Lewis et al. 2020, arXiv:1910.07475",
    "github.com/facebookresearch/MLQA",
    read,
    "mlqa",
    archive=("https://dl.fbaipublicfiles.com/MLQA/MLQA_V1.zip", "MLQA_V1"),
)
