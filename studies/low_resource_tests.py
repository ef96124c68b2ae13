"""The low-resource recipe on the tests, against mDPR's way: `python -m studies.low_resource_tests`.

    python -m studies.low_resource_tests
    python -m studies.low_resource_tests "low-resource" "mDPR's way, German" --seeds 1 2
    python -m studies.low_resource_tests --test

Both are trained from the same model for as many steps of as many pairs, at the same learning rate,
and averaged with as much of the base. mDPR's way (arXiv:2108.08787) has one language: all sources
of the recipe that hold questions or titles in it, each query with its passage and hard negatives of
BM25. It is trained on German, of which the sources have most, and on English.

The few-shot variant is the recipe with AfriQA's train part beside its sources. It is no rival of
the others, and is measured on the main tasks. The longer recipe is that of
`studies.long_run`.

Each run leaves rows in low-resource-tests.parquet: the contribution of every translation group to a
figure, over all languages, by resource level, and on AfriQA and TyDi by language. They add up to
the figure (`evaluation.significance.contributions`). So a machine that has the file goes on where
another ended, without its models. low-resource-tests.json has the figures and the tests, which
`--test` computes anew.

A contrast counts the variance over seeds (`evaluation.seed_test`), which is pooled over the methods
with several seeds; a model that is not trained has none. Holm's correction runs over the figures of
a task.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from studies.long_run import RUNS as LONG_RUN
from studies.long_run import save_longest
from studies.low_resource_data import LOW_RESOURCE, prepare

import mixling
from mixling.corpora.catalog import load
from mixling.corpora.files import write_text
from mixling.corpora.resources import LEVEL_ORDER, resource_level
from mixling.disk import new_file, one_writer, read_object
from mixling.errors import choose
from mixling.evaluation.benchmarks import load_task
from mixling.evaluation.measure import measure
from mixling.evaluation.noise import add_noise
from mixling.evaluation.rows import row_labels, score_column, task_rows
from mixling.evaluation.seed_test import PooledVariance, pooled_variance, seed_test
from mixling.evaluation.significance import contributions, group_sums, holm
from mixling.evaluation.tasks import SCENARIOS, Task
from mixling.machine import library_versions, machine_info
from mixling.models.precision import Precision
from mixling.models.weights import DEFAULT
from mixling.preparation.mine_negatives import mine_negatives
from mixling.training.config import Config
from mixling.training.load_config import load_config
from mixling.training.train import train

RESULT = Path(__file__).with_name("low-resource-tests.json")
CONTRIBUTIONS = Path(__file__).with_name("low-resource-tests.parquet")
RECIPE, GERMAN, ENGLISH = "low-resource", "mDPR's way, German", "mDPR's way, English"
FEW_SHOT = "low-resource, few-shot"
ZERO_SHOT, SHIPPED, LSAR, BALANCED = "zero-shot", "shipped transform", "LSAR", "balanced recipe"
LONG = "balanced recipe, longer"  # of studies.long_run
MDPR = {GERMAN: "de", ENGLISH: "en"}
# the seeds of each method; those that are not trained have one row
SEEDS = {
    ZERO_SHOT: (0,),
    RECIPE: (0, 1, 2),
    GERMAN: (0, 1, 2),
    SHIPPED: (0,),
    LSAR: (0,),
    BALANCED: (0, 1, 2),
    LONG: (0,),
    ENGLISH: (0,),
    FEW_SHOT: (0,),
}
TRAINED = (RECIPE, GERMAN, BALANCED, LONG, ENGLISH, FEW_SHOT)
AFRIQA, TYDI = "afriqa", "tydi@bn,sw,te"
MAIN = {
    AFRIQA: "afriqa:test",
    TYDI: TYDI,
    "sib-200": f"sib-200:test@{','.join(LOW_RESOURCE)}",
    "xquad-r": "xquad-r",
}
TICO = "en,bn,ckb,din,fuv,ha,kr,ku,lg,ln,nus,om,rw,so,sw,ti,zu"
OTHERS = {
    "tico-19": f"tico-19:test@{TICO}",
    "libreoffice-help": "libreoffice-help:test@dz,en,eu,gl,km,om",
    "mlqa-r": "mlqa-r",
    "xquad-paragraphs": "xquad-paragraphs",
}
NOISY = {"typos": 0.1, "diacritics": 1.0}  # of AfriQA's queries
CONTRASTS = (
    (GERMAN, RECIPE),
    (ENGLISH, RECIPE),
    (ZERO_SHOT, RECIPE),
    (SHIPPED, RECIPE),
    (LSAR, RECIPE),
    (BALANCED, RECIPE),
    (ZERO_SHOT, BALANCED),
    (ZERO_SHOT, GERMAN),
    (RECIPE, FEW_SHOT),
    (BALANCED, LONG),
    (ZERO_SHOT, LONG),
)
# measures of the multilingual pool beside mAP, over all languages
FURTHER = ("R@10", "rank_distance")
PRECISION: Precision = "bf16"
# sources of the recipe, and how `low_resource_data` prepares them
PREPARED = {
    "mlqa": "mlqa",
    "mlqa-sentences": "mlqa-sentences",
    "tydi": "tydi",
    "jaquad": "jaquad",
    "libreoffice-help": "help",
    "libreoffice-sections": "sections",
    "sib-200": "sib",
    "tico-19": "tico",
    "quran": "quran",
}
KEYS = ("method", "seed", "task", "scenario", "measure", "languages")
Key = tuple[Any, ...]
Rows = list[dict[str, Any]]


def main() -> None:
    """Train and measure the runs that are missing, and test what is there."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("methods", nargs="*", help="default: all")
    parser.add_argument("--seeds", type=int, nargs="+", help="default: those of each method")
    parser.add_argument("--test", action="store_true", help="train and measure nothing")
    parser.add_argument("--out", type=Path, default=Path("runs/low-resource-tests"))
    parser.add_argument("--data", type=Path, default=Path("runs/low-resource-trials/data"))
    given = parser.parse_args()
    for method in [choose(x, SEEDS, "method") for x in given.methods] or list(SEEDS):
        for seed in () if given.test else given.seeds or SEEDS[method]:
            done = {r["task"] for r in read_rows() if (r["method"], r["seed"]) == (method, seed)}
            names = [x for x in tasks_of(method, seed) if x not in done]
            if names:
                model, facts = model_of(method, seed, given.out, given.data)
                measure_run(method, seed, model, names, facts, given.out)
    save(read_result())


