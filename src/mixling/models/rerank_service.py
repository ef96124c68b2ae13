"""Rerankers behind an address: the requests and answers of a `/rerank` route.

| spelling | form | key |
|---|---|---|
| `cohere:MODEL` | Cohere's, version 2 | `COHERE_API_KEY` |
| `jina:MODEL` | Jina's | `JINA_API_KEY` |
| `voyage:MODEL` | Voyage's | `VOYAGE_API_KEY` |
| `https://host/rerank#MODEL` | Cohere's, which vLLM and infinity speak too | `MIXLING_API_KEY` |
| `https://host/rerank` | TEI's (text-embeddings-inference), without a model | `MIXLING_API_KEY` |

An address needs no key where its server asks for none.

| form | request beside `query` | answer |
|---|---|---|
| Cohere | `model`, `documents`, `top_n` | `results[].index`, `.relevance_score` |
| Jina | the same and `return_documents` | the same |
| Voyage | `model`, `documents`, `truncation` | `data[].index`, `.relevance_score` |
| TEI | `texts`, `raw_scores`, `truncate` | a list of `index` and `score` |

Most services answer with probabilities. Scores of a query that all lie from 0 to 1 are turned into
log-odds, ln(p / (1 - p)), which a cross-encoder gives before its activation: only there does a
language's preference add to the score, so that it can be subtracted. The order stays the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np

from mixling.errors import MixlingError
from mixling.machine import cache_folder
from mixling.models.encoder import SERVICES
from mixling.models.paid_vectors import PaidVectors, text_key
from mixling.models.providers import PROVIDERS, Body, find_provider
from mixling.models.service import ATTEMPTS, TIMEOUT, BadAnswerError, Service

CONCURRENCY = 8  # requests at once
# passages of a request; an address gets what TEI takes by default
MAX_PASSAGES = {"cohere": 1000, "jina": 512, "voyage": 500, "address": 32}
SMALLEST = 1e-7  # probability that becomes a finite log-odds


def _cohere_body(model: str, query: str, passages: Sequence[str]) -> Body:
    return {"model": model, "query": query, "documents": list(passages), "top_n": len(passages)}


def _jina_body(model: str, query: str, passages: Sequence[str]) -> Body:
    return {**_cohere_body(model, query, passages), "return_documents": False}


def _voyage_body(model: str, query: str, passages: Sequence[str]) -> Body:
    return {"model": model, "query": query, "documents": list(passages), "truncation": True}


def _tei_body(model: str, query: str, passages: Sequence[str]) -> Body:
    return {"query": query, "texts": list(passages), "raw_scores": True, "truncate": True}


Form = tuple[Callable[[str, str, Sequence[str]], Body], Callable[[Any], Any], str]
"""Makes the body of a request, finds the items of an answer, and names their score."""

FORMS: dict[str, Form] = {
    "cohere": (_cohere_body, lambda answer: answer["results"], "relevance_score"),
    "jina": (_jina_body, lambda answer: answer["results"], "relevance_score"),
    "voyage": (_voyage_body, lambda answer: answer["data"], "relevance_score"),
    "tei": (_tei_body, lambda answer: answer, "score"),
}


def is_rerank_service(spelling: str) -> bool:
    """Return whether a spelling names a service: an address, or `NAME:MODEL`."""
    return spelling.startswith(("http://", "https://")) or spelling.partition(":")[0] in SERVICES


class RerankService:
    """A service as a reranker.

    Args:
        spelling: A spelling of the table above.
        keep_scores: Keep each score on disk, so that none is paid for twice.
        attempts: Times that a request is sent at most.
        timeout: Seconds that an answer may take.

    Attributes:
        name: The spelling.
        at_once: Queries that a server may have reranked at once.

    Raises:
        MixlingError: The service is unknown or reranks nothing, there is no key, or the package
            openai, whose client is used, is missing.
    """

    at_once = CONCURRENCY

    def __init__(
        self,
        spelling: str,
        *,
        keep_scores: bool = False,
        attempts: int = ATTEMPTS,
        timeout: float = TIMEOUT,
    ):
        self.name = spelling
        service, is_name = spelling.partition(":")[0], spelling.partition(":")[0] in SERVICES
        if is_name and service not in FORMS:
            raise MixlingError(
                f"{spelling}: Mixling knows no reranker of {service}. Expected cohere:MODEL, "
                "jina:MODEL, voyage:MODEL, or the address of a route such as "
                "https://host/rerank#MODEL"
            )
        has_model = is_name or "#" in spelling
        provider, self.model = find_provider(
            spelling if has_model else f"{spelling}#the server's own"
        )
        self.form = service if is_name else "cohere" if has_model else "tei"
        self.address = f"{provider.address}/rerank" if is_name else provider.address
        if not self.address.endswith("/rerank"):
            raise MixlingError(
                f"{spelling}: the address does not end in /rerank. Expected the whole address of "
                "a route, such as https://host/v1/rerank#MODEL (in Cohere's form) or "
                "https://host/rerank (in the form of text-embeddings-inference)."
            )
        self._service = Service(
            replace(provider, address=self.address, form="rerank"), self.model, attempts, timeout
        )
        self._service.keeps_answers = keep_scores
        self._max_passages = MAX_PASSAGES[service if is_name else "address"]
        self._kept: PaidVectors | None = None
        if keep_scores:
            file = text_key(self.address, self.model).hex()[:24]
            self._kept = PaidVectors(cache_folder() / "rerank" / f"{file}.sqlite")

    @property
    def paid(self) -> bool:
        """Whether each score costs money."""
        return self.form in PROVIDERS

    def scores(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """Score pairs of a query and a passage; the pairs of a query stand together.

        Args:
            pairs: `(query, passage)`, their texts.

        Returns:
            float32 `[n]`: log-odds where the service gives probabilities, else its scores.

        Raises:
            MixlingError: The service refuses, or gives no whole answer.
        """
        parts = [np.zeros(0, np.float32)]
        for query, group in groupby(pairs, key=lambda pair: pair[0]):
            parts.append(log_odds(self._query_scores(query, [passage for _, passage in group])))
        return np.concatenate(parts)

    def _query_scores(self, query: str, passages: list[str]) -> np.ndarray:
        """Return the scores of a query's passages as the service gives them, float32 `[n]`."""
        options = json.dumps({"form": self.form, "query": query})
        keys = [text_key(options, passage) for passage in passages]
        found = {} if self._kept is None else self._kept.read(list(dict.fromkeys(keys)))
        by_key = {key: x for key, x in zip(keys, passages, strict=True) if key not in found}
        missing = list(by_key)
        batches = [
            missing[i : i + self._max_passages] for i in range(0, len(missing), self._max_passages)
        ]
        if batches:
            found |= self._ask_all(query, [{key: by_key[key] for key in b} for b in batches])
        return np.array([found[key][0] for key in keys], np.float32)

    def _ask_all(self, query: str, batches: list[dict[bytes, str]]) -> dict[bytes, np.ndarray]:
        """Return the scores of passages, float32 `[1]` each, by several requests at once.

        Where a request fails, those on their way are awaited and kept before the error is raised.
        """
        found: dict[bytes, np.ndarray] = {}
        jobs: dict[Future[np.ndarray], dict[bytes, str]] = {}

        def keep(job: Future[np.ndarray]) -> None:
            keys, scores = list(jobs[job]), job.result()[:, None]
            found.update(zip(keys, scores, strict=True))
            if self._kept is not None:
                self._kept.write(keys, scores)
            del jobs[job]

        pool = ThreadPoolExecutor(min(CONCURRENCY, len(batches)), "rerank")
        try:
            jobs |= {pool.submit(self._ask, query, list(x.values())): x for x in batches}
            for job in list(jobs):
                keep(job)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            for job in list(jobs):
                if not job.cancelled() and job.exception() is None:
                    keep(job)
        return found

    def _ask(self, query: str, passages: list[str]) -> np.ndarray:
        """Ask for the scores of passages in one request: float32 `[n]`, in their order."""
        make, find, field = FORMS[self.form]

        def ask() -> np.ndarray:
            body = make(self.model, query, passages)
            response = self._service.http.post(self.address, json=body)
            response.raise_for_status()
            return read_scores(find(response.json()), field, len(passages))

        return self._service.request(ask)


