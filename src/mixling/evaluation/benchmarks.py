"""The tasks that have names, and any that a folder, mteb or ir_datasets describes.

Every named source is a task (`tydi`, or with a split `tydi:train`); a few more are made of them here. Tuning
is for DEVELOPMENT; all others are looked at once the settings are fixed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mixling.corpora import folder as own
from mixling.corpora import trec
from mixling.corpora.catalog import SOURCES, load
from mixling.corpora.judgments import folder_splits
from mixling.corpora.source import Source
from mixling.corpora.sources import mlir
from mixling.errors import MixlingError, choose
from mixling.evaluation import external_tasks
from mixling.evaluation.result import file_name
from mixling.evaluation.tasks import Task, task_from_corpus

EIGHT = ["ar", "de", "en", "es", "hi", "ru", "vi", "zh"]


def _of(source: str, split: str, unit: str, name: str) -> Callable[[bool, bool], Task]:
    return lambda context, skip_bad: task_from_corpus(
        load(source, split, skip_bad=skip_bad), unit, context, name
    )


def _paragraphs(context: bool, skip_bad: bool) -> Task:
    """MIMO's and SHIFT's benchmark: XQuAD-R's paragraphs in eight languages, questions in all of them."""
    corpus = load("xquad-r", languages=EIGHT, skip_bad=skip_bad)
    return task_from_corpus(corpus, "passage", name="xquad-paragraphs")


DERIVED: dict[str, Callable[[bool, bool], Task]] = {
    "mlqa-held-out": _of("mlqa", "held-out", "passage", "mlqa-held-out"),
    "arcd-sentences": _of("arcd", "train", "sentence", "arcd-sentences"),
    "jaquad-sentences": _of("jaquad", "dev", "sentence", "jaquad-sentences"),
    "xquad-paragraphs": _paragraphs,
    "xquad-paragraphs-en": lambda *how: _paragraphs(*how).with_query_languages(
        ["en"], "xquad-paragraphs-en"
    ),
}
DEVELOPMENT = ("mlqa-held-out", "arcd-sentences", "jaquad-sentences", "sib-200:dev")
TASKS = (*SOURCES, *DERIVED)


def default_split(source: Source) -> str:
    """The split that a source is measured on."""
    return next(
        (s for s in ("test", "dev", "validation", "held-out") if s in source.splits),
        source.splits[0],
    )


def load_task(
    name: str | Task, context: bool = False, language: str | None = None, skip_bad: bool = False
) -> Task:
    """A task by name, or of a folder of one's own (`mixling data --help` has its form), `FOLDER:SPLIT` for a split of it; else
    its split test, dev or validation, or the only one.

    A named source may be taken in some languages alone: `sib-200:test@en,sw,am`. Also `mteb:NAME` and `ir_datasets:ID`.
    language: of a folder's rows that do not say theirs. skip_bad: leave out rows that cannot be used; `bad_rows` of the task
    names them.
    """
    if isinstance(name, Task):
        return name
    if name in DERIVED:
        return DERIVED[name](context, skip_bad)
    kind, _, rest = name.partition(":")
    if kind == "mteb" and rest:
        return external_tasks.mteb_task(rest)
    if kind == "ir_datasets" and rest:
        return external_tasks.ir_datasets_task(rest, language)
    if kind.partition("@")[0] in SOURCES:
        plain, _, only = name.partition("@")
        kind, _, rest = plain.partition(":")
        source = SOURCES[kind]
        split = rest or default_split(source)
        return task_from_corpus(
            load(kind, split, languages=only.split(",") if only else None, skip_bad=skip_bad),
            source.unit,
            context,
            name,
            parallel=source.parallel,
            pivot=source.pivot,
        )
    if Path(name).is_dir():
        return _folder(Path(name), None, language, skip_bad)
    folder, _, split = name.rpartition(":")
    if folder and split and Path(folder).is_dir():
        return _folder(Path(folder), split, language, skip_bad)
    choose(name, TASKS, "task (and no such folder)")
    raise AssertionError