def all_tasks() -> dict[str, str]:
    """Return all tasks by name."""
    return {**MAIN, **OTHERS, **{f"{AFRIQA}~{kind}": MAIN[AFRIQA] for kind in NOISY}}


def tasks_of(method: str, seed: int) -> dict[str, str]:
    """Return the tasks of a run by name: for a third seed, and with few shots, the main ones.

    Those of the longer recipe are the main ones and those in its training's languages.
    """
    if method == LONG:
        return MAIN | {name: OTHERS[name] for name in ("mlqa-r", "xquad-paragraphs")}
    return MAIN if seed > 1 or method == FEW_SHOT else all_tasks()


def task_of(name: str) -> Task:
    """Load a task of `all_tasks`."""
    task = load_task(all_tasks()[name])
    kind = name.partition("~")[2]
    return add_noise(task, kind, NOISY[kind]) if kind else task


def model_of(method: str, seed: int, out: Path, data: Path) -> tuple[str, dict[str, Any]]:
    """Return the model of a method, which is trained or fitted if it is missing, and its record.

    Args:
        method: The method.
        seed: The seed of batches and training.
        out: The folder of all models.
        data: The folder of prepared sources.
    """
    if method == ZERO_SHOT:
        return DEFAULT, {}
    if method == SHIPPED:
        return "balanced", {}
    if method == LONG:
        return str(save_longest(LONG_RUN, out / "balanced-recipe-0")), {}
    folder = out / f"{''.join(c if c.isalnum() else '-' for c in method)}-{seed}"
    if method == LSAR:
        if not folder.exists():
            mixling.debias(DEFAULT, "lsar", ["sib-200"], folder, languages=LOW_RESOURCE)
        return str(folder), {}
    if method == BALANCED:
        seeds = {"batches": {"seed": seed}, "training": {"seed": seed}}
        model = train(seeds if seed else None, folder, recipe="balanced")
    elif (method, seed) == (RECIPE, 0):  # the command as its users run it
        model = train(None, folder, recipe=RECIPE)
    else:
        model = train(config_of(method, seed, data), folder)
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    facts = read_object(folder / "run.json")
    found: dict[str, Any] = {k: facts.get(k) for k in ("seconds", "steps", "plan")}
    found["training data"] = {k: v["sha256"] for k, v in facts.get("data", {}).items()}
    return str(model), found


