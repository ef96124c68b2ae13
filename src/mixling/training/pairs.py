"""A planned batch as texts: question, passage (a window round the answer), and the groups that mask negatives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from mixling.batches.permutation import mix
from mixling.batches.schedule import BatchPlan, Schedule
from mixling.batches.units import Rows, units
from mixling.corpora.catalogue import load
from mixling.corpora.corpus import Corpus
from mixling.corpora.windows import window
from mixling.training.config import Config


@dataclass(frozen=True)
class Batch:
    """questions, passages: texts [n]; group, block: int64 [n], pairs that share either are no negatives.

    translations: the same questions in another language, those that there are, of pairs `translated`, int64 [k].
    pivots: (question, passage) of pairs `pivoted`, int64 [l], in the language that a teacher reads.
    """

    questions: list[str]
    passages: list[str]
    group: np.ndarray
    block: np.ndarray
    translations: Sequence[str] = ()
    translated: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    pivots: Sequence[tuple[str, str]] = ()
    pivoted: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))


class Pairs:
    """Turns plans of a schedule into texts."""

    def __init__(self, corpora: Sequence[Corpus], schedule: Schedule, window: int | None):
        self.schedule, self.window = schedule, window
        self.rows = [Rows(c, u) for c, u in zip(corpora, schedule.sources, strict=True)]
        self.question_text = [c.questions["text"] for c in corpora]
        self.passage_text = [c.passages["text"] for c in corpora]
        self.link_passage = [c.links["passage"].to_numpy() for c in corpora]
        self.link_span = [
            np.stack([c.links[k].fill_null(-1).to_numpy() for k in ("start", "end")], 1) for c in corpora
        ]

    def batch(self, plan: BatchPlan, translations: bool = False, pivot: str | None = None) -> Batch:
        """The texts of a plan; with the questions' translations, and with both texts in a pivot language, if asked."""
        source = self.schedule.sources[plan.source]
        asked, answered = self._texts(
            plan.source, plan.groups, plan.question_languages, plan.passage_languages, plan.visits
        )
        batch = Batch(asked, answered, plan.groups, source.block[plan.groups])
        if translations:
            other, language = self._others(plan)
            rows = self.rows[plan.source].questions(plan.groups[other], language, plan.visits[other])
            texts = [self.question_text[plan.source][int(i)].as_py() for i in rows]
            batch = replace(batch, translations=texts, translated=other)
        if pivot is not None and pivot in source.languages:
            code = source.languages.index(pivot)
            have = np.flatnonzero((source.questions & source.passages)[plan.groups, code])
            all_pivot = np.full(len(have), code)
            both = self._texts(plan.source, plan.groups[have], all_pivot, all_pivot, plan.visits[have])
            batch = replace(batch, pivots=list(zip(*both, strict=True)), pivoted=have)
        return batch

    def _others(self, plan: BatchPlan) -> tuple[np.ndarray, np.ndarray]:
        """Pairs whose question there is in another language, and which: by hash of group, language and visit."""
        have = self.schedule.sources[plan.source].questions[plan.groups].copy()
        have[np.arange(len(have)), plan.question_languages] = False
        rows = np.flatnonzero(have.any(1))
        key = mix(self.schedule.seed, plan.groups[rows], plan.question_languages[rows], plan.visits[rows])
        nth = (key % have[rows].sum(1).astype(np.uint64)).astype(np.int64)
        return rows, (have[rows].cumsum(1) > nth[:, None]).argmax(1)

    def _texts(
        self,
        s: int,
        groups: np.ndarray,
        question_language: np.ndarray,
        passage_language: np.ndarray,
        visits: np.ndarray,
    ) -> tuple[list[str], list[str]]:
        """Questions and passages of groups of a source, in these languages."""
        question, link = self.rows[s].find(groups, question_language, passage_language, visits)
        passages = []
        for i in link:
            span = self.link_span[s][i]
            text = self.passage_text[s][int(self.link_passage[s][i])].as_py()
            passages.append(
                text if self.window is None else window(text, int(span[0]), int(span[1]), self.window)
            )
        return [self.question_text[s][int(i)].as_py() for i in question], passages


def prepare(config: Config) -> tuple[list[Corpus], Schedule, Pairs]:
    """Corpora, schedule and texts of a configuration."""
    corpora = [
        load(
            s.name,
            s.split,
            path=s.path,
            languages=s.languages,
            language=s.language,
            hub_name=s.hub,
            columns=s.columns,
            skip_bad=config.data.skip_bad,
        )
        for s in config.data.sources
    ]
    b = config.batches
    schedule = Schedule(
        [units(c) for c in corpora],
        b.strategy,
        alpha=b.alpha,
        size=b.size,
        seed=b.seed,
        language=b.language,
        languages=b.languages,
        corpora=b.corpora,
        tosses=b.tosses,
        weights=[s.weight for s in config.data.sources],
    )
    return (
        corpora,
        schedule,
        Pairs(corpora, schedule, config.data.window if config.data.passage == "window" else None),
    )
