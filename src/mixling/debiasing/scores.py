"""Debiasing at the score: the scores of every pair of languages are brought to one scale.

    s'(q, p) = (s(q, p) - m_{l_q, l_p}) / d_{l_q, l_p}

m and d are the mean and standard deviation of the scores of texts that do not answer each other,
fitted on stored vectors: two numbers for each pair of languages. Vectors stay as they are; the
ranking needs the languages of both texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mixling.debiasing.embedded_corpus import EmbeddedCorpus, texts_in_all_languages
from mixling.debiasing.method import DebiasingMethod
from mixling.transforms.transforms import ScoreCalibration, normalize

MAX_TEXTS = 500  # of a language and role


@dataclass(frozen=True)
class Scores(DebiasingMethod):
    """Bring the scores of each pair of languages to mean zero and deviation one."""

    name = "scores"
    transforms_vectors = False

    def fit(self, corpora: Sequence[EmbeddedCorpus]) -> ScoreCalibration:
        """Fit the scale of each pair of languages on at most 500 texts a language and role.

        Args:
            corpora: Queries and passages as vectors, one corpus for each source.

        Returns:
            Mean and deviation of each pair of languages.
        """
        corpus = texts_in_all_languages(corpora)
        rng = np.random.default_rng(0)
        roles = []
        for vectors, language, names in (
            (corpus.queries, corpus.query_language(), corpus.corpus.queries["group"].to_pylist()),
            (corpus.passages, corpus.passage_language(), corpus.corpus.links["group"].to_pylist()),
        ):
            group = np.array(names)
            rows = {
                code: rng.permutation(np.flatnonzero(language == code))[:MAX_TEXTS]
                for code in corpus.languages()
            }
            roles.append(
                {code: (normalize(vectors[r]), group[r]) for code, r in rows.items() if len(r)}
            )
        pairs: dict[str, list[float]] = {}
        for query_language, (q, q_group) in roles[0].items():
            for passage_language, (p, p_group) in roles[1].items():
                scores = (q @ p.T)[q_group[:, None] != p_group[None, :]]
                if len(scores) > 1:
                    deviation = max(float(scores.std()), 1e-6)
                    pairs[f"{query_language}-{passage_language}"] = [
                        float(scores.mean()),
                        deviation,
                    ]
        return ScoreCalibration(pairs, np.mean(list(pairs.values()), axis=0).tolist())
