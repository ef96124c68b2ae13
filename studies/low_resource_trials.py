"""Short trials for the low-resource recipe: `python -m studies.low_resource_trials`.

Each trial is a run of `STEPS` steps of 32 pairs from e5-small, unless it names another number, or
an average of such runs. It is
measured on the development tasks of `studies.low_resource_dev`, averaged with its base by `SHARES`,
and judged by the rule of docs/development/decisions.md, 45. Rows are added to
low-resource-trials.json as they are measured; an interrupted call goes on where it was, in the
middle of a run too. Name trials to run those alone. `--check` trains two steps of each, of eight
pairs on a few groups, and measures nothing.

Run `python -m studies.low_resource_dev zero-shot=intfloat/multilingual-e5-small` first: trials are
judged against it.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from studies.low_resource_data import LOW_RESOURCE, SIZE, source_tables
from studies.low_resource_dev import (
    entry_of,
    figures,
    judge,
    measure_tasks,
    read_baseline,
)

from mixling.corpora.files import write_text
from mixling.disk import read_object
from mixling.errors import choose
from mixling.machine import library_versions, machine_info
from mixling.models.retriever import Retriever
from mixling.models.weights import DEFAULT
from mixling.studies.plan import override
from mixling.training.average import average, average_with
from mixling.training.train import train

RESULT = Path(__file__).with_name("low-resource-trials.json")
STEPS, CHECK_STEPS, CHECK_GROUPS, CHECK_SIZE = 100, 2, 100, 8
SHARES = (0.4, 0.6)  # of the base's weights; at 0.2 the first trial was vetoed
BITEXT = {"name": "bitext"}
OPTICAL = {"name": "optical"}
DISTIL = {"name": "distil-vectors", "weight": 1000}
HIGH = ["mlqa", "mlqa-sentences"]
MONOLINGUAL = ["tydi", "jaquad"]
MANUAL = ["help", "sections"]
PARALLEL = ["sib-udhr", "tico", "quran"]
ALL = [*HIGH, *MONOLINGUAL, *MANUAL, *PARALLEL]
# none of these sources has hard negatives
LOW = {"data.sources": [*MANUAL, *PARALLEL, "tydi"], "batches.negatives": 0}
# the low-resource languages, without the high-resource ones beside them
FEW_PAIRS = [x for x in LOW_RESOURCE if x not in ("en", "hi")]
INTRUDERS = {"data.sources": ["mlqa-mined" if x == "mlqa" else x for x in ALL]}
# a constant learning rate, which a longer trial goes on with
LONG = {"training.schedule": "wsd", "training.warmup": 20, "training.checkpoint_every": 100}
LORA = {"model.lora": {"rank": 16, "alpha": 32}, "training.lr": 5e-4}
BASE: dict[str, Any] = {
    "data": {"sources": ALL, "window": 600},
    "batches": {
        "strategy": "hybrid",
        "size": SIZE,
        "alpha": 0.5,
        "corpora": 0.5,
        "languages": 0.5,
        "negatives": 2,
    },
    "objective": {"temperature": 0.02, "terms": [BITEXT]},
    "training": {"steps": STEPS, "lr": 5e-5, "freeze_embeddings": True, "checkpoint_every": 50},
}
# name -> keys over BASE
TRIALS: dict[str, dict[str, Any]] = {
    # data: what each kind of source brings, beside the balanced recipe's
    "balanced data": {"data.sources": HIGH},
    "balanced data, manual": {"data.sources": [*HIGH, *MANUAL]},
    "balanced data, one language": {"data.sources": [*HIGH, *MONOLINGUAL]},
    "balanced data, parallel": {"data.sources": [*HIGH, *PARALLEL]},
    "all": {},
    "all, few-shot": {"data.sources": [*ALL, "afriqa"]},
    # objectives for languages without pairs
    "all, no term": {"objective.terms": []},
    "all, OPTICAL": {"objective.terms": [OPTICAL]},
    "all, distillation": {"objective.terms": [DISTIL]},
    "all, bitext and OPTICAL": {"objective.terms": [BITEXT, OPTICAL]},
    "all, bitext and distillation": {"objective.terms": [BITEXT, DISTIL]},
    # how monolingual, for all languages and by language
    "all, x-y": {"batches.strategy": "x-y"},
    "all, alpha .25": {"batches.alpha": 0.25},
    "all, alpha .75": {"batches.alpha": 0.75},
    "all, uniform languages": {"batches.languages": "uniform"},
    "all, languages by size": {"batches.languages": 1.0},
    "all, alpha by language": {"batches.languages": 1.0, "batches.pair_languages": "uniform"},
    # which languages pair (MLQA has no English, so the first leaves it in batches of one language)
    "all, pairs through English and French": {"batches.pairs": ["pivot"]},
    "all, pairs of one script": {"batches.pairs": ["script"]},
    "all, pairs of one family or with English": {
        "batches.pairs": ["family", "pivot"],
        "batches.pivots": ["en"],
    },
    # temperature by language
    "all, temperature by language, low-resource": {
        "objective.temperatures": dict.fromkeys(FEW_PAIRS, 0.04)
    },
    "all, temperature by language, low-resource, sharper": {
        "objective.temperatures": dict.fromkeys(FEW_PAIRS, 0.01)
    },
    # hard negatives: none; intruders of MLQA's paragraphs beside the sentences' own; each in one
    # of its languages (the sentences' own have no translations)
    "all, no negatives": {"batches.negatives": 0},
    "all, intruders": INTRUDERS,
    "all, intruders in any language": {**INTRUDERS, "batches.negatives_in": "any"},
    # queries as people type them
    "all, noisy queries": {
        "data.sources": [f"{x}-noisy" if x in ("mlqa", "tydi", "help") else x for x in ALL]
    },
    # which weights
    "all, embeddings trained": {"training.freeze_embeddings": False},
    "all, LoRA": LORA,
    # a transform fitted afterwards, for languages that training did not see
    "all, LSAR after": {
        "model.transform": {
            "method": "lsar",
            "when": "after",
            "fit": ["sib-200"],
            "languages": LOW_RESOURCE,
        }
    },
    # more steps; `continues` names the trial that is gone on with
    "all, 400 steps": {**LONG, "training.steps": 400},
    "all, 800 steps": {**LONG, "training.steps": 800, "training.continues": "all, 400 steps"},
    "all, 1,600 steps": {**LONG, "training.steps": 1600, "training.continues": "all, 800 steps"},
    # the runs of averages: languages apart
    "low-resource data": LOW,
    "low-resource data, LoRA": {**LOW, **LORA},
    "balanced data, LoRA": {"data.sources": HIGH, **LORA},
    "balanced data, x-y": {"data.sources": HIGH, "batches.strategy": "x-y"},
}
# trials whose weights are averaged (Wortsman et al. 2022, arXiv:2203.05482)
AVERAGES: dict[str, tuple[str, ...]] = {
    "average: all, x-y and hybrid": ("all, x-y", "all"),
    "average: all, 400 and 800 steps": ("all, 400 steps", "all, 800 steps"),
    "average: all, 800 steps, and balanced data": ("all, 800 steps", "balanced data"),
    "average: high and low-resource": ("balanced data", "low-resource data"),
    "average: high x-y and low-resource": ("balanced data, x-y", "low-resource data"),
    "average: high and low-resource LoRA": ("balanced data, LoRA", "low-resource data, LoRA"),
}


def trial_config(name: str, out: Path, groups: int | None, steps: int | None) -> dict[str, Any]:
    """Return the configuration of a trial, its sources prepared.

    Args:
        name: The trial.
        out: The folder of sources and runs.
        groups: Passage groups of each source, None for all.
        steps: Number of steps; None: as many as the trial has.
    """
    changes = dict(TRIALS[name])
    if steps is not None:
        changes["training.steps"] = steps
    config = override(BASE, changes)
    config["data"]["sources"] = source_tables(config["data"]["sources"], out / "data", groups)
    earlier = config["training"].pop("continues", None)
    if earlier is not None and steps is None:
        config["training"]["continues"] = str(out / folder_of(earlier))
    if groups is not None:
        config["batches"]["size"] = CHECK_SIZE
    return config


def folder_of(name: str) -> str:
    """Return the name of a trial's run."""
    return "run-" + "".join(c if c.isalnum() else "-" for c in name)


