"""Training data without what it shares with tasks that the model will be measured on."""

from __future__ import annotations

from collections.abc import Sequence

from mixling.corpora.corpus import Corpus
from mixling.corpora.overlap import index_texts, without_overlap
from mixling.errors import MixlingError
from mixling.evaluation.benchmarks import load_task


def exclude_tasks(corpora: Sequence[Corpus], names: Sequence[str], skip_bad: bool) -> list[Corpus]:
    """Return corpora without the groups that meet a text of some tasks.

    Args:
        corpora: The corpora.
        names: The tasks, as `load_task` takes them.
        skip_bad: Skip rows of the tasks that cannot be used.

    Returns:
        What is left of each corpus; `left_out` has the counts.

    Raises:
        MixlingError: A task cannot be loaded, or nothing is left of a corpus.
    """
    if not names:
        return list(corpora)
    others = {}
    for name in names:
        task = load_task(name, skip_bad=skip_bad)
        others[name] = (task.queries, task.passages)
    index = index_texts(others)
    rest = [without_overlap(corpus, index) for corpus in corpora]
    for corpus in rest:
        if not corpus.queries.num_rows or not corpus.links.num_rows:
            raise MixlingError(
                f"source '{corpus.name}' has nothing left to train on: every group meets a task of "
                f"data.exclude ({', '.join(names)}). Remove the source, or train on another split."
            )
    return rest
