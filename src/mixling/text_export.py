"""The command `texts`: write the texts of a task or of a source to fit on, with their ids."""

from __future__ import annotations

from pathlib import Path

from mixling.debiasing.debias import read_source
from mixling.evaluation.benchmarks import load_task
from mixling.evaluation.task_texts import corpus_texts, task_texts, write_texts
from mixling.evaluation.tasks import Task


def texts(
    task: str | Task,
    out: str | Path,
    *,
    fit: bool = False,
    context: bool = False,
    language: str | None = None,
    skip_bad: bool = False,
) -> dict[str, int]:
    """Write the texts of a task with their ids, to encode or index them elsewhere.

    Each line is a JSON object with `id`, `role` ("query" or "passage"), `language`, `title` and
    `text`. `evaluate` understands these ids in vectors, runs and the answers of a search system.

    Args:
        task: Name of a task, a folder, or a Task; with `fit` a source as `debias` reads it.
        out: The file to write.
        fit: Write a source to fit a transform on, with the translation group of each text
            (`group`).
        context: Passages are sentences followed by their paragraph.
        language: Language of a folder's rows without a `language` field.
        skip_bad: Skip rows that cannot be used.

    Returns:
        The number of texts of each role.

    Raises:
        MixlingError: The task or source cannot be loaded, or the file cannot be written.

    Example:
        >>> import mixling
        >>> mixling.texts("sample", "texts.jsonl")
        {'query': 192, 'passage': 96}
    """
    if fit:
        rows = corpus_texts(read_source(str(task), None)[0])
    else:
        rows = task_texts(load_task(task, context, language, skip_bad))
    return write_texts(rows, Path(out))
