"""Tasks by name: named sources, a few tasks derived from them, and folders, mteb and ir_datasets.

Every named source is a task (`tydi`, or `tydi:train` for a split). Settings are tuned on
DEVELOPMENT; all other tasks are measured once the settings are fixed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from mixling.corpora import folder as folder_format
from mixling.corpora import trec
from mixling.corpora.catalog import SOURCES, load
from mixling.corpora.judgments import folder_splits
from mixling.corpora.source import Source
from mixling.corpora.sources import mlir
from mixling.errors import MixlingError, choose
from mixling.evaluation.ir_datasets_tasks import ir_datasets_task
from mixling.evaluation.mteb_tasks import mteb_task
from mixling.evaluation.result import file_name
from mixling.evaluation.tasks import Task, Unit, task_from_corpus

XQUAD_PARAGRAPH_LANGUAGES = ["ar", "de", "en", "es", "hi", "ru", "vi", "zh"]


def _derived(source: str, split: str, unit: Unit, name: str) -> Callable[[bool, bool], Task]:
    """Make the loader of a task that reads a source in another way than the source's own."""
    return lambda context, skip_bad: task_from_corpus(
        load(source, split, skip_bad=skip_bad), unit, context, name
    )


def _xquad_paragraphs(context: bool, skip_bad: bool) -> Task:
    """Load the benchmark of MIMO and SHIFT: XQuAD-R's paragraphs and queries in eight languages."""
    corpus = load("xquad-r", languages=XQUAD_PARAGRAPH_LANGUAGES, skip_bad=skip_bad)
    return task_from_corpus(corpus, "passage", name="xquad-paragraphs")


def _xquad_paragraphs_english(context: bool, skip_bad: bool) -> Task:
    """Load the same benchmark with its English queries alone."""
    task = _xquad_paragraphs(context, skip_bad)
    return task.with_query_languages(["en"], "xquad-paragraphs-en")


DERIVED: dict[str, Callable[[bool, bool], Task]] = {
    "mlqa-held-out": _derived("mlqa", "held-out", "passage", "mlqa-held-out"),
    "arcd-sentences": _derived("arcd", "train", "sentence", "arcd-sentences"),
    "jaquad-sentences": _derived("jaquad", "dev", "sentence", "jaquad-sentences"),
    "xquad-paragraphs": _xquad_paragraphs,
    "xquad-paragraphs-en": _xquad_paragraphs_english,
}
DEVELOPMENT = (
    "mlqa-held-out",
    "arcd-sentences",
    "jaquad-sentences",
    "sib-200:dev",
    "afriqa:dev",
    "tydi:held-out",
    "libreoffice-help:dev",
    "libreoffice-sections:dev",
    "quran:dev",
)
TASKS = (*SOURCES, *DERIVED)


def is_test_set(name: str) -> bool:
    """Return whether a task is a published one on which no options should be chosen."""
    is_toy = name.partition(":")[0] == "sample"
    is_published = name.partition("@")[0].partition(":")[0] in TASKS
    return is_published and not is_toy and name.partition("@")[0] not in DEVELOPMENT


def default_split(source: Source) -> str:
    """Choose the split on which a source is measured.

    Args:
        source: The source.

    Returns:
        Its split test, dev, validation or held-out, otherwise its first.
    """
    usual = ("test", "dev", "validation", "held-out")
    return next((s for s in usual if s in source.splits), source.splits[0])


def load_task(
    name: str | Task, context: bool = False, language: str | None = None, skip_bad: bool = False
) -> Task:
    """Load a task.

    Args:
        name: A named source (`sib-200`), with a split (`sib-200:dev`) and languages
            (`sib-200:test@en,sw,am`) on request; a folder, or `FOLDER:SPLIT` (`mixling data --help`
            describes its form); `mteb:NAME`, with a split and languages on request as well;
            `ir_datasets:ID`; or a Task, which is returned as it is. Without a split it is test, dev
            or validation, or the only one.
        context: Append its paragraph to each sentence.
        language: Language of what does not say its own: a folder's rows without a `language` field,
            the texts of ir_datasets.
        skip_bad: Skip rows that cannot be used; the task's `bad_rows` names them.

    Returns:
        The task.

    Raises:
        MixlingError: There is no such task, or its data cannot be used.

    Example:
        >>> from mixling.evaluation.benchmarks import load_task
        >>> task = load_task("sample")
    """
    if isinstance(name, Task):
        return name
    if name in DERIVED:
        return DERIVED[name](context, skip_bad)
    prefix, _, rest = name.partition(":")
    if prefix == "mteb" and rest:
        return mteb_task(rest)
    if prefix == "ir_datasets" and rest:
        return ir_datasets_task(rest, language)
    if prefix.partition("@")[0] in SOURCES:
        return _source_task(name, context, skip_bad)
    if Path(name).is_dir():
        return _folder_task(Path(name), None, language, skip_bad)
    folder, _, split = name.rpartition(":")
    if folder and split and Path(folder).is_dir():
        return _folder_task(Path(folder), split, language, skip_bad)
    choose(name, TASKS, "task or folder")
    raise AssertionError


