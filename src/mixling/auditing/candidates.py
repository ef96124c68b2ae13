"""Candidate repairs, tried on the known items of a sample.

A candidate is a transform that can be fitted on the collection itself
(`mixling.debiasing.collection`), or the centered search order, which changes no vector: a passage's
score is taken less the score of its language's mean.

Each is fitted on one half of the groups and tried on the queries and passages of the other half,
both ways round. So no query is tried on means that it or its answers belong to. Passages that
answer the queries it is fitted on are not searched: hub correction takes these down, and they
answer nothing that is asked in the trial. Ranks are therefore those in pools of half the size, for
the vectors as they are too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mixling.auditing.known_items import KnownItems, Ranks, known_pairs, pair_sums, rank, select
from mixling.debiasing.collection import CollectionVectors, fit_on_collection, passage_means
from mixling.evaluation.significance import intervals
from mixling.transforms.transforms import normalize

ORDER = "order"
NAMES = {
    "balanced": "the transform that comes with Mixling",
    "language": "centering by language",
    "roles": "centering by role",
    "centering": "centering by language and role",
    "lsar": "LSAR from the collection's means",
    "trained": "a transform trained on its titles or sentences",
    "hubs": "hub correction",
    "csls": "CSLS",
    ORDER: "the centered search order",
}
SEED = 0


@dataclass(frozen=True)
class Pool:
    """The passages that are searched.

    Args:
        vectors: float32 `[n, dim]`.
        languages: str `[n]`.
        groups: int64 `[n]`.
        means: Mean vector of all passages of the collection, by language.
        counts: Passages of the collection, by language.
        normalized: Whether scores are cosines.
    """

    vectors: np.ndarray
    languages: np.ndarray
    groups: np.ndarray
    means: dict[str, np.ndarray]
    counts: dict[str, int]
    normalized: bool = True


@dataclass(frozen=True)
class Trial:
    """The effect of a candidate on the ranks of the known items.

    Args:
        candidate: The steps of the transform, or "order".
        name: Its name for people.
        alone: Mean of 1 / rank among the answer's language alone.
        pooled: Mean of 1 / rank in the pool.
        gain: `pooled` less that of the vectors as they are.
        gain_low: Lower end of the gain's interval, 95 % over all candidates together.
        gain_high: Upper end.
        change_alone: `alone` less that of the vectors as they are.
        change_alone_low: Lower end of its interval.
        intrusion: Mean intrusion@10; None where no answer is in another language.
    """

    candidate: str
    name: str
    alone: float
    pooled: float
    gain: float
    gain_low: float
    gain_high: float
    change_alone: float
    change_alone_low: float
    intrusion: float | None


@dataclass(frozen=True)
class Trials:
    """All trials, the best first.

    Args:
        trials: One for each candidate.
        alone: Mean of 1 / rank alone of the vectors as they are, in the halves.
        pooled: The same in the pool.
        ranks: Ranks of each candidate, by its key.
        items: The known items.
        languages: Languages of the pool, str `[n]`.
    """

    trials: list[Trial]
    alone: float
    pooled: float
    ranks: dict[str, Ranks]
    items: KnownItems
    languages: np.ndarray

    def ahead(self, first: str, second: str) -> tuple[float, float, float]:
        """Return how much more a candidate gains than another, with its 95 % interval."""
        difference = 1 / self.ranks[first].pooled - 1 / self.ranks[second].pooled
        return mean_interval(self.items, self.languages, difference)


def candidate_name(candidate: str) -> str:
    """Return the name of a candidate for people."""
    return ", then ".join(NAMES[x] for x in candidate.split("+"))


def try_candidates(
    items: KnownItems, pool: Pool, transforms: Sequence[str], seed: int = SEED
) -> Trials:
    """Try all candidates on known items.

    Args:
        items: The known items.
        pool: The pool.
        transforms: Steps of the transforms to try; the search order is tried too.
        seed: Seed of the halves and of the bootstrap.
    """
    baseline = try_candidate(items, pool, None, seed)
    ranks = {x: try_candidate(items, pool, x, seed) for x in (*transforms, ORDER)}
    confidence = 1 - 0.05 / len(ranks)  # Bonferroni: the intervals hold for all together
    trials = [
        _trial(name, items, pool.languages, found, baseline, confidence, seed)
        for name, found in ranks.items()
    ]
    return Trials(
        sorted(trials, key=lambda t: -t.gain),
        pair_sums(items, pool.languages, 1 / baseline.alone).mean(),
        pair_sums(items, pool.languages, 1 / baseline.pooled).mean(),
        ranks,
        items,
        pool.languages,
    )


def try_candidate(items: KnownItems, pool: Pool, candidate: str | None, seed: int = SEED) -> Ranks:
    """Fit a candidate on one half of the groups and try it on the other, both ways round.

    Args:
        items: The known items.
        pool: The pool.
        candidate: Steps of a transform, "order", or None for the vectors as they are.
        seed: Seed of the halves.

    Returns:
        The ranks of all items.
    """
    names = np.unique(pool.groups)
    half = np.random.default_rng(seed).permutation(len(names)) % 2
    pool_half = half[np.searchsorted(names, pool.groups)]
    query_half = half[np.searchsorted(names, items.groups)]
    alone, pooled = np.empty(len(items.query)), np.empty(len(items.query))
    intrusion = np.empty(len(items.vectors))
    for number in (0, 1):
        searched, tried = pool_half == number, query_half == number
        fitted_on = CollectionVectors(
            items.vectors[~tried],
            items.languages[~tried],
            pool.vectors[~searched],
            pool.languages[~searched],
            known=known_pairs(select(items, ~tried), pool.groups[~searched]),
        )
        queries, languages = items.vectors[tried], items.languages[tried]
        passages, of_passages = pool.vectors[searched], pool.languages[searched]
        offsets = None
        if candidate == ORDER:
            offsets = offset_vectors(fitted_on, np.unique(of_passages).tolist())
        elif candidate is not None:
            transform = fit_on_collection(candidate, fitted_on)
            queries = transform.transform(normalize(queries), languages.tolist(), "query")
            passages = transform.transform(normalize(passages), of_passages.tolist(), "passage")
        place = np.cumsum(searched) - 1
        part = select(items, tried)
        excluded = np.where(part.excluded >= 0, place[part.excluded], -1)
        part = replace(part, passage=place[part.passage], excluded=excluded)
        ranks = rank(part, passages, of_passages, pool.groups[searched], queries, offsets)
        pairs = tried[items.query]
        alone[pairs], pooled[pairs], intrusion[tried] = ranks.alone, ranks.pooled, ranks.intrusion
    return Ranks(alone, pooled, intrusion)


def offset_vectors(vectors: CollectionVectors, codes: Sequence[str]) -> np.ndarray:
    """Return the vectors whose scores are the offsets of languages, float32 `[l, dim]`."""
    means, overall = passage_means(vectors)
    return np.stack([means.get(x, overall) for x in codes]).astype(np.float32)


def mean_interval(
    items: KnownItems,
    languages: np.ndarray,
    values: np.ndarray,
    confidence: float = 0.95,
    seed: int = SEED,
) -> tuple[float, float, float]:
    """Return the mean of values of pairs over cells, and its bootstrap interval over groups."""
    sums = pair_sums(items, languages, values)
    low, high = intervals([sums], confidence=confidence, seed=seed)[0]
    return sums.mean(), low, high


def _trial(
    candidate: str,
    items: KnownItems,
    languages: np.ndarray,
    ranks: Ranks,
    baseline: Ranks,
    confidence: float,
    seed: int,
) -> Trial:
    gain = mean_interval(items, languages, 1 / ranks.pooled - 1 / baseline.pooled, confidence, seed)
    alone = mean_interval(items, languages, 1 / ranks.alone - 1 / baseline.alone, confidence, seed)
    intrusion = ranks.intrusion[~np.isnan(ranks.intrusion)]
    return Trial(
        candidate,
        candidate_name(candidate),
        pair_sums(items, languages, 1 / ranks.alone).mean(),
        pair_sums(items, languages, 1 / ranks.pooled).mean(),
        *gain,
        alone[0],
        alone[1],
        float(intrusion.mean()) if len(intrusion) else None,
    )
