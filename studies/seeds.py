"""Train the methods of studies/rivals.toml with three seeds: which of their orders holds?

    python -m studies.seeds
    python -m studies.seeds --test

Trains what is missing, seed after seed, and measures XQuAD-R. Each run leaves a row in
seeds.parquet: the contribution of every translation group to each figure, which adds up to it
(`evaluation.significance.contributions`). So a machine that has the file goes on where another
ended, without its models. seeds.json has the figures and the tests, which `--test` computes anew.

Two methods are compared by `evaluation.seed_test`. The variance over seeds is pooled over all
methods. Methods of one batch type draw the same batches from a seed, so they count as one for its
degrees of freedom, and are compared seed by seed. Holm's correction runs over all pairs of methods
and the figures.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from studies.compression_measures import FIGURES

import mixling
from mixling.corpora.files import write_text
from mixling.disk import new_file
from mixling.evaluation.benchmarks import load_task
from mixling.evaluation.rows import row_labels, score_column, task_rows
from mixling.evaluation.seed_test import (
    PooledVariance,
    paired_variance,
    pooled_variance,
    seed_test,
)
from mixling.evaluation.significance import contributions, group_sums, holm
from mixling.evaluation.tasks import Task
from mixling.machine import library_versions, machine_info
from mixling.models.weights import DEFAULT
from mixling.preparation.locate_answers import locate_answers
from mixling.studies.plan import read_study, variant_config
from mixling.training.train import train

PLAN = Path(__file__).with_name("rivals.toml")
RESULT = Path(__file__).with_suffix(".json")
CONTRIBUTIONS = Path(__file__).with_suffix(".parquet")
LOCATED = Path("runs/located/mlqa")  # where the plan reads sentences
SEEDS = (0, 1, 2)
TASK = "xquad-r"
METHODS = (
    "hybrid",
    "x-y (XLCO)",
    "x-x-mono",
    "MIMO, itself as teacher",
    "JSD",
    "hybrid + bitext",
    "CLEAR",
    "OPTICAL",
    "LaKDA",
)
Rows = list[dict[str, Any]]


def main() -> None:
    """Train and measure the runs that are missing, and test what is there."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--test", action="store_true", help="train nothing")
    parser.add_argument("--out", type=Path, default=Path("runs/seeds"))
    given = parser.parse_args()
    rows = pq.read_table(CONTRIBUTIONS).to_pylist() if CONTRIBUTIONS.exists() else []
    content = json.loads(RESULT.read_text()) if RESULT.exists() else {"runs": []}
    missing = [
        (method, seed)
        for seed, method in itertools.product(SEEDS, METHODS)
        if not any(r["method"] == method and r["seed"] == seed for r in rows)
    ]
    if missing and not given.test:
        task = load_task(TASK)
        if not LOCATED.exists():
            locate_answers(DEFAULT, "mlqa", LOCATED, split="train", precision="bf16")
        for method, seed in missing:
            values, run = measure(method, seed, task, given.out)
            rows.append({"method": method, "seed": seed, **values})
            with new_file(CONTRIBUTIONS) as path:
                pq.write_table(pa.Table.from_pylist(rows, schema()), path, compression="zstd")
            content["runs"].append({"method": method, "seed": seed, **run})
            content["task"] = {"name": TASK, "groups": len(values["monolingual"])}
            content["task"] |= {"data": task.fingerprint()}
            save(content, rows)
            print(method, seed, {k: round(sum(v), 4) for k, v in values.items()}, flush=True)
    save(content, rows)


def schema() -> pa.Schema:
    """Return the columns of seeds.parquet."""
    of_groups = [(name, pa.list_(pa.float32())) for name in FIGURES]
    return pa.schema([("method", pa.string()), ("seed", pa.int32()), *of_groups])


