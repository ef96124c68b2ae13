"""The result of an audit."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from mixling.auditing.candidates import Trial
from mixling.auditing.verdict import Verdict
from mixling.transforms.files import VectorTransform

MEASURES = {
    "loss": "Known-item loss: mean reciprocal rank alone less in the pool.",
    "mrr_alone": "Mean reciprocal rank of known items among the answer's language alone.",
    "mrr_pool": "Mean reciprocal rank of known items in the pool of all languages.",
    "intrusion@10": "Share of the first ten that are wrong, in the query's language, and before an "
    "answer in another language.",
    "same_language_share@10": "Share of the query's language among the first ten.",
    "same_language_excess@10": "The same, less the language's share of the collection.",
    "same_language_advantage": "Mean score of same-language passages less that of others, in "
    "standard deviations of all scores.",
    "hub_skew": "Skewness of the number of first tens that a passage is in.",
    "unanswering_share": "Share of passages that are in nobody's first ten.",
    "unknown_share": "Share of passages whose language is not known.",
    "gain": "Expected gain of the repair that the verdict advises; 0 if it advises none.",
}


@dataclass(frozen=True)
class KnownItemResult:
    """Ranks of one type of known items.

    Args:
        name: "title", "first sentence" or "translation".
        scope: "same language", "other language" or "all".
        queries: Number of queries.
        pairs: Number of pairs of a query and an answer.
        alone: Mean of 1 / rank among the answer's language alone.
        pooled: Mean of 1 / rank in the pool.
        loss: `alone` less `pooled`.
        loss_low: Lower end of its 95 % interval.
        loss_high: Upper end.
        median_alone: Median rank alone.
        median_pooled: Median rank in the pool.
    """

    name: str
    scope: str
    queries: int
    pairs: int
    alone: float
    pooled: float
    loss: float
    loss_low: float
    loss_high: float
    median_alone: float
    median_pooled: float


@dataclass(frozen=True)
class Hub:
    """A passage that many queries find.

    Args:
        id: Its id.
        language: Its language.
        title: Its title, or the beginning of its text.
        share: Share of the queries that have it among their first ten.
    """

    id: str
    language: str
    title: str
    share: float


@dataclass(frozen=True)
class AuditResult:
    """The result of an audit.

    Args:
        source: The collection.
        source_type: "documents", "index" or "vectors".
        model: The encoder; None where no text was encoded.
        passages: Passages of the collection.
        pool: Passages of the sample that queries search.
        queries: Number of queries of the result lists.
        query_type: What they are: "log", "title", "first sentence" or "passage".
        languages: Passages of each language, most first; "und" is not known.
        compared: The languages that are compared.
        measures: The measures of `MEASURES`; None where one could not be computed.
        mean_scores: Mean score by query and passage language.
        language_offsets: The same, less the mean of each query language.
        top_shares: Share of each passage language among the first ten, by query language.
        unanswering: Share of passages of each language that are in nobody's first ten.
        unanswering_at_random: The share that random result lists would have.
        hub_skew_at_random: The skewness that random result lists would have.
        hubs: The passages that most queries find.
        known_items: The known items of each type and scope.
        trials: The candidates that were tried.
        translations: Where the translations come from: "given", "found" or "none".
        found_translations: Pairs that look like translations, cycles that could be checked, and the
            precision estimated by them; None where none were looked for.
        verdict: The verdict.
        notes: What was left out, and why.
        transform: The transform that the verdict advises, fitted on the whole sample; None if it
            advises none.
    """

    source: str
    source_type: str
    model: str | None
    passages: int
    pool: int
    queries: int
    query_type: str
    languages: dict[str, int]
    compared: list[str]
    measures: dict[str, float | None]
    mean_scores: dict[str, dict[str, float]]
    language_offsets: dict[str, dict[str, float]]
    top_shares: dict[str, dict[str, float]]
    unanswering: dict[str, float]
    unanswering_at_random: float
    hub_skew_at_random: float
    hubs: list[Hub]
    known_items: list[KnownItemResult]
    trials: list[Trial]
    translations: str
    found_translations: dict[str, float | None] | None
    verdict: Verdict
    notes: list[str]
    transform: VectorTransform | None = None

    def __repr__(self) -> str:
        return (
            f"AuditResult(source={self.source!r}, passages={self.passages}, "
            f"queries={self.queries}, languages={len(self.languages)}, "
            f"decision={self.verdict.decision!r}, gain={self.verdict.gain:.3f})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the result as values of JSON, without the transform; no number is None."""
        values = dataclasses.asdict(dataclasses.replace(self, transform=None))
        del values["transform"]
        return dict(_json_value(values))


def _json_value(value: Any) -> Any:
    """Return a value with None for every number that is not finite."""
    if isinstance(value, dict):
        return {key: _json_value(x) for key, x in value.items()}
    if isinstance(value, list | tuple):
        return [_json_value(x) for x in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
