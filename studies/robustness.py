"""What carries a retriever out of its domain, from the results of low-resource.toml: `python -m
studies.robustness`.

Every contrast of two ways to train, on every task, in the own language and in the pool, over all
question languages and by how much text of them CC-100 holds (`mixling.corpora.resources`). Units
are translation groups, seeds are averaged within a question, Holm over all tests of a contrast.
Robustness is the out-of-domain figure over the in-domain one of the same setting, with an interval
from resampling both. Last, whether subwords a word (fertility) tell which languages gain.
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
    (NONE, "balanced map"),
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
SETTINGS = ("monolingual", "multilingual")


def cells(table: pa.Table) -> list[tuple[str, str, np.ndarray]]:
    """(setting, band of question languages, its rows).

    All of a setting, then each band if there are several.
    """
    setting, _, _ = row_labels(table)
    asked = pc.cast(table["query_language"], pa.string()).to_pylist()
    band = np.array([resource_level(x) for x in asked])
    found = []
    for name in SETTINGS:
        rows = setting == name
        if not rows.any():
            continue
        found.append((name, "all", rows))
        there = [b for b in LEVEL_ORDER if (rows & (band == b)).any()]
        found += [(name, b, rows & (band == b)) for b in there if len(there) > 1]
    return found


def contrast(
    first: list[EvaluationResult], second: list[EvaluationResult], tasks: list[str]
) -> list[dict[str, Any]]:
    """Second less first in every cell, with Holm over them."""
    rows = []
    for name in tasks:
        one, two = ([task_rows(r.scores, name) for r in side] for side in (first, second))
        _, group, cell = row_labels(one[0])
        for setting, band, kept in cells(one[0]):
            a, b = (np.stack([score_column(t, "mAP")[kept] for t in side]) for side in (one, two))
            c = compare_scores(a, b, group[kept], cell[kept])
            rows.append(
                {
                    "task": name,
                    "scenario": setting,
                    "band": band,
                    "first": c.first,
                    "second": c.second,
                    "difference": c.difference,
                    "low": c.low,
                    "high": c.high,
                    "p raw": c.p,
                    "p seeds": c.p_seeds,
                    "groups": c.groups,
                }
            )
    for row, p in zip(rows, holm([r["p raw"] for r in rows]), strict=True):
        row["p"] = p
    return rows


def draws(
    results: list[EvaluationResult], task: str, setting: str
) -> tuple[float, np.ndarray] | None:
    """A figure (mean over seeds) and its resamples."""
    tables = [task_rows(r.scores, task) for r in results]
    where, group, cell = row_labels(tables[0])
    rows = where == setting
    if not rows.any():
        return None
    s = group_sums(
        np.stack([score_column(t, "mAP")[rows] for t in tables]).mean(0), group[rows], cell[rows]
    )
    return s.mean(), resampled_figures([s])[0]


def robustness(results: list[EvaluationResult], tasks: list[str]) -> list[dict[str, Any]]:
    """Out of domain over in domain."""
    rows = []
    for task in tasks:
        for setting in SETTINGS:
            outside, inside = (draws(results, t, setting) for t in (task, INSIDE))
            if task == INSIDE or outside is None or inside is None:
                continue
            other = np.random.default_rng(0).permutation(
                inside[1]
            )  # the two are of different questions
            low, high = np.quantile(outside[1] / other, (0.025, 0.975))
            rows.append(
                {
                    "task": task,
                    "scenario": setting,
                    "score": outside[0],
                    "in domain": inside[0],
                    "ratio": outside[0] / inside[0],
                    "low": float(low),
                    "high": float(high),
                }
            )
    return rows


def gains(before: EvaluationResult, after: list[EvaluationResult]) -> dict[str, Any]:
    """By question language out of domain: pool before and after, subwords a word.

    And the correlation of gain and pieces.
    """
    rows = []
    for name, entry in before.summary["tasks"].items():
        if name == INSIDE:
            continue
        for code, value in entry["multilingual"]["by_language"].items():
            now = float(
                np.mean(
                    [
                        r.summary["tasks"][name]["multilingual"]["by_language"][code]["mAP"]
                        for r in after
                    ]
                )
            )
            rows.append(
                {
                    "task": name,
                    "language": code,
                    "text in CC-100": resource_level(code),
                    "before": value["mAP"],
                    "after": now,
                    "gain": now - value["mAP"],
                    "fertility": entry["coverage"][code]["fertility"],
                }
            )
    mine = {t: [r for r in rows if r["task"] == t] for t in dict.fromkeys(r["task"] for r in rows)}
    rho = {
        t: dict(
            zip(
                ("rho", "p"),
                map(float, spearmanr([r["fertility"] for r in x], [r["gain"] for r in x])),
                strict=True,
            )
        )
        for t, x in mine.items()
        if len(x) > 4
    }
    return {"languages": rows, "fertility and gain": rho}


def main() -> None:
    """Read the results and write robustness.json."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path("runs/low-resource"))
    out = parser.parse_args().out
    plan = validate_config(StudyConfig, read_toml(STUDY), str(STUDY))
    found: dict[str, list[EvaluationResult]] = {}
    for variant in plan.variants:
        places = [
            run_folder(out, variant.name, seed) / "results" for seed in seeds_of(plan, variant)
        ]
        found[variant.name] = [
            EvaluationResult.load(p) for p in places if (p / "summary.json").exists()
        ]
    found = {k: v for k, v in found.items() if v}
    tasks = plan.study.tasks
    content = {
        "seeds": {k: len(v) for k, v in found.items()},
        "contrasts": {
            f"{b} less {a}": contrast(found[a], found[b], tasks)
            for a, b in CONTRASTS
            if a in found and b in found
        },
        "robustness": {k: robustness(v, tasks) for k, v in found.items()},
        "gains": {k: gains(found[NONE][0], v) for k, v in found.items() if k not in (NONE, "BM25")},
        "versions": library_versions(),
        "machine": machine_info(),
    }
    write_text(HERE / "robustness.json", json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
