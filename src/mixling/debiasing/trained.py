"""A linear transform trained on stored vectors with hybrid batches; the encoder stays as it is.

    min_W  InfoNCE(W q, W p; hybrid batches) + bitext InfoNCE(W a, W b; bitext) + pull ||W - W_0||^2

W_0 is LSAR, sharpened. Batches, masking of groups and loss are those of training
(arXiv:2408.10536). A pair (a, b) of bitext is a sentence in two random languages, both ways. The
optimizer is Adam, its rate falls to 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor

from mixling.batches.schedule import Schedule
from mixling.batches.translation_groups import PairRows, TranslationGroups, translation_groups
from mixling.debiasing.embedded_corpus import EmbeddedCorpus
from mixling.debiasing.lsar import Lsar
from mixling.debiasing.method import DebiasingMethod
from mixling.errors import MixlingError
from mixling.losses.info_nce import allowed_negatives, info_nce
from mixling.progress import Progress
from mixling.transforms.transforms import AffineTransform

START_POWER = 0.1  # of the sharpened spectrum of W_0; chosen on development data


@dataclass(frozen=True)
class TrainedTransform(DebiasingMethod):
    """Train one linear transform.

    Its defaults were chosen on development data (docs/development/decisions.md).

    Args:
        rank: Directions that LSAR removes at the start. Default: `lsar.default_rank`.
        sharpen: Whether to stretch the spectrum at the start, or the power of the stretch.
        strategy: Strategy of the batches, as in training.
        alpha: Share of monolingual batches of "hybrid".
        size: Pairs in a batch; halved while the texts cannot fill a batch.
        steps: Steps of training.
        rate: Learning rate of the first step.
        temperature: Temperature of InfoNCE.
        pull: Weight of the squared distance to the start.
        bitext: Weight of the loss over bitext.
        seed: Seed of the batches.
    """

    name = "trained"
    needs_queries = True
    rank: int | None = None
    sharpen: bool | float = True
    strategy: str = "hybrid"
    alpha: float = 0.5
    size: int = 256
    steps: int = 600
    rate: float = 1e-3
    temperature: float = 0.03
    pull: float = 0.1
    bitext: float = 0.5
    seed: int = 0

    def fit(self, corpora: Sequence[EmbeddedCorpus]) -> AffineTransform:
        """Train the transform.

        Args:
            corpora: Queries and passages as vectors, and bitext beside them.

        Returns:
            The trained transform.

        Raises:
            MixlingError: The texts cannot fill a batch of eight pairs.
        """
        power = START_POWER if self.sharpen is True else self.sharpen
        start = Lsar(self.rank, power).fit(corpora)
        with Progress("transform") as bar:
            return self._train(start, corpora, bar)

    def _train(
        self, start: AffineTransform, corpora: Sequence[EmbeddedCorpus], bar: Progress
    ) -> AffineTransform:
        retrieval = [c for c in corpora if not c.bitext]
        schedule, rows = self._schedule(retrieval)
        vectors = [(torch.from_numpy(c.queries), torch.from_numpy(c.passages)) for c in retrieval]
        parallel = [c for c in corpora if c.bitext] if self.bitext else []
        bitext = _BitextPairs(parallel, self.size, self.seed) if parallel else None
        start_matrix = torch.from_numpy(start.matrix.copy())
        bias = torch.from_numpy(start.bias)
        weight = start_matrix.clone().requires_grad_(True)
        optimizer = torch.optim.Adam([weight], lr=self.rate)
        decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=self.steps)
        for step in range(self.steps):
            plan = schedule.plan(step)
            query_rows, link_rows = rows[plan.source].pair_rows(
                plan.groups, plan.query_languages, plan.passage_languages, plan.visits
            )
            queries, passages = vectors[plan.source]
            q = queries[query_rows] @ weight.T + bias
            p = passages[link_rows] @ weight.T + bias
            group = torch.from_numpy(schedule.sources[plan.source].conflict_group[plan.groups])
            loss = self._contrast(q, p, group)
            if bitext is not None:
                left, right, group = bitext.batch(step)
                a, b = left @ weight.T + bias, right @ weight.T + bias
                both_ways = self._contrast(a, b, group) + self._contrast(b, a, group)
                loss = loss + self.bitext * both_ways / 2
            loss = loss + self.pull * ((weight - start_matrix) ** 2).sum()
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            decay.step()
            bar(step + 1, self.steps)
        options = {k: v for k, v in asdict(self).items() if k not in ("rank", "sharpen")}
        metadata = {**start.metadata, "method": self.name, **options}
        return AffineTransform(weight.detach().numpy(), start.bias, metadata)

    def _contrast(self, left: Tensor, right: Tensor, group: Tensor) -> Tensor:
        """InfoNCE of pairs; members of one group are no negatives of each other."""
        return info_nce(left, right, allowed_negatives(group), self.temperature)

    def _schedule(self, corpora: Sequence[EmbeddedCorpus]) -> tuple[Schedule, list[PairRows]]:
        """Plan the batches, as large as the texts can fill them."""
        groups: list[TranslationGroups] = [translation_groups(c.corpus) for c in corpora]
        size = self.size
        while True:
            try:
                schedule = Schedule(
                    groups, self.strategy, alpha=self.alpha, size=size, seed=self.seed
                )
            except MixlingError:
                if size <= 8:
                    raise
                size //= 2
            else:
                return schedule, [
                    PairRows(c.corpus, g) for c, g in zip(corpora, groups, strict=True)
                ]


class _BitextPairs:
    """Pairs of a sentence in two random languages, one as a query and one as a passage."""

    def __init__(self, corpora: Sequence[EmbeddedCorpus], size: int, seed: int):
        self.size, self.seed = size, seed
        self.sources = []
        for corpus in corpora:
            names, number = np.unique(
                np.array(corpus.corpus.queries["group"].to_pylist()), return_inverse=True
            )
            # rows of group g are order[edges[g] : edges[g + 1]]
            order = np.argsort(number, kind="stable")
            edges = np.searchsorted(number[order], np.arange(len(names) + 1))
            self.sources.append((corpus, order, edges))

    def batch(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return vectors as queries and as passages, float32 `[n, dim]` each, and groups `[n]`."""
        rng = np.random.default_rng((self.seed, step))
        corpus, order, edges = self.sources[step % len(self.sources)]
        groups = rng.permutation(len(edges) - 1)[: self.size]
        width = edges[groups + 1] - edges[groups]
        groups, width = groups[width > 1], width[width > 1]
        first = (rng.random(len(groups)) * width).astype(int)
        # 1 to width - 1 further round the group, so never the same text
        second = (first + 1 + (rng.random(len(groups)) * (width - 1)).astype(int)) % width
        a, b = order[edges[groups] + first], order[edges[groups] + second]
        return (
            torch.from_numpy(corpus.queries[a]),
            torch.from_numpy(corpus.passages[b]),
            torch.from_numpy(groups),
        )
