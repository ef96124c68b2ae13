"""Hybrid batches in someone else's trainer: a batch sampler for `SentenceTransformerTrainer`.

    corpus = mixling.load("mlqa")
    args = SentenceTransformerTrainingArguments(
        …, batch_sampler=partial(mixling.HybridBatchSampler, corpus=corpus, alpha=0.5))
    trainer = SentenceTransformerTrainer(model, args, train_dataset=mixling.pairs(corpus), loss=…)

The data set has a row for every question and passage of a group, in every pair of languages; the sampler says
which rows a batch takes. Two members of one translation group, or on one passage, never meet in a batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sentence_transformers.base.sampler import DefaultBatchSampler

from mixling.batches.schedule import Schedule
from mixling.batches.units import Rows, units
from mixling.corpora.corpus import Corpus
from mixling.corpora.windows import windows
from mixling.errors import MixlingError


def pairs(corpus: Corpus, width: int | None = 600) -> Any:
    """A `datasets.Dataset` with columns question and passage, one row a question and link of its group.

    width: characters of the window round the answer (None: whole passages).
    """
    from datasets import Dataset

    question, link = _rows(corpus)
    texts, passages = corpus.questions["text"].to_pylist(), corpus.passages["text"].to_pylist()
    if width is None:
        cut = [passages[p] for p in corpus.links["passage"].to_pylist()]
    else:
        cut = windows(corpus, width)
    return Dataset.from_dict({"question": [texts[i] for i in question], "passage": [cut[i] for i in link]})


def _rows(corpus: Corpus) -> tuple[np.ndarray, np.ndarray]:
    """Question and link of each row of `pairs`, int64 [n] both."""
    groups = np.array(corpus.questions["group"].to_pylist())
    names, of = np.unique(groups, return_inverse=True)
    order = np.argsort(of, kind="stable")
    edges = np.searchsorted(of[order], np.arange(len(names) + 1))
    place = {g: i for i, g in enumerate(names)}
    question, link = [], []
    for number, group in enumerate(corpus.links["group"].to_pylist()):
        i = place.get(group)
        if i is not None:
            mine = order[edges[i] : edges[i + 1]]
            question.append(mine)
            link.append(np.full(len(mine), number))
    return np.concatenate(question), np.concatenate(link)


class HybridBatchSampler(DefaultBatchSampler):
    """Batches of `pairs(corpus)` as a strategy has them (arXiv:2408.10536).

    dataset: what `pairs(corpus)` gave; seed: the trainer's, which sentence-transformers hands over from 6.2 on (before: give
    it here); strategy, alpha, language: as in a configuration's [batches]. An epoch is as
    many batches as it takes to see as many pairs as there are question groups. Raises MixlingError.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int,
        drop_last: bool = True,
        valid_label_columns: list[str] | None = None,
        generator: Any = None,
        seed: int = 0,
        *,
        corpus: Corpus,
        strategy: str = "hybrid",
        alpha: float = 0.5,
        language: str | None = None,
    ):
        super().__init__(
            dataset,
            batch_size=batch_size,
            drop_last=drop_last,
            valid_label_columns=valid_label_columns,
            generator=generator,
            seed=seed,
        )
        question, link = _rows(corpus)
        if len(dataset) != len(question):
            raise MixlingError(
                f"the data set has {len(dataset)} rows, and the pairs of '{corpus.name}' are {len(question)}: give the "
                "trainer mixling.pairs(corpus) as it is"
            )
        mine = units(corpus)
        self.schedule = Schedule([mine], strategy, alpha=alpha, size=batch_size, seed=seed, language=language)
        self.find = Rows(corpus, mine)
        self.links = corpus.links.num_rows
        key = question * self.links + link
        self.order = np.argsort(key, kind="stable")
        self.key = key[self.order]
        self.batches = max(1, len(mine.groups) // batch_size)
        self.epoch = 0

    def __iter__(self) -> Iterator[list[int]]:
        for step in range(self.epoch * self.batches, (self.epoch + 1) * self.batches):
            plan = self.schedule.plan(step)
            question, link = self.find.find(
                plan.groups, plan.question_languages, plan.passage_languages, plan.visits
            )
            yield self.order[np.searchsorted(self.key, question * self.links + link)].tolist()

    def __len__(self) -> int:
        return self.batches

    def set_epoch(self, epoch: int) -> None:
        """Batches go on from epoch to epoch; none is repeated."""
        self.epoch = epoch
