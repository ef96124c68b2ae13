"""Whether training makes questions with slips and without their marks easier: `python -m
studies.noisy`.

Ways to train of low-resource.toml, one seed each (and the recipe), on AfriQA and XQuAD-R in three
languages, once as the questions are, once with slips of the keyboard at one letter in ten, once
without the marks that people leave out; the passages stay clean. What is kept of the clean score,
with an interval from resampling translation groups, and one way against another under the same
noise. Results lie in runs/low-resource-noise; started again, it goes on. First `mixling study
studies/low-resource.toml --keep-models`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from studies.robustness import GERMAN, INSIDE, NONE, RECIPE_800, SETTINGS, contrast

from mixling.corpora.files import write_text
from mixling.evaluation.result import EvaluationResult
from mixling.evaluation.rows import row_labels, score_column, task_rows
from mixling.evaluation.significance import group_sums, resampled_figures
from mixling.machine import library_versions, machine_info
from mixling.models.weights import DEFAULT
from mixling.reports.evaluate import evaluate
from mixling.studies.plan import run_folder

OUT = Path("runs/low-resource-noise")
TRAINED = Path("runs/low-resource")
TASKS = ("afriqa", INSIDE)
NOISE = ("typos:0.1", "diacritics")
MODELS = {
    NONE: DEFAULT,
    GERMAN: str(run_folder(TRAINED, GERMAN, 0) / "run" / "model"),
    "hybrid": str(run_folder(TRAINED, "hybrid", 0) / "run" / "model"),
    "x-y": str(run_folder(TRAINED, "x-y", 0) / "run" / "model"),
    RECIPE_800: "runs/located/balanced-800",
}
CONTRASTS = (
    (NONE, GERMAN),
    (NONE, "hybrid"),
    (GERMAN, "hybrid"),
    ("x-y", "hybrid"),
    (NONE, RECIPE_800),
)


def kept(result: EvaluationResult, task: str, noisy: str, setting: str) -> dict[str, float] | None:
    """Score with and without noise and the ratio of the two, the same questions resampled in both.

    None: no such setting.
    """
    tables = [task_rows(result.scores, name) for name in (task, noisy)]
    where, group, cell = row_labels(tables[0])
    rows = where == setting
    if not rows.any():
        return None
    clean, worse = (
        group_sums(score_column(t, "mAP")[rows], group[rows], cell[rows]) for t in tables
    )
    draws = resampled_figures([clean, worse])
    low, high = np.quantile(draws[1] / draws[0], (0.025, 0.975))
    return {
        "clean": clean.mean(),
        "noisy": worse.mean(),
        "ratio": worse.mean() / clean.mean(),
        "low": float(low),
        "high": float(high),
    }


def main() -> None:
    """Measure what is not measured yet, and write noisy.json."""
    missing = {
        n: m for n, m in MODELS.items() if not (run_folder(OUT, n, 0) / "summary.json").exists()
    }
    lacking = [m for m in missing.values() if m != DEFAULT and not Path(m).exists()]
    if lacking:
        raise SystemExit(
            f"{', '.join(lacking)}: no such model; first mixling study studies/low-resource.toml "
            "--keep-models"
        )
    for name, model in missing.items():
        print(name, flush=True)
        evaluate(
            model,
            TASKS,
            run_folder(OUT, name, 0),
            precision="bf16",
            noise=NOISE,
            vector_cache=OUT / "vectors",
        )
    found = {name: EvaluationResult.load(run_folder(OUT, name, 0)) for name in MODELS}
    noisy = {t: [n for n in found[NONE].summary["tasks"] if n.startswith(f"{t}~")] for t in TASKS}
    rows: list[dict[str, Any]] = []
    for name, result in found.items():
        for task, others in noisy.items():
            for other in others:
                for setting in SETTINGS:
                    mine = kept(result, task, other, setting)
                    if mine is not None:
                        by = result.summary["tasks"][other][setting]["by_language"]
                        rows.append(
                            {
                                "model": name,
                                "task": task,
                                "noise": other.partition("~")[2],
                                "scenario": setting,
                                **mine,
                                "by language": {x: v["mAP"] for x, v in by.items()},
                            }
                        )
    every = [n for names in noisy.values() for n in names]
    content = {
        "rows": rows,
        "contrasts": {
            f"{b} less {a}": contrast([found[a]], [found[b]], every) for a, b in CONTRASTS
        },
        "versions": library_versions(),
        "machine": machine_info(),
    }
    write_text(Path(__file__).with_suffix(".json"), json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
