"""The files `<split>-context-X-question-Y.json` of MLQA, joined by the ids of their queries.

Each file holds queries of language Y on contexts of language X (Lewis et al. 2020,
arXiv:1910.07475). A query stands in several files; it is kept once a language, with the passages of
all files.
"""

from __future__ import annotations

import re
from pathlib import Path

from mixling.corpora import squad
from mixling.corpora.corpus import Corpus
from mixling.corpora.published_files import find_published
from mixling.errors import MixlingError

_NAME = re.compile(r"context-([a-z]+)-question-([a-z]+)\.json")


def read_mlqa(
    folder: Path, name: str = "mlqa", skip_bad: bool = False, prefix: str = "*"
) -> Corpus:
    """Read all MLQA files of a folder.

    Args:
        folder: The folder.
        name: The name of the corpus.
        skip_bad: Skip rows that cannot be used.
        prefix: What stands before `context-`, for instance `dev/dev-`.

    Returns:
        The corpus.

    Raises:
        MixlingError: The folder has no such file, or a file cannot be read.
    """
    files = []
    for path in find_published(folder, f"{prefix}context-*-question-*.json"):
        match = _NAME.search(path.name)
        if match:
            files.append((path, match[2], match[1]))
    if not files:
        raise MixlingError(
            f"{folder}: no file is named {prefix.replace('*', '…-')}context-X-question-Y.json. "
            "Unpack MLQA_V1.zip into the folder."
        )
    return squad.read_squad(files, name, skip_bad)