def config_of(method: str, seed: int, data: Path) -> Config:
    """Return the configuration of a run on prepared sources.

    Args:
        method: `RECIPE`, `FEW_SHOT`, or a name of `MDPR`.
        seed: The seed of batches and training.
        data: The folder of prepared sources, from which test and development tasks are left out.
    """
    tables = load_config(None, RECIPE).model_dump(mode="json", exclude_unset=True)
    tables["data"]["exclude"] = []
    tables["batches"]["seed"] = tables["training"]["seed"] = seed
    sources = []
    for source in tables["data"]["sources"]:
        name = source["name"] + ("-sentences" if source.get("sentences") else "")
        place = prepare(PREPARED[name], data)
        if method in MDPR:
            if source.get("batch_type"):  # translations, no questions
                continue
            found = one_language(name, place, MDPR[method])
            if found is None:
                continue
            place = found
        kept = {k: v for k, v in source.items() if k in ("weight", "batch_type")}
        sources.append({**kept, "name": name, "path": str(place)})
    if method == FEW_SHOT:
        sources.append({"name": AFRIQA, "path": str(prepare(AFRIQA, data))})
    tables["data"]["sources"] = sources
    if method in MDPR:
        tables["batches"] |= {"strategy": "single", "language": MDPR[method]}
        tables["objective"]["terms"] = []
    return load_config(tables)


def one_language(name: str, place: Path, language: str) -> Path | None:
    """Return the folder of a source in one language with hard negatives of BM25; None: it has none.

    Args:
        name: The source's name.
        place: The folder of the prepared source.
        language: The language.
    """
    folder = place.with_name(f"{place.name}-bm25-{language}")
    if (folder / "qrels").is_dir():
        return folder
    corpus = load(name, path=place)
    if language not in corpus.languages():
        return None
    mine_negatives("bm25", corpus.select(languages=[language]), folder)
    return folder


def measure_run(
    method: str, seed: int, model: str, names: list[str], facts: dict[str, Any], out: Path
) -> None:
    """Measure a model task by task; each task's rows are saved before the next begins.

    Args:
        method: The method.
        seed: The seed.
        model: The model.
        names: Names of `all_tasks`.
        facts: What is known of its training.
        out: The folder of all models, whose lock orders the processes that save.
    """
    for name in names:
        task = task_of(name)
        result = measure(model, [task], precision=PRECISION)
        keys = {"method": method, "seed": seed, "task": name}
        rows = [{**keys, **r} for r in contributions_of(task_rows(result.scores, task.name))]
        with one_writer(out, wait=True):  # another process may measure another method
            with new_file(CONTRIBUTIONS) as path:
                table = pa.Table.from_pylist([*read_rows(), *rows], schema())
                pq.write_table(table, path, compression="zstd", compression_level=19)
            content = read_result()
            content["tasks"][name] = {"task": all_tasks()[name], "data": task.fingerprint()}
            content["runs"][f"{method}, {seed}"] = {
                **facts,
                "versions": library_versions(),
                "machine": machine_info(),
            }
            save(content)
        whole = [r for r in rows if r["languages"] == "all" and r["measure"] == "mAP"]
        figures = {r["scenario"]: float(sum(r["values"])) for r in whole}
        print(method, seed, name, {k: round(v, 4) for k, v in figures.items()}, flush=True)


def contributions_of(table: pa.Table) -> Rows:
    """Return the contributions of each group to every figure of a task, sorted by the group.

    Args:
        table: The task's scores.

    Returns:
        Rows of scenario, measure, languages ("all", a resource level, or a language) and values.
    """
    scenario, group, cell = row_labels(table)
    language = np.array(table["query_language"].cast(pa.string()).to_pylist())
    level = np.array([resource_level(x) for x in language])
    name = table["task"].cast(pa.string())[0].as_py()
    base = name.partition("@")[0].partition(":")[0]
    by_language = base in ("afriqa", "tydi") and "~" not in name
    found = []
    for wanted in SCENARIOS:
        rows = scenario == wanted
        if not rows.any():
            continue
        cells = [("all", rows)]
        levels = [x for x in LEVEL_ORDER if (rows & (level == x)).any()]
        cells += [(x, rows & (level == x)) for x in levels if len(levels) > 1]
        if by_language:
            cells += [(x, rows & (language == x)) for x in sorted(set(language[rows]))]
        measures = ("mAP", *FURTHER) if wanted == "multilingual" else ("mAP",)
        for m in measures:
            for languages, mask in cells if m == "mAP" else cells[:1]:
                values = score_column(table, m)[mask]
                if np.isnan(values).all():
                    continue
                sums = group_sums(values, group[mask], cell[mask])
                found.append(
                    {
                        "scenario": wanted,
                        "measure": m,
                        "languages": languages,
                        "values": contributions(sums),
                    }
                )
    return found


