"""Rankers by name: encoders, and the baselines that a reviewer asks for.

| name | scores |
|---|---|
| `bm25` | Lucene's form of BM25 (bm25s), words by ICU |
| `NAME+bm25` | mean of both scores, each scaled to 0 … 1 within a query's first thousand |
| `NAME+bm25:rrf` | reciprocal rank fusion of both, k = 60 |
| `late:NAME` | late interaction: a vector a token, MaxSim |
| `random` | random numbers: the level of chance |
| `oracle` | relevant passages first, in the order of their ids: the top of every scale |
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from mixling.encoding.late import maxsim, token_vectors
from mixling.encoding.vectors import similarity_vectors
from mixling.errors import MixlingError
from mixling.evaluation.calibrated import CalibratedScorer
from mixling.evaluation.ranks import DotScorer, Ranker, Scorer, ScoreRows, by_ids
from mixling.evaluation.tasks import Task
from mixling.models.encoder import ExternalEncoder
from mixling.models.encoders import AnyEncoder, load_encoder, require_weights
from mixling.models.loading import log_settings
from mixling.models.precision import Precision, choose_precision
from mixling.models.retriever import Retriever
from mixling.progress import Progress


def make_ranker(
    model: Any,
    precision: Precision = "auto",
    vector_cache: Path | None = None,
    passage_model: Any = None,
    trust_remote_code: bool = False,
    model_options: Mapping[str, Any] | None = None,
) -> Ranker:
    """Make a ranker.

    Args:
        model: What `load_encoder` takes (a model folder, a hub name, a service, a function), the
            name of a baseline, or a ranker, which is returned as it is.
        precision: Number format of the encoder; "auto" takes bf16 where it is faster.
        vector_cache: Folder where vectors stay.
        passage_model: Another model that encodes the passages, as an existing index may have done.
        trust_remote_code: Run the code that a model brings along.
        model_options: Arguments of `Retriever` for every model that is given by its name.

    Returns:
        The ranker.

    Raises:
        MixlingError: The model cannot be loaded, or the vectors of both models cannot be compared.
    """

    def load(name: Any) -> AnyEncoder:
        encoder = load_encoder(name, trust_remote_code=trust_remote_code, **model_options or {})
        log_settings(encoder)
        return encoder

    if passage_model is not None:
        ranker = make_ranker(
            model,
            precision,
            vector_cache,
            trust_remote_code=trust_remote_code,
            model_options=model_options,
        )
        loaded = isinstance(passage_model, (Retriever, ExternalEncoder))
        return _with_passage_model(ranker, passage_model if loaded else load(passage_model))
    if isinstance(model, (Retriever, ExternalEncoder)):
        return DenseRanker(model, precision, vector_cache)
    if hasattr(model, "scorer"):
        return cast(Ranker, model)
    if not isinstance(model, str):
        return DenseRanker(load(model), precision, vector_cache)
    if model in ("random", "oracle"):
        return SanityRanker(model)
    if model.startswith("late:"):
        encoder = require_weights(load(model.removeprefix("late:")), "late interaction")
        return LateInteractionRanker(encoder, precision)
    name, plus, form = model.rpartition("+bm25")
    if model == "bm25" or (plus and form in ("", ":rrf")):
        from mixling.evaluation import lexical

        if model == "bm25":
            return lexical.Bm25Ranker()
        inner = make_ranker(
            name,
            precision,
            vector_cache,
            trust_remote_code=trust_remote_code,
            model_options=model_options,
        )
        return lexical.FusedRanker(inner, "rrf" if form else "mean")
    return DenseRanker(load(model), precision, vector_cache)


def _with_passage_model(ranker: Ranker, passage_model: AnyEncoder) -> Ranker:
    """Let another model encode a ranker's passages."""
    if not isinstance(ranker, (DenseRanker, LateInteractionRanker)):
        raise MixlingError(
            f"{ranker.name} encodes nothing, so no other model can encode its passages. Leave "
            "passage_model out."
        )
    if isinstance(ranker, LateInteractionRanker):
        require_weights(passage_model, "late interaction")
    if ranker.retriever.dimensions != passage_model.dimensions:
        raise MixlingError(
            f"{ranker.name} has vectors of {ranker.retriever.dimensions} numbers, but "
            f"{passage_model.name} has {passage_model.dimensions}. Take two models of one size."
        )
    ranker.passage_model = passage_model
    ranker.name = f"{ranker.name} (passages: {passage_model.name})"
    return ranker