def train_trial(name: str, out: Path, groups: int | None = None, steps: int | None = None) -> Path:
    """Train the model of a trial if it is missing; the checkpoint for longer trials is kept."""
    run = out / folder_of(name)
    earlier = TRIALS[name].get("training.continues")
    if earlier is not None and steps is None:
        train_trial(earlier, out)
    model = train(trial_config(name, out, groups, steps), run)
    for file in (run / "checkpoints").glob("step-*.pt"):
        file.unlink()
    return model


def load_trial(name: str, out: Path) -> tuple[Retriever, float]:
    """Return the model of a trial, or of several averaged, and the seconds of training."""
    models = [train_trial(n, out) for n in AVERAGES.get(name, (name,))]
    model = Retriever(str(models[0]))
    if len(models) > 1:
        average(model, models)
    return model, sum(read_object(p.parent / "run.json")["seconds"] for p in models)


def run_trial(name: str, out: Path, dev: Path) -> None:
    """Train a trial and measure it by each share of the base that has no row yet."""
    rows = read_rows()
    missing = [s for s in shares_of(name) if label_of(name, s) not in rows]
    if not missing:
        return
    model, seconds = load_trial(name, out)
    base, current = Retriever(DEFAULT), 0.0
    for share in shares_of(name):
        if share > current:
            average_with(model, base, 1 - (1 - share) / (1 - current))
            current = share
        if share not in missing:
            continue
        label = label_of(name, share)
        # a folder of its own, since several of these processes may run at once
        place = out / "measured" / folder_of(label)
        shutil.rmtree(place, ignore_errors=True)
        model.save(place, card=None, origin=model.origin)
        results = measure_tasks(str(place), folder_of(label), dev)
        row = {
            "trial": name,
            "share": share,
            "seconds": seconds,
            "tasks": {task: figures(entry_of(result)) for task, result in results.items()},
            **judge(results, read_baseline(dev)),
        }
        add_row(label, row, out / "data")
        shutil.rmtree(place)


