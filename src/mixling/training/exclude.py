"""What training data share with tasks that the model is measured on, and the data without it."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence

from mixling.corpora.corpus import Corpus
from mixling.corpora.overlap import index_texts, without_overlap
from mixling.errors import MixlingError
from mixling.evaluation.benchmarks import DEVELOPMENT, is_test_set, load_task

logger = logging.getLogger(__name__)


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


def check_validation(
    corpora: Sequence[Corpus], name: str, skip_bad: bool
) -> dict[str, dict[str, int]]:
    """Say whether the task that chooses the best step can be trusted to.

    A warning says so if it is a test set, whose scores are no longer those of a test, or if
    training data meet its texts.

    Args:
        corpora: The training data.
        name: The task of validation, as `load_task` takes it.
        skip_bad: Skip rows of the task that cannot be used.

    Returns:
        By the name of a corpus, how many of its queries and passages meet the task.
    """
    if is_test_set(name):
        logger.warning(
            "training.validation.task is '%s', a test set. The best step is chosen on it, so the "
            "model's scores on it say nothing of other texts. Development tasks: %s.",
            name,
            ", ".join(DEVELOPMENT),
        )
    task = load_task(name, skip_bad=skip_bad)
    index = index_texts({task.name: (task.queries, task.passages)})
    found = {}
    for corpus in corpora:
        # only what this comparison finds: `left_out` has the counts of data.exclude too
        counts = Counter(without_overlap(corpus, index).left_out) - Counter(corpus.left_out)
        if counts:
            found[corpus.name] = dict(counts)
            logger.warning(
                "source '%s' and training.validation.task '%s' share texts: %s. The best step is "
                "chosen on texts that are trained on. Add '%s' to data.exclude.",
                corpus.name,
                name,
                ", ".join(f"{n} {what}" for what, n in counts.items()),
                name,
            )
    return found
