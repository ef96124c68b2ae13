"""What can be measured: an encoder by name, and the baselines that a reviewer asks for.

bm25          lexical, Lucene's form of BM25 (bm25s), words by ICU
NAME+bm25     mean of both scores, each brought to 0 … 1 within a query's first thousand (papers' usual form)
NAME+bm25:rrf reciprocal rank fusion of both, k = 60
late:NAME     late interaction: a vector a token, MaxSim
random        scores from a seed: what chance reaches
oracle        relevant candidates first, in the order of their ids: the top of every scale
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np

from mixling.encoding.late import maxsim, token_vectors
from mixling.encoding.vectors import similarity_vectors
from mixling.errors import MixlingError
from mixling.evaluation.ranks import DotScorer, Ranker, Scorer, ScoreRows, by_ids
from mixling.evaluation.tasks import Task
from mixling.models.retriever import Retriever
from mixling.progress import Progress


def make_ranker(
    model: str | Retriever | Ranker,
    precision: str = "fp32",
    vector_cache: Path | None = None,
    documents: str | Retriever | None = None,
    trust_remote_code: bool = False,
) -> Ranker:
    """A ranker by name; a Retriever or a ranker as it is. keep: folder for vectors; documents: another model that encodes
    the candidates, as an index that is there already did (OPTICAL's teacher); trust_remote_code: as of Retriever."""

    def loaded(name: str) -> Retriever:
        return Retriever(name, trust_remote_code=trust_remote_code)

    if documents is not None:
        other = documents if isinstance(documents, Retriever) else loaded(documents)
        made = make_ranker(model, precision, vector_cache, trust_remote_code=trust_remote_code)
        if not isinstance(made, (DenseRanker, LateInteractionRanker)):
            raise MixlingError(
                f"{made.name} encodes nothing, so no other model can encode its documents"
            )
        if made.retriever.dimensions != other.dimensions:
            raise MixlingError(
                f"{made.name} has vectors of {made.retriever.dimensions} numbers and {other.name} of {other.dimensions}: "
                "they cannot be compared"
            )
        made.documents, made.name = other, f"{made.name} (documents: {other.name})"
        return made
    if isinstance(model, Retriever):
        return DenseRanker(model, precision, vector_cache)
    if not isinstance(model, str):
        return model
    if model in ("random", "oracle"):
        return SanityRanker(model)
    if model.startswith("late:"):
        return LateInteractionRanker(loaded(model.removeprefix("late:")), precision)
    name, plus, form = model.rpartition("+bm25")
    if model == "bm25" or (plus and form in ("", ":rrf")):
        from mixling.evaluation import lexical

        if model == "bm25":
            return lexical.Bm25Ranker()
        inner = make_ranker(name, precision, vector_cache, trust_remote_code=trust_remote_code)
        return lexical.FusedRanker(inner, "rrf" if form else "mean")
    return DenseRanker(loaded(model), precision, vector_cache)


class DenseRanker:
    """An encoder: dot products of unit vectors, or of raw ones where the model says so."""

    def __init__(self, retriever: Retriever, precision: str = "fp32", keep: Path | None = None):
        self.retriever, self.precision, self.keep = retriever, precision, keep
        self.name, self.origin, self.documents = retriever.name, retriever.origin, retriever
        self.stored = retriever.stored

    def scorer(self, one: Task) -> tuple[Scorer, dict[str, Any]]:
        queries, candidates, counted = unit_vectors(
            self.retriever, one, self.precision, self.keep, self.documents
        )
        scorer: Scorer = DotScorer(queries, candidates)
        if self.retriever.calibration:
            scorer = CalibratedScorer(scorer, one, self.retriever.calibration)
        # without ICU there is no coverage, and nothing else is missing
        with contextlib.suppress(MixlingError):
            from mixling.evaluation.coverage import coverage

            counted["coverage"] = coverage(self.retriever, one)
        return scorer, counted


def unit_vectors(
    retriever: Retriever,
    one: Task,
    precision: str = "fp32",
    folder: Path | None = None,
    documents: Retriever | None = None,
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Vectors of queries and candidates (of length one if the model compares by cosine), and what was encoded.

    documents: another model that encodes the candidates.
    """
    documents = documents or retriever
    texts = one.titled_passages()
    made, counted = [], 0
    for encoder, role, batch, of in (
        (retriever, "query", one.queries, one.query_language),
        (documents, "passage", texts, one.passage_language),
    ):
        languages = [one.languages[i] for i in of]
        label = f"{one.name}: {'questions' if role == 'query' else 'candidates'}"
        v, tokens = similarity_vectors(
            encoder, batch, role, languages, label=label, precision=precision, folder=folder
        )
        counted += tokens
        made.append(v)
    return made[0], made[1], {"texts": len(one.queries) + len(texts), "tokens_encoded": counted}


class LateInteractionRanker:
    """Late interaction: token vectors of an encoder, MaxSim."""

    def __init__(self, retriever: Retriever, precision: str = "fp32"):
        self.retriever, self.precision, self.documents = retriever, precision, retriever
        self.name, self.origin = f"late:{retriever.name}", retriever.origin
        self.stored = retriever.stored

    def scorer(self, one: Task) -> tuple[Scorer, dict[str, Any]]:
        texts = one.titled_passages()
        made = []
        for encoder, role, batch in (
            (self.retriever, "query", one.queries),
            (self.documents, "passage", texts),
        ):
            with Progress(f"{one.name}: {'questions' if role == 'query' else 'candidates'}") as bar:
                made.append(
                    token_vectors(encoder, batch, role, precision=self.precision, progress=bar)
                )
        return _MaxSim(*made[0], *made[1]), {"texts": len(one.queries) + len(texts)}


class _MaxSim(ScoreRows):
    def __init__(
        self, queries: np.ndarray, begins: np.ndarray, documents: np.ndarray, d_begins: np.ndarray
    ):
        self.queries, self.begins = queries, begins
        self.documents, self.d_begins = documents, d_begins

    def __call__(self, begin: int, end: int) -> np.ndarray:
        rows = slice(self.begins[begin], self.begins[end])
        begins = self.begins[begin : end + 1] - self.begins[begin]
        return maxsim(self.queries[rows], begins, self.documents, self.d_begins)


class CalibratedScorer:
    """Scores of another scorer, brought to one scale for every pair of languages: (s - mean) / deviation.

    calibration: {"pairs": {"ar-en": [mean, deviation], …}, "all": [mean, deviation]} of a model's scores.json.
    """

    def __init__(self, scorer: Scorer, one: Task, calibration: dict[str, Any]):
        self.inner, self.one = scorer, one
        n = len(one.languages)
        self.mean, self.deviation = (np.full((n, n), x, np.float32) for x in calibration["all"])
        for i, a in enumerate(one.languages):
            for j, b in enumerate(one.languages):
                if f"{a}-{b}" in calibration["pairs"]:
                    self.mean[i, j], self.deviation[i, j] = calibration["pairs"][f"{a}-{b}"]

    def _adjust(self, scores: np.ndarray, queries: Any, candidates: Any) -> np.ndarray:
        cell = np.ix_(self.one.query_language[queries], self.one.passage_language[candidates])
        return (scores - self.mean[cell]) / self.deviation[cell]

    def __call__(self, begin: int, end: int) -> np.ndarray:
        return self._adjust(self.inner(begin, end), slice(begin, end), slice(None))

    def at(self, queries: np.ndarray, candidates: np.ndarray) -> np.ndarray:
        return self._adjust(self.inner.at(queries, candidates), queries, candidates)


class SanityRanker:
    """Rows that show the scale: `random` and `oracle`."""

    def __init__(self, name: str):
        if name not in ("random", "oracle"):
            raise MixlingError(f"no check '{name}'; there are random and oracle")
        self.name, self.origin = name, dict[str, Any]()

    def scorer(self, one: Task) -> tuple[Scorer, dict[str, Any]]:
        return (_Random(one) if self.name == "random" else _Oracle(one)), {}


class _Random(ScoreRows):
    def __init__(self, one: Task, seed: int = 0):
        self.seed = seed
        self.queries, self.candidates = (by_ids(x)[1] for x in (one.query_ids, one.passage_ids))

    def __call__(self, begin: int, end: int) -> np.ndarray:
        n = len(self.candidates)
        draws = [
            np.random.default_rng((self.seed, int(q))).random(n, np.float32)
            for q in self.queries[begin:end]
        ]
        return np.stack(draws)[:, self.candidates]


class _Oracle(ScoreRows):
    def __init__(self, one: Task):
        self.n, self.one = len(one.passages), one
        self.first = np.searchsorted(one.relevant[:, 0], np.arange(len(one.queries) + 1))

    def __call__(self, begin: int, end: int) -> np.ndarray:
        scores = np.zeros((end - begin, self.n), np.float32)
        rows = slice(self.first[begin], self.first[end])
        scores[self.one.relevant[rows, 0] - begin, self.one.relevant[rows, 1]] = self.one.grades[
            rows
        ]
        return scores
