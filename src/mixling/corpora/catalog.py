"""The named sources, where they are looked for, and how they are read.

A source is looked for in the folder that is given, else in MIXLING_DATA, ./data and ../shared/data.
Otherwise it is fetched into the cache, if its publisher offers its files. To add a source, write
one file in `sources/` and its name here.
"""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path

from mixling.corpora import fetch, hub, sample, squad
from mixling.corpora.corpus import Corpus
from mixling.corpora.folder import read_folder
from mixling.corpora.judgments import find_split
from mixling.corpora.languages import language_tag
from mixling.corpora.published_files import hub_revisions
from mixling.corpora.source import Languages, Source
from mixling.corpora.sources.afriqa import AFRIQA, AFRIQA_HUMAN
from mixling.corpora.sources.belebele import BELEBELE
from mixling.corpora.sources.bitext import SIB, TICO
from mixling.corpora.sources.ciral import CIRAL
from mixling.corpora.sources.debian_faq import DEBIAN_FAQ
from mixling.corpora.sources.entity_questions import ENTITY_QUESTIONS
from mixling.corpora.sources.lareqa import MLQA_R, XQUAD_R
from mixling.corpora.sources.libreoffice_help import LIBREOFFICE_HELP, LIBREOFFICE_SECTIONS
from mixling.corpora.sources.mfaq import MFAQ
from mixling.corpora.sources.miracl import MIRACL
from mixling.corpora.sources.mlir import MLIR
from mixling.corpora.sources.mlqa import MLQA
from mixling.corpora.sources.mmarco import MMARCO
from mixling.corpora.sources.mrtydi import MR_TYDI
from mixling.corpora.sources.neuclir import NEUCLIR
from mixling.corpora.sources.pairs import PAIRS
from mixling.corpora.sources.quran import QURAN, QURAN_ROMANIZED
from mixling.corpora.sources.single import ARCD, JAQUAD
from mixling.corpora.sources.tydi import TYDI
from mixling.corpora.sources.udhr import UDHR
from mixling.errors import MixlingError, choose

logger = logging.getLogger(__name__)
TRAIN = "train"
SAMPLE = Source(
    "sample",
    "ships with Mixling: 44 passages, 8 languages, parallel",
    sample.LANGUAGES,
    ("train", "test", "all"),
    "CC0-1.0",
    "this project",
    "ships with Mixling",
    lambda folder, split, languages, skip_bad: sample.read_sample(split),
)
SOURCES: dict[str, Source] = {
    source.name: source
    for source in (
        SAMPLE,
        XQUAD_R,
        MLQA_R,
        MLQA,
        TYDI,
        AFRIQA,
        AFRIQA_HUMAN,
        TICO,
        SIB,
        UDHR,
        QURAN,
        QURAN_ROMANIZED,
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
        DEBIAN_FAQ,
        LIBREOFFICE_HELP,
        LIBREOFFICE_SECTIONS,
        JAQUAD,
        ARCD,
    )
}


def data_folders(data_folder: str | Path | None = None) -> list[Path]:
    """Return the folders in which named sources are looked for, in this order.

    Args:
        data_folder: A folder that comes first.
    """
    folders = [data_folder, os.environ.get("MIXLING_DATA"), "data", "../shared/data"]
    return [Path(folder) for folder in folders if folder]


