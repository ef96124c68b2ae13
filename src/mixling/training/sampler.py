"""Hybrid batches in the trainer of sentence-transformers.

`training_pairs` gives a data set with a row for every query and passage of a translation group, in
every pair of languages. `HybridBatchSampler` says which rows a batch takes. Two members of one
translation group, or two pairs on one passage, never meet in a batch. The trainer asks the sampler
for the batches of its `eval_dataset` too: with `corpus=[corpus, held_out]` those are planned as
well.
"""

from __future__ import annotations

import logging
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

logger = logging.getLogger(__name__)


def _set_epoch(wrapper: Any, epoch: int) -> None:
    if hasattr(wrapper.batch_sampler, "set_epoch"):
        wrapper.batch_sampler.set_epoch(epoch)


# Accelerate wraps a sampler for several processes, and again for a run that is resumed, and does
# not pass the epoch on: without this the batches of the first epoch come in every epoch.
for _wrapper in (BatchSamplerShard, SkipBatchSampler):
    if not hasattr(_wrapper, "set_epoch"):
        _wrapper.set_epoch = _set_epoch


def training_pairs(corpus: Corpus, width: int | None = 600) -> Any:
    """Return the training pairs of a corpus as a `datasets.Dataset`.

    Args:
        corpus: The corpus.
        width: Characters of the window around the answer, None for whole passages.

    Returns:
        A data set with the columns query and passage, a row for each query and link of its group.

    Example:
        >>> import mixling
        >>> pairs = mixling.training_pairs(mixling.load("sample"))
        >>> pairs.column_names
        ["query", "passage"]
    """
    from datasets import Dataset

    query, link = _pair_rows(corpus)
    texts, passages = corpus.queries["text"].to_pylist(), corpus.passages["text"].to_pylist()
    if width is None:
        windows = [passages[p] for p in corpus.links["passage"].to_pylist()]
    else:
        windows = link_windows(corpus, width)
    return Dataset.from_dict(
        {"query": [texts[i] for i in query], "passage": [windows[i] for i in link]}
    )


def _pair_rows(corpus: Corpus) -> tuple[np.ndarray, np.ndarray]:
    """Return query and link of each row of `training_pairs`, int64 `[n]` both."""
    groups = np.array(corpus.queries["group"].to_pylist())
    names, group_of_query = np.unique(groups, return_inverse=True)
    # the queries of group i are order[edges[i]:edges[i + 1]]
    order = np.argsort(group_of_query, kind="stable")
    edges = np.searchsorted(group_of_query[order], np.arange(len(names) + 1))
    position = {name: i for i, name in enumerate(names)}
    query, link = [], []
    for number, group in enumerate(corpus.links["group"].to_pylist()):
        i = position.get(group)
        if i is not None:
            rows = order[edges[i] : edges[i + 1]]
            query.append(rows)
            link.append(np.full(len(rows), number))
    return np.concatenate(query), np.concatenate(link)


