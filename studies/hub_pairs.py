"""Reciprocity and hubs of each pair of languages, for `studies.hubs`.

The queries of one language search the passages of one other alone. For each pair: reciprocity by
cosine, by CSLS (references in the query's language), and by cosine without the hubs: the hundredth
of the passages that most queries find. The paper is known to us by its abstract, so these readings
of its terms are ours: hub mass is the share of the first ten that hubs take, anisotropy the mean
cosine of two texts of the pair, and drift the distance of the means of queries and passages.

By arithmetic alone, a passage that N > k queries find is mutual with k of them at most. The highest
reciprocity that the hubs leave, the ceiling, is reported and explained too, and so is the share of
it that is reached: what hubs explain of the ceiling alone is no finding.
"""

from __future__ import annotations

from itertools import combinations
from math import factorial
from typing import TYPE_CHECKING, Any

import numpy as np

from mixling.evaluation.csls import NEIGHBORS
from mixling.evaluation.hubs.neighbors import K, Neighbors
from mixling.evaluation.hubs.reciprocity import mutual_neighbors, reciprocity, reciprocity_ceiling
from mixling.evaluation.hubs.share import hub_share
from mixling.evaluation.hubs.skew import hub_skew
from mixling.evaluation.tasks import Task
from mixling.transforms.csls import csls, mean_of_highest

if TYPE_CHECKING:
    from studies.hubs import Halves, Vectors

PREDICTORS = ("hub share", "anisotropy", "drift")
TARGETS = ("reciprocity", "reciprocity ceiling", "reciprocity of the ceiling", "mAP")
ABLATED = 0.01  # of the passages


def neighbors_of(scores: np.ndarray, k: int = K) -> Neighbors:
    """Return the first k passages of each query, and which of them are mutual."""
    k = min(k, *scores.shape)
    top = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    threshold = np.partition(scores, len(scores) - k, axis=0)[len(scores) - k]
    found = np.take_along_axis(scores, top, 1)
    return Neighbors(top, scores.shape[1], mutual_neighbors(top, found, threshold))


def measure_pair(queries: np.ndarray, passages: np.ndarray, references: np.ndarray) -> dict:
    """Measure a pair of languages."""
    scores = queries @ passages.T
    found = neighbors_of(scores)
    of_passages = mean_of_highest(passages @ references.T, min(NEIGHBORS, len(references)))
    hubs = np.argsort(-found.occurrence, kind="stable")[: max(1, round(ABLATED * len(passages)))]
    texts = np.vstack([queries, passages])
    n, total = len(texts), texts.sum(0, dtype=np.float64)
    return {
        "reciprocity": reciprocity(found),
        "reciprocity, CSLS": reciprocity(neighbors_of(csls(scores, of_passages))),
        "reciprocity, hubs out": reciprocity(neighbors_of(np.delete(scores, hubs, axis=1))),
        "reciprocity ceiling": reciprocity_ceiling(found),
        "reciprocity of the ceiling": reciprocity(found) / reciprocity_ceiling(found),
        "hub share": hub_share(found),
        "hub skew": hub_skew(found),
        "anisotropy": float((total @ total - n) / (n * (n - 1))),
        "drift": float(np.linalg.norm(queries.mean(0) - passages.mean(0))),
    }


def measure_pairs(
    task: Task, halves: Halves, vectors: Vectors, entry: dict[str, Any]
) -> dict[str, dict[str, float]]:
    """Measure all ordered pairs of languages.

    Args:
        task: The whole task.
        halves: What is measured.
        vectors: Vectors behind a transform.
        entry: The task's entry of a summary by cosine, with mAP of each pair.
    """
    of_query = task.query_language[halves.queries]
    of_reference = task.query_language[halves.references]
    of_passage = task.passage_language[halves.passages]
    pairs = {}
    for a in np.unique(of_query).tolist():
        for b in np.unique(of_passage).tolist():
            parts = (
                vectors.queries[of_query == a],
                vectors.passages[of_passage == b],
                vectors.references[of_reference == a],
            )
            if min(map(len, parts)) <= K:
                continue
            first, second = task.languages[a], task.languages[b]
            name = f"{first}-{second}"
            found = measure_pair(*parts)
            scenario, key = ("monolingual", first) if a == b else ("cross-lingual", name)
            score = entry.get(scenario, {}).get("by_language", {}).get(key)
            pairs[name] = {**found, **({} if score is None else {"mAP": score["mAP"]})}
    return pairs


