"""Train the balanced recipe's batches for longer: `python -m studies.long_run`.

One run of `x-y` batches has the recipe's data, batches and objective, and 800, 1,600 and 3,200
steps. Its learning rate is constant until the last fifth, so that a longer run goes on from a
shorter one (`training.continues`). Each is measured on the development tasks of `studies.located`,
averaged with the base by `SHARES`: alone, and averaged before with the recipe's run of hybrid
batches, which has 800 steps. The same steps in shorter runs stand beside them: both runs of the
recipe with two seeds, averaged.

What a run brings is predicted before it is trained: a figure goes on as it went from the point
before the last to the last, for each doubling of the steps. long-run.json keeps the predictions
beside the outcomes, and a prediction for `FURTHER` steps.

The rule is that of the balanced recipe (docs/development/decisions.md, 19): of the models whose
monolingual mAP is below the zero-shot model's on no task, the best mean of cross-lingual and
multilingual mAP on the two tasks that have both wins, and more training must bring `LEAST_GAIN`.
`python -m studies.low_resource_tests "balanced recipe, longer"` measures the recipe with the
longest run on the tests.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
from pathlib import Path
from typing import Any

from studies.balanced import figures

from mixling.corpora.files import write_text
from mixling.disk import read_object
from mixling.evaluation.benchmarks import load_task
from mixling.evaluation.tasks import Task
from mixling.machine import library_versions, machine_info
from mixling.models.retriever import Retriever
from mixling.models.weights import DEFAULT
from mixling.preparation.locate_answers import locate_answers
from mixling.training.average import average, average_with
from mixling.training.load_config import load_config
from mixling.training.train import train

RESULT = Path(__file__).with_name("long-run.json")
RUNS = Path("runs/long-run")
STEPS = (800, 1600, 3200)
FURTHER = 32_000
SHARES = (0.2, 0.4)  # of the base's weights; the first is the recipe's
LEAST_GAIN = 0.002  # of score, as for a further run of the recipe
ALONE, WITH_HYBRID, TWO_SEEDS = "x-y", "x-y and hybrid", "two seeds of the recipe"
CANDIDATES = (*((name, x) for x in STEPS for name in (ALONE, WITH_HYBRID)), (TWO_SEEDS, STEPS[-1]))
ZERO_SHOT, BALANCED = "zero-shot", "balanced recipe"
TWO_SCENARIOS = ("mlqa-held-out", "located-sentences")
MONOLINGUAL = (*TWO_SCENARIOS, "arcd-sentences")
Row = dict[str, Any]


def config_of(steps: int, out: Path) -> dict[str, Any]:
    """Return the configuration of a run.

    Args:
        steps: Its steps, one of `STEPS`.
        out: The folder of all runs, with the located answers.
    """
    recipe = load_config(None, "balanced").model_dump(mode="json", exclude_unset=True)
    located = {"name": "mlqa-sentences", "path": str(out / "mlqa-sentences")}
    training = {k: v for k, v in recipe["training"].items() if k != "average_with_base"}
    training |= {"steps": steps, "schedule": "wsd", "warmup": 80, "decay": 0.2}
    place = STEPS.index(steps)
    if place:
        training["continues"] = str(run_of(STEPS[place - 1], out))
    return {
        "data": {"sources": ["mlqa", located], "window": recipe["data"]["window"]},
        "batches": recipe["batches"] | {"strategy": "x-y"},
        "objective": recipe["objective"],
        "training": training,
    }


def run_of(steps: int, out: Path) -> Path:
    """Return the folder of a run."""
    return out / f"x-y-{steps}"


def train_point(steps: int, out: Path) -> Path:
    """Train a run, and those it goes on from, if they are missing.

    Args:
        steps: Its steps, one of `STEPS`.
        out: The folder of all runs.
    """
    if not (run_of(steps, out) / "model").exists():
        for earlier in STEPS[: STEPS.index(steps)]:
            train(config_of(earlier, out), run_of(earlier, out))
    return train(config_of(steps, out), run_of(steps, out))


def train_recipe(seed: int, balanced: Path) -> Path:
    """Return the folder of the balanced recipe with a seed, which is trained if it is missing.

    Args:
        seed: The seed of batches and training.
        balanced: The folder of the recipe with seed 0; that of another seed ends with it.
    """
    seeds = {"batches": {"seed": seed}, "training": {"seed": seed}}
    folder = balanced.with_name(balanced.name.removesuffix("0") + str(seed))
    return train(seeds if seed else None, folder, recipe="balanced").parent


def load_model(name: str, steps: int, share: float, out: Path, balanced: Path) -> Retriever:
    """Return a model of this study.

    Args:
        name: `ALONE`, `WITH_HYBRID` or `TWO_SEEDS`.
        steps: Steps of the run with `x-y` batches; with two seeds those of all runs.
        share: The base's share of the weights.
        out: The folder of all runs.
        balanced: The folder of the balanced recipe with seed 0.
    """
    if name == TWO_SEEDS:
        recipes = [train_recipe(seed, balanced) for seed in (0, 1)]
        models = [x / run / "model" for x in recipes for run in ("run-1", "run-2")]
    else:
        models = [train_point(steps, out)]
    if name == WITH_HYBRID:
        models.append(train_recipe(0, balanced) / "run-2" / "model")
    model = Retriever(str(models[0]))
    if len(models) > 1:
        average(model, models)
    average_with(model, Retriever(DEFAULT), share)
    return model


def score(row: Row) -> float:
    """Return the rule's score of a row."""
    values = [row[t][s] for t in TWO_SCENARIOS for s in ("cross-lingual", "multilingual")]
    return sum(values) / len(values)


