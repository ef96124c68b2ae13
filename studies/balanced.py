"""Search for a balanced recipe on development data: `python -m studies.balanced`.

The recipe should improve multilingual mAP and keep monolingual mAP. Each trial is one run that
starts from e5-small, or from e5-small with its trained transform (`mixling debias -m trained`). It
is measured on development tasks as it is, averaged with its starting point, and with LSAR fitted on
its vectors of SIB-200's sentences. Rows are added to balanced.json as they are measured; an
interrupted run goes on. A trial takes some six minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from mixling.corpora.files import write_text
from mixling.debiasing.debias import debias
from mixling.evaluation.baselines import task_vectors
from mixling.evaluation.benchmarks import load_task
from mixling.evaluation.measure import rank_task, score_task
from mixling.evaluation.ranks import DotScorer
from mixling.evaluation.tasks import Task
from mixling.machine import library_versions, machine_info
from mixling.models.retriever import Retriever
from mixling.models.weights import DEFAULT
from mixling.studies.plan import override
from mixling.training.average import average_with
from mixling.training.train import train
from mixling.transforms.transforms import AffineTransform

RESULT = Path(__file__).with_suffix(".json")
ELEVEN = ["ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh"]
TASKS = ("mlqa-held-out", "arcd-sentences", "sib-200:dev@" + ",".join(ELEVEN))
SHARES = (0.0, 0.4)
TRANSFORM = "transform"
SIB = {"name": "sib-200", "split": "train", "languages": ELEVEN}
TICO = {
    "name": "tico-19",
    "split": "train",
    "languages": ["ar", "en", "es-419", "fr", "hi", "id", "ru", "sw", "zh"],
}
BITEXT = {"name": "bitext", "weight": 1.0}
ANCHOR = {"name": "distil-scores", "weight": 1.0}
BASE = {
    "data": {"sources": ["mlqa"], "window": 600},
    "batches": {"strategy": "hybrid", "size": 32, "alpha": 0.5},
    "objective": {"temperature": 0.02, "terms": [BITEXT]},
    "training": {"steps": 100, "lr": 3e-5, "freeze_embeddings": True, "checkpoint_every": 1000},
}
# name -> keys over BASE; the model "transform" is the default model with its trained transform
TRIALS: dict[str, dict] = {
    "transform": {"model.name": TRANSFORM},
    "e5, SIB": {"data.sources": ["mlqa", SIB], "batches.corpora": 0.0},
    "e5": {},
}


def figures(
    retriever: Retriever,
    tasks: list[Task],
    vector_cache: Path,
    transform: AffineTransform | None = None,
) -> dict:
    """Measure each task with an optional transform, in bf16.

    The row holds mAP of the three scenarios and the rank distance.
    """
    row: dict = {}
    for task in tasks:
        queries, passages, _ = task_vectors(retriever, task, "bf16", vector_cache)
        if transform is not None:
            queries, passages = transform.transform(queries), transform.transform(passages)
        entry = score_task(task, rank_task(task, DotScorer(queries, passages), 100)).entry
        row[task.name.partition("@")[0]] = {
            **{
                scenario: entry[scenario]["mAP"]
                for scenario in ("monolingual", "cross-lingual", "multilingual")
                if scenario in entry
            },
            **(
                {"rank distance": entry["bias"]["rank_distance"]}
                if "bias" in entry and "multilingual" in entry
                else {}
            ),
        }
    return row


def rows_of(
    name: str, retriever: Retriever, tasks: list[Task], vector_cache: Path, share: float
) -> list[dict]:
    """Measure a retriever without a transform and with LSAR."""
    lsar = debias(
        retriever,
        "lsar",
        ["sib-200"],
        languages=ELEVEN,
        texts=100,
        vector_cache=vector_cache,
        precision="bf16",
    )
    assert isinstance(lsar, AffineTransform)
    rows = [
        {
            "trial": name,
            "share": share,
            "after": label,
            **figures(retriever, tasks, vector_cache, transform),
        }
        for label, transform in (("", None), ("LSAR", lsar))
    ]
    shutil.rmtree(vector_cache, ignore_errors=True)
    return rows


def line(row: dict) -> str:
    """Format a row for the terminal."""
    held_out, sib = row["mlqa-held-out"], row["sib-200:dev"]
    return (
        f"{row['trial']:32} {row['share']:.1f} {row['after']:5} held-out "
        f"{held_out['monolingual']:.4f} {held_out['cross-lingual']:.4f} "
        f"{held_out['multilingual']:.4f} {held_out['rank distance']:.1f}  ar "
        f"{row['arcd-sentences']['monolingual']:.4f}  SIB {sib['multilingual']:.4f}"
    )


def main() -> None:
    """Run the trials that are not measured yet."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path("runs/balanced"))
    out = parser.parse_args().out
    rows = json.loads(RESULT.read_text())["rows"] if RESULT.exists() else []
    tasks = [load_task(t) for t in TASKS]
    transform_model = out / "transform"
    done = {r["trial"] for r in rows}
    missing = {name: trial for name, trial in TRIALS.items() if name not in done}
    if not transform_model.exists() and (
        "untrained, transform" not in done
        or TRANSFORM in [v for t in missing.values() for v in t.values()]
    ):
        debias(
            DEFAULT,
            "trained",
            out=transform_model,
            languages=ELEVEN,
            vector_cache=out / "vectors",
            precision="bf16",
        )

    def add(new_rows: list[dict]) -> None:
        """Add rows to the result file."""
        rows.extend(new_rows)
        content = {
            "rows": rows,
            "base": BASE,
            "trials": TRIALS,
            "versions": library_versions(),
            "machine": machine_info(),
        }
        write_text(RESULT, json.dumps(content, indent=1) + "\n")
        print(*map(line, new_rows), sep="\n", flush=True)

    for name, model in (("untrained", DEFAULT), ("untrained, transform", str(transform_model))):
        if name not in done:
            add(rows_of(name, Retriever(model), tasks, out / "measured", 1.0))
    for name, trial in missing.items():
        config = override(
            BASE, {k: str(transform_model) if v == TRANSFORM else v for k, v in trial.items()}
        )
        run = out / f"run-{name}".replace(" ", "-").replace(",", "")
        trained = Retriever(str(train(config, run)))
        base = Retriever(config.get("model", {}).get("name", DEFAULT))
        current, trial_rows = 0.0, []
        for share in SHARES:
            if share:
                average_with(trained, base, 1 - (1 - share) / (1 - current))
            current = share
            trial_rows += rows_of(name, trained, tasks, out / "measured", share)
        add(trial_rows)
        shutil.rmtree(run / "checkpoints", ignore_errors=True)


if __name__ == "__main__":
    main()