def read_scores(items: Any, field: str, n: int) -> np.ndarray:
    """Read the scores of an answer into the order of the passages.

    Args:
        items: Objects with `index` and a score.
        field: The name of the score.
        n: Passages that were sent.

    Returns:
        float32 `[n]`.

    Raises:
        BadAnswerError: A passage has no score or two, or a score is no finite number.
    """
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise BadAnswerError(f"it is not a list of objects with index and {field}")
    if sorted(item.get("index", -1) for item in items) != list(range(n)):
        raise BadAnswerError(
            f"it has {len(items)} scores for {n} passages, or their `index` is wrong"
        )
    scores = np.zeros(n, np.float32)
    for item in items:
        scores[item["index"]] = float(item[field])
    if not np.isfinite(scores).all():
        raise BadAnswerError("a score is NaN or infinite")
    return scores


def log_odds(scores: np.ndarray) -> np.ndarray:
    """Turn scores that all lie from 0 to 1 into log-odds; return others as they are.

    Args:
        scores: float32 `[n]`.

    Returns:
        float32 `[n]`, in the same order.
    """
    if not len(scores) or scores.min() < 0 or scores.max() > 1:
        return scores
    p = np.clip(scores.astype(np.float64), SMALLEST, 1 - SMALLEST)
    return np.asarray(np.log(p / (1 - p)), np.float32)
