"""The command `evaluate`: measure retrievers and write the results, the report last."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mixling.errors import MixlingError
from mixling.evaluation import mteb_result
from mixling.evaluation.baselines import make_ranker
from mixling.evaluation.benchmarks import load_tasks
from mixling.evaluation.given import Search, given_ranker
from mixling.evaluation.measure import measure
from mixling.evaluation.noise import RATES, add_noise
from mixling.evaluation.reranked import DEPTH, is_reranked, reranked_ranker
from mixling.evaluation.result import EvaluationResult
from mixling.evaluation.tasks import SCENARIOS, Task
from mixling.models.precision import Precision
from mixling.reports.compare import compare
from mixling.reports.html import write_report
from mixling.reports.narrative import distinct

# types of noise that are measured at one rate: all words change
FULL_NOISE = ("diacritics", "romanize")


def evaluate(
    model: Any = None,
    tasks: Sequence[str | Task] = (),
    out: str | Path | None = None,
    *,
    context: bool = False,
    precision: Precision = "auto",
    trec: bool = False,
    vector_cache: str | Path | None = None,
    language: str | None = None,
    noise: Sequence[str] = (),
    passage_model: Any = None,
    model_options: Mapping[str, Any] | None = None,
    trust_remote_code: bool = False,
    skip_bad: bool = False,
    vectors: str | Path | None = None,
    run: str | Path | None = None,
    endpoint: str | Search | None = None,
    endpoint_options: Mapping[str, Any] | None = None,
    rerank_depth: int = DEPTH,
    orders: Sequence[str] = (),
) -> EvaluationResult:
    """Measure a model on tasks: monolingual, cross-lingual, multilingual, and its language bias.

    In place of a model there may be vectors, a TREC run or a search system. Figures that a run or
    the first answers of a system cannot tell are left out, and the result says which and why
    (`mixling.evaluation.top_lists`).

    Args:
        model: What `load_encoder` takes (a model folder, a hub name, a Retriever, a function), or
            the name of a baseline: `bm25`, `random`, `oracle`, `NAME+bm25`, `NAME+bm25:rrf`,
            `late:NAME`. `NAME>RERANKER` measures a model whose first passages a reranker reads (see
            `mixling.models.reranker`). With `endpoint` it encodes the queries, where the system is
            asked with vectors.
        tasks: Names of tasks, folders, or Tasks.
        out: Folder for summary.json, scores.parquet, report.html and mteb/*.json (the form that
            mteb writes); None writes nothing.
        context: Passages are sentences followed by their paragraph.
        precision: Number format of the encoder; "auto" takes bf16 where it is faster.
        trec: Write TREC run and qrels files to out/trec too.
        vector_cache: Folder where vectors stay for the next call.
        language: Language of a folder's rows without a `language` field.
        noise: Types of noise to add to the queries (`mixling.evaluation.noise`), each at its usual
            rates or as `TYPE:RATE`. The clean task is measured first.
        passage_model: Another model that encodes the passages, as an existing index may have done.
        model_options: Arguments of `Retriever`, such as `{"titles": "none"}`, for every model that
            is given by its name.
        trust_remote_code: Run the code that a model brings along.
        skip_bad: Skip rows that cannot be used; the summary counts and names them.
        vectors: Folder of vectors made elsewhere, with the ids of `mixling texts`;
            `model_options={"similarity": "dot"}` compares them by dot product.
        run: A TREC run, or a folder with one for each task.
        endpoint: Address of a search system, `python:module:function`, or a function that takes a
            query and a number of passages and returns pairs of id and score.
        endpoint_options: How the system is asked: `form` ("mixling", "opensearch", "qdrant" or a
            TOML file), `body`, `id_field`, `depth` (100), `concurrency` (8), `timeout` (30).
        rerank_depth: First passages that the reranker of `NAME>RERANKER` reads.
        orders: Search orders to measure beside `centered`, of an encoder alone: "csls".

    Returns:
        The result.

    Raises:
        MixlingError: There is no task, a task or model cannot be loaded, or a score is not a
            number.

    Example:
        >>> import mixling
        >>> result = mixling.evaluate("intfloat/multilingual-e5-small", ["sample"], "results/e5")
        >>> result.value("sample", "multilingual", "mAP")
        0.958
    """
    folder = None if out is None else Path(out)
    cache = None if vector_cache is None else Path(vector_cache)
    options = dict(model_options or {})
    given = None
    is_given = any(x is not None for x in (vectors, run, endpoint)) or bool(endpoint_options)
    if is_given:
        _check_given_options(model, vectors, run, noise, passage_model, trec, options, orders)
        given = given_ranker(
            vectors,
            run,
            endpoint,
            similarity=options.get("similarity") if vectors is not None else None,
            endpoint_options=endpoint_options,
            query_encoder=None
            if model is None
            else make_ranker(
                model,
                precision,
                cache,
                trust_remote_code=trust_remote_code,
                model_options=options,
            ),
            answers=None if folder is None else folder / "answers",
        )
        # the answers of a system stay as a run
        trec = trec or (endpoint is not None and folder is not None)
    measured = model if given is None else given
    if measured is None:
        raise MixlingError(
            "there is nothing to measure. Name a model, or give vectors, a run or the address "
            "of a search system (--vectors, --run, --endpoint)."
        )
    if is_reranked(measured):
        measured = reranked_ranker(
            str(measured),
            rerank_depth,
            precision=precision,
            vector_cache=cache,
            passage_model=passage_model,
            trust_remote_code=trust_remote_code,
            model_options=options,
        )
        passage_model = None
    clean_tasks = load_tasks(tasks, context, language, skip_bad)
    result = measure(
        measured,
        [t for task in clean_tasks for t in (task, *_noisy_tasks(task, noise))],
        context=context,
        precision=precision,
        trec_dir=folder / "trec" if trec and folder is not None else None,
        vector_cache=cache,
        passage_model=passage_model,
        model_options=model_options,
        trust_remote_code=trust_remote_code,
        orders=orders,
    )
    if noise:
        robustness = {task.name: _robustness(result, task.name) for task in clean_tasks}
        result = dataclasses.replace(result, summary={**result.summary, "noise": robustness})
    if folder is not None:
        write_result(result, folder)
    return result


def _check_given_options(
    model: Any,
    vectors: str | Path | None,
    run: str | Path | None,
    noise: Sequence[str],
    passage_model: Any,
    trec: bool,
    model_options: Mapping[str, Any],
    orders: Sequence[str],
) -> None:
    """Refuse options that have no meaning for vectors, a run or a search system."""
    label = "vectors" if vectors is not None else "a run" if run is not None else "a search system"
    is_endpoint = vectors is None and run is None
    refused = {
        f"the model '{model}'": model is not None and not is_endpoint,
        "noise": bool(noise) and not is_endpoint,
        "a model of the passages": passage_model is not None,
        "TREC files": trec and run is not None,
        "a search order to measure": bool(orders) and vectors is None,
        "options of a model": bool(
            set(model_options) - ({"similarity"} if vectors is not None else set())
        )
        and not (is_endpoint and model is not None),
    }
    wrong = next((name for name, is_wrong in refused.items() if is_wrong), None)
    if wrong is not None:
        raise MixlingError(f"{wrong} cannot be used with {label}. Leave it out.")


def write_result(result: EvaluationResult, folder: Path) -> None:
    """Write summary.json, scores.parquet, report.html and mteb/*.json.

    Args:
        result: The result.
        folder: Where to write.
    """
    result.save(folder)
    mteb_result.write_mteb(result, folder / "mteb")
    write_report([result], folder / "report.html")


def evaluate_all(
    models: Sequence[str],
    tasks: Sequence[str | Task],
    out: str | Path | None = None,
    *,
    context: bool = False,
    precision: Precision = "auto",
    trec: bool = False,
    vector_cache: str | Path | None = None,
    language: str | None = None,
    noise: Sequence[str] = (),
    passage_model: Any = None,
    model_options: Mapping[str, Any] | None = None,
    trust_remote_code: bool = False,
    skip_bad: bool = False,
    vectors: str | Path | None = None,
    run: str | Path | None = None,
    endpoint: str | Search | None = None,
    endpoint_options: Mapping[str, Any] | None = None,
    rerank_depth: int = DEPTH,
    orders: Sequence[str] = (),
) -> list[EvaluationResult]:
    """Measure several models on the same tasks.

    Args:
        models: The models; see `evaluate`. None or one with vectors, a run or a search system.
        tasks: As in `evaluate`.
        out: Folder of the result. With more than one model it has a folder for each and a
            comparison.
        context: As in `evaluate`.
        precision: As in `evaluate`.
        trec: As in `evaluate`.
        vector_cache: As in `evaluate`.
        language: As in `evaluate`.
        noise: As in `evaluate`.
        passage_model: As in `evaluate`.
        model_options: As in `evaluate`.
        trust_remote_code: As in `evaluate`.
        skip_bad: As in `evaluate`.
        vectors: As in `evaluate`.
        run: As in `evaluate`.
        endpoint: As in `evaluate`.
        endpoint_options: As in `evaluate`.
        rerank_depth: As in `evaluate`.
        orders: As in `evaluate`.

    Returns:
        One result a model.

    Raises:
        MixlingError: As in `evaluate`.
    """
    if any(x is not None for x in (vectors, run, endpoint)) or endpoint_options or not models:
        if len(models) > 1:
            raise MixlingError(
                f"{len(models)} models are given together with vectors, a run or a search "
                "system. Measure one at a time, and compare the results with `mixling compare`."
            )
        one = evaluate(
            models[0] if models else None,
            tasks,
            out,
            context=context,
            precision=precision,
            trec=trec,
            vector_cache=vector_cache,
            language=language,
            noise=noise,
            passage_model=passage_model,
            model_options=model_options,
            trust_remote_code=trust_remote_code,
            skip_bad=skip_bad,
            vectors=vectors,
            run=run,
            endpoint=endpoint,
            endpoint_options=endpoint_options,
            orders=orders,
        )
        return [one]
    loaded = load_tasks(tasks, context, language, skip_bad)
    folders: list[Path | None] = [None for _ in models]
    if out is not None:
        several = len(models) > 1
        folders = [Path(out) / n if several else Path(out) for n in _folder_names(models)]
    results = [
        evaluate(
            model,
            loaded,
            folder,
            context=context,
            precision=precision,
            trec=trec,
            vector_cache=vector_cache,
            noise=noise,
            passage_model=passage_model,
            model_options=model_options,
            trust_remote_code=trust_remote_code,
            rerank_depth=rerank_depth,
            orders=orders,
        )
        for model, folder in zip(models, folders, strict=True)
    ]
    if out is not None and len(models) > 1:
        compare([f for f in folders if f is not None], Path(out) / "report.html")
    return results


def _folder_names(models: Sequence[str]) -> list[str]:
    """Name a folder for each model: its last part, with a number where two are the same."""
    # of a retriever and its reranker, the last parts of both
    parts = [[x.rstrip("/").rpartition("/")[2] for x in str(m).split(">")] for m in models]
    names = [re.sub(r"[^\w.+-]+", "-", "-".join(x)) or "model" for x in parts]
    return distinct(names, "{}-{}")


def _noisy_tasks(task: Task, noise: Sequence[str]) -> list[Task]:
    """Add each type of noise to a task, at each of its rates."""
    noisy = []
    for spec in noise:
        noise_type, _, rate = spec.partition(":")
        try:
            rates = (float(rate),) if rate else (1.0,) if noise_type in FULL_NOISE else RATES
        except ValueError:
            raise MixlingError(
                f"noise '{spec}': expected TYPE or TYPE:RATE, for instance typos:0.1."
            ) from None
        noisy += [add_noise(task, noise_type, r) for r in rates]
    return noisy


def _robustness(result: EvaluationResult, task: str) -> dict[str, Any]:
    """Summarize mAP under noise.

    Returns `{type: {scenario: {"clean": mAP, "scores": {rate: mAP}, "ratio": {rate: mAP / clean
    mAP}, "slope": change of the ratio for each tenth of rate}}}`. The slope is that of least
    squares through the clean score: with x the rate and y = ratio - 1, it is sum(x y) / sum(x x).
    """
    summary: dict[str, Any] = {}
    clean = result.summary["tasks"][task]
    for other, entry in result.summary["tasks"].items():
        base, _, spec = other.partition("~")
        if base != task or not spec:
            continue
        noise_type, _, rate = spec.rpartition(":")
        for scenario in SCENARIOS:
            if scenario in entry:
                row = summary.setdefault(noise_type, {}).setdefault(
                    scenario, {"clean": clean[scenario]["mAP"], "scores": {}, "ratio": {}}
                )
                row["scores"][rate] = entry[scenario]["mAP"]
                row["ratio"][rate] = entry[scenario]["mAP"] / max(clean[scenario]["mAP"], 1e-12)
    for scenarios in summary.values():
        for row in scenarios.values():
            x = [float(rate) for rate in row["ratio"]]
            y = [ratio - 1 for ratio in row["ratio"].values()]
            row["slope"] = (
                0.1 * sum(a * b for a, b in zip(x, y, strict=True)) / sum(a * a for a in x)
            )
    return summary
