"""Fit transforms on a collection's own vectors: no translations and no judgments are needed.

A transform is spelled as steps joined by "+", such as "centering+hubs". Each step is fitted on the
vectors as the steps before it leave them.

    balanced     the transform that comes with Mixling, for multilingual-e5-small
    language     x' = x - (mean of the language's passages - mean of all passages)
    lsar         x' = x - V V^T x, V the directions in which these means differ (Xie et al. 2022)
    roles        x' = x - mean of the text's role (query or passage); needs no language
    centering    x' = x - mean of the text's language in its role
    trained      x' = W x, W trained on titles or first sentences and the texts that they ask
                 for, in all languages in which these stand (`mixling.debiasing.known_pairs`)
    hubs         hub correction by the queries (`mixling.transforms.hub_correction`)
    csls         the same without leaving the highest scores out, so that a search is by CSLS
                 (Conneau et al. 2018, `mixling.transforms.csls`)

roles, centering, hubs and csls need real queries. Titles and sentences are no substitute: the mean
of questions is another one, and ranks of questions get worse where the mean of sentences is
subtracted from them.

Means of few texts are shrunk (empirical Bayes): a passage mean towards the mean of all passages, a
query mean towards the language's passage mean plus the shift from passages to queries that all
languages share. So a language without queries has an offset too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from mixling.debiasing.known_pairs import MIN_KNOWN, KnownPairs, fit_known_pairs
from mixling.debiasing.lsar import default_rank
from mixling.errors import MixlingError, choose
from mixling.models.shipped import read_shipped
from mixling.transforms.chain import ChainedTransform, Part
from mixling.transforms.hub_correction import MAX_REFERENCES, SKIPPED, HubCorrection
from mixling.transforms.transforms import AffineTransform, LanguageTransform, normalize

PRIOR = 10  # texts at which a mean and what it is shrunk towards have the same weight
MIN_QUERIES = 10  # for their mean to be taken
MIN_PASSAGES = 10  # of a language, for lsar to take its direction out
MIN_REFERENCES = 200  # queries without which hubs cannot be told from chance


@dataclass(frozen=True)
class CollectionVectors:
    """Vectors of a collection's passages and of queries that are asked of it.

    Args:
        queries: float32 `[q, dim]`, of length one; none where no step needs them.
        query_languages: str `[q]`, tags; "und" where the language is not known.
        passages: float32 `[n, dim]`, of length one.
        passage_languages: str `[n]`.
        means: Mean passage vector of each language of the whole collection, float32 `[dim]`, where
            `passages` are a sample of it. Default: those of `passages`.
        counts: Passages of each language behind `means`.
        known: Titles or first sentences and what they ask for, for the step trained.
    """

    queries: np.ndarray
    query_languages: np.ndarray
    passages: np.ndarray
    passage_languages: np.ndarray
    means: Mapping[str, np.ndarray] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    known: KnownPairs | None = None

    def transformed(self, part: Part) -> CollectionVectors:
        """Return the vectors as a transform leaves them; the given means no longer hold."""
        known = self.known
        if known is not None:
            moved = part.transform(known.queries, known.languages.tolist(), "query")
            known = replace(known, queries=moved)
        return CollectionVectors(
            part.transform(self.queries, self.query_languages.tolist(), "query"),
            self.query_languages,
            part.transform(self.passages, self.passage_languages.tolist(), "passage"),
            self.passage_languages,
            known=known,
        )


def fit_on_collection(
    steps: str, vectors: CollectionVectors, metadata: Mapping[str, Any] | None = None
) -> Part | ChainedTransform:
    """Fit a transform on the vectors of a collection.

    Args:
        steps: Steps joined by "+", such as "centering+hubs".
        vectors: The vectors.
        metadata: What the transform's metadata says beside the method.

    Returns:
        The transform of a single step, or a chain.

    Raises:
        MixlingError: A step is unknown, or the vectors do not suffice for it.

    Example:
        >>> unit = normalize(np.random.default_rng(0).normal(size=(400, 8)).astype(np.float32))
        >>> languages = np.array(["de", "en"] * 200)
        >>> fit_on_collection("centering+hubs", CollectionVectors(
        ...     unit[:200], languages[:200], unit[200:], languages[200:])).output_dimensions
        10
    """
    parts: list[Part] = []
    for name in parse_steps(steps):
        part = STEPS[name](vectors)
        part = replace(part, metadata={**part.metadata, "method": name})
        vectors = vectors.transformed(part)
        parts.append(part)
    found = {
        **(metadata or {}),
        "method": steps,
        "queries": len(vectors.queries),
        "passages": len(vectors.passages),
    }
    if len(parts) == 1:
        return replace(parts[0], metadata={**parts[0].metadata, **found})
    return ChainedTransform(tuple(parts), found)


def parse_steps(text: str) -> list[str]:
    """Return the steps that a text spells.

    Args:
        text: Steps joined by "+".

    Raises:
        MixlingError: A step is unknown or in a place where it does not work.
    """
    names = [choose(x.strip(), STEPS, "step of a transform") for x in text.split("+")]
    for place, name in enumerate(names):
        if name in LAST_STEPS and place != len(names) - 1:
            raise MixlingError(
                f"{text}: the step {name} must be the last one, because it adds two numbers to "
                "each vector. Write it last."
            )
        if name == "balanced" and place:
            raise MixlingError(
                f"{text}: the step balanced must be the first one, because it is fitted for the "
                "encoder's own vectors. Write it first."
            )
    return names


def role_means(
    vectors: CollectionVectors, prior: float = PRIOR
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Compute the mean of each language in each role, shrunk, and those of the roles.

    Args:
        vectors: The vectors.
        prior: Texts at which a mean and what it is shrunk towards have the same weight.

    Returns:
        Languages, sorted; float32 `[2, l, dim]`, queries (0) and passages (1); float32 `[2, dim]`.

    Raises:
        MixlingError: There are no queries or no passages.
    """
    if not len(vectors.queries):
        raise MixlingError(
            "the transform needs the means of queries, and there are no queries. Give queries "
            "with --queries FILE, or take steps that need none: balanced, language, lsar."
        )
    of_passages, passages = passage_means(vectors, prior)
    query_counts, query_means = _means(vectors.queries, vectors.query_languages)
    weights = np.array([query_counts[x] for x in query_means], np.float64)
    shifts = [query_means[x] - of_passages.get(x, passages) for x in query_means]
    shift = np.average(shifts, axis=0, weights=weights)
    codes = sorted(x for x in {*of_passages, *query_means} if x != "und")
    result = np.zeros((2, len(codes), vectors.passages.shape[1]))
    for i, code in enumerate(codes):
        result[1, i] = of_passages.get(code, passages)
        expected = result[1, i] + shift
        result[0, i] = _shrink(
            query_means.get(code, expected), query_counts.get(code, 0), expected, prior
        )
    roles = np.stack([passages + shift, passages])
    return codes, result.astype(np.float32), roles.astype(np.float32)


