"""The schedule: a pure function from a step to its batch.

Steps are shared out to kinds (mono, cross), then to cells (a source, and a language where the batch has only
one), by arithmetic; a cell's nth batch comes from its `Stream`. Nothing is carried from step to step, so any
step costs O(batch), a resumed run needs no replay, and each process computes its own part of one batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mixling.batches.interleave import EvenInterleaving, Interleaving, RandomInterleaving
from mixling.batches.permutation import mix
from mixling.batches.strategies import STRATEGIES, BatchType
from mixling.batches.stream import Stream
from mixling.batches.translation_groups import TranslationGroups
from mixling.errors import MixlingError, choose


@dataclass(frozen=True)
class BatchPlan:
    """One batch. groups: int64 [size], rows of the source's groups; languages: rows of its languages."""

    step: int
    batch_type: str
    source: int
    groups: np.ndarray
    query_languages: np.ndarray
    passage_languages: np.ndarray
    visits: np.ndarray

    def part(self, process: int, processes: int) -> BatchPlan:
        """The pairs of one of several processes; together they are the whole batch."""
        cut = slice(
            len(self.groups) * process // processes, len(self.groups) * (process + 1) // processes
        )
        return BatchPlan(
            self.step,
            self.batch_type,
            self.source,
            self.groups[cut],
            self.query_languages[cut],
            self.passage_languages[cut],
            self.visits[cut],
        )


@dataclass(frozen=True)
class _Stratum:
    source: int
    language: int | None
    groups: np.ndarray
    stream: Stream


