"""The search for the first study's settings, on development tasks alone: `python
studies/hyperparameters.py`.

Trains each (temperature, learning rate) once, averages it with shares of the base, and measures
every result on `mlqa-held-out` and the two sentence tasks. Rows are kept in hyperparameters.json as
they come, the table in hyperparameters.md; started again, it goes on.
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

TRIED = {(0.02, 1e-5): (0.0, 0.5), (0.02, 3e-5): (0.0, 0.3, 0.4, 0.5), (0.05, 3e-5): (0.0,)}
RESULT = Path(__file__).with_suffix(".json")


def config(temperature: float, lr: float) -> dict:
    """150 steps of 32 hybrid pairs on MLQA, word table frozen, seed 0."""
    return {
        "data": {"sources": ["mlqa"]},
        "objective": {"temperature": temperature},
        "training": {"freeze_embeddings": True, "lr": lr},
    }


def row(retriever: Retriever, tasks: list[Task], settings: dict) -> dict:
    """The figures of one retriever (bf16)."""
    found = measure(retriever, tasks, precision="bf16").summary["tasks"]
    held = found["mlqa-held-out"]
    return {
        **settings,
        **{s: held[s]["mAP"] for s in ("monolingual", "cross-lingual", "multilingual")},
        "rank distance": held["multilingual"]["rank_distance"],
        **{t: found[t]["monolingual"]["mAP"] for t in ("arcd-sentences", "jaquad-sentences")},
    }


def markdown(rows: list[dict]) -> str:
    """The rows as a table."""
    lines = [
        "| temperature | lr | share | held-out own / cross / pool | rank distance | Arabic, "
        "Japanese sentences |",
        "|---|---|---|---|---|---|",
    ]
    for r in rows:
        head = (
            f"{r['temperature']:g} | {r['lr']:g} | {r['share']:g}"
            if "temperature" in r
            else "zero-shot | | "
        )
        lines.append(
            f"| {head} | {r['monolingual']:.4f} / {r['cross-lingual']:.4f} / "
            f"{r['multilingual']:.4f} | {r['rank distance']:.1f} | {r['arcd-sentences']:.4f}, "
            f"{r['jaquad-sentences']:.4f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Go through what is not measured yet."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path("runs/settings"))
    out = parser.parse_args().out
    rows = json.loads(RESULT.read_text())["rows"] if RESULT.exists() else []
    tasks = [load_task(t) for t in DEVELOPMENT if not t.startswith("sib")]
    wanted: list[dict] = [{}]
    wanted += [
        {"temperature": t, "lr": r, "share": s} for (t, r), shares in TRIED.items() for s in shares
    ]
    for settings in wanted[len(rows) :]:
        if settings:
            t, lr = settings["temperature"], settings["lr"]
            retriever = Retriever(str(train(config(t, lr), out / f"{t:g}-{lr:g}")))
            if settings["share"]:
                average_with(retriever, Retriever(DEFAULT), settings["share"])
        else:
            retriever = Retriever(DEFAULT)
        rows.append(row(retriever, tasks, settings))
        whole = {
            "rows": rows,
            "data": {t.name: t.fingerprint() for t in tasks},
            "versions": library_versions(),
            "machine": machine_info(),
            "complete": len(rows) == len(wanted),
        }
        RESULT.write_text(json.dumps(whole, indent=1) + "\n")
        RESULT.with_suffix(".md").write_text(markdown(rows) + "\n")
        print(markdown(rows[-1:]).splitlines()[-1], flush=True)


if __name__ == "__main__":
    main()
