"""Pools of passages whose languages are as unequal as a rule says, for `studies.same_language`.

A pool is a task with some of the passages of another. The rules:

balanced        Every passage.
mostly English  All English passages, and as many in the other languages, the same number of each,
                as make English 90 % of the pool.
one missing     No passage in one language, whose queries are still asked.
a help desk     Half of the pool is English, though a tenth of the English passages is left out, as
                if nobody had written them. The other half is split over the other languages as
                `HELP_DESK` says. Each language draws its passages by itself, so a query has its
                answers in several languages, in English alone, or in another one alone.

What is drawn, is drawn by a seed and depends on the number of passages of each language alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from mixling.corpora.languages import language_tag
from mixling.evaluation.tasks import Task

ENGLISH = "en"
ENGLISH_SHARE = 0.9  # of the pool that is mostly English
WRITTEN = 0.9  # share of the English passages that a help desk has
# the other half of a help desk's pool, by language
HELP_DESK = {
    "de": 0.30, "fr": 0.22, "es": 0.16, "ru": 0.12, "ja": 0.08, "zh": 0.07, "tr": 0.05,
}  # fmt: skip


def counts_of(task: Task) -> dict[str, int]:
    """Return the number of passages of each language, in the order of the task's languages."""
    found = np.bincount(task.passage_language, minlength=len(task.languages))
    return {x: int(n) for x, n in zip(task.languages, found, strict=True) if n}


def mostly_english(counts: Mapping[str, int], share: float = ENGLISH_SHARE) -> dict[str, int]:
    """Return how many passages of each language are in a pool that is mostly English."""
    others = [x for x in counts if x != ENGLISH]
    each = round(counts[ENGLISH] * (1 - share) / share / len(others))
    return {x: counts[x] if x == ENGLISH else min(each, counts[x]) for x in counts}


def help_desk(
    counts: Mapping[str, int],
    shares: Mapping[str, float] = HELP_DESK,
    written: float = WRITTEN,
) -> dict[str, int]:
    """Return how many passages of each language are in the pool of a help desk."""
    english = round(counts[ENGLISH] * written)
    kept = {x: share for x, share in shares.items() if x in counts}
    total = sum(kept.values())
    return {
        ENGLISH: english,
        **{x: min(round(english * share / total), counts[x]) for x, share in kept.items()},
    }


def draw(task: Task, counts: Mapping[str, int], seed: int = 0) -> np.ndarray:
    """Draw so many passages of each language: int64 `[n]`, their rows, ascending.

    A language that `counts` lacks has none.
    """
    rng, rows = np.random.default_rng(seed), []
    for code, language in enumerate(task.languages):
        of_language = rng.permutation(np.flatnonzero(task.passage_language == code))
        rows.append(of_language[: counts.get(language, 0)])
    return np.sort(np.concatenate(rows))


def restrict(task: Task, passages: np.ndarray, name: str) -> Task:
    """Return a task with some of its passages, without the queries that lose all their answers.

    Args:
        task: The task.
        passages: int64 `[n]`, rows of the passages, ascending.
        name: Name of the new task.
    """
    place = np.full(len(task.passages), -1)
    place[passages] = np.arange(len(passages))
    kept = place[task.relevant[:, 1]] >= 0
    pool = replace(
        task,
        passages=[task.passages[i] for i in passages],
        passage_ids=[task.passage_ids[i] for i in passages],
        passage_language=task.passage_language[passages],
        titles=[task.titles[i] for i in passages],
        relevant=np.stack([task.relevant[kept, 0], place[task.relevant[kept, 1]]], 1),
        grades=task.grades[kept],
        excluded=None
        if task.excluded is None
        else np.where(task.excluded >= 0, place[task.excluded], -1),
    )
    answered = np.unique(pool.relevant[:, 0])
    lost = len(task.queries) - len(answered)
    skipped = {**task.skipped, "queries without an answer in the pool": lost}
    return replace(
        pool.with_queries(answered, name), skipped={k: n for k, n in skipped.items() if n}
    )


def in_languages(task: Task, languages: Sequence[str]) -> Task:
    """Return a task with the queries and passages in some languages."""
    known = np.array([language_tag(x) in languages for x in task.languages])
    if known.all():
        return task
    part = restrict(task, np.flatnonzero(known[task.passage_language]), task.name)
    return part.with_queries(np.flatnonzero(known[part.query_language]), task.name)


def without(task: Task, language: str) -> np.ndarray:
    """Return the rows of the passages that are not in a language."""
    return np.flatnonzero(task.passage_language != task.languages.index(language))
