"""All measures of bias, in the order in which reports show them."""

from __future__ import annotations

import numpy as np

from mixling.evaluation.bias import (
    cases,
    complete,
    distance,
    exposure,
    foreign,
    intrusion,
    lang_ndcg,
    peer,
    preference,
    share,
)
from mixling.evaluation.bias.pool import BiasMeasure, MultilingualPool

MRC = BiasMeasure(
    "MRC@20",
    lambda pool: np.full(pool.n_queries, np.nan),
    "-1 to 1",
    "high",
    "How alike the rankings of a question and of its translation are.",
    "A retriever that is equally bad in all languages scores high.",
    "LaKDA (MRL 2024), arXiv:2605.31171",
)
MEASURES: dict[str, BiasMeasure] = {
    m.name: m
    for module in (
        distance,
        foreign,
        intrusion,
        preference,
        lang_ndcg,
        cases,
        share,
        exposure,
        peer,
        complete,
    )
    for m in module.MEASURES
}
ALL = {**MEASURES, MRC.name: MRC}


def bias(pool: MultilingualPool) -> dict[str, np.ndarray]:
    """Every measure of a pool, float64 [queries] each. MRC is apart: it needs the scores of translations."""
    return {name: m.compute(pool) for name, m in MEASURES.items()}
