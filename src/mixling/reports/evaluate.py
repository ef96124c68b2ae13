"""The verb `evaluate`: measure retrievers and write what came out, the report last."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mixling.errors import MixlingError
from mixling.evaluation import mteb_result
from mixling.evaluation.benchmarks import load_tasks
from mixling.evaluation.measure import measure
from mixling.evaluation.noise import RATES, add_noise
from mixling.evaluation.result import EvaluationResult
from mixling.evaluation.tasks import SCENARIOS, Task
from mixling.reports.compare import compare
from mixling.reports.html import write_report
from mixling.reports.narrative import distinct

if TYPE_CHECKING:
    from mixling.models.retriever import Retriever


def evaluate(
    model: str | Retriever,
    tasks: Sequence[str | Task],
    out: str | Path | None = None,
    *,
    context: bool = False,
    precision: str = "fp32",
    trec: bool = False,
    vector_cache: str | Path | None = None,
    language: str | None = None,
    noise: Sequence[str] = (),
    passage_model: str | Retriever | None = None,
    trust_remote_code: bool = False,
    skip_bad: bool = False,
) -> EvaluationResult:
    """Measure a model on tasks in one language, across languages and in the pool (see `measure`).

    out: a folder for summary.json, scores.parquet, report.html and mteb/*.json (as mteb writes results); trec: run and qrels files in out/trec too.
    keep: a folder where vectors stay; language: of a folder's rows that do not say theirs. noise: kinds of
    `mixling.evaluation.noise`, each at its usual rates or as `kind:rate`; the clean task comes first. documents: another model that
    encodes the candidates. trust_remote_code: as of Retriever. skip_bad: go on over rows that cannot be used; the summary counts
    and names them.
    """
    folder = None if out is None else Path(out)
    loaded = load_tasks(tasks, context, language, skip_bad)
    result = measure(
        model,
        [x for one in loaded for x in (one, *_noisy(one, noise))],
        context=context,
        precision=precision,
        trec_dir=folder / "trec" if trec and folder is not None else None,
        vector_cache=None if vector_cache is None else Path(vector_cache),
        passage_model=passage_model,
        trust_remote_code=trust_remote_code,
    )
    if noise:
        result.summary["noise"] = {one.name: _robustness(result, one.name) for one in loaded}
    if folder is not None:
        write_result(result, folder)
    return result


def write_result(result: EvaluationResult, folder: Path) -> None:
    """A result's folder: summary.json, scores.parquet, report.html and mteb/*.json."""
    result.save(folder)
    mteb_result.write_mteb(result, folder / "mteb")
    write_report([result], folder / "report.html")


def evaluate_all(
    models: Sequence[str], tasks: Sequence[str], out: str | Path | None = None, **more: Any
) -> list[EvaluationResult]:
    """Measure several models on the same tasks; with more than one, `out` has a folder for each and a comparison."""
    if len(models) == 1:
        return [evaluate(models[0], tasks, out, **more)]
    loaded = load_tasks(
        tasks, more.get("context", False), more.get("language"), more.get("skip_bad", False)
    )
    folders = [None if out is None else Path(out) / n for n in _folders(models)]
    results = [evaluate(m, loaded, f, **more) for m, f in zip(models, folders, strict=True)]
    if out is not None:
        compare([f for f in folders if f is not None], Path(out) / "report.html")
    return results


def _folders(models: Sequence[str]) -> list[str]:
    """A folder's name for each model: its last part, told apart by a number where two are the same."""
    names = [
        re.sub(r"[^\w.+-]+", "-", str(m).rstrip("/").rpartition("/")[2]) or "model" for m in models
    ]
    return distinct(names, "{}-{}")


def _noisy(one: Task, noise: Sequence[str]) -> list[Task]:
    made = []
    for given in noise:
        kind, _, rate = given.partition(":")
        try:
            rates = (
                (float(rate),) if rate else (1.0,) if kind in ("diacritics", "romanize") else RATES
            )
        except ValueError:
            raise MixlingError(
                f"noise '{given}': write kind or kind:rate, for instance typos:0.1"
            ) from None
        made += [add_noise(one, kind, r) for r in rates]
    return made


def _robustness(result: EvaluationResult, name: str) -> dict[str, Any]:
    """mAP under noise: {kind: {setting: {"clean", "scores": {rate: mAP}, "ratio": {rate: to clean}, "slope"}}};
    slope: change of the ratio for each tenth of rate, least squares through the clean score."""
    found: dict[str, Any] = {}
    clean = result.summary["tasks"][name]
    for other, entry in result.summary["tasks"].items():
        base, _, spec = other.partition("~")
        if base != name or not spec:
            continue
        kind, _, rate = spec.rpartition(":")
        for setting in SCENARIOS:
            if setting in entry:
                mine = found.setdefault(kind, {}).setdefault(
                    setting, {"clean": clean[setting]["mAP"], "scores": {}, "ratio": {}}
                )
                mine["scores"][rate] = entry[setting]["mAP"]
                mine["ratio"][rate] = entry[setting]["mAP"] / max(clean[setting]["mAP"], 1e-12)
    for kind in found.values():
        for mine in kind.values():
            x = [float(r) for r in mine["ratio"]]
            y = [v - 1 for v in mine["ratio"].values()]
            mine["slope"] = (
                0.1 * sum(a * b for a, b in zip(x, y, strict=True)) / sum(a * a for a in x)
            )
    return found
