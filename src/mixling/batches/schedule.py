"""The schedule: a pure function from a step to its batch.

Steps are shared out to batch types (mono, cross), then to strata (a source, and a language where
the batch has only one), by arithmetic; the nth batch of a stratum comes from its `Stream`. Nothing
is carried from step to step, so any step costs O(batch), a resumed run needs no replay, and each
process computes its part of the batch alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mixling.batches.interleave import EvenInterleaving, Interleaving, RandomInterleaving
from mixling.batches.language_pairs import allowed_pairs
from mixling.batches.permutation import mix
from mixling.batches.strategies import STRATEGIES, BatchType, BatchTypeName
from mixling.batches.stream import Stream
from mixling.batches.translation_groups import TranslationGroups
from mixling.errors import MixlingError, choose

# The salts of the hash that makes a seed for each use: fixed, since plans depend on them.
_INTERLEAVING_SALT = 77
_PAIR_SALT = 1


@dataclass(frozen=True)
class BatchPlan:
    """The pairs of one batch, as rows of tables.

    Args:
        step: The step.
        batch_type: "mono" or "cross".
        source: Which of the schedule's sources.
        groups: Rows of the source's translation groups, int64 `[size]`.
        query_languages: Rows of the source's languages, int64 `[size]`.
        passage_languages: Rows of the source's languages, int64 `[size]`.
        visits: How often each group was visited before in its stratum, int64 `[size]`.
    """

    step: int
    batch_type: str
    source: int
    groups: np.ndarray
    query_languages: np.ndarray
    passage_languages: np.ndarray
    visits: np.ndarray

    def part(self, process: int, processes: int) -> BatchPlan:
        """Return the pairs of one of several processes; all parts together are the whole batch."""
        n = len(self.groups)
        rows = slice(n * process // processes, n * (process + 1) // processes)
        return BatchPlan(
            self.step,
            self.batch_type,
            self.source,
            self.groups[rows],
            self.query_languages[rows],
            self.passage_languages[rows],
            self.visits[rows],
        )


@dataclass(frozen=True)
class _Stratum:
    """Where the pairs of a whole batch come from: a source, and one of its languages or None."""

    source: int
    language: int | None
    groups: np.ndarray
    stream: Stream


class Schedule:
    """The plan of every batch of a training.

    Args:
        sources: The translation groups of each corpus (`translation_groups`).
        strategy: "hybrid", "x-x", "x-x-mono", "x-y" or "single".
        alpha: Share of monolingual batches of "hybrid".
        size: Pairs in a batch.
        seed: Another seed is another order.
        language: The language (BCP-47) of "single".
        languages: How often batches of one language take each language: "uniform", or the exponent
            of its size.
        corpora: The exponent of a source's size; 1 draws by size (arXiv:2408.10536, section 3).
        weights: Sampling weight of each source, relative to size-proportional sampling.
        random_interleave: Draw the batch type of each step at random, as the paper does, instead of
            spreading the types evenly.
        pairs: Which two languages may stand in a pair, see `mixling.batches.language_pairs`.
        pivots: The languages through which the pairing "pivot" pairs.
        pair_languages: `languages` for pairs in two languages; None: the same.
        source_types: For each source, the only batch type that takes it; None: both.

    Raises:
        MixlingError: A batch cannot be filled, or a setting is wrong.

    Example:
        >>> from mixling.batches.translation_groups import translation_groups
        >>> schedule = mixling.Schedule([translation_groups(mixling.load("sample"))], size=16)
        >>> schedule.plan(1_000_000).batch_type
        'mono'
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
        languages: Literal["uniform"] | float = "uniform",
        corpora: float = 1.0,
        weights: Sequence[float] | None = None,
        random_interleave: bool = False,
        pairs: Sequence[str] = ("all",),
        pivots: Sequence[str] = ("en", "fr"),
        pair_languages: Literal["uniform"] | float | None = None,
        source_types: Sequence[BatchTypeName | None] | None = None,
    ):
        self.sources, self.size, self.seed = list(sources), size, seed
        self.batch_types = STRATEGIES[choose(strategy, STRATEGIES, "strategy")](
            alpha=alpha, language=language
        )
        self.exponent = 0.0 if languages == "uniform" else float(languages)
        if pair_languages is None:
            pair_languages = languages
        pair_exponent = 0.0 if pair_languages == "uniform" else float(pair_languages)
        self.corpora = corpora
        self.weights = list(weights) if weights is not None else [1.0] * len(self.sources)
        self.source_types = list(source_types or [None] * len(self.sources))
        sizes = [np.maximum(g.has_query.sum(0) + g.has_passage.sum(0), 1.0) for g in self.sources]
        self.language_weight = {
            "mono": [size**self.exponent for size in sizes],
            "cross": [size**pair_exponent for size in sizes],
        }
        crosses = any(t.name == "cross" for t in self.batch_types)
        # of each source, which query language (row) may have a passage in which language (column)
        self.may_pair = {
            "mono": [np.eye(len(g.languages), dtype=bool) for g in self.sources],
            "cross": [allowed_pairs(g.languages, pairs, pivots) for g in self.sources]
            if crosses
            else [],
        }
        self.strata: list[list[_Stratum]] = []
        self.stratum_order: list[Interleaving] = []
        for number, batch_type in enumerate(self.batch_types):
            strata = self._strata(batch_type, number)
            self.strata.append(strata)
            self.stratum_order.append(
                self._interleaving(self._shares(strata), random_interleave, number + 1)
            )
        self.batch_type_order = self._interleaving(
            [t.share for t in self.batch_types], random_interleave, 0
        )

    def _interleaving(
        self, shares: list[float], random_interleave: bool, salt: int
    ) -> Interleaving:
        if random_interleave:
            return RandomInterleaving(shares, int(mix(self.seed, salt, _INTERLEAVING_SALT)))
        return EvenInterleaving(shares)

    def _strata(self, batch_type: BatchType, number: int) -> list[_Stratum]:
        """Return the strata of a batch type: those that have any pair of it."""
        found: list[tuple[int, int | None, np.ndarray]] = []
        for s, source in enumerate(self.sources):
            if self.source_types[s] not in (None, batch_type.name):
                continue
            same = source.has_query & source.has_passage
            if batch_type.one_language:
                for i, code in enumerate(source.languages):
                    if same[:, i].any() and batch_type.language in (None, code):
                        found.append((s, i, np.flatnonzero(same[:, i])))
            else:
                groups = np.flatnonzero(_has_pair(source, self.may_pair[batch_type.name][s]))
                if len(groups):
                    found.append((s, None, groups))
        if not found:
            place = f" in '{batch_type.language}'" if batch_type.language else ""
            raise MixlingError(
                f"no source has {batch_type.name} pairs{place}. The sources are: "
                f"{', '.join(f'{g.name} ({chr(32).join(g.languages)})' for g in self.sources)}. "
                "Choose another strategy, let more languages pair (batches.pairs), take a source "
                "in both types of batches (batch_type), or add a source that has such pairs."
            )
        return [
            _Stratum(s, i, groups, self._stream(s, i, groups, number, batch_type))
            for s, i, groups in found
        ]

    def _stream(
        self, s: int, language: int | None, groups: np.ndarray, number: int, batch_type: BatchType
    ) -> Stream:
        """Return the order of a stratum's groups, by a seed that its names and number determine."""
        source = self.sources[s]
        code = "" if language is None else source.languages[language]
        conflict_group = source.conflict_group[groups]
        name = int.from_bytes(
            hashlib.sha256(f"{source.name}/{code}/{batch_type.name}".encode()).digest()[:7], "big"
        )
        try:
            return Stream(conflict_group, self.size, int(mix(self.seed, s, name, number)))
        except ValueError:
            available = len(np.unique(conflict_group))
            place = f"source '{source.name}'"
            if code:
                place = f"language '{code}' of {place}"
            raise MixlingError(
                f"batches.size is {self.size}, which cannot be filled: {place} has {len(groups)} "
                f"translation groups on {available} passage groups with {batch_type.name} pairs, "
                f"and a batch takes one pair of each. Set batches.size to {available} or less, "
                "or leave this language out with the source's `languages`."
            ) from None

    def _shares(self, strata: list[_Stratum]) -> list[float]:
        """Return the share of each stratum, not scaled.

        The language is drawn first (uniformly or by size), then the source that has it (by size and
        weight): share = size(language)^exponent * p(source | language).
        """

        def code(stratum: _Stratum) -> str | None:
            if stratum.language is None:
                return None
            return self.sources[stratum.source].languages[stratum.language]

        size: dict[str | None, int] = {}
        base: dict[str | None, float] = {}
        for x in strata:
            size[code(x)] = size.get(code(x), 0) + len(x.groups)
            drawn = len(x.groups) ** self.corpora * self.weights[x.source]
            base[code(x)] = base.get(code(x), 0) + drawn
        return [
            size[code(x)] ** self.exponent
            * len(x.groups) ** self.corpora
            * self.weights[x.source]
            / base[code(x)]
            for x in strata
        ]

    def plan(self, step: int) -> BatchPlan:
        """Return the batch of a step, in O(batch size): no other step is visited.

        Args:
            step: Number of the step, from 0; it has no end.

        Returns:
            The batch's pairs.
        """
        number, nth = self.batch_type_order.at(step)
        which, nth = self.stratum_order[number].at(nth)
        stratum, batch_type = self.strata[number][which], self.batch_types[number]
        local, visits = stratum.stream.batch(nth)
        groups = stratum.groups[local]
        if stratum.language is not None:
            query_languages = passage_languages = np.full(len(groups), stratum.language)
        else:
            point = stratum.stream.pick(local, visits, _PAIR_SALT)
            query_languages, passage_languages = self._language_pairs(
                stratum, batch_type.name, groups, point
            )
        return BatchPlan(
            step,
            batch_type.name,
            stratum.source,
            groups,
            query_languages,
            passage_languages,
            visits,
        )

    def _language_pairs(
        self, stratum: _Stratum, batch_type: str, groups: np.ndarray, point: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return a pair of query and passage language for each group, by weight of both languages.

        The pairs that a group has lie one after another on [0, 1), each as long as its share; the
        pair that covers the group's point is taken.

        Args:
            stratum: The stratum.
            batch_type: "mono" or "cross".
            groups: Rows of the source's groups, int64 `[n]`.
            point: A number in [0, 1) for each group, float64 `[n]`.

        Returns:
            Rows of the source's languages, int64 `[n]` each.
        """
        source = self.sources[stratum.source]
        n = len(source.languages)
        weight = self.language_weight[batch_type][stratum.source]
        table = (source.has_query[groups] * weight)[:, :, None] * (
            source.has_passage[groups] * weight
        )[:, None, :]
        table = table * self.may_pair[batch_type][stratum.source]
        total = np.cumsum(table.reshape(len(groups), -1), axis=1)
        chosen = (total <= point[:, None] * total[:, -1:]).sum(1)
        return np.divmod(np.minimum(chosen, n * n - 1), n)

    def describe(self, step: int) -> dict[str, Any]:
        """Return a step with the names of its languages and groups.

        The keys and their order stand in the fingerprint: they may not change.

        Args:
            step: Number of the step.

        Returns:
            "step", "kind" ("mono" or "cross") and "pairs": a list of
            `[query language, passage language, group]`.
        """
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
        """Return the SHA-256 of the plans of the first `steps` steps."""
        digest = hashlib.sha256()
        for step in range(steps):
            digest.update(repr(self.describe(step)).encode())
        return digest.hexdigest()

    def expected_conflicts(self, plan: BatchPlan) -> float:
        """Return the mean number of pairs of one conflict group in a blind draw of this batch.

        They would be false negatives of each other; the schedule has none.
        """
        number = next(i for i, t in enumerate(self.batch_types) if t.name == plan.batch_type)
        stratum = next(
            x
            for x in self.strata[number]
            if x.source == plan.source and x.language in (None, plan.query_languages[0])
        )
        return stratum.stream.expected_conflicts


def _has_pair(source: TranslationGroups, may_pair: np.ndarray) -> np.ndarray:
    """Return which groups have a pair of languages that may pair, bool `[n]`."""
    reached = source.has_query.astype(np.float32) @ may_pair > 0
    result: np.ndarray = (reached & source.has_passage).any(1)
    return result
