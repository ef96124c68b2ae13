"""Measure which training carries out of its domain: `python -m studies.robustness`.

Reads the results of low-resource.toml. Each contrast compares two models on every task, monolingual
and multilingual, over all query languages and by how much text of them CC-100 holds
(`mixling.corpora.resources`). Translation groups are resampled, seeds are averaged within a query,
and Holm's correction is over all tests of a contrast. Robustness is the out-of-domain score divided
by the in-domain score of the same scenario, with an interval from resampling both. Last, the gain
by language is correlated with subwords a word (fertility).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.stats import spearmanr

from mixling.corpora.files import write_text
from mixling.corpora.resources import LEVEL_ORDER, resource_level
from mixling.evaluation.result import EvaluationResult
from mixling.evaluation.rows import row_labels, score_column, task_rows
from mixling.evaluation.significance import compare_scores, group_sums, holm, resampled_figures
from mixling.machine import library_versions, machine_info
from mixling.studies.plan import StudyConfig, run_folder, seeds_of
from mixling.training.load_config import read_toml, validate_config

HERE = Path(__file__).parent
STUDY = HERE / "low-resource.toml"
INSIDE = "xquad-r@ar,de,zh"
GERMAN, NONE = "mDPR's way, German", "none"
RECIPE_800, RECIPE_400 = "balanced recipe, 800 steps", "balanced recipe, 400 steps"
CONTRASTS = (
    (NONE, GERMAN),
    (GERMAN, "hybrid"),
    (GERMAN, "x-x-mono"),
    (GERMAN, "x-y"),
    ("x-x-mono", "hybrid"),
    ("x-y", "hybrid"),
    ("x-x-mono", "x-y"),
    (NONE, "hybrid"),
    (NONE, RECIPE_800),
    (NONE, RECIPE_400),
    (NONE, "balanced transform"),
    (NONE, "LSAR"),
    ("hybrid", "hybrid + bitext"),
    ("hybrid", "hybrid + OPTICAL"),
    ("hybrid", RECIPE_800),
    ("hybrid", RECIPE_400),
    ("x-y", RECIPE_800),
    (RECIPE_400, RECIPE_800),
    ("balanced recipe, 200 steps", RECIPE_400),
    (NONE, "sentence distillation"),
    ("sentence distillation", "hybrid"),
    (GERMAN, "mDPR's way, English (TyDi)"),
)
SCENARIOS = ("monolingual", "multilingual")


def cells(table: pa.Table) -> list[tuple[str, str, np.ndarray]]:
    """Return scenario, band of query languages, and the mask of its rows.

    All rows of a scenario come first, then each band if there are several.
    """
    scenarios, _, _ = row_labels(table)
    query_languages = pc.cast(table["query_language"], pa.string()).to_pylist()
    band = np.array([resource_level(x) for x in query_languages])
    selections = []
    for name in SCENARIOS:
        rows = scenarios == name
        if not rows.any():
            continue
        selections.append((name, "all", rows))
        bands = [b for b in LEVEL_ORDER if (rows & (band == b)).any()]
        selections += [(name, b, rows & (band == b)) for b in bands if len(bands) > 1]
    return selections


def contrast(
    first: list[EvaluationResult], second: list[EvaluationResult], tasks: list[str]
) -> list[dict[str, Any]]:
    """Compare the second results with the first in every cell, with Holm over the cells."""
    rows: list[dict[str, Any]] = []
    for name in tasks:
        first_tables, second_tables = (
            [task_rows(r.scores, name) for r in side] for side in (first, second)
        )
        _, group, stratum = row_labels(first_tables[0])
        for scenario, band, rows_of_band in cells(first_tables[0]):
            a, b = (
                np.stack([score_column(t, "mAP")[rows_of_band] for t in side])
                for side in (first_tables, second_tables)
            )
            comparison = compare_scores(a, b, group[rows_of_band], stratum[rows_of_band])
            rows.append(
                {
                    "task": name,
                    "scenario": scenario,
                    "band": band,
                    "first": comparison.first,
                    "second": comparison.second,
                    "difference": comparison.difference,
                    "low": comparison.low,
                    "high": comparison.high,
                    "p raw": comparison.p,
                    "p seeds": comparison.p_seeds,
                    "groups": comparison.groups,
                }
            )
    for row, p in zip(rows, holm([r["p raw"] for r in rows]), strict=True):
        row["p"] = p
    return rows


def draws(
    results: list[EvaluationResult], task: str, scenario: str
) -> tuple[float, np.ndarray] | None:
    """Return a score (mean over seeds) and its resamples."""
    tables = [task_rows(r.scores, task) for r in results]
    scenarios, group, stratum = row_labels(tables[0])
    rows = scenarios == scenario
    if not rows.any():
        return None
    sums = group_sums(
        np.stack([score_column(t, "mAP")[rows] for t in tables]).mean(0), group[rows], stratum[rows]
    )
    return sums.mean(), resampled_figures([sums])[0]


def robustness(results: list[EvaluationResult], tasks: list[str]) -> list[dict[str, Any]]:
    """Divide out-of-domain scores by in-domain scores."""
    rows = []
    for task in tasks:
        for scenario in SCENARIOS:
            out_of_domain, in_domain = (draws(results, t, scenario) for t in (task, INSIDE))
            if task == INSIDE or out_of_domain is None or in_domain is None:
                continue
            permuted = np.random.default_rng(0).permutation(
                in_domain[1]
            )  # the two tasks have different queries
            low, high = np.quantile(out_of_domain[1] / permuted, (0.025, 0.975))
            rows.append(
                {
                    "task": task,
                    "scenario": scenario,
                    "score": out_of_domain[0],
                    "in domain": in_domain[0],
                    "ratio": out_of_domain[0] / in_domain[0],
                    "low": float(low),
                    "high": float(high),
                }
            )
    return rows


def gains(baseline: EvaluationResult, trained: list[EvaluationResult]) -> dict[str, Any]:
    """Return multilingual mAP by query language before and after, out of domain.

    Adds fertility and its correlation with the gain.
    """
    rows: list[dict[str, Any]] = []
    for name, entry in baseline.summary["tasks"].items():
        if name == INSIDE:
            continue
        for code, value in entry["multilingual"]["by_language"].items():
            score = float(
                np.mean(
                    [
                        r.summary["tasks"][name]["multilingual"]["by_language"][code]["mAP"]
                        for r in trained
                    ]
                )
            )
            rows.append(
                {
                    "task": name,
                    "language": code,
                    "text in CC-100": resource_level(code),
                    "before": value["mAP"],
                    "after": score,
                    "gain": score - value["mAP"],
                    "fertility": entry["coverage"][code]["fertility"],
                }
            )
    by_task = {
        t: [r for r in rows if r["task"] == t] for t in dict.fromkeys(r["task"] for r in rows)
    }
    rho = {
        t: dict(
            zip(
                ("rho", "p"),
                map(float, spearmanr([r["fertility"] for r in x], [r["gain"] for r in x])),
                strict=True,
            )
        )
        for t, x in by_task.items()
        if len(x) > 4
    }
    return {"languages": rows, "fertility and gain": rho}


def main() -> None:
    """Read the results and write robustness.json."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path("runs/low-resource"))
    out = parser.parse_args().out
    plan = validate_config(StudyConfig, read_toml(STUDY), str(STUDY))
    results: dict[str, list[EvaluationResult]] = {}
    for variant in plan.variants:
        folders = [
            run_folder(out, variant.name, seed) / "results" for seed in seeds_of(plan, variant)
        ]
        results[variant.name] = [
            EvaluationResult.load(p) for p in folders if (p / "summary.json").exists()
        ]
    results = {k: v for k, v in results.items() if v}
    tasks = plan.study.tasks
    content = {
        "seeds": {k: len(v) for k, v in results.items()},
        "contrasts": {
            f"{b} less {a}": contrast(results[a], results[b], tasks)
            for a, b in CONTRASTS
            if a in results and b in results
        },
        "robustness": {k: robustness(v, tasks) for k, v in results.items()},
        "gains": {
            k: gains(results[NONE][0], v) for k, v in results.items() if k not in (NONE, "BM25")
        },
        "versions": library_versions(),
        "machine": machine_info(),
    }
    write_text(HERE / "robustness.json", json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
