"""Debiasing at the score: every pair of languages is brought to one scale.

    s'(q, p) = (s(q, p) - m_{l_q, l_p}) / d_{l_q, l_p}

m and d: mean and standard deviation of the scores of texts that do not answer each other, fitted on stored
vectors, two numbers a pair of languages. Vectors stay as they are; the ranking needs both texts' languages.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mixling.debiasing.embedded_corpus import EmbeddedCorpus
from mixling.debiasing.transforms import normalize


def fit_score_calibration(stock: EmbeddedCorpus, most: int = 500, seed: int = 0) -> dict[str, Any]:
    """{"pairs": {"ar-en": [mean, deviation], …}, "all": [mean, deviation]}. most: texts a language and role."""
    rng = np.random.default_rng(seed)
    sides = []
    for vectors, of, group in (
        (stock.queries, stock.query_language(), stock.corpus.queries["group"].to_pylist()),
        (stock.passages, stock.passage_language(), stock.corpus.links["group"].to_pylist()),
    ):
        groups = np.array(group)
        rows = {
            code: rng.permutation(np.flatnonzero(of == code))[:most] for code in stock.languages()
        }
        sides.append(
            {code: (normalize(vectors[r]), groups[r]) for code, r in rows.items() if len(r)}
        )
    pairs, values = {}, []
    for a, (q, q_group) in sides[0].items():
        for b, (p, p_group) in sides[1].items():
            other = (q @ p.T)[q_group[:, None] != p_group[None, :]]
            if len(other) > 1:
                pairs[f"{a}-{b}"] = [float(other.mean()), max(float(other.std()), 1e-6)]
                values.append(pairs[f"{a}-{b}"])
    return {"pairs": pairs, "all": np.mean(values, axis=0).tolist()}
