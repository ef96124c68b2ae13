"""What a named set says of itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mixling.corpora.corpus import Corpus


@dataclass(frozen=True)
class Source:
    """A named set. read(folder, split, skip_bad) -> Corpus; splits: the first is the default.

    counts: questions and passages of a split, as the files hold them; a test compares. unit: what a question
    looks for, "passage" or "sentence". parallel: questions are passages too and look for their translations.
    pivot: two-language settings are only those with this language on one side (too many languages for all).
    hub: a data set of the hub that is read row by row; repositories: data sets of the hub whose files are fetched
    as they are and read like the local ones; archive: the address of a packed file and the folder in it that is so read.
    """

    name: str
    description: str
    languages: tuple[str, ...]
    splits: tuple[str, ...]
    license: str
    citation: str
    how_to_get: str
    read: Callable[[Path, str, bool], Corpus]
    folder_name: str | None = None
    hub_dataset: str | None = None
    repositories: tuple[str, ...] = ()
    archive: tuple[str, str] | None = None
    counts: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    unit: str = "passage"
    parallel: bool = False
    pivot: str | None = None

    @property
    def is_fetched(self) -> bool:
        """Whether the set is fetched when it is asked for and not here."""
        return bool(self.hub_dataset or self.repositories or self.archive)


def parse_languages(text: str) -> tuple[str, ...]:
    """Language codes with spaces between, as a tuple: for sets of many languages."""
    return tuple(text.split())