class DenseRanker:
    """An encoder: dot products of unit vectors, or of raw ones where the model compares these.

    Args:
        retriever: The encoder.
        precision: Its number format; "auto" takes bf16 where it is faster.
        vector_cache: Folder where vectors stay.
    """

    def __init__(
        self, retriever: AnyEncoder, precision: Precision = "auto", vector_cache: Path | None = None
    ):
        self.retriever, self.vector_cache = retriever, vector_cache
        self.precision = choose_precision(retriever.device, precision)
        self.name, self.origin = retriever.name, retriever.origin
        self.passage_model: AnyEncoder = retriever
        self.stored = retriever.stored

    @property
    def settings(self) -> dict[str, Any]:
        """How the encoder is used, for a result (see `models.settings`)."""
        return settings_of(self.retriever, self.passage_model)

    def check_cost(self, tasks: Sequence[Task]) -> None:
        """Check what all tasks cost before anything is sent, for encoders that are paid.

        Args:
            tasks: The tasks.

        Raises:
            MixlingError: The cost is above the limit, or is all that was asked for (`DryRun`).
        """
        for encoder, roles in (
            (self.retriever, ("query", "passage")[: 1 + (self.passage_model is self.retriever)]),
            (self.passage_model, ("passage",)[: self.passage_model is not self.retriever]),
        ):
            check = getattr(encoder, "check_cost", None)
            if check is not None and roles:
                check([part for task in tasks for part in _texts_by_role(task) if part[1] in roles])

    def scorer(self, task: Task) -> tuple[Scorer, dict[str, Any]]:
        """Encode a task.

        Args:
            task: The task.

        Returns:
            The scorer, and the number of texts and tokens with the form of titles and the
            tokenizer's coverage.
        """
        queries, passages, counts = task_vectors(
            self.retriever, task, self.precision, self.vector_cache, self.passage_model
        )
        scorer: Scorer = DotScorer(queries, passages)
        if self.retriever.calibration:
            scorer = CalibratedScorer(scorer, task, self.retriever.calibration)
        if isinstance(self.retriever, ExternalEncoder):
            return scorer, counts  # there is no vocabulary whose coverage could be measured
        # without ICU there is no coverage, and nothing else is missing
        with contextlib.suppress(MixlingError):
            from mixling.evaluation.coverage import coverage

            counts["coverage"] = coverage(self.retriever, task)
        return scorer, counts


def _texts_by_role(task: Task) -> list[tuple[Sequence[str], str, Sequence[str | None] | None]]:
    """Return a task's texts with their role and titles."""
    return [(task.queries, "query", None), (task.passages, "passage", task.titles)]


