"""The description of a named source: languages, splits, license, and how to get and read it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mixling.corpora.corpus import Corpus

# reads a split of a source from its folder; the boolean says whether bad rows are skipped
Reader = Callable[[Path, str, bool], Corpus]


@dataclass(frozen=True)
class Source:
    """A named source.

    Args:
        name: Its name.
        description: What it holds, in some words.
        languages: BCP-47 tags of its languages.
        splits: Its splits; the first is the default.
        license: Its license.
        citation: The paper that describes it.
        how_to_get: Where a user gets it.
        read: Reads a split from a folder.
        folder_name: The folder below the data folder; None: it ships with Mixling.
        hub_dataset: A data set of the hub that is read row by row.
        repositories: Data sets of the hub whose files are fetched as they are and read like local
            ones.
        archive: The address of a packed file and the folder in it that is read.
        counts: Numbers of queries and passages by split, as published; a test compares them.
        unit: What a query looks for.
        parallel: Whether every query is a passage too and looks for its translations.
        pivot: A language that stands on one side of each language pair that is measured, for
            sources with too many languages for all pairs.
    """

    name: str
    description: str
    languages: tuple[str, ...]
    splits: tuple[str, ...]
    license: str
    citation: str
    how_to_get: str
    read: Reader
    folder_name: str | None = None
    hub_dataset: str | None = None
    repositories: tuple[str, ...] = ()
    archive: tuple[str, str] | None = None
    counts: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    unit: Literal["passage", "sentence"] = "passage"
    parallel: bool = False
    pivot: str | None = None

    @property
    def is_fetched(self) -> bool:
        """Whether the source is fetched when it is used and not on this machine."""
        return bool(self.hub_dataset or self.repositories or self.archive)


def parse_languages(text: str) -> tuple[str, ...]:
    """Split language tags with spaces between them, for sources of many languages."""
    return tuple(text.split())
