"""Measure models on the development tasks of the low-resource recipe: one row a model.

    python -m studies.low_resource_dev zero-shot=intfloat/multilingual-e5-small mine=runs/mine/model

Each model has a label, which names its row. A task is measured once and kept in OUT/LABEL/TASK; an
interrupted run goes on with the next task, and a label whose model has changed is refused. Rows are
added to low-resource-dev.json as they are measured, with what the rule of docs/development/
decisions.md, 45, says of them against the row `zero-shot`:

- score: the mean over tasks of the relative change of the task's figure, which is the mean of mAP
  over the scenarios that the task has, each a macro mean over languages;
- vetoes: a task whose monolingual mAP falls by more than `MAX_TASK_FALL`, and a query language that
  falls, in its own language or in the pool, by more than `MAX_LANGUAGE_FALL` and by more than
  chance.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mixling.corpora.files import write_text
from mixling.corpora.inputs import check_unchanged, hash_model_files
from mixling.errors import MixlingError
from mixling.evaluation.benchmarks import load_task
from mixling.evaluation.measure import measure
from mixling.evaluation.result import EvaluationResult
from mixling.evaluation.rows import task_comparison, task_rows
from mixling.evaluation.tasks import SCENARIOS
from mixling.machine import library_versions, machine_info
from mixling.models.precision import Precision

RESULT = Path(__file__).with_name("low-resource-dev.json")
BASELINE = "zero-shot"
AFRICAN = "am,bem,fon,ha,ig,lg,ln,ny,om,rw,sn,so,st,sw,ti,tw,wo,xh,yo,zu"
SOUTH_ASIAN = "bn,gu,hi,kn,ml,mr,ne,pa,si,ta,te,ur"
SOUTHEAST_ASIAN = "km,lo,my"
# AfriQA's dev part has no Swahili and no Yoruba. TyDi's train part lies here in English, Korean and
# Swahili, and LibreOffice's help in Hindi is English, so SIB-200 alone warns of Bengali, Telugu,
# Yoruba and Hindi's neighbors.
TASKS = {
    "afriqa": "afriqa:dev",
    "tydi": "tydi:held-out@en,ko,sw",
    "sib-200": f"sib-200:dev@en,{AFRICAN},{SOUTH_ASIAN},{SOUTHEAST_ASIAN}",
    "libreoffice-help": "libreoffice-help:dev@dz,en,eu,gl,km,om",
    "mlqa-held-out": "mlqa-held-out",
    "arcd-sentences": "arcd-sentences",
}
PRECISION: Precision = "bf16"
MAX_TASK_FALL = 0.01
MAX_LANGUAGE_FALL = 0.02
PERMUTATIONS = 100  # of tests whose p-values nobody reads; the rule reads intervals


def measure_tasks(model: str, label: str, out: Path) -> dict[str, EvaluationResult]:
    """Measure a model on all tasks; tasks that are measured already are read.

    Args:
        model: A model folder, or another name that `mixling evaluate` takes.
        label: The name of its row.
        out: The folder of all results.

    Raises:
        MixlingError: The folder of the label holds results of another model.
    """
    folder = out / label
    folder.mkdir(parents=True, exist_ok=True)
    check_unchanged(
        folder,
        {f"model of '{label}'": hash_model_files(model)},
        is_new=not any(folder.iterdir()),
        fix=f"give the model another label, or remove {folder}",
    )
    results = {}
    for name, task_name in TASKS.items():
        place, task = folder / name, load_task(task_name)
        if not (place / "summary.json").exists():
            result = measure(model, [task], precision=PRECISION, vector_cache=folder / "vectors")
            result.summary["data"] = task.fingerprint()
            result.save(place)
            shutil.rmtree(folder / "vectors", ignore_errors=True)
        results[name] = EvaluationResult.load(place)
        if results[name].summary["data"] != task.fingerprint():
            raise MixlingError(
                f"{place}: the task {task_name} was other data when it was measured. Remove the "
                "folder, and measure again."
            )
        print(f"{label}: {name}: {line(entry_of(results[name]))}", flush=True)
    return results


def entry_of(result: EvaluationResult) -> dict[str, Any]:
    """Return the entry of the only task of a result."""
    (entry,) = result.summary["tasks"].values()
    found: dict[str, Any] = entry
    return found


def figures(entry: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return mAP of each scenario that a task has, and its worst query language.

    Args:
        entry: The task's entry of a summary.

    Returns:
        `{scenario: {"mAP": …, "by_language": {query language: …}, "worst": query language}}`.
    """
    found = {}
    for scenario in SCENARIOS:
        if scenario not in entry:
            continue
        values: dict[str, list[float]] = {}
        for cell, scores in entry[scenario]["by_language"].items():
            # of a cross-lingual pair "LANGUAGE-LANGUAGE"; a tag may have a script: "sr-Latn-en"
            languages = [x for x in entry["languages"] if cell == x or cell.startswith(f"{x}-")]
            values.setdefault(max(languages, key=len), []).append(scores["mAP"])
        by_language = {x: sum(v) / len(v) for x, v in sorted(values.items())}
        found[scenario] = {
            "mAP": entry[scenario]["mAP"],
            "by_language": by_language,
            "worst": min(by_language, key=lambda x: by_language[x]),
        }
    return found