def shares_of(name: str) -> tuple[float, ...]:
    """Return the shares of the base at which a trial is measured.

    A model with a transform is measured as it is: the transform was fitted on its own weights.
    """
    return (0.0,) if "model.transform" in TRIALS.get(name, {}) else SHARES


def label_of(name: str, share: float) -> str:
    """Return the label of a row."""
    return f"{name}, base {share:g}"


def read_rows() -> dict[str, Any]:
    """Return the rows that are measured."""
    rows: dict[str, Any] = read_object(RESULT)["rows"] if RESULT.exists() else {}
    return rows


def add_row(label: str, row: dict[str, Any], data: Path) -> None:
    """Add a row to the committed results and print its verdict."""
    content = {
        "rows": {**read_rows(), label: row},
        "base": BASE,
        "trials": TRIALS,
        "averages": AVERAGES,
        "data": read_object(data / "counts.json"),
        "versions": library_versions(),
        "machine": machine_info(),
    }
    write_text(RESULT, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    print(f"{label}: score {row['score']:+.4f}", *row["vetoes"], sep="\n  ", flush=True)


def check(name: str, out: Path) -> None:
    """Train two steps of a trial on a few groups of its sources."""
    for run in AVERAGES.get(name, (name,)):
        model = train_trial(run, out, CHECK_GROUPS, CHECK_STEPS)
        record = read_object(model.parent / "run.json")
        losses = [json.loads(x)["loss"] for x in (model.parent / "log.jsonl").open()]
        print(f"{run}: {record['steps']} steps, losses {losses}", flush=True)


def main() -> None:
    """Run the trials that have no row yet."""
    parser = argparse.ArgumentParser()
    parser.add_argument("trials", nargs="*", help="names of trials; default: all")
    parser.add_argument("--out", type=Path, default=Path("runs/low-resource-trials"))
    parser.add_argument("--dev", type=Path, default=Path("runs/low-resource-dev"))
    parser.add_argument("--check", action="store_true", help="two steps each, nothing measured")
    options = parser.parse_args()
    known = {**TRIALS, **AVERAGES}
    for name in [choose(x, known, "trial") for x in options.trials] or list(known):
        if options.check:
            check(name, options.out / "check")
        else:
            read_baseline(options.dev)
            run_trial(name, options.out, options.dev)


if __name__ == "__main__":
    main()
