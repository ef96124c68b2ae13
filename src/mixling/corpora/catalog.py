"""The named sources: what they are, where they are looked for, how they are read.

A name is looked for in the folder given, else in MIXLING_DATA, in ./data and ../shared/data, else fetched into the cache
where the publisher's files can be had as they are. Adding a set is one file in `sources/` and its name here.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mixling.corpora import folder as own
from mixling.corpora import hub, sample, squad
from mixling.corpora.corpus import Corpus
from mixling.corpora.languages import language_tag
from mixling.corpora.source import Source
from mixling.corpora.sources.afriqa import AFRIQA, AFRIQA_HUMAN
from mixling.corpora.sources.belebele import BELEBELE
from mixling.corpora.sources.bitext import SIB, TICO
from mixling.corpora.sources.ciral import CIRAL
from mixling.corpora.sources.lareqa import MLQA_R, XQUAD_R
from mixling.corpora.sources.mfaq import MFAQ
from mixling.corpora.sources.miracl import MIRACL
from mixling.corpora.sources.mlir import MLIR
from mixling.corpora.sources.mlqa import MLQA
from mixling.corpora.sources.mmarco import MMARCO
from mixling.corpora.sources.mrtydi import MR_TYDI
from mixling.corpora.sources.neuclir import NEUCLIR
from mixling.corpora.sources.pairs import ENTITY_QUESTIONS, PAIRS
from mixling.corpora.sources.single import ARCD, JAQUAD
from mixling.corpora.sources.tydi import TYDI
from mixling.errors import MixlingError, choose

SAMPLE = Source(
    "sample",
    "ships with Mixling: 44 passages, 8 languages, parallel",
    sample.LANGUAGES,
    ("train", "test", "all"),
    "CC0-1.0",
    "this project",
    "always there",
    lambda folder, split, skip_bad: sample.read_sample(split),
)
SOURCES = {
    s.name: s
    for s in (
        SAMPLE,
        XQUAD_R,
        MLQA_R,
        MLQA,
        TYDI,
        AFRIQA,
        AFRIQA_HUMAN,
        TICO,
        SIB,
        MIRACL,
        MR_TYDI,
        CIRAL,
        NEUCLIR,
        BELEBELE,
        MMARCO,
        MFAQ,
        *PAIRS,
        ENTITY_QUESTIONS,
        *MLIR,
        JAQUAD,
        ARCD,
    )
}


def data_folders(data_folder: str | Path | None = None) -> list[Path]:
    """Folders in which named sets are looked for, in order."""
    folders = [data_folder, os.environ.get("MIXLING_DATA"), "data", "../shared/data"]
    return [Path(f) for f in folders if f]


def find_source(name: str, data_folder: str | Path | None = None) -> Path | None:
    """Where a named set lies on this machine, or None."""
    source = SOURCES[name]
    if source.folder_name is None:
        return sample.FOLDER
    return next(
        (
            r / source.folder_name
            for r in data_folders(data_folder)
            if (r / source.folder_name).is_dir()
        ),
        None,
    )


def load(
    name: str,
    split: str | None = None,
    *,
    path: str | Path | None = None,
    languages: list[str] | None = None,
    query_languages: list[str] | None = None,
    language: str | None = None,
    hub_name: str | None = None,
    columns: dict[str, str] | None = None,
    skip_bad: bool = False,
    data_folder: str | Path | None = None,
) -> Corpus:
    """A corpus by name, from a folder, or from the hub.

    name: a named source, or (with `path` or a folder's path as the name) a folder of one's own, or (with
    `hub_name` and `columns`) a Hugging Face data set. Raises MixlingError saying what is missing.
    """
    if hub_name is not None:
        corpus = hub.read_hub(
            hub_name,
            columns or {},
            name,
            split or "train",
            language,
            None if path is None else str(path),
            skip_bad,
        )
    elif name in SOURCES and (path is None or not _own(Path(path))):
        corpus = _named(SOURCES[name], split, path, skip_bad, data_folder)
    elif path is not None or Path(name).is_dir():
        corpus = _path(name, Path(path or name), split, language, skip_bad)
    else:
        choose(name, SOURCES, "source")
        raise AssertionError
    if languages is None and query_languages is None:
        return corpus
    return _only(corpus, languages, query_languages)


def _own(path: Path) -> bool:
    """Whether a folder has Mixling's own form, as `convert`, `translate` and `mine` write it."""
    return any(path.glob("corpus.*")) and (path / "qrels").is_dir()


def _named(source: Source, split: str | None, path: Any, skip_bad: bool, root: Any) -> Corpus:
    split = choose(split or source.splits[0], source.splits, f"split of {source.name}")
    folder = Path(path) if path is not None else find_source(source.name, root)
    if folder is not None:
        if not folder.is_dir():
            raise MixlingError(f"{folder}: no such folder (source {source.name}); check `path`")
        if _own(folder):
            return own.read_folder(folder, source.name, split, None, skip_bad)
        return source.read(folder, split, skip_bad)
    if source.hub_dataset is not None:
        return _from_hub(source, split, skip_bad)
    by_hand = f"get {source.how_to_get}, put it into a folder '{source.folder_name}', and set MIXLING_DATA to the folder above it"
    if source.repositories:
        return source.read(
            hub.fetch_repositories(source.repositories, source.name), split, skip_bad
        )
    if source.archive:
        return source.read(
            hub.fetch_archive(*source.archive, source.name, by_hand), split, skip_bad
        )
    raise MixlingError(f"source '{source.name}' is not on this machine: {by_hand}")


def _from_hub(source: Source, split: str, skip_bad: bool) -> Corpus:
    """A SQuAD-like set of one language on the hub: columns id, question, context."""
    assert source.hub_dataset is not None
    columns = {"id": "id", "query": "question", "passage": "context", "query_group": "id"}
    names = {"dev": "validation"}
    return hub.read_hub(
        source.hub_dataset,
        columns,
        source.name,
        names.get(split, split),
        source.languages[0],
        skip_bad=skip_bad,
    )


def _path(name: str, path: Path, split: str | None, language: str | None, skip_bad: bool) -> Corpus:
    if path.is_file():
        if language is None:
            raise MixlingError(f'{path}: say its language (language = "en" in the source\'s table)')
        return squad.read_squad([(path, language, language)], name, skip_bad)
    if not path.is_dir():
        raise MixlingError(f"{path}: no such file or folder (source {name}); check `path`")
    return own.read_folder(path, Path(name).name, split, language, skip_bad)


def _only(corpus: Corpus, languages: list[str] | None, asked: list[str] | None) -> Corpus:
    there = corpus.languages()
    both = [None if x is None else [language_tag(one) for one in x] for x in (languages, asked)]
    for code in [*(both[0] or []), *(both[1] or [])]:
        if code not in there:
            raise MixlingError(
                f"source '{corpus.name}' has no language '{code}'; it has {', '.join(there)}"
            )
    return corpus.select(languages=both[0], query_languages=both[1])