class Schedule:
    """Which pairs each step has.

    sources: the `Units` of each corpus; weights: how often each is drawn beside what its size says;
    languages: "uniform", or the exponent of a language's size; corpora: the exponent of a source's size
    (1: by size, arXiv:2408.10536 section 3); tosses: kinds by coin (the paper) and not evenly.
    Raises MixlingError when a batch cannot be filled.
    """

    def __init__(
        self,
        sources: Sequence[TranslationGroups],
        strategy: str = "hybrid",
        *,
        alpha: float = 0.5,
        size: int = 32,
        seed: int = 0,
        language: str | None = None,
        languages: str | float = "uniform",
        corpora: float = 1.0,
        weights: Sequence[float] | None = None,
        random_interleave: bool = False,
    ):
        self.sources, self.size, self.seed = list(sources), size, seed
        self.batch_types = STRATEGIES[choose(strategy, STRATEGIES, "strategy")](
            alpha=alpha, language=language
        )
        self.exponent = 0.0 if languages == "uniform" else float(languages)
        self.corpora = corpora
        self.weights = list(weights) if weights is not None else [1.0] * len(self.sources)
        self.language_weight = [
            np.maximum(u.has_query.sum(0) + u.has_passage.sum(0), 1.0) ** self.exponent
            for u in self.sources
        ]
        self.strata: list[list[_Stratum]] = []
        self.stratum_order: list[Interleaving] = []
        for number, kind in enumerate(self.batch_types):
            cells, shares = self._strata(kind, number)
            self.strata.append(cells)
            self.stratum_order.append(self._interleaving(shares, random_interleave, number + 1))
        self.batch_type_order = self._interleaving(
            [k.share for k in self.batch_types], random_interleave, 0
        )

    def _interleaving(
        self, shares: list[float], random_interleave: bool, salt: int
    ) -> Interleaving:
        return (
            RandomInterleaving(shares, int(mix(self.seed, salt, 77)))
            if random_interleave
            else EvenInterleaving(shares)
        )

    def _strata(self, kind: BatchType, number: int) -> tuple[list[_Stratum], list[float]]:
        drawn: list[tuple[int, int | None, np.ndarray]] = []
        for s, source in enumerate(self.sources):
            same = source.has_query & source.has_passage
            if kind.one_language:
                for i, code in enumerate(source.languages):
                    if same[:, i].any() and kind.language in (None, code):
                        drawn.append((s, i, np.flatnonzero(same[:, i])))
            else:
                groups = np.flatnonzero(_has_pair(source, kind.name))
                if len(groups):
                    drawn.append((s, None, groups))
        if not drawn:
            wanted = f" in '{kind.language}'" if kind.language else ""
            raise MixlingError(
                f"no source has {kind.name} pairs{wanted}: "
                f"{', '.join(f'{u.name} ({chr(32).join(u.languages)})' for u in self.sources)}; "
                "choose another strategy or add a source"
            )
        cells = [
            _Stratum(s, i, groups, self._stream(s, i, groups, number, kind))
            for s, i, groups in drawn
        ]
        return cells, self._shares(cells)

    def _stream(
        self, s: int, language: int | None, groups: np.ndarray, number: int, kind: BatchType
    ) -> Stream:
        source = self.sources[s]
        code = "" if language is None else source.languages[language]
        block = source.conflict_group[groups]
        name = int.from_bytes(
            hashlib.sha256(f"{source.name}/{code}/{kind.name}".encode()).digest()[:7], "big"
        )
        try:
            return Stream(block, self.size, int(mix(self.seed, s, name, number)))
        except ValueError:
            have = len(np.unique(block))
            where = (
                f"language '{code}' of source '{source.name}'"
                if code
                else f"source '{source.name}'"
            )
            raise MixlingError(
                f"a batch of {self.size} cannot be filled: {where} has {len(groups)} question groups on "
                f"{have} passage groups with {kind.name} pairs, and a batch takes one of each; set "
                f"batches.size to {have} or less, or leave it out with the source's `languages`"
            ) from None

    def _shares(self, cells: list[_Stratum]) -> list[float]:
        """Language first (uniform or by size), then the source that has it (by size and weight)."""

        def code(cell: _Stratum) -> str | None:
            return (
                None
                if cell.language is None
                else self.sources[cell.source].languages[cell.language]
            )

        size = {
            c: sum(len(x.groups) for x in cells if code(x) == c) for c in {code(x) for x in cells}
        }
        base = {
            c: sum(
                len(x.groups) ** self.corpora * self.weights[x.source]
                for x in cells
                if code(x) == c
            )
            for c in size
        }
        return [
            size[code(x)] ** self.exponent
            * len(x.groups) ** self.corpora
            * self.weights[x.source]
            / base[code(x)]
            for x in cells
        ]

    def plan(self, step: int) -> BatchPlan:
        """The batch of a step, in O(batch size): no other step is visited."""
        number, nth = self.batch_type_order.at(step)
        which, nth = self.stratum_order[number].at(nth)
        cell, kind = self.strata[number][which], self.batch_types[number]
        local, visits = cell.stream.batch(nth)
        groups = cell.groups[local]
        if cell.language is not None:
            ql = pl = np.full(len(groups), cell.language)
        else:
            ql, pl = self._pairs(cell, kind.name, groups, cell.stream.pick(local, visits, 1))
        return BatchPlan(step, kind.name, cell.source, groups, ql, pl, visits)

    def _pairs(
        self, cell: _Stratum, kind: str, groups: np.ndarray, number: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """A (question, passage) language pair for each group, among those that it has, by weight."""
        source = self.sources[cell.source]
        n = len(source.languages)
        weight = self.language_weight[cell.source]
        table = (source.has_query[groups] * weight)[:, :, None] * (
            source.has_passage[groups] * weight
        )[:, None, :]
        table = table * (np.eye(n) if kind == "mono" else 1 - np.eye(n))
        total = np.cumsum(table.reshape(len(groups), -1), axis=1)
        chosen = (total <= number[:, None] * total[:, -1:]).sum(1)
        return np.divmod(np.minimum(chosen, n * n - 1), n)

    def describe(self, step: int) -> dict:
        """A step as people and programs read it: kind and [question language, passage language, group] pairs."""
        plan = self.plan(step)
        source = self.sources[plan.source]
        prefix = f"{source.name}/" if len(self.sources) > 1 else ""
        rows = zip(plan.query_languages, plan.passage_languages, plan.groups, strict=True)
        return {
            "step": step,
            "kind": plan.batch_type,
            "pairs": [
                [source.languages[q], source.languages[p], f"{prefix}{source.groups[g]}"]
                for q, p, g in rows
            ],
        }

    def fingerprint(self, steps: int) -> str:
        """SHA-256 of the plans of the first steps."""
        digest = hashlib.sha256()
        for step in range(steps):
            digest.update(repr(self.describe(step)).encode())
        return digest.hexdigest()

    def expected_conflicts(self, plan: BatchPlan) -> float:
        """How many pairs of one block a blind draw of this batch would have had on average."""
        number = next(i for i, k in enumerate(self.batch_types) if k.name == plan.batch_type)
        cell = next(
            c
            for c in self.strata[number]
            if c.source == plan.source and c.language in (None, plan.query_languages[0])
        )
        return cell.stream.collisions


def _has_pair(source: TranslationGroups, kind: str) -> np.ndarray:
    """bool [n]: the group has a question and a passage in one language (mono) or in two (cross)."""
    same = (source.has_query & source.has_passage).sum(1)
    if kind == "mono":
        return same > 0
    return source.has_query.sum(1) * source.has_passage.sum(1) > same