def falls(row: Row, zero_shot: Row) -> list[str]:
    """Return the tasks whose monolingual mAP is below the zero-shot model's."""
    return [t for t in MONOLINGUAL if row[t]["monolingual"] < zero_shot[t]["monolingual"]]


def curve_figures(row: Row) -> dict[str, float]:
    """Return the figures that are predicted: the score, and mAP on each task."""
    found = {"score": score(row)}
    for task in MONOLINGUAL:
        found |= {f"{task}, {k}": v for k, v in row[task].items() if k != "rank distance"}
    return found


def predict(first: tuple[int, Row], second: tuple[int, Row], steps: int) -> dict[str, float]:
    """Return what a longer run brings if each doubling brings as much as between two points.

    Args:
        first: The steps and the row of a point.
        second: Those of a later one.
        steps: The steps of the longer run.
    """
    doublings = math.log2(steps / second[0]) / math.log2(second[0] / first[0])
    before, last = curve_figures(first[1]), curve_figures(second[1])
    return {k: last[k] + doublings * (last[k] - before[k]) for k in last}


def label_of(name: str, steps: int, share: float) -> str:
    """Return the label of a row."""
    return f"{name}, {steps} steps, base {share:g}"


def predictions(rows: dict[str, Row], known: dict[str, Row]) -> dict[str, Row]:
    """Return the predictions that can be made, those that were made before as they were.

    Args:
        rows: All rows.
        known: The predictions that were made.
    """
    found = {}
    further = (*STEPS, FURTHER)
    for name in (ALONE, WITH_HYBRID):
        for share in SHARES:
            for one, two, steps in zip(further, further[1:], further[2:], strict=False):
                first, second = (rows.get(label_of(name, x, share)) for x in (one, two))
                if first and second:
                    label = label_of(name, steps, share)
                    found[label] = known.get(label) or predict((one, first), (two, second), steps)
    return found


def chosen(rows: dict[str, Row]) -> str:
    """Return the label of the model that the rule takes: the recipe's, or a longer one's."""
    labels = [label_of(name, steps, share) for name, steps in CANDIDATES for share in SHARES]
    found = [x for x in labels if x in rows and not falls(rows[x], rows[ZERO_SHOT])]
    best = max(found, key=lambda x: score(rows[x]), default=BALANCED)
    return best if score(rows[best]) >= score(rows[BALANCED]) + LEAST_GAIN else BALANCED


def save_longest(out: Path, balanced: Path) -> Path:
    """Return the folder of the model for the tests, which is written if it is missing.

    It is the recipe with the longest run in place of its run of `x-y` batches.

    Args:
        out: The folder of all runs.
        balanced: The folder of the balanced recipe with seed 0.
    """
    folder = out / "longest"
    if not folder.exists():
        model = load_model(WITH_HYBRID, STEPS[-1], SHARES[0], out, balanced)
        model.save(folder, card=None, origin=model.origin)
    return folder


def losses(log: Path) -> dict[str, float]:
    """Return the mean loss of each hundred steps of a run, by the steps at its end.

    Args:
        log: The run's log.jsonl.
    """
    found = [json.loads(x)["loss"] for x in log.read_text().splitlines()]
    return {str(n): sum(found[n - 100 : n]) / 100 for n in range(100, len(found) + 1, 100)}


def read_result() -> dict[str, Any]:
    """Return what is measured."""
    return read_object(RESULT) if RESULT.exists() else {"rows": {}, "predictions": {}}


def save(content: dict[str, Any]) -> None:
    """Write the committed results."""
    write_text(RESULT, json.dumps(content, indent=1) + "\n")


def add_row(label: str, row: Row) -> None:
    """Add a row to the committed results, with the predictions that it allows, and print it."""
    content = read_result()
    content["rows"][label] = row
    rows = content["rows"]
    content["predictions"] = predictions(rows, content["predictions"])
    for other in rows.values():
        other |= {"score": score(other), "falls": falls(other, rows[ZERO_SHOT])}
    content["versions"], content["machine"] = library_versions(), machine_info()
    save(content)
    shown = ", ".join(f"{k} {v:.4f}" for k, v in curve_figures(row).items())
    print(f"{label}: {shown}; falls: {rows[label]['falls'] or 'none'}", flush=True)


def main() -> None:
    """Train and measure what is missing."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--steps", type=int, nargs="+", default=STEPS, choices=STEPS)
    parser.add_argument("--out", type=Path, default=RUNS)
    parser.add_argument(
        "--balanced", type=Path, default=Path("runs/low-resource-tests/balanced-recipe-0")
    )
    given = parser.parse_args()
    out = given.out
    for split, folder in (("train", "mlqa-sentences"), ("held-out", "located-sentences")):
        locate_answers(DEFAULT, "mlqa", out / folder, split=split)
    places = ("mlqa-held-out", "arcd-sentences", str(out / "located-sentences"))
    tasks: list[Task] = [load_task(x) for x in places]

    def measure(label: str, model: Retriever) -> None:
        add_row(label, figures(model, tasks, out / "measured"))
        shutil.rmtree(out / "measured", ignore_errors=True)

    def is_missing(label: str) -> bool:
        return label not in read_result()["rows"]

    if is_missing(ZERO_SHOT):
        measure(ZERO_SHOT, Retriever(DEFAULT))
    if is_missing(BALANCED):
        measure(BALANCED, Retriever(str(train_recipe(0, given.balanced) / "model")))
    for name, steps in CANDIDATES:
        for share in SHARES:
            label = label_of(name, steps, share)
            if steps in given.steps and is_missing(label):
                measure(label, load_model(name, steps, share, out, given.balanced))
    longest = run_of(STEPS[-1], out) / "log.jsonl"
    if longest.exists():
        save(read_result() | {"losses": losses(longest)})
    print("the rule takes", chosen(read_result()["rows"]))


if __name__ == "__main__":
    main()
