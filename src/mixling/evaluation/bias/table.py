"""All measures of bias, in the order in which reports show them."""

from __future__ import annotations

import numpy as np

from mixling.evaluation.bias import (
    cases,
    complete,
    distance,
    exposure,
    intrusion,
    lang_ndcg,
    other_language,
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
    "Rank correlation between the results of a query and of its translations.",
    "Is high for a retriever that is equally weak in all languages.",
    "LaKDA (MRL 2024), arXiv:2605.31171",
    "mean over translations t of Spearman(scores of q, scores of t) on the union of both top k",
)
MEASURES: dict[str, BiasMeasure] = {
    measure.name: measure
    for module in (
        distance,
        other_language,
        intrusion,
        preference,
        lang_ndcg,
        cases,
        share,
        exposure,
        peer,
        complete,
    )
    for measure in module.MEASURES
}
ALL = {**MEASURES, MRC.name: MRC}


def bias_measures(pool: MultilingualPool) -> dict[str, np.ndarray]:
    """Compute every measure of a pool except MRC, which needs the scores of translations.

    Args:
        pool: Ranks in the multilingual pool.

    Returns:
        float64 `[n_queries]` for each measure's name.
    """
    return {name: measure.compute(pool) for name, measure in MEASURES.items()}