def schema() -> pa.Schema:
    """Return the columns of low-resource-tests.parquet."""
    texts = [(k, pa.int32() if k == "seed" else pa.string()) for k in KEYS]
    return pa.schema([*texts, ("values", pa.list_(pa.float32()))])


def read_rows() -> Rows:
    """Return the rows of all runs."""
    return pq.read_table(CONTRIBUTIONS).to_pylist() if CONTRIBUTIONS.exists() else []


def read_result() -> dict[str, Any]:
    """Return what is known of tasks and runs."""
    return read_object(RESULT) if RESULT.exists() else {"tasks": {}, "runs": {}}


def save(content: dict[str, Any]) -> None:
    """Write figures and tests of all rows."""
    rows = read_rows()
    content["figures"] = {}
    for r in rows:
        place = content["figures"].setdefault(r["method"], {}).setdefault(r["task"], {})
        name = f"{r['scenario']} {r['measure']}, {r['languages']}"
        place.setdefault(name, {})[str(r["seed"])] = float(np.sum(r["values"]))
    content["contrasts"] = contrasts(rows)
    write_text(RESULT, json.dumps(content, indent=1) + "\n")


def contrasts(rows: Rows) -> Rows:
    """Compare the methods of `CONTRASTS` on every figure that both have.

    Args:
        rows: Rows of low-resource-tests.parquet.

    Returns:
        A row for each contrast and figure: both means, the difference (second minus first) with
        its interval, and p-values before and after Holm's correction.
    """
    values: dict[Key, dict[str, dict[int, np.ndarray]]] = {}
    for r in rows:
        key = tuple(r[k] for k in KEYS[2:])
        found = values.setdefault(key, {}).setdefault(r["method"], {})
        found[r["seed"]] = np.array(r["values"], float)
    result: Rows = []
    for first, second in CONTRASTS:
        for key, methods in values.items():
            if first in methods and second in methods:
                tested = compare(methods, first, second)
                result.append(
                    {"first": first, "second": second, **dict(zip(KEYS[2:], key, strict=True))}
                    | tested
                )
    for first, second in CONTRASTS:
        for task in {r["task"] for r in result}:
            family = [
                r for r in result if (r["first"], r["second"], r["task"]) == (first, second, task)
            ]
            for r, p in zip(family, holm([r["p raw"] for r in family]), strict=True):
                r["p"] = p
    return result


def compare(methods: dict[str, dict[int, np.ndarray]], first: str, second: str) -> dict[str, float]:
    """Compare two methods on one figure.

    Args:
        methods: Contributions of the groups, by method and seed.
        first: A method.
        second: Another one.
    """
    figures = [[float(x.sum()) for x in v.values()] for v in methods.values() if len(v) > 1]
    variance = pooled_variance(figures)
    if not variance.freedom:  # so far each method has one seed, and groups alone are counted
        variance = PooledVariance(0.0, 1)
    one, two = (np.array(list(methods[m].values())) for m in (first, second))
    d = two.mean(0) - one.mean(0)
    # what is not trained has no variance over seeds
    n = [float(len(x)) if m in TRAINED else np.inf for m, x in ((first, one), (second, two))]
    test = seed_test(d, variance, (n[0], n[1]))
    return {
        f"mean of {first}": float(one.sum(1).mean()),
        f"mean of {second}": float(two.sum(1).mean()),
        "difference": float(d.sum()),
        "low": test.low,
        "high": test.high,
        "p raw": test.p,
        "groups": len(d),
        "degrees of freedom of seeds": len(figures) and variance.freedom,
    }


if __name__ == "__main__":
    main()
