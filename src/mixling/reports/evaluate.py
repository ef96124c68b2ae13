"""The command `evaluate`: measure retrievers and write the results, the report last."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mixling.errors import MixlingError
from mixling.evaluation import mteb_result
from mixling.evaluation.benchmarks import load_tasks
from mixling.evaluation.measure import measure
from mixling.evaluation.noise import RATES, add_noise
from mixling.evaluation.result import EvaluationResult
from mixling.evaluation.tasks import SCENARIOS, Task
from mixling.models.precision import Precision
from mixling.reports.compare import compare
from mixling.reports.html import write_report
from mixling.reports.narrative import distinct

if TYPE_CHECKING:
    from mixling.models.retriever import Retriever

# types of noise that are measured at one rate: all words change
FULL_NOISE = ("diacritics", "romanize")


def evaluate(
    model: str | Retriever,
    tasks: Sequence[str | Task],
    out: str | Path | None = None,
    *,
    context: bool = False,
    precision: Precision = "auto",
    trec: bool = False,
    vector_cache: str | Path | None = None,
    language: str | None = None,
    noise: Sequence[str] = (),
    passage_model: str | Retriever | None = None,
    model_options: Mapping[str, Any] | None = None,
    trust_remote_code: bool = False,
    skip_bad: bool = False,
) -> EvaluationResult:
    """Measure a model on tasks: monolingual, cross-lingual, multilingual, and its language bias.

    Args:
        model: A model folder, a hub name, a Retriever, or the name of a baseline: `bm25`, `random`,
            `oracle`, `NAME+bm25`, `NAME+bm25:rrf`, `late:NAME`.
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
    clean_tasks = load_tasks(tasks, context, language, skip_bad)
    result = measure(
        model,
        [t for task in clean_tasks for t in (task, *_noisy_tasks(task, noise))],
        context=context,
        precision=precision,
        trec_dir=folder / "trec" if trec and folder is not None else None,
        vector_cache=None if vector_cache is None else Path(vector_cache),
        passage_model=passage_model,
        model_options=model_options,
        trust_remote_code=trust_remote_code,
    )
    if noise:
        robustness = {task.name: _robustness(result, task.name) for task in clean_tasks}
        result = dataclasses.replace(result, summary={**result.summary, "noise": robustness})
    if folder is not None:
        write_result(result, folder)
    return result


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
    passage_model: str | Retriever | None = None,
    model_options: Mapping[str, Any] | None = None,
    trust_remote_code: bool = False,
    skip_bad: bool = False,
) -> list[EvaluationResult]:
    """Measure several models on the same tasks.

    Args:
        models: The models; see `evaluate`.
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

    Returns:
        One result a model.

    Raises:
        MixlingError: As in `evaluate`.
    """
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
        )
        for model, folder in zip(models, folders, strict=True)
    ]
    if out is not None and len(models) > 1:
        compare([f for f in folders if f is not None], Path(out) / "report.html")
    return results


def _folder_names(models: Sequence[str]) -> list[str]:
    """Name a folder for each model: its last part, with a number where two are the same."""
    names = [
        re.sub(r"[^\w.+-]+", "-", str(m).rstrip("/").rpartition("/")[2]) or "model" for m in models
    ]
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
                f"noise '{spec}': write TYPE or TYPE:RATE, for instance typos:0.1"
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