def find_source(name: str, data_folder: str | Path | None = None) -> Path | None:
    """Return the folder of a named source on this machine.

    Args:
        name: The source.
        data_folder: A folder in which it is looked for first.

    Returns:
        The folder; None if it is not on this machine.
    """
    folder_name = SOURCES[name].folder_name
    if folder_name is None:
        return sample.FOLDER
    folders = (folder / folder_name for folder in data_folders(data_folder))
    return next((folder for folder in folders if folder.is_dir()), None)


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
    revision: str | None = None,
    skip_bad: bool = False,
    for_training: bool = False,
) -> Corpus:
    """Load a corpus: a named source, a folder or file of your own, or a data set of the hub.

    Args:
        name: A named source (`mixling data list`), or a folder. With `path` or `hub_name`, any
            name.
        split: The split; default: train, else a source's first or a folder's only one.
        path: The folder, or a SQuAD file. With `hub_name`, the file that `datasets` reads.
        languages: Keep only queries and passages in these languages.
        query_languages: Keep only queries in these languages.
        language: The language of rows that name none.
        hub_name: A data set of the Hugging Face hub, or "json", "csv" or "parquet" for `path`.
        columns: The data set's columns, see `mixling.corpora.hub`; for instance
            `{"query": "question", "passage": "answer", "language": "lang"}`.
        revision: The commit of the data set of the hub. Default: the newest one.
        skip_bad: Skip rows that cannot be used; `Corpus.skipped` lists them.
        for_training: Warn where the default is not train, because the source has no such split.

    Returns:
        The corpus.

    Raises:
        MixlingError: The source is unknown, not on this machine, or has no such split or language.
        BadRowError: A row cannot be used, and `skip_bad` is False.

    Example:
        >>> corpus = mixling.load("sample", "test", languages=["en", "sw"])
        >>> corpus.passages.num_rows, corpus.languages()
        (24, ['en', 'sw'])
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
            revision,
        )
    elif name in SOURCES and (path is None or not _is_mixling_folder(Path(path))):
        if for_training and split is None and TRAIN not in SOURCES[name].splits:
            logger.warning(
                "source '%s' has no split train, so its split %s is trained on. Do not measure a "
                "model on it that was trained on it.",
                name,
                SOURCES[name].splits[0],
            )
        corpus = _load_named(
            SOURCES[name],
            split or loaded_split(name),
            None if path is None else Path(path),
            None if languages is None else tuple(map(language_tag, languages)),
            skip_bad,
        )
    elif path is not None or Path(name).is_dir():
        corpus = _load_path(name, Path(path or name), split, language, skip_bad)
    else:
        choose(name, SOURCES, "source")
        raise AssertionError
    if languages is None and query_languages is None:
        return corpus
    return _select_languages(corpus, languages, query_languages)


def _is_mixling_folder(path: Path) -> bool:
    """Return whether a folder has the form that `write_folder` writes."""
    return any(path.glob("corpus.*")) and (path / "qrels").is_dir()


def loaded_split(name: str, path: str | Path | None = None) -> str:
    """Return the split that `load` reads where none is named.

    Args:
        name: A named source, a folder or a file.
        path: The folder or file of a named source.

    Returns:
        train, else a source's first or a folder's only one.
    """
    folder = Path(path or name)
    if name in SOURCES and (path is None or not _is_mixling_folder(folder)):
        splits = SOURCES[name].splits
        return TRAIN if TRAIN in splits else splits[0]
    return find_split(folder, None) if folder.is_dir() else TRAIN


def _load_named(
    source: Source, split: str, path: Path | None, languages: Languages, skip_bad: bool
) -> Corpus:
    """Load a named source from a folder, from this machine, or from its publisher."""
    split = choose(split, source.splits, f"split of {source.name}")
    folder = path if path is not None else find_source(source.name)
    if folder is not None:
        if not folder.is_dir():
            raise MixlingError(
                f"{folder}: the folder does not exist (source {source.name}). Check `path`."
            )
        if _is_mixling_folder(folder):
            return read_folder(folder, source.name, split, None, skip_bad)
        commits = hub_revisions(folder)
        origin = {f"hub files in {folder.name}": " ".join(commits)} if commits else {}
        return replace(source.read(folder, split, languages, skip_bad), origin=origin)
    if not source.is_fetched:
        raise MixlingError(
            f"source '{source.name}' is not on this machine: {fetch.by_hand(source)}."
        )
    folder, origin = fetch.fetch_source(source, split, languages)
    return replace(source.read(folder, split, languages, skip_bad), origin=origin)


def _load_path(
    name: str, path: Path, split: str | None, language: str | None, skip_bad: bool
) -> Corpus:
    """Load a folder of the user's own, or a SQuAD file."""
    if path.is_file():
        if language is None:
            raise MixlingError(
                f"{path}: the language of the file is not given. Write it into the source's "
                'table, for instance language = "en"'
            )
        return squad.read_squad([(path, language, language)], name, skip_bad)
    if not path.is_dir():
        raise MixlingError(
            f"{path}: the file or folder does not exist (source {name}). Check `path`."
        )
    return read_folder(path, Path(name).name, split, language, skip_bad)


def _select_languages(
    corpus: Corpus, languages: list[str] | None, query_languages: list[str] | None
) -> Corpus:
    """Return the part of a corpus in some languages; raise MixlingError if it lacks one of them."""
    known = corpus.languages()
    tags, query_tags = (
        None if names is None else [language_tag(name) for name in names]
        for names in (languages, query_languages)
    )
    for tag in [*(tags or []), *(query_tags or [])]:
        if tag not in known:
            raise MixlingError(
                f"source '{corpus.name}' has no language '{tag}'. Its languages are: "
                f"{', '.join(known)}"
            )
    return corpus.select(languages=tags, query_languages=query_tags)