def gap_closed(pairs: dict[str, dict[str, float]]) -> dict[str, float | str]:
    """Return how much of the gap from the worst pair to the best one CSLS closes.

    The worst pair comes up by chance too when it is measured anew, so the gap between the then
    worst and best pairs stands beside. Also what CSLS and taking hubs out change on average, and
    the same in standard deviations over pairs.
    """
    if not pairs:
        return {}
    values = {
        name: np.array([p[name] for p in pairs.values()])
        for name in ("reciprocity", "reciprocity, CSLS", "reciprocity, hubs out")
    }
    before = values["reciprocity"]
    low, high = int(before.argmin()), int(before.argmax())
    found: dict[str, float | str] = {
        "worst pair": list(pairs)[low],
        "best pair": list(pairs)[high],
        "gap": float(before[high] - before[low]),
    }
    for name in ("CSLS", "hubs out"):
        after = values[f"reciprocity, {name}"]
        change = after - before
        found[f"gap, {name}"] = float(after.max() - after.min())
        found[f"mean change, {name}"] = float(change.mean())
        found[f"effect, {name}"] = float(change.mean() / max(change.std(ddof=1), 1e-12))
        found[f"closed, {name}"] = float(change[low] / max(before[high] - before[low], 1e-12))
    return found


def regressions(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Explain reciprocity and mAP of pairs by hubs, anisotropy and drift.

    Pairs are taken about the mean of their task, encoder and transform. For zero-shot vectors and
    for all transforms together. Tasks without answers in other languages are left out: there the
    first passages of a query in another language share a topic at best.
    """
    found = {}
    rows = [r for r in rows if any("mAP" in p for x, p in r["pairs"].items() if _is_mixed(x))]
    for label, some in (
        ("zero-shot", [r for r in rows if r["transform"] == "zero-shot"]),
        ("all transforms", rows),
    ):
        for target in TARGETS:
            blocks = [
                np.array(
                    [
                        [p[x] for x in (target, *PREDICTORS)]
                        for p in r["pairs"].values()
                        if target in p
                    ]
                )
                for r in some
            ]
            centered = [b - b.mean(0) for b in blocks if len(b) > 1]
            if centered:
                table = np.vstack(centered)
                found[f"{target}, {label}"] = explain(table[:, 0], table[:, 1:])
    return found


def _is_mixed(pair: str) -> bool:
    """Return whether a pair "a-b" is one of two languages."""
    first, second = pair.split("-", 1)
    return first != second


def explain(y: np.ndarray, x: np.ndarray) -> dict[str, Any]:
    """Return R^2 of a linear regression, and each predictor's part of it.

    `partial` is the share of what the others leave. `dominance` is the mean gain of R^2 over all
    orders in which predictors may enter, as a share of R^2 (Azen and Budescu 2003).
    """
    n = x.shape[1]
    fits = {s: r_squared(y, x[:, s]) for i in range(n + 1) for s in combinations(range(n), i)}
    whole = fits[tuple(range(n))]
    found: dict[str, Any] = {"pairs": len(y), "R2": whole}
    for i, name in enumerate(PREDICTORS):
        others = tuple(j for j in range(n) if j != i)
        gain = sum(
            factorial(len(s))
            * factorial(n - len(s) - 1)
            / factorial(n)
            * (fits[tuple(sorted((*s, i)))] - fits[s])
            for s in fits
            if i not in s
        )
        found[name] = {
            "correlation": float(np.corrcoef(y, x[:, i])[0, 1]),
            "partial": (whole - fits[others]) / max(1 - fits[others], 1e-12),
            "dominance": gain / max(whole, 1e-12),
        }
    return found


def r_squared(y: np.ndarray, x: np.ndarray) -> float:
    """Return the share of the variance that a linear regression explains."""
    if not x.shape[1]:
        return 0.0
    residual = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    return float(1 - (residual @ residual) / max(y @ y, 1e-12))