def figure(scenarios: dict[str, dict[str, Any]]) -> float:
    """Return a task's one figure: the mean of mAP over its scenarios."""
    return float(sum(x["mAP"] for x in scenarios.values()) / len(scenarios))


def judge(
    results: dict[str, EvaluationResult], baseline: dict[str, EvaluationResult]
) -> dict[str, Any]:
    """Say what the rule says of a model.

    Args:
        results: Its results by task.
        baseline: Those of the zero-shot model.

    Returns:
        "score", "changes" (relative, by task) and "vetoes" (a sentence each; none: it qualifies).
    """
    changes, vetoes = {}, []
    for name, result in results.items():
        before, after = figures(entry_of(baseline[name])), figures(entry_of(result))
        changes[name] = figure(after) / figure(before) - 1
        if "monolingual" in after:
            fall = before["monolingual"]["mAP"] - after["monolingual"]["mAP"]
            if fall > MAX_TASK_FALL:
                vetoes.append(f"{name}: monolingual mAP falls by {fall:.4f}")
        (key,) = result.summary["tasks"]
        compared = task_comparison(
            [task_rows(baseline[name].scores, key)],
            [task_rows(result.scores, key)],
            by_language=True,
            permutations=PERMUTATIONS,
        )
        for place, measures in compared.items():
            change = measures["mAP"]
            if change.difference < -MAX_LANGUAGE_FALL and change.high < 0:
                vetoes.append(
                    f"{name}: {place} falls by {-change.difference:.4f} "
                    f"({-change.high:.4f} to {-change.low:.4f})"
                )
    return {"score": sum(changes.values()) / len(changes), "changes": changes, "vetoes": vetoes}


def line(entry: dict[str, Any]) -> str:
    """Format a task's figures for the terminal."""
    return ", ".join(
        f"{scenario} {x['mAP']:.4f} (worst: {x['worst']} {x['by_language'][x['worst']]:.4f})"
        for scenario, x in figures(entry).items()
    )


def add_row(label: str, model: str, results: dict[str, EvaluationResult], out: Path) -> None:
    """Add a model's row to the committed results, or replace it, and print its verdict.

    Raises:
        MixlingError: The zero-shot model has not been measured.
    """
    content = json.loads(RESULT.read_text()) if RESULT.exists() else {"rows": {}}
    row: dict[str, Any] = {
        "model": Path(model).as_posix(),
        "tasks": {name: figures(entry_of(result)) for name, result in results.items()},
        "data": {name: result.summary["data"] for name, result in results.items()},
    }
    if label != BASELINE:
        row |= judge(results, read_baseline(out))
        print(f"{label}: score {row['score']:+.4f}", *row["vetoes"], sep="\n  ", flush=True)
    content["rows"][label] = row
    content |= {
        "tasks": TASKS,
        "max_task_fall": MAX_TASK_FALL,
        "max_language_fall": MAX_LANGUAGE_FALL,
        "versions": library_versions(),
        "machine": machine_info(),
    }
    write_text(RESULT, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def read_baseline(out: Path) -> dict[str, EvaluationResult]:
    """Read the results of the zero-shot model.

    Raises:
        MixlingError: Some of them are missing.
    """
    missing = [x for x in TASKS if not (out / BASELINE / x / "summary.json").exists()]
    if missing:
        raise MixlingError(
            f"{out / BASELINE}: {', '.join(missing)} not measured yet. Measure the model before "
            f"training first: python -m studies.low_resource_dev {BASELINE}=MODEL"
        )
    return {x: EvaluationResult.load(out / BASELINE / x) for x in TASKS}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the models that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("models", nargs="+", metavar="LABEL=MODEL")
    parser.add_argument("--out", type=Path, default=Path("runs/low-resource-dev"))
    options = parser.parse_args(arguments)
    for named in options.models:
        label, _, model = named.partition("=")
        if not model:
            parser.error(f"'{named}' has no label. Write LABEL=MODEL, for instance mine={named}")
        results = measure_tasks(model, label, options.out)
        add_row(label, model, results, options.out)


if __name__ == "__main__":
    main()
