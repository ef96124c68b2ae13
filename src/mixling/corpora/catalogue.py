"""The named sources: what they are, where they are looked for, how they are read.

A name is looked for in the folder given, else in MIXLING_DATA, else in ../shared/data, else on the hub
where the publisher's set can be read as it is. Adding a set is one entry here, and a reader if its
format is new.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mixling.corpora import folder as own
from mixling.corpora import hub, mlqa, sample, squad
from mixling.corpora.corpus import Corpus
from mixling.corpora.languages import tag
from mixling.errors import MixlingError, choose


@dataclass(frozen=True)
class Source:
    """A named set. read(folder, split, skip_bad) -> Corpus; splits: the first is the default."""

    name: str
    about: str
    languages: tuple[str, ...]
    splits: tuple[str, ...]
    licence: str
    citation: str
    get: str
    read: Callable[[Path, str, bool], Corpus]
    where: str | None = None
    hub: str | None = None


def _lareqa(folder: Path, split: str, skip_bad: bool) -> Corpus:
    files = [(p, p.name.split(".")[0], p.name.split(".")[0]) for p in sorted(folder.glob("*.json*"))]
    return squad.read(files, folder.name, skip_bad)


def _mlqa(folder: Path, split: str, skip_bad: bool) -> Corpus:
    if split == "dev":
        return mlqa.read(folder / "dev", "mlqa", skip_bad)
    corpus = mlqa.read(folder / "test", "mlqa", skip_bad)
    if split == "test":
        return corpus
    groups = corpus.passages["group"].unique().to_pylist()
    wanted = [g for g in groups if held_out(g) == (split == "held-out")]
    return corpus.select(passage_groups=wanted)


def held_out(group: str) -> bool:
    """Whether a passage group of MLQA test is in the tenth that no training run sees: a hash decides."""
    return hashlib.sha256(group.encode()).digest()[0] % 10 == 0


def _files(pattern: str, language: str) -> Callable[[Path, str, bool], Corpus]:
    def read(folder: Path, split: str, skip_bad: bool) -> Corpus:
        files = [(p, language, language) for p in sorted(folder.glob(pattern.format(split=split)))]
        if not files:
            raise MixlingError(f"{folder}: no file like {pattern.format(split=split)}; fetch the set again")
        return squad.read(files, folder.name, skip_bad)

    return read


SOURCES = {
    s.name: s
    for s in (
        Source(
            "sample",
            "ships with Mixling: 44 passages, 8 languages, parallel",
            sample.LANGUAGES,
            ("train", "test", "all"),
            "CC0-1.0",
            "this project",
            "always there",
            lambda folder, split, skip_bad: sample.read(split),
        ),
        Source(
            "xquad-r",
            "questions and answer sentences, parallel (evaluation only)",
            ("ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh"),
            ("test",),
            "CC-BY-SA-4.0",
            "Roy et al. 2020, arXiv:2004.05484",
            "folder xquad-r of github.com/google-research-datasets/lareqa",
            _lareqa,
            "xquad-r",
        ),
        Source(
            "mlqa-r",
            "questions and answer sentences, partly parallel (evaluation only; it is MLQA dev)",
            ("ar", "de", "en", "es", "hi", "vi", "zh"),
            ("test",),
            "CC-BY-SA-3.0",
            "Roy et al. 2020, arXiv:2004.05484",
            "folder mlqa-r of github.com/google-research-datasets/lareqa (an early commit)",
            _lareqa,
            "mlqa-r",
        ),
        Source(
            "mlqa",
            "parallel questions and paragraphs; train = test less the tenth held out",
            ("ar", "de", "en", "es", "hi", "vi", "zh"),
            ("train", "held-out", "test", "dev"),
            "CC-BY-SA-3.0",
            "Lewis et al. 2020, arXiv:1910.07475",
            "github.com/facebookresearch/MLQA",
            _mlqa,
            "mlqa",
        ),
        Source(
            "jaquad",
            "Japanese questions and paragraphs",
            ("ja",),
            ("train", "dev"),
            "CC-BY-SA-3.0",
            "So et al. 2022, arXiv:2202.01764",
            "hub SkelterLabsInc/JaQuAD",
            _files("{split}/jaquad_{split}_*.json*", "ja"),
            "jaquad",
            "SkelterLabsInc/JaQuAD",
        ),
        Source(
            "arcd",
            "Arabic questions and paragraphs",
            ("ar",),
            ("train", "test"),
            "MIT",
            "Mozannar et al. 2019, arXiv:1906.05394",
            "hub hsseinmz/arcd",
            _files("arcd-{split}.json*", "ar"),
            "arcd",
            "hsseinmz/arcd",
        ),
    )
}


def roots(given: str | Path | None = None) -> list[Path]:
    """Folders in which named sets are looked for, in order."""
    folders = [given, os.environ.get("MIXLING_DATA"), "../shared/data"]
    return [Path(f) for f in folders if f]


def located(name: str, root: str | Path | None = None) -> Path | None:
    """Where a named set lies on this machine, or None."""
    source = SOURCES[name]
    if source.where is None:
        return sample.FOLDER
    return next((r / source.where for r in roots(root) if (r / source.where).is_dir()), None)


def load(
    name: str,
    split: str | None = None,
    *,
    path: str | Path | None = None,
    languages: list[str] | None = None,
    language: str | None = None,
    hub_name: str | None = None,
    columns: dict[str, str] | None = None,
    skip_bad: bool = False,
    root: str | Path | None = None,
) -> Corpus:
    """A corpus by name, from a folder, or from the hub.

    name: a named source, or (with `path` or a folder's path as the name) a folder of one's own, or (with
    `hub_name` and `columns`) a Hugging Face data set. Raises MixlingError saying what is missing.
    """
    if hub_name is not None:
        corpus = hub.read(
            hub_name,
            columns or {},
            name,
            split or "train",
            language,
            None if path is None else str(path),
            skip_bad,
        )
    elif name in SOURCES and (path is None or not _own(Path(path))):
        corpus = _named(SOURCES[name], split, path, skip_bad, root)
    elif path is not None or Path(name).is_dir():
        corpus = _path(name, Path(path or name), split, language, skip_bad)
    else:
        choose(name, SOURCES, "source")
        raise AssertionError
    return corpus if languages is None else _only(corpus, [tag(x) for x in languages])


def _own(path: Path) -> bool:
    return any(path.glob("corpus.*"))


def _named(source: Source, split: str | None, path: Any, skip_bad: bool, root: Any) -> Corpus:
    split = choose(split or source.splits[0], source.splits, f"split of {source.name}")
    folder = Path(path) if path is not None else located(source.name, root)
    if folder is not None:
        if not folder.is_dir():
            raise MixlingError(f"{folder}: no such folder (source {source.name}); check `path`")
        return source.read(folder, split, skip_bad)
    if source.hub is not None:
        return _from_hub(source, split, skip_bad)
    raise MixlingError(
        f"source '{source.name}' was not found in {', '.join(map(str, roots(root)))}. Fetch {source.get} "
        f"and put it into a folder '{source.where}', then set MIXLING_DATA to the folder above it"
    )


def _from_hub(source: Source, split: str, skip_bad: bool) -> Corpus:
    """A SQuAD-like set of one language on the hub: columns id, question, context."""
    assert source.hub is not None
    rows = {"id": "id", "question": "question", "passage": "context", "question_group": "id"}
    names = {"dev": "validation"}
    return hub.read(
        source.hub, rows, source.name, names.get(split, split), source.languages[0], skip_bad=skip_bad
    )


def _path(name: str, path: Path, split: str | None, language: str | None, skip_bad: bool) -> Corpus:
    if path.is_file():
        if language is None:
            raise MixlingError(f'{path}: say its language (language = "en" in the source\'s table)')
        return squad.read([(path, language, language)], name, skip_bad)
    if not path.is_dir():
        raise MixlingError(f"{path}: no such file or folder (source {name}); check `path`")
    return own.read(path, Path(name).name, split, language, skip_bad)


def _only(corpus: Corpus, languages: list[str]) -> Corpus:
    there = corpus.languages()
    for code in languages:
        if code not in there:
            raise MixlingError(f"source '{corpus.name}' has no language '{code}'; it has {', '.join(there)}")
    return corpus.select(languages=languages)
