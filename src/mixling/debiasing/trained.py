"""A linear map trained on stored vectors with hybrid batches; the encoder stays as it is.

    min_W  InfoNCE(W q, W p; hybrid batches) + weight InfoNCE(W a, W b; bitext) + pull ||W - W_0||^2

W_0: LSAR, sharpened. Batches, group masking and loss are those of training (arXiv:2408.10536); bitext pairs are
two random languages of a sentence, both ways. Adam, its rate falling to 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mixling.batches.schedule import Schedule
from mixling.batches.translation_groups import PairRows, TranslationGroups, translation_groups
from mixling.debiasing.embedded_corpus import EmbeddedCorpus
from mixling.debiasing.transforms import AffineTransform
from mixling.errors import MixlingError
from mixling.losses.info_nce import allowed_negatives, info_nce


@dataclass(frozen=True)
class TransformConfig:
    """Settings of the training; chosen on development data (docs/decisions.md)."""

    strategy: str = "hybrid"
    alpha: float = 0.5
    size: int = 256
    steps: int = 600
    rate: float = 1e-3
    temperature: float = 0.03
    pull: float = 0.1
    bitext: float = 0.5
    seed: int = 0


def train_transform(
    start: AffineTransform,
    stocks: Sequence[EmbeddedCorpus],
    recipe: TransformConfig = TransformConfig(),
    progress: Callable[[int, int], None] | None = None,
) -> AffineTransform:
    """The trained map. start: where it begins and what it is pulled to; stocks: with questions and answers, and
    bitext. progress(steps done, steps)."""
    asked = [s for s in stocks if not s.bitext]
    if not asked:
        raise MixlingError(
            "--method map learns from questions and their answers, and the fitted texts are sentences and their "
            "translations only; add such a source, for instance --fit mlqa"
        )
    schedule, rows = _schedule(asked, recipe)
    sides = [(torch.from_numpy(s.queries), torch.from_numpy(s.passages)) for s in asked]
    pairs = _Bitext([s for s in stocks if s.bitext], recipe) if recipe.bitext else None
    base = torch.from_numpy(start.matrix.copy())
    bias = torch.from_numpy(start.bias)
    weight = base.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([weight], lr=recipe.rate)
    decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=recipe.steps)
    for step in range(recipe.steps):
        plan = schedule.plan(step)
        question, link = rows[plan.source].pair_rows(
            plan.groups, plan.query_languages, plan.passage_languages, plan.visits
        )
        q, p = (side[i] for side, i in zip(sides[plan.source], (question, link), strict=True))
        block = torch.from_numpy(schedule.sources[plan.source].conflict_group[plan.groups])
        loss = _contrast(q @ weight.T + bias, p @ weight.T + bias, block, recipe.temperature)
        if pairs is not None and pairs.there:
            a, b, group = pairs.batch(step)
            left, right = a @ weight.T + bias, b @ weight.T + bias
            both = _contrast(left, right, group, recipe.temperature) + _contrast(
                right, left, group, recipe.temperature
            )
            loss = loss + recipe.bitext * both / 2
        loss = loss + recipe.pull * ((weight - base) ** 2).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        decay.step()
        if progress is not None:
            progress(step + 1, recipe.steps)
    made = {**start.settings, "method": "map", **vars(recipe)}
    return AffineTransform(weight.detach().numpy(), start.bias, made)


def _schedule(
    stocks: Sequence[EmbeddedCorpus], recipe: TransformConfig
) -> tuple[Schedule, list[PairRows]]:
    """The schedule over stocks, its batch as large as they can fill."""
    all_units: list[TranslationGroups] = [translation_groups(s.corpus) for s in stocks]
    size = recipe.size
    while True:
        try:
            schedule = Schedule(
                all_units, recipe.strategy, alpha=recipe.alpha, size=size, seed=recipe.seed
            )
        except MixlingError:
            if size <= 8:
                raise
            size //= 2
        else:
            return schedule, [PairRows(s.corpus, u) for s, u in zip(stocks, all_units, strict=True)]


def _contrast(
    left: torch.Tensor, right: torch.Tensor, group: torch.Tensor, temperature: float
) -> torch.Tensor:
    """InfoNCE of pairs; members of one group are no negatives of each other."""
    return info_nce(left, right, allowed_negatives(group), temperature)


class _Bitext:
    """Pairs of a sentence in two random languages, each in its role."""

    def __init__(self, stocks: Sequence[EmbeddedCorpus], recipe: TransformConfig):
        self.size, self.seed = recipe.size, recipe.seed
        self.parts = []
        for s in stocks:
            names, number = np.unique(
                np.array(s.corpus.queries["group"].to_pylist()), return_inverse=True
            )
            order = np.argsort(number, kind="stable")
            edges = np.searchsorted(number[order], np.arange(len(names) + 1))
            self.parts.append((s, order, edges))
        self.there = bool(self.parts)

    def batch(self, step: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Vectors [n, d] as questions, as passages, and groups."""
        rng = np.random.default_rng((self.seed, step))
        s, order, edges = self.parts[step % len(self.parts)]
        groups = rng.permutation(len(edges) - 1)[: self.size]
        width = edges[groups + 1] - edges[groups]
        groups, width = groups[width > 1], width[width > 1]
        first = (rng.random(len(groups)) * width).astype(int)
        second = (first + 1 + (rng.random(len(groups)) * (width - 1)).astype(int)) % width
        a, b = order[edges[groups] + first], order[edges[groups] + second]
        return (
            torch.from_numpy(s.queries[a]),
            torch.from_numpy(s.passages[b]),
            torch.from_numpy(groups),
        )