def measure(
    method: str, seed: int, task: Task, out: Path
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Train and measure a run; its model is not kept.

    Args:
        method: A variant of the plan.
        seed: The seed of batches and training.
        task: The task.
        out: Where the run is written meanwhile.

    Returns:
        The contributions of the groups in the order of their names, by figure; the run's record.
    """
    plan = read_study(PLAN)
    variant = next(v for v in plan.variants if v.name == method)
    config = variant_config(plan, variant, seed, PLAN)
    assert config is not None
    model = train(config, out / "run")
    found = mixling.evaluate(str(model), [task], precision=plan.study.precision)
    facts = json.loads((out / "run" / "run.json").read_text())
    shutil.rmtree(out / "run")
    record = {
        "seconds": facts["seconds"],
        "plan": facts["plan"],
        "training data": {k: v["sha256"] for k, v in facts["data"].items()},
        "versions": library_versions(),
        "machine": machine_info(),
    }
    return of_groups(task_rows(found.scores, task.name)), record


def of_groups(table: pa.Table) -> dict[str, np.ndarray]:
    """Return each group's contribution to every figure, in the order of the groups' names."""
    scenario, group, cell = row_labels(table)
    names, result = np.unique(group), {}
    for figure, (name, measure_name) in FIGURES.items():
        rows = scenario == name
        values = score_column(table, measure_name)[rows]
        result[figure] = contributions(group_sums(values, group[rows], cell[rows], names))
    return result


def blocks_of(rows: Rows, plans: dict[tuple[str, int], str]) -> list[list[str]]:
    """Return the methods with two seeds or more, those together that draw the same batches.

    Args:
        rows: Rows of seeds.parquet.
        plans: The fingerprint of the batches, by method and seed.
    """
    found: dict[str, list[str]] = {}
    for method in METHODS:
        seeds = [r["seed"] for r in rows if r["method"] == method]
        if len(seeds) > 1:
            found.setdefault(plans[method, min(seeds)], []).append(method)
    return list(found.values())


def test_pairs(rows: Rows, plans: dict[tuple[str, int], str]) -> dict[str, Any]:
    """Compare every two methods that have two seeds or more, on every figure.

    Args:
        rows: Rows of seeds.parquet.
        plans: The fingerprint of the batches, by method and seed.

    Returns:
        By figure: the deviation over seeds with its degrees of freedom, that of methods with the
        same batches, the mean of each method, and the difference of each pair, second minus first,
        with interval and p-values.
    """
    blocks = blocks_of(rows, plans)
    block_of = {m: i for i, block in enumerate(blocks) for m in block}
    result: dict[str, Any] = {}
    tests: list[dict[str, Any]] = []
    for figure in FIGURES:
        values = {
            m: {r["seed"]: np.array(r[figure], float) for r in rows if r["method"] == m}
            for m in METHODS
            if m in block_of
        }
        figures = {m: [float(x.sum()) for x in v.values()] for m, v in values.items()}
        apart = PooledVariance(
            pooled_variance(list(figures.values())).value,
            sum(max(len(figures[m]) for m in block) - 1 for block in blocks),
        )
        paired = paired_variance([seed_table(values, block) for block in blocks])
        pairs = {}
        for first, second in itertools.combinations(values, 2):
            same = block_of[first] == block_of[second]
            seeds = values[first].keys() & values[second].keys() if same else SEEDS
            one, two = (
                np.array([v for seed, v in values[m].items() if seed in seeds])
                for m in (first, second)
            )
            d = two.mean(0) - one.mean(0)
            test = seed_test(d, paired if same else apart, (len(one), len(two)))
            pairs[f"{first} | {second}"] = {
                "same batches": same,
                "difference": float(d.sum()),
                "low": test.low,
                "high": test.high,
                "p": test.p,
            }
        tests += pairs.values()
        result[figure] = {
            "deviation over seeds": float(apart.value**0.5),
            "degrees of freedom": apart.freedom,
            "deviation, same batches": float(paired.value**0.5),
            "degrees of freedom, same batches": paired.freedom,
            "means": {m: float(np.mean(v)) for m, v in figures.items()},
            "by seed": figures,
            "pairs": pairs,
        }
    for test, p in zip(tests, holm([t["p"] for t in tests]), strict=True):
        test["p_holm"] = p
    return result


def seed_table(values: dict[str, dict[int, np.ndarray]], block: list[str]) -> np.ndarray:
    """Return the figures of a block, float64 `[n_methods, n_seeds]`, of the seeds that all have."""
    seeds = sorted(set.intersection(*(set(values[m]) for m in block)))
    return np.array([[values[m][seed].sum() for seed in seeds] for m in block])


def save(content: dict[str, Any], rows: Rows) -> None:
    """Write the figures of each run and the tests."""
    for run in content["runs"]:
        row = next(r for r in rows if (r["method"], r["seed"]) == (run["method"], run["seed"]))
        run["figures"] = {name: float(np.sum(row[name])) for name in FIGURES}
    plans = {(run["method"], run["seed"]): run["plan"] for run in content["runs"]}
    content["tests"] = test_pairs(rows, plans)
    write_text(RESULT, json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