def task_vectors(
    retriever: AnyEncoder,
    task: Task,
    precision: Precision = "auto",
    vector_cache: Path | None = None,
    passage_model: AnyEncoder | None = None,
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Encode the queries and passages of a task.

    Args:
        retriever: The encoder.
        task: The task.
        precision: Number format of the encoder; "auto" takes bf16 where it is faster.
        vector_cache: Folder where vectors stay.
        passage_model: Another model that encodes the passages.

    Returns:
        Vectors of queries and passages, float32 `[n, dim]`, of length one if the model compares by
        cosine; and the number of texts and tokens encoded.
    """
    vectors, n_tokens = [], 0
    for encoder, role, batch, titles, codes in (
        (retriever, "query", task.queries, None, task.query_language),
        (
            passage_model or retriever,
            "passage",
            task.passages,
            task.titles,
            task.passage_language,
        ),
    ):
        role_vectors, role_tokens = similarity_vectors(
            encoder,
            batch,
            role,
            [task.languages[i] for i in codes],
            titles=titles,
            label=_progress_label(task, role),
            precision=precision,
            folder=vector_cache,
        )
        n_tokens += role_tokens
        vectors.append(role_vectors)
    n_texts = len(task.queries) + len(task.passages)
    counts = {
        "texts": n_texts,
        "tokens_encoded": n_tokens,
        "titles": title_counts(task, passage_model or retriever),
    }
    return vectors[0], vectors[1], counts


def settings_of(retriever: AnyEncoder, passage_model: AnyEncoder) -> dict[str, Any]:
    """Return how an encoder is used, and another one that encodes the passages, for a result."""
    settings: dict[str, Any] = {"settings": retriever.settings.to_dict()}
    if passage_model is not retriever:
        settings["passage_settings"] = passage_model.settings.to_dict()
    return settings


def title_counts(task: Task, retriever: AnyEncoder) -> dict[str, Any]:
    """Return how a task's titles are read, and how many passages have one."""
    return {"form": retriever.settings.titles.value, "passages": sum(map(bool, task.titles))}


def _progress_label(task: Task, role: str) -> str:
    """Return the label of the progress bar while texts are encoded."""
    return f"{task.name}: {'queries' if role == 'query' else 'passages'}"


class LateInteractionRanker:
    """Late interaction: token vectors of an encoder, compared by MaxSim.

    Args:
        retriever: The encoder.
        precision: Its number format; "auto" takes bf16 where it is faster.
    """

    def __init__(self, retriever: Retriever, precision: Precision = "auto"):
        self.retriever, self.passage_model = retriever, retriever
        self.precision = choose_precision(retriever.device, precision)
        self.name, self.origin = f"late:{retriever.name}", retriever.origin
        self.stored = retriever.stored

    @property
    def settings(self) -> dict[str, Any]:
        """How the encoder is used, for a result (see `models.settings`)."""
        return settings_of(self.retriever, self.passage_model)

    def scorer(self, task: Task) -> tuple[Scorer, dict[str, Any]]:
        """Encode a task.

        Args:
            task: The task.

        Returns:
            The scorer, and the number of texts.
        """
        vectors = []
        for encoder, role, batch, titles in (
            (self.retriever, "query", task.queries, None),
            (self.passage_model, "passage", task.passages, task.titles),
        ):
            with Progress(_progress_label(task, role)) as bar:
                vectors.append(
                    token_vectors(
                        encoder,
                        batch,
                        role,
                        titles=titles,
                        precision=self.precision,
                        progress=bar,
                    )
                )
        counts = {
            "texts": len(task.queries) + len(task.passages),
            "titles": title_counts(task, self.passage_model),
        }
        return MaxSimScorer(*vectors[0], *vectors[1]), counts


class MaxSimScorer(ScoreRows):
    """Scores by MaxSim.

    Args:
        queries: float32 `[n, dim]`, token vectors of all queries.
        query_begins: int64 `[n_queries + 1]`, first token of each query.
        passages: float32 `[m, dim]`, token vectors of all passages.
        passage_begins: int64 `[n_passages + 1]`, first token of each passage.
    """

    def __init__(
        self,
        queries: np.ndarray,
        query_begins: np.ndarray,
        passages: np.ndarray,
        passage_begins: np.ndarray,
    ):
        self.queries, self.query_begins = queries, query_begins
        self.passages, self.passage_begins = passages, passage_begins

    def __call__(self, begin: int, end: int) -> np.ndarray:
        """Score consecutive queries against all passages: float32 `[end - begin, n_passages]`."""
        rows = slice(self.query_begins[begin], self.query_begins[end])
        begins = self.query_begins[begin : end + 1] - self.query_begins[begin]
        return maxsim(self.queries[rows], begins, self.passages, self.passage_begins)


class SanityRanker:
    """Rankers that show the ends of the scale.

    Args:
        name: "random" or "oracle".

    Raises:
        MixlingError: The name is another one.
    """

    def __init__(self, name: str):
        if name not in ("random", "oracle"):
            raise MixlingError(f"no check is called '{name}'. Expected random or oracle.")
        self.name, self.origin = name, dict[str, Any]()

    def scorer(self, task: Task) -> tuple[Scorer, dict[str, Any]]:
        """Prepare the scores of a task.

        Args:
            task: The task.

        Returns:
            The scorer; nothing is counted.
        """
        return (_RandomScorer(task) if self.name == "random" else _OracleScorer(task)), {}


class _RandomScorer(ScoreRows):
    """Random scores, which depend on the ids alone and not on the order of rows."""

    def __init__(self, task: Task, seed: int = 0):
        self.seed = seed
        self.queries, self.passages = (by_ids(x)[1] for x in (task.query_ids, task.passage_ids))

    def __call__(self, begin: int, end: int) -> np.ndarray:
        n = len(self.passages)
        draws = [
            np.random.default_rng((self.seed, int(q))).random(n, np.float32)
            for q in self.queries[begin:end]
        ]
        return np.asarray(np.stack(draws)[:, self.passages])


class _OracleScorer(ScoreRows):
    """The grade of each passage as its score."""

    def __init__(self, task: Task):
        self.task = task
        self.first = np.searchsorted(task.relevant[:, 0], np.arange(len(task.queries) + 1))

    def __call__(self, begin: int, end: int) -> np.ndarray:
        task = self.task
        scores = np.zeros((end - begin, len(task.passages)), np.float32)
        rows = slice(self.first[begin], self.first[end])
        scores[task.relevant[rows, 0] - begin, task.relevant[rows, 1]] = task.grades[rows]
        return scores
