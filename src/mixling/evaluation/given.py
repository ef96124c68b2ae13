"""Measures vectors, a TREC run, or a search system in place of a model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mixling.corpora.json_files import read_json
from mixling.encoding.vectors import similarity_vectors
from mixling.errors import MixlingError
from mixling.evaluation.baselines import DenseRanker
from mixling.evaluation.endpoint_forms import endpoint_form
from mixling.evaluation.endpoints import EndpointSystem, http_system, python_system
from mixling.evaluation.given_vectors import GivenVectors
from mixling.evaluation.ranks import Ranker
from mixling.evaluation.runs import RunSystem
from mixling.evaluation.tasks import Task
from mixling.evaluation.top_lists import SearchSystem

Search = Callable[[str, int], Iterable[tuple[str, float]]]
_FORM_OPTIONS = ("form", "body", "id_field")


def given_ranker(
    vectors: str | Path | None = None,
    run: str | Path | None = None,
    endpoint: str | Search | None = None,
    *,
    similarity: str | None = None,
    endpoint_options: Mapping[str, Any] | None = None,
    query_encoder: Ranker | None = None,
    answers: Path | None = None,
) -> Ranker | SearchSystem | None:
    """Return the ranker of vectors, a TREC run or a search system that is measured.

    Args:
        vectors: Folder of vectors (see `mixling.evaluation.given_vectors`).
        run: A TREC run, or a folder of one for each task.
        endpoint: Address of a search system, `python:module:function`, or the function.
        similarity: "cosine" or "dot", for vectors.
        endpoint_options: `form`, `body` (a file of JSON or its content), `id_field`, `depth`,
            `concurrency`, `timeout`.
        query_encoder: Model that encodes the queries for an endpoint that is asked with vectors.
        answers: Folder that keeps the answers of an endpoint until a task is finished.

    Returns:
        The ranker or search system; None where nothing of these is given.

    Raises:
        MixlingError: Two of them are given, or one cannot be used.
    """
    options = dict(endpoint_options or {})
    form = str(options.get("form") or "mixling")
    if endpoint is None and form.endswith(".toml"):
        endpoint = ""
    given = {"vectors": vectors, "run": run, "endpoint": endpoint}
    names = [name for name, value in given.items() if value is not None]
    if len(names) > 1:
        raise MixlingError(
            f"{names[0]} and {names[1]} are both given. Measure one of them at a time."
        )
    if options and endpoint is None:
        raise MixlingError(
            f"the option {next(iter(options))} is for search systems, but no system is given. "
            "Give its address with --endpoint URL."
        )
    if vectors is not None:
        return GivenVectors(vectors, similarity or "cosine")
    if run is not None:
        return RunSystem(run)
    if endpoint is None:
        return None
    other = {k: v for k, v in options.items() if k not in _FORM_OPTIONS and v is not None}
    if not isinstance(endpoint, str) or endpoint.startswith("python:"):
        return python_system(endpoint, answers=answers, **other)
    body = options.get("body")
    if isinstance(body, (str, Path)):
        path, body = body, read_json(Path(body))
        if not isinstance(body, dict):
            raise MixlingError(
                f"{path}: the file holds no JSON object. Expected the body of a request as a "
                "JSON object."
            )
    encode = None if query_encoder is None else _query_vectors(query_encoder)
    system = http_system(
        endpoint_form(endpoint, form, body, options.get("id_field")),
        encode,
        answers=answers,
        **other,
    )
    if query_encoder is not None:
        return _with_encoder(system, query_encoder)
    return system


def _with_encoder(system: EndpointSystem, encoder: Ranker) -> EndpointSystem:
    """Name the encoder of the queries in a system's results."""
    system.name += f" (queries: {encoder.name})"
    system.origin["query_encoder"] = encoder.name
    return system


def _query_vectors(ranker: Ranker) -> Callable[[Task], np.ndarray]:
    """Return the function that encodes the queries of a task."""
    if not isinstance(ranker, DenseRanker):
        raise MixlingError(
            f"{ranker.name} does not encode queries as vectors. Name an encoder for the endpoint."
        )

    def encode(task: Task) -> np.ndarray:
        languages = [task.languages[code] for code in task.query_language]
        return similarity_vectors(
            ranker.retriever,
            task.queries,
            "query",
            languages,
            label=f"{task.name}: queries",
            precision=ranker.precision,
            folder=ranker.vector_cache,
        )[0]

    return encode
