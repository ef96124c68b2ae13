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

from mixling.batches.interleave import Even, Interleaving, Tosses
from mixling.batches.permutation import mix
from mixling.batches.strategies import STRATEGIES, Kind
from mixling.batches.stream import Stream
from mixling.batches.units import Units
from mixling.errors import MixlingError, choose


@dataclass(frozen=True)
class BatchPlan:
    """One batch. groups: int64 [size], rows of the source's groups; languages: rows of its languages."""

    step: int
    kind: str
    source: int
    groups: np.ndarray
    question_languages: np.ndarray
    passage_languages: np.ndarray
    visits: np.ndarray

    def part(self, process: int, processes: int) -> BatchPlan:
        """The pairs of one of several processes; together they are the whole batch."""
        cut = slice(len(self.groups) * process // processes, len(self.groups) * (process + 1) // processes)
        return BatchPlan(
            self.step,
            self.kind,
            self.source,
            self.groups[cut],
            self.question_languages[cut],
            self.passage_languages[cut],
            self.visits[cut],
        )


@dataclass(frozen=True)
class _Cell:
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
        sources: Sequence[Units],
        strategy: str = "hybrid",
        *,
        alpha: float = 0.5,
        size: int = 32,
        seed: int = 0,
        language: str | None = None,
        languages: str | float = "uniform",
        corpora: float = 1.0,
        weights: Sequence[float] | None = None,
        tosses: bool = False,
    ):
        self.sources, self.size, self.seed = list(sources), size, seed
        self.kinds = STRATEGIES[choose(strategy, STRATEGIES, "strategy")](alpha=alpha, language=language)
        self.exponent = 0.0 if languages == "uniform" else float(languages)
        self.corpora = corpora
        self.weights = list(weights) if weights is not None else [1.0] * len(self.sources)
        self.language_weight = [
            np.maximum(u.questions.sum(0) + u.passages.sum(0), 1.0) ** self.exponent for u in self.sources
        ]
        self.cells: list[list[_Cell]] = []
        self.cell_order: list[Interleaving] = []
        for number, kind in enumerate(self.kinds):
            cells, shares = self._cells(kind, number)
            self.cells.append(cells)
            self.cell_order.append(self._interleaving(shares, tosses, number + 1))
        self.kind_order = self._interleaving([k.share for k in self.kinds], tosses, 0)

    def _interleaving(self, shares: list[float], tosses: bool, salt: int) -> Interleaving:
        return Tosses(shares, int(mix(self.seed, salt, 77))) if tosses else Even(shares)

    def _cells(self, kind: Kind, number: int) -> tuple[list[_Cell], list[float]]:
        drawn: list[tuple[int, int | None, np.ndarray]] = []
        for s, source in enumerate(self.sources):
            same = source.questions & source.passages
            if kind.one_language:
                for i, code in enumerate(source.languages):
                    if same[:, i].any() and kind.only in (None, code):
                        drawn.append((s, i, np.flatnonzero(same[:, i])))
            else:
                groups = np.flatnonzero(_has_pair(source, kind.name))
                if len(groups):
                    drawn.append((s, None, groups))
        if not drawn:
            wanted = f" in '{kind.only}'" if kind.only else ""
            raise MixlingError(
                f"no source has {kind.name} pairs{wanted}: "
                f"{', '.join(f'{u.name} ({chr(32).join(u.languages)})' for u in self.sources)}; "
                "choose another strategy or add a source"
            )
        cells = [_Cell(s, i, groups, self._stream(s, i, groups, number, kind)) for s, i, groups in drawn]
        return cells, self._shares(cells)

    def _stream(self, s: int, language: int | None, groups: np.ndarray, number: int, kind: Kind) -> Stream:
        source = self.sources[s]
        code = "" if language is None else source.languages[language]
        block = source.block[groups]
        name = int.from_bytes(
            hashlib.sha256(f"{source.name}/{code}/{kind.name}".encode()).digest()[:7], "big"
        )
        try:
            return Stream(block, self.size, int(mix(self.seed, s, name, number)))
        except ValueError:
            have = len(np.unique(block))
            where = f"language '{code}' of source '{source.name}'" if code else f"source '{source.name}'"
            raise MixlingError(
                f"a batch of {self.size} cannot be filled: {where} has {len(groups)} question groups on "
                f"{have} passage groups with {kind.name} pairs, and a batch takes one of each; set "
                f"batches.size to {have} or less, or leave it out with the source's `languages`"
            ) from None

    def _shares(self, cells: list[_Cell]) -> list[float]:
        """Language first (uniform or by size), then the source that has it (by size and weight)."""

        def code(cell: _Cell) -> str | None:
            return None if cell.language is None else self.sources[cell.source].languages[cell.language]

        size = {c: sum(len(x.groups) for x in cells if code(x) == c) for c in {code(x) for x in cells}}
        base = {
            c: sum(len(x.groups) ** self.corpora * self.weights[x.source] for x in cells if code(x) == c)
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
        number, nth = self.kind_order.at(step)
        which, nth = self.cell_order[number].at(nth)
        cell, kind = self.cells[number][which], self.kinds[number]
        local, visits = cell.stream.batch(nth)
        groups = cell.groups[local]
        if cell.language is not None:
            ql = pl = np.full(len(groups), cell.language)
        else:
            ql, pl = self._pairs(cell, kind.name, groups, cell.stream.pick(local, visits, 1))
        return BatchPlan(step, kind.name, cell.source, groups, ql, pl, visits)

    def _pairs(
        self, cell: _Cell, kind: str, groups: np.ndarray, number: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """A (question, passage) language pair for each group, among those that it has, by weight."""
        source = self.sources[cell.source]
        n = len(source.languages)
        weight = self.language_weight[cell.source]
        table = (source.questions[groups] * weight)[:, :, None] * (source.passages[groups] * weight)[
            :, None, :
        ]
        table = table * (np.eye(n) if kind == "mono" else 1 - np.eye(n))
        total = np.cumsum(table.reshape(len(groups), -1), axis=1)
        chosen = (total <= number[:, None] * total[:, -1:]).sum(1)
        return np.divmod(np.minimum(chosen, n * n - 1), n)

    def describe(self, step: int) -> dict:
        """A step as people and programs read it: kind and [question language, passage language, group] pairs."""
        plan = self.plan(step)
        source = self.sources[plan.source]
        prefix = f"{source.name}/" if len(self.sources) > 1 else ""
        rows = zip(plan.question_languages, plan.passage_languages, plan.groups, strict=True)
        return {
            "step": step,
            "kind": plan.kind,
            "pairs": [
                [source.languages[q], source.languages[p], f"{prefix}{source.groups[g]}"] for q, p, g in rows
            ],
        }

    def fingerprint(self, steps: int) -> str:
        """SHA-256 of the plans of the first steps."""
        digest = hashlib.sha256()
        for step in range(steps):
            digest.update(repr(self.describe(step)).encode())
        return digest.hexdigest()

    def collisions_expected(self, plan: BatchPlan) -> float:
        """How many pairs of one block a blind draw of this batch would have had on average."""
        number = next(i for i, k in enumerate(self.kinds) if k.name == plan.kind)
        cell = next(
            c
            for c in self.cells[number]
            if c.source == plan.source and c.language in (None, plan.question_languages[0])
        )
        return cell.stream.collisions


def _has_pair(source: Units, kind: str) -> np.ndarray:
    """bool [n]: the group has a question and a passage in one language (mono) or in two (cross)."""
    same = (source.questions & source.passages).sum(1)
    if kind == "mono":
        return same > 0
    return source.questions.sum(1) * source.passages.sum(1) > same