class HybridBatchSampler(DefaultBatchSampler):
    """Batches of a schedule, as the trainer of sentence-transformers asks for them.

    An epoch has as many batches as it takes to see as many pairs as there are translation groups. A
    data set that holds the pairs of no given corpus is refused, unless the trainer only evaluates
    on it: then its rows come once each in an order of the seed, and a warning says so.

    Args:
        dataset: `training_pairs` of a corpus, its rows in their order. Columns may have other
            names, and the texts prompts.
        batch_size: Pairs a batch. Every planned batch is whole, whatever `drop_last` says.
        drop_last: Drop an incomplete last batch of an evaluation set of no given corpus.
        valid_label_columns: Passed on to sentence-transformers.
        generator: Passed on to sentence-transformers.
        seed: The trainer's, which sentence-transformers passes from 6.2 on; give it here before
            that.
        corpus: The corpus of `dataset`, or several corpora, of which the one is taken whose pairs
            the data set holds.
        strategy: The batch strategy, as in a configuration's `[batches]`.
        alpha: Share of monolingual batches of the strategy hybrid.
        language: The language of the strategy single.

    Raises:
        MixlingError: The data set does not hold the pairs of a given corpus in their order.

    Example:
        >>> from functools import partial
        >>> import mixling
        >>> corpus = mixling.load("sample")
        >>> sampler = partial(mixling.HybridBatchSampler, corpus=corpus, alpha=0.5)
        >>> # SentenceTransformerTrainingArguments(..., batch_sampler=sampler)
        >>> # SentenceTransformerTrainer(..., train_dataset=mixling.training_pairs(corpus))
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
        self.epoch, self.n_rows, self.evaluates = 0, len(dataset), _called_for_evaluation()
        self.schedule: Schedule | None = None
        held = next((c for c in corpora if holds_pairs(dataset, c)), None)
        if held is None:
            names = ", ".join(f"'{c.name}'" for c in corpora)
            if not self.evaluates:
                columns = ", ".join(dataset.column_names)
                raise MixlingError(
                    f"the data set ({self.n_rows:,} rows, columns {columns}) does not hold the "
                    f"pairs of {names} in their order. Give the trainer "
                    "mixling.training_pairs(corpus) as it is, neither shuffled nor filtered. "
                    "For a part of a corpus, take mixling.training_pairs of corpus.select(...), "
                    "and give the sampler that corpus too."
                )
            _warn_once(
                f"an evaluation set of {self.n_rows:,} rows is not of the corpus {names}. Its "
                "rows are used once each, in their order, so texts that say the same may meet "
                "in a batch. Give the sampler the corpus of the evaluation set too, "
                "corpus=[corpus, held_out]"
            )
            self.n_batches = (
                self.n_rows // batch_size if drop_last else -(-self.n_rows // batch_size)
            )
            return
        groups = translation_groups(held)
        self.schedule = Schedule(
            [groups], strategy, alpha=alpha, size=batch_size, seed=seed, language=language
        )
        self.pair_rows = PairRows(held, groups)
        # query and link as one sorted number, so that the row of a pair is found by bisection
        query, link = _pair_rows(held)
        self.n_links = held.links.num_rows
        key = query * self.n_links + link
        self.order = np.argsort(key, kind="stable")
        self.key = key[self.order]
        self.n_batches = max(1, len(groups.groups) // batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        if self.schedule is None:
            order = np.random.default_rng(self.seed or 0).permutation(self.n_rows).tolist()
            for i in range(self.n_batches):
                yield order[i * self.batch_size : (i + 1) * self.batch_size]
            return
        for step in range(self.epoch * self.n_batches, (self.epoch + 1) * self.n_batches):
            plan = self.schedule.plan(step)
            query, link = self.pair_rows.pair_rows(
                plan.groups, plan.query_languages, plan.passage_languages, plan.visits
            )
            yield self.order[np.searchsorted(self.key, query * self.n_links + link)].tolist()

    def __len__(self) -> int:
        return self.n_batches

    def set_epoch(self, epoch: int) -> None:
        """Go on to the batches of an epoch; none comes twice.

        The batches of an evaluation stay the same.
        """
        if not self.evaluates:
            self.epoch = epoch


def holds_pairs(dataset: Any, corpus: Corpus) -> bool:
    """Check whether a data set holds the `training_pairs` of a corpus in their order.

    Columns may have any names. A query may have a prompt before it. A passage is a part of the
    corpus' passage, or holds its window of 600 characters.

    Args:
        dataset: A `datasets.Dataset`.
        corpus: The corpus.
    """
    query, link = _pair_rows(corpus)
    if len(dataset) != len(query):
        return False
    queries, passages = corpus.queries["text"].to_pylist(), corpus.passages["text"].to_pylist()
    passage_of, windows = corpus.links["passage"].to_numpy(), link_windows(corpus, 600)
    names = [
        name
        for name, feature in dataset.features.items()
        if getattr(feature, "dtype", None) in ("string", "large_string")
    ]
    columns = {name: dataset.with_format(None)[name][:] for name in names}

    def holds_queries(name: str) -> bool:
        return all(x and queries[i] in x for i, x in zip(query, columns[name], strict=True))

    def holds_passages(name: str) -> bool:
        return all(
            x and (x in passages[passage_of[i]] or windows[i] in x)
            for i, x in zip(link, columns[name], strict=True)
        )

    first = next((name for name in names if holds_queries(name)), None)
    return first is not None and any(holds_passages(name) for name in names if name != first)


def _called_for_evaluation() -> bool:
    """Whether a trainer asks for the batches of an evaluation.

    It calls the sampler alike for training and evaluation, so only the calling functions tell.
    """
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name in ("get_eval_dataloader", "get_test_dataloader"):
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False


@cache
def _warn_once(message: str) -> None:
    """Warn once a process: a trainer asks again for every evaluation."""
    logger.warning(message)
