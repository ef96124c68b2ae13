"""Hybrid batches in someone else's trainer: a batch sampler for `SentenceTransformerTrainer`.

    corpus = mixling.load("mlqa")
    args = SentenceTransformerTrainingArguments(
        …, batch_sampler=partial(mixling.HybridBatchSampler, corpus=corpus, alpha=0.5))
    trainer = SentenceTransformerTrainer(model, args, train_dataset=mixling.training_pairs(corpus), loss=…)

The data set has a row for every question and passage of a group, in every pair of languages; the sampler says
which rows a batch takes. Two members of one translation group, or on one passage, never meet in a batch. The trainer asks the
sampler for the batches of its `eval_dataset` as well: with `corpus=[corpus, held_out]` those are planned too.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
from accelerate.data_loader import BatchSamplerShard, SkipBatchSampler
from sentence_transformers.base.sampler import DefaultBatchSampler

from mixling.batches.schedule import Schedule
from mixling.batches.translation_groups import PairRows, translation_groups
from mixling.corpora.corpus import Corpus
from mixling.corpora.windows import link_windows
from mixling.errors import MixlingError


def _pass_on(wrapper: Any, epoch: int) -> None:
    if hasattr(wrapper.batch_sampler, "set_epoch"):
        wrapper.batch_sampler.set_epoch(epoch)


# accelerate wraps a sampler for several processes, and again for a run that goes on, and loses the epoch in between: the first
# epoch's batches would come a second time
for _wrapper in (BatchSamplerShard, SkipBatchSampler):
    if not hasattr(_wrapper, "set_epoch"):
        _wrapper.set_epoch = _pass_on


def training_pairs(corpus: Corpus, width: int | None = 600) -> Any:
    """A `datasets.Dataset` with columns question and passage, one row a question and link of its group.

    width: characters of the window round the answer (None: whole passages).
    """
    from datasets import Dataset

    question, link = _rows(corpus)
    texts, passages = corpus.queries["text"].to_pylist(), corpus.passages["text"].to_pylist()
    if width is None:
        cut = [passages[p] for p in corpus.links["passage"].to_pylist()]
    else:
        cut = link_windows(corpus, width)
    return Dataset.from_dict(
        {"question": [texts[i] for i in question], "passage": [cut[i] for i in link]}
    )


def _rows(corpus: Corpus) -> tuple[np.ndarray, np.ndarray]:
    """Question and link of each row of `pairs`, int64 [n] both."""
    groups = np.array(corpus.queries["group"].to_pylist())
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
    """Batches of one schedule, as `sentence_transformers` asks for them.

    Args:
        dataset: `pairs` of a corpus, its rows in their order. Columns may have other names, and prompts before the texts.
        batch_size: Pairs a batch. Every planned batch is whole, whatever `drop_last` says.
        seed: The trainer's, which sentence-transformers hands over from 6.2 on (before: give it here).
        corpus: The corpus of `dataset`, or several corpora (of a dictionary of data sets, and of the `eval_dataset`), of which
            the one is taken whose pairs the data set holds.
        strategy: As in a configuration's [batches].
        alpha: As there.
        language: As there.

    An epoch is as many batches as it takes to see as many pairs as there are question groups. A data set of no corpus that was
    given is refused. Only where the trainer evaluates on it, its rows come once each in an order of the seed, which one line says.

    Raises:
        MixlingError: The data set does not hold the pairs of the corpus in their order.
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
        corpus: Corpus | Sequence[Corpus],
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
        corpora = [corpus] if isinstance(corpus, Corpus) else list(corpus)
        self.epoch, self.rows, self.evaluating = 0, len(dataset), _evaluating()
        self.schedule: Schedule | None = None
        found = next((c for c in corpora if holds_pairs(dataset, c)), None)
        if found is None:
            names = ", ".join(f"'{c.name}'" for c in corpora)
            if not self.evaluating:
                raise MixlingError(
                    f"the data set ({self.rows:,} rows, columns {', '.join(dataset.column_names)}) does not hold the pairs of "
                    f"{names} in their order: give the trainer mixling.training_pairs(corpus) as it is, neither shuffled nor filtered; "
                    "for a part of a corpus, take mixling.pairs of corpus.select(...) and give the sampler that corpus too"
                )
            _say(
                f"an evaluation set of {self.rows:,} rows is of another corpus than {names}: its rows come once each, and texts "
                "that say the same may meet in a batch; give the sampler its corpus too, corpus=[corpus, held_out]"
            )
            self.batches = self.rows // batch_size if drop_last else -(-self.rows // batch_size)
            return
        question, link = _rows(found)
        mine = translation_groups(found)
        self.schedule = Schedule(
            [mine], strategy, alpha=alpha, size=batch_size, seed=seed, language=language
        )
        self.find = PairRows(found, mine)
        self.links = found.links.num_rows
        key = question * self.links + link
        self.order = np.argsort(key, kind="stable")
        self.key = key[self.order]
        self.batches = max(1, len(mine.groups) // batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        if self.schedule is None:
            order = np.random.default_rng(self.seed or 0).permutation(self.rows).tolist()
            yield from (
                order[i * self.batch_size : (i + 1) * self.batch_size] for i in range(self.batches)
            )
            return
        for step in range(self.epoch * self.batches, (self.epoch + 1) * self.batches):
            plan = self.schedule.plan(step)
            question, link = self.find.pair_rows(
                plan.groups, plan.query_languages, plan.passage_languages, plan.visits
            )
            yield self.order[np.searchsorted(self.key, question * self.links + link)].tolist()

    def __len__(self) -> int:
        return self.batches

    def set_epoch(self, epoch: int) -> None:
        """Batches go on from epoch to epoch; none is repeated. Those of an evaluation stay the same, to be compared."""
        if not self.evaluating:
            self.epoch = epoch


def holds_pairs(dataset: Any, corpus: Corpus) -> bool:
    """Whether the rows of a `datasets.Dataset` are `pairs` of a corpus in their order, whatever its columns are called.

    A question may have a prompt before it. A passage is a part of the corpus' passage, or holds its window of 600 characters.
    """
    question, link = _rows(corpus)
    if len(dataset) != len(question):
        return False
    asked, whole = corpus.queries["text"].to_pylist(), corpus.passages["text"].to_pylist()
    of, cut = corpus.links["passage"].to_numpy(), link_windows(corpus, 600)
    texts = [
        n
        for n, f in dataset.features.items()
        if getattr(f, "dtype", None) in ("string", "large_string")
    ]
    columns = {n: dataset.with_format(None)[n][:] for n in texts}
    is_question = (
        n
        for n in texts
        if all(x and asked[i] in x for i, x in zip(question, columns[n], strict=True))
    )
    first = next(is_question, None)
    return first is not None and any(
        all(x and (x in whole[of[i]] or cut[i] in x) for i, x in zip(link, columns[n], strict=True))
        for n in texts
        if n != first
    )


def _evaluating() -> bool:
    """Whether a trainer asks for the batches of an evaluation: it calls the sampler alike for both, so its caller tells."""
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name in ("get_eval_dataloader", "get_test_dataloader"):
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False


@cache
def _say(line: str) -> None:
    """Once a process: a trainer asks anew for every evaluation."""
    print(f"mixling: {line}", file=sys.stderr)