def _source_task(name: str, context: bool, skip_bad: bool) -> Task:
    """Load the task of a named source: `NAME[:SPLIT][@LANGUAGES]`."""
    source_and_split, _, languages = name.partition("@")
    source_name, _, split = source_and_split.partition(":")
    source = SOURCES[source_name]
    corpus = load(
        source_name,
        split or default_split(source),
        languages=languages.split(",") if languages else None,
        skip_bad=skip_bad,
    )
    return task_from_corpus(
        corpus, source.unit, context, name, parallel=source.parallel, pivot=source.pivot
    )


def _folder_task(folder: Path, split: str | None, language: str | None, skip_bad: bool) -> Task:
    """Load a BEIR folder with languages, a MIMO benchmark, or TREC's topics, qrels and corpus."""
    name = folder.resolve().name
    if (folder / "qrels").is_dir():
        chosen = split or _default_folder_split(folder)
        corpus = folder_format.read_folder(folder, None, chosen, language, skip_bad)
        # the name has the split where it is not the one that everybody expects
        if split is not None or (chosen != "test" and len(folder_splits(folder)) > 1):
            name = f"{name}:{chosen}"
    elif split is not None:
        raise MixlingError(
            f"{folder}: the folder has no qrels/, and so no split '{split}'. Leave the split out."
        )
    elif (folder / "qrels.jsonl").exists():
        corpus = mlir.read_mlir(folder, skip_bad=skip_bad)
    elif any(folder.glob("topics.t*")):
        corpus = trec.read_trec(folder, language, skip_bad=skip_bad)
    else:
        raise MixlingError(
            f"{folder}: the folder is not a task. Expected corpus.jsonl, queries.jsonl and "
            "qrels/test.tsv (or topics.tsv, qrels.txt and corpus.jsonl). `mixling data --help` "
            "describes the form."
        )
    return task_from_corpus(corpus, name=name)


def _default_folder_split(folder: Path) -> str | None:
    """Choose the split of a folder: test, dev or validation, or the only one."""
    splits = list(folder_splits(folder))
    for usual in ("test", "dev", "validation"):
        if usual in splits:
            return usual
    if len(splits) > 1:
        raise MixlingError(
            f"{folder}: the data has the splits {', '.join(splits)}, and none of test, dev, "
            f"validation. Name one, for instance {folder}:{splits[0]}"
        )
    return splits[0] if splits else None


def load_tasks(
    names: Sequence[str | Task],
    context: bool = False,
    language: str | None = None,
    skip_bad: bool = False,
) -> list[Task]:
    """Load several tasks, each with a name of its own.

    Folders with the same last name are called by the shortest ends of their paths that differ
    (`de-shop/test`, `fr-shop/test`), other tasks with the same name by a number. A task that is
    named twice is loaded once.

    Args:
        names: As in `load_task`.
        context: As in `load_task`.
        language: As in `load_task`.
        skip_bad: As in `load_task`.

    Returns:
        The tasks, without repetitions.

    Raises:
        MixlingError: As in `load_task`.
    """
    tasks: list[Task] = []
    folders: list[Path | None] = []
    for name in names:
        task, folder = load_task(name, context, language, skip_bad), _named_folder(name)
        repeated = any(
            other.name == task.name
            and (folder is None or other_folder in (None, folder))
            and other.fingerprint() == task.fingerprint()
            for other, other_folder in zip(tasks, folders, strict=True)
        )
        if not repeated:
            tasks.append(task)
            folders.append(folder)
    unique: list[str] = []
    for i in range(len(tasks)):
        base = _name_among(i, tasks, folders)
        name, number = base, 2
        while _folded_file(name) in map(_folded_file, unique):  # names are those of files too
            name, number = f"{base} ({number})", number + 1
        unique.append(name)
    return [t if t.name == n else replace(t, name=n) for t, n in zip(tasks, unique, strict=True)]


def _name_among(i: int, tasks: Sequence[Task], folders: Sequence[Path | None]) -> str:
    """Name a task among others: a folder's name has as much of its path as makes it differ."""
    name, folder = tasks[i].name, folders[i]
    same_name = [
        j for j, t in enumerate(tasks) if j != i and _folded_file(t.name) == _folded_file(name)
    ]
    if folder is None or not same_name:
        return name
    others = [other for j in same_name if (other := folders[j]) is not None]
    depth = next(
        (
            n
            for n in range(2, len(folder.parts))
            if all(_path_end(other, n) != _path_end(folder, n) for other in others)
        ),
        1,
    )
    return _path_end(folder, depth) + name.removeprefix(folder.name)


def _folded_file(name: str) -> str:
    """Return a task's file name as file systems that ignore case compare it."""
    return file_name(name).casefold()


def _path_end(folder: Path, depth: int) -> str:
    """Return the last `depth` parts of a path."""
    return "/".join(folder.parts[-depth:])


def _named_folder(name: str | Task) -> Path | None:
    """Return the folder that a task's name means, if it means one."""
    if (
        not isinstance(name, str)
        or name in DERIVED
        or name.partition(":")[0].partition("@")[0] in SOURCES
    ):
        return None
    paths = (Path(name), Path(name.rpartition(":")[0] or "?"))
    return next((p.resolve() for p in paths if p.is_dir()), None)