def passage_means(
    vectors: CollectionVectors, prior: float = PRIOR
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Compute the mean of each language's passages, shrunk, and that of all passages.

    Args:
        vectors: The vectors.
        prior: Passages at which a mean and that of all have the same weight.

    Returns:
        float64 `[dim]` by language, and float64 `[dim]`.

    Raises:
        MixlingError: There are no passages.
    """
    if not len(vectors.passages):
        raise MixlingError(
            "the collection holds no passages, and a transform is fitted on passages. Give a "
            "collection with passages."
        )
    overall = vectors.passages.mean(0, dtype=np.float64)
    counts, means = _means(vectors.passages, vectors.passage_languages)
    if vectors.means:
        means = {**means, **{k: np.asarray(v, np.float64) for k, v in vectors.means.items()}}
        counts = {**counts, **vectors.counts}
        total = sum(counts.values())
        overall = np.sum([counts[x] / total * means[x] for x in means], axis=0)
    return {x: _shrink(means[x], counts[x], overall, prior) for x in means}, overall


def _means(
    vectors: np.ndarray, languages: np.ndarray
) -> tuple[dict[str, int], dict[str, np.ndarray]]:
    codes, counts = np.unique(languages, return_counts=True)
    means = {x: vectors[languages == x].mean(0, dtype=np.float64) for x in codes.tolist()}
    return dict(zip(codes.tolist(), counts.tolist(), strict=True)), means


def _shrink(mean: np.ndarray, count: int, towards: np.ndarray, prior: float) -> np.ndarray:
    return np.asarray((count * mean + prior * towards) / (count + prior))


def _fit_balanced(vectors: CollectionVectors) -> AffineTransform:
    transform = AffineTransform(*read_shipped())
    if vectors.passages.shape[1] != transform.dimensions:
        raise MixlingError(
            f"the step balanced is for vectors of {transform.dimensions} numbers "
            f"(multilingual-e5-small), but these vectors have {vectors.passages.shape[1]}. Leave "
            "the step out."
        )
    return transform


def _fit_language(vectors: CollectionVectors) -> LanguageTransform:
    means, overall = passage_means(vectors)
    codes = sorted(x for x in means if x != "und")
    offset = np.stack([means[x] - overall for x in codes]).astype(np.float32)
    basis = np.zeros((len(codes), 0, offset.shape[1]), np.float32)
    return LanguageTransform(tuple(codes), np.stack([offset, offset]), basis)


def _fit_roles(vectors: CollectionVectors) -> LanguageTransform:
    roles = role_means(vectors)[2]
    size = roles.shape[1]
    empty = (np.zeros((2, 0, size), np.float32), np.zeros((0, 0, size), np.float32))
    return LanguageTransform((), *empty, role_offset=roles)


def _fit_centering(vectors: CollectionVectors) -> LanguageTransform:
    codes, means, roles = role_means(vectors)
    basis = np.zeros((len(codes), 0, means.shape[2]), np.float32)
    return LanguageTransform(tuple(codes), means, basis, role_offset=roles)


def _fit_lsar(vectors: CollectionVectors) -> AffineTransform:
    means, _ = passage_means(vectors)
    counts = vectors.counts or _means(vectors.passages, vectors.passage_languages)[0]
    # the mean of a few passages points anywhere, and what it points to would be taken out of all
    codes = sorted(x for x in means if x != "und" and counts.get(x, 0) >= MIN_PASSAGES)
    if len(codes) < 2:
        raise MixlingError(
            f"the step lsar compares languages, and fewer than two languages have {MIN_PASSAGES} "
            "passages. Leave the step out."
        )
    rows = np.stack([means[x] for x in codes])
    size = rows.shape[1]
    direction = np.linalg.svd(rows - rows.mean(0), full_matrices=False)[2]
    v = direction[: default_rank(size, len(codes))]
    matrix = (np.eye(size) - v.T @ v).astype(np.float32)
    return AffineTransform(matrix, np.zeros(size, np.float32), {"rank": len(v)})


def _fit_trained(vectors: CollectionVectors) -> AffineTransform:
    if vectors.known is None:
        raise MixlingError(
            "the step trained needs titles or first sentences of passages and their "
            "translations, and the collection has none. Leave the step out."
        )
    return fit_known_pairs(vectors.known, vectors.passages, vectors.passage_languages)


def _fit_hubs(vectors: CollectionVectors, skipped: int = SKIPPED) -> HubCorrection:
    queries = normalize(vectors.queries)
    if len(queries) < MIN_REFERENCES:
        raise MixlingError(
            f"the step hubs needs {MIN_REFERENCES} queries or more, and there are "
            f"{len(queries):,}. Give more queries, or leave the step out."
        )
    if len(queries) > MAX_REFERENCES:
        chosen = np.random.default_rng(0).permutation(len(queries))[:MAX_REFERENCES]
        queries = queries[np.sort(chosen)]
    return HubCorrection(queries.astype(np.float32), skipped=skipped)


STEPS: dict[str, Callable[[CollectionVectors], Part]] = {
    "balanced": _fit_balanced,
    "language": _fit_language,
    "lsar": _fit_lsar,
    "roles": _fit_roles,
    "centering": _fit_centering,
    "trained": _fit_trained,
    "hubs": _fit_hubs,
    "csls": partial(_fit_hubs, skipped=0),
}
"""How each step of a transform is fitted."""
NEED_QUERIES = ("roles", "centering", "hubs", "csls")
"""Steps that are fitted on queries."""
LAST_STEPS = ("hubs", "csls")
"""Steps that add numbers to the vectors."""


def needs_queries(steps: str) -> bool:
    """Return whether a transform is fitted on queries.

    Args:
        steps: Its steps.
    """
    return any(x in NEED_QUERIES for x in parse_steps(steps))


def needs_known(steps: str) -> bool:
    """Return whether a transform is trained on known items.

    Args:
        steps: Its steps.
    """
    return "trained" in parse_steps(steps)


def steps_for(
    model: str, queries: int, known: int = 0, names: Sequence[str] | None = None
) -> list[str]:
    """Return the transforms that are worth a trial.

    Args:
        model: Name of the encoder.
        queries: Number of real queries.
        known: Number of known items with an answer in another language.
        names: The transforms to choose among. Default: all that are known to help somewhere.
    """
    from mixling.models.weights import DEFAULT

    found = list(names or CANDIDATES)
    if model.rpartition("/")[2] != DEFAULT.rpartition("/")[2]:
        found = [x for x in found if not x.startswith("balanced")]
    if queries < MIN_REFERENCES:
        found = [x for x in found if not x.endswith(LAST_STEPS)]
    if queries < MIN_QUERIES:
        found = [x for x in found if not needs_queries(x)]
    if known < 2 * MIN_KNOWN:  # the halves of a trial are not equal
        found = [x for x in found if not needs_known(x)]
    return found


CANDIDATES = (
    "language",
    "lsar",
    "balanced",
    "balanced+language",
    "roles",
    "centering",
    "balanced+centering",
    "roles+hubs",
    "centering+hubs",
    "balanced+centering+hubs",
    "language+trained",
    "centering+trained",
    "centering+trained+hubs",
)
