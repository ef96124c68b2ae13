"""Search the first study's hyperparameters on development tasks: `studies/hyperparameters.py`.

Trains each pair of temperature and learning rate once, averages the model with shares of the base,
and measures every result on `mlqa-held-out` and the two sentence tasks. Rows are added to
hyperparameters.json and the table to hyperparameters.md as they are measured; an interrupted run
goes on.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from mixling.evaluation.benchmarks import DEVELOPMENT, load_task
from mixling.evaluation.measure import measure
from mixling.evaluation.tasks import Task
from mixling.machine import library_versions, machine_info
from mixling.models.retriever import Retriever
from mixling.models.weights import DEFAULT
from mixling.training.average import average_with
from mixling.training.train import train

TRIALS = {(0.02, 1e-5): (0.0, 0.5), (0.02, 3e-5): (0.0, 0.3, 0.4, 0.5), (0.05, 3e-5): (0.0,)}
RESULT = Path(__file__).with_suffix(".json")


def config(temperature: float, lr: float) -> dict:
    """Configure 150 steps of 32 hybrid pairs on MLQA, with a frozen embedding table and seed 0."""
    return {
        "data": {"sources": ["mlqa"]},
        "objective": {"temperature": temperature},
        "training": {"freeze_embeddings": True, "lr": lr},
    }


def row(retriever: Retriever, tasks: list[Task], options: dict) -> dict:
    """Measure one retriever in bf16."""
    entries = measure(retriever, tasks, precision="bf16").summary["tasks"]
    held_out = entries["mlqa-held-out"]
    return {
        **options,
        **{s: held_out[s]["mAP"] for s in ("monolingual", "cross-lingual", "multilingual")},
        "rank distance": held_out["multilingual"]["rank_distance"],
        **{t: entries[t]["monolingual"]["mAP"] for t in ("arcd-sentences", "jaquad-sentences")},
    }


def markdown(rows: list[dict]) -> str:
    """Format the rows as a table."""
    lines = [
        "| temperature | lr | share | held-out monolingual / cross-lingual / multilingual "
        "| rank distance | Arabic, Japanese sentences |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        head = (
            f"{row['temperature']:g} | {row['lr']:g} | {row['share']:g}"
            if "temperature" in row
            else "zero-shot | | "
        )
        lines.append(
            f"| {head} | {row['monolingual']:.4f} / {row['cross-lingual']:.4f} / "
            f"{row['multilingual']:.4f} | {row['rank distance']:.1f} | "
            f"{row['arcd-sentences']:.4f}, {row['jaquad-sentences']:.4f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Run the trials that are not measured yet."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path("runs/settings"))
    out = parser.parse_args().out
    rows = json.loads(RESULT.read_text())["rows"] if RESULT.exists() else []
    tasks = [load_task(t) for t in DEVELOPMENT if not t.startswith("sib")]
    trials: list[dict] = [{}]
    trials += [
        {"temperature": t, "lr": r, "share": s} for (t, r), shares in TRIALS.items() for s in shares
    ]
    for options in trials[len(rows) :]:
        if options:
            t, lr = options["temperature"], options["lr"]
            retriever = Retriever(str(train(config(t, lr), out / f"{t:g}-{lr:g}")))
            if options["share"]:
                average_with(retriever, Retriever(DEFAULT), options["share"])
        else:
            retriever = Retriever(DEFAULT)
        rows.append(row(retriever, tasks, options))
        content = {
            "rows": rows,
            "data": {t.name: t.fingerprint() for t in tasks},
            "versions": library_versions(),
            "machine": machine_info(),
            "complete": len(rows) == len(trials),
        }
        RESULT.write_text(json.dumps(content, indent=1) + "\n")
        RESULT.with_suffix(".md").write_text(markdown(rows) + "\n")
        print(markdown(rows[-1:]).splitlines()[-1], flush=True)


if __name__ == "__main__":
    main()
