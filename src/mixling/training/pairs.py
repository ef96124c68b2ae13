"""A planned batch as texts: question, passage (a window round the answer), and the groups that mask negatives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mixling.batches.schedule import BatchPlan, Schedule
from mixling.batches.units import Rows, units
from mixling.corpora.catalogue import load
from mixling.corpora.corpus import Corpus
from mixling.corpora.windows import window
from mixling.training.config import Config


@dataclass(frozen=True)
class Batch:
    """questions, passages: texts [n]; group, block: int64 [n], pairs that share either are no negatives."""

    questions: list[str]
    passages: list[str]
    group: np.ndarray
    block: np.ndarray


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

    def batch(self, plan: BatchPlan) -> Batch:
        """The texts of a plan."""
        s = plan.source
        question, link = self.rows[s].find(
            plan.groups, plan.question_languages, plan.passage_languages, plan.visits
        )
        passages = []
        for i in link:
            span = self.link_span[s][i]
            text = self.passage_text[s][int(self.link_passage[s][i])].as_py()
            passages.append(
                text if self.window is None else window(text, int(span[0]), int(span[1]), self.window)
            )
        return Batch(
            [self.question_text[s][int(i)].as_py() for i in question],
            passages,
            plan.groups,
            self.schedule.sources[s].block[plan.groups],
        )


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
