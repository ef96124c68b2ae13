"""Measure whether training helps with noisy queries: `python -m studies.noisy`.

Models of low-resource.toml (one seed each) and the recipe are measured on AfriQA and on XQuAD-R in
three languages: with clean queries, with keyboard typos in one letter of ten, and without the
diacritics that people leave out. The passages stay clean. noisy.json holds the share of the clean
score that remains, with an interval from resampling translation groups, and contrasts of models
under the same noise. Results lie in runs/low-resource-noise; an interrupted run goes on. Run
`mixling study studies/low-resource.toml --keep-models` first.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from studies.robustness import GERMAN, INSIDE, NONE, RECIPE_800, SCENARIOS, contrast

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


def noise_ratio(
    result: EvaluationResult, task: str, noisy: str, scenario: str
) -> dict[str, float] | None:
    """Return the score with and without noise and their ratio, or None without such a scenario.

    The same queries are resampled in both.
    """
    tables = [task_rows(result.scores, name) for name in (task, noisy)]
    scenarios, group, stratum = row_labels(tables[0])
    rows = scenarios == scenario
    if not rows.any():
        return None
    clean, degraded = (
        group_sums(score_column(t, "mAP")[rows], group[rows], stratum[rows]) for t in tables
    )
    draws = resampled_figures([clean, degraded])
    low, high = np.quantile(draws[1] / draws[0], (0.025, 0.975))
    return {
        "clean": clean.mean(),
        "noisy": degraded.mean(),
        "ratio": degraded.mean() / clean.mean(),
        "low": float(low),
        "high": float(high),
    }


def main() -> None:
    """Measure the models that are not measured yet, and write noisy.json."""
    missing = {
        n: m for n, m in MODELS.items() if not (run_folder(OUT, n, 0) / "summary.json").exists()
    }
    missing_models = [m for m in missing.values() if m != DEFAULT and not Path(m).exists()]
    if missing_models:
        raise SystemExit(
            f"{', '.join(missing_models)}: no such model; first mixling study "
            "studies/low-resource.toml --keep-models"
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
    results = {name: EvaluationResult.load(run_folder(OUT, name, 0)) for name in MODELS}
    noisy = {t: [n for n in results[NONE].summary["tasks"] if n.startswith(f"{t}~")] for t in TASKS}
    rows: list[dict[str, Any]] = []
    for name, result in results.items():
        for task, noisy_names in noisy.items():
            for noisy_name in noisy_names:
                for scenario in SCENARIOS:
                    ratio = noise_ratio(result, task, noisy_name, scenario)
                    if ratio is not None:
                        by_language = result.summary["tasks"][noisy_name][scenario]["by_language"]
                        rows.append(
                            {
                                "model": name,
                                "task": task,
                                "noise": noisy_name.partition("~")[2],
                                "scenario": scenario,
                                **ratio,
                                "by language": {x: v["mAP"] for x, v in by_language.items()},
                            }
                        )
    noisy_tasks = [n for names in noisy.values() for n in names]
    content = {
        "rows": rows,
        "contrasts": {
            f"{b} less {a}": contrast([results[a]], [results[b]], noisy_tasks) for a, b in CONTRASTS
        },
        "versions": library_versions(),
        "machine": machine_info(),
    }
    write_text(Path(__file__).with_suffix(".json"), json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
