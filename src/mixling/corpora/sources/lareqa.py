"""XQuAD-R and MLQA-R (LAReQA, Roy et al. 2020, arXiv:2004.05484): queries and answer sentences."""

from __future__ import annotations

from pathlib import Path

from mixling.corpora import squad
from mixling.corpora.corpus import Corpus
from mixling.corpora.source import Download, Languages, Source

COMMIT = "5405d2a77e83d5ccb47623a3f9e5604c3f103193"


def read_lareqa(folder: Path, split: str, languages: Languages, skip_bad: bool) -> Corpus:
    """Read one SQuAD file a language, with `sentence_breaks`.

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
    files = [
        (path, path.name.split(".")[0], path.name.split(".")[0])
        for path in sorted(folder.glob("*.json*"))
    ]
    return squad.read_squad(files, folder.name, skip_bad)


def _lareqa(folder: str) -> Download:
    """Return the archive of the authors' repository, of which one folder is read."""
    return Download(
        f"https://github.com/google-research-datasets/lareqa/archive/{COMMIT}.zip",
        f"lareqa-{COMMIT}/{folder}",
    )


XQUAD_R = Source(
    "xquad-r",
    "questions and answer sentences, parallel (evaluation only)",
    ("ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh"),
    ("test",),
    "CC-BY-SA-4.0",
    "Roy et al. 2020, arXiv:2004.05484",
    "folder xquad-r of github.com/google-research-datasets/lareqa",
    read_lareqa,
    "xquad-r",
    counts={"test": (13090, 2640)},
    unit="sentence",
    downloads=(_lareqa("xquad-r"),),
)
MLQA_R = Source(
    "mlqa-r",
    "questions and answer sentences, partly parallel (evaluation only; it is MLQA dev)",
    ("ar", "de", "en", "es", "hi", "vi", "zh"),
    ("test",),
    "CC-BY-SA-3.0",
    "Roy et al. 2020, arXiv:2004.05484",
    "folder mlqa-r of github.com/google-research-datasets/lareqa (an early commit)",
    read_lareqa,
    "mlqa-r",
    unit="sentence",
)