def _folder(folder: Path, split: str | None, language: str | None, skip_bad: bool) -> Task:
    """A BEIR folder with languages, one of MIMO's benchmarks, or topics, qrels and corpus as TREC has them."""
    name = folder.resolve().name
    if (folder / "qrels").is_dir():
        chosen = split or _measured(folder)
        corpus = own.read_folder(folder, None, chosen, language, skip_bad)
        # what is measured is said where it is not what everybody expects
        if split is not None or (chosen != "test" and len(folder_splits(folder)) > 1):
            name = f"{name}:{chosen}"
    elif split is not None:
        raise MixlingError(f"{folder}: has no qrels/ and so no split '{split}'")
    elif (folder / "qrels.jsonl").exists():
        corpus = mlir.read_mlir(folder, skip_bad=skip_bad)
    elif any(folder.glob("topics.t*")):
        corpus = trec.read_trec(folder, language, skip_bad=skip_bad)
    else:
        raise MixlingError(
            f"{folder}: no task: needs corpus.jsonl, queries.jsonl and qrels/test.tsv (or topics.tsv, qrels.txt and "
            "corpus.jsonl); `mixling data --help` has the form"
        )
    return task_from_corpus(corpus, name=name)


def _measured(folder: Path) -> str | None:
    """The split of a folder that is measured where none is named: never train where there is another. Raises MixlingError."""
    there = list(folder_splits(folder))
    for usual in ("test", "dev", "validation"):
        if usual in there:
            return usual
    if len(there) > 1:
        raise MixlingError(
            f"{folder}: has the splits {', '.join(there)} and none of test, dev, validation; name one: {folder}:{there[0]}"
        )
    return there[0] if there else None


def tasks(given: Sequence[str | Task], *how: Any, **more: Any) -> list[Task]:
    """Several tasks, each under a name of its own; arguments as of `task`.

    Folders with one last name are called by the shortest ends of their paths that tell them apart (`de-shop/test`,
    `fr-shop/test`), other tasks of one name by a number; what is given twice is one task.
    """
    found: list[Task] = []
    places: list[Path | None] = []
    for written in given:
        one, place = load_task(written, *how, **more), _place(written)
        same = [x for x in found if x.name == one.name and x.fingerprint() == one.fingerprint()]
        if any(place is None or places[found.index(x)] in (None, place) for x in same):
            continue
        found.append(one)
        places.append(place)
    names = [_name(i, found, places) for i in range(len(found))]
    made: list[str] = []
    for name in names:
        new, number = name, 2
        while _file(new) in map(_file, made):  # names are those of files too
            new, number = f"{name} ({number})", number + 1
        made.append(new)
    return [x if x.name == n else replace(x, name=n) for x, n in zip(found, made, strict=True)]


def _name(i: int, found: Sequence[Task], places: Sequence[Path | None]) -> str:
    """A task's name among others: a folder's has so much of its path as tells it apart."""
    name, place = found[i].name, places[i]
    alike = [j for j, x in enumerate(found) if j != i and _file(x.name) == _file(name)]
    if place is None or not alike:
        return name
    others = [p for j in alike if (p := places[j]) is not None]
    depth = next(
        (
            n
            for n in range(2, len(place.parts))
            if all(_end(p, n) != _end(place, n) for p in others)
        ),
        1,
    )
    return _end(place, depth) + name.removeprefix(place.name)


def _file(name: str) -> str:
    return file_name(name).casefold()


def _end(place: Path, depth: int) -> str:
    return "/".join(place.parts[-depth:])


def _place(written: str | Task) -> Path | None:
    """The folder that a task's name means, if it means one."""
    if (
        not isinstance(written, str)
        or written in DERIVED
        or written.partition(":")[0].partition("@")[0] in SOURCES
    ):
        return None
    return next(
        (
            p.resolve()
            for p in (Path(written), Path(written.rpartition(":")[0] or "?"))
            if p.is_dir()
        ),
        None,
    )
