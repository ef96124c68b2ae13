"""The search for a recipe that opens the pool and keeps the own language, on development data
alone: `python -m studies.balanced`.

Every trial is one run on top of e5-small or of e5-small behind its trained map (`mixling debias -m
map`), measured on development tasks as it is, averaged with what it started from, and with LSAR
fitted on what it makes of SIB-200's sentences. Rows are kept in balanced.json as they come; started
again, it goes on. Some six minutes a trial on two cores.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from mixling.corpora.files import write_text
from mixling.debiasing.debias import debias
from mixling.debiasing.transforms import AffineTransform
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

RESULT = Path(__file__).with_suffix(".json")
ELEVEN = ["ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh"]
TASKS = ("mlqa-held-out", "arcd-sentences", "sib-200:dev@" + ",".join(ELEVEN))
SHARES = (0.0, 0.4)
MAP = "map"
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
# name -> settings over BASE; "map" as the model's name is the model behind its map
TRIALS: dict[str, dict] = {
    "map": {"model.name": MAP},
    "e5, SIB": {"data.sources": ["mlqa", SIB], "batches.corpora": 0.0},
    "e5": {},
}


def figures(
    retriever: Retriever, tasks: list[Task], keep: Path, found: AffineTransform | None = None
) -> dict:
    """Own language, across, pool and rank distance on each task, after a map if there is one
    (bf16).
    """
    row: dict = {}
    for one in tasks:
        queries, candidates, _ = task_vectors(retriever, one, "bf16", keep)
        if found is not None:
            queries, candidates = found.transform(queries), found.transform(candidates)
        entry = score_task(one, rank_task(one, DotScorer(queries, candidates), 100)).entry
        row[one.name.partition("@")[0]] = {
            **{
                s: entry[s]["mAP"]
                for s in ("monolingual", "cross-lingual", "multilingual")
                if s in entry
            },
            **(
                {"rank distance": entry["bias"]["rank_distance"]}
                if "bias" in entry and "multilingual" in entry
                else {}
            ),
        }
    return row


def rows_of(
    name: str, retriever: Retriever, tasks: list[Task], keep: Path, share: float
) -> list[dict]:
    """A retriever's figures as it is and behind LSAR."""
    after = debias(
        retriever,
        "lsar",
        ["sib-200"],
        languages=ELEVEN,
        texts=100,
        vector_cache=keep,
        precision="bf16",
    )
    assert isinstance(after, AffineTransform)
    rows = [
        {"trial": name, "share": share, "after": label, **figures(retriever, tasks, keep, found)}
        for label, found in (("", None), ("LSAR", after))
    ]
    shutil.rmtree(keep, ignore_errors=True)
    return rows


def line(row: dict) -> str:
    """A row for the terminal."""
    held, sib = row["mlqa-held-out"], row["sib-200:dev"]
    return (
        f"{row['trial']:32} {row['share']:.1f} {row['after']:5} held-out {held['monolingual']:.4f} "
        f"{held['cross-lingual']:.4f} {held['multilingual']:.4f} {held['rank distance']:.1f}  ar "
        f"{row['arcd-sentences']['monolingual']:.4f}  SIB {sib['multilingual']:.4f}"
    )


def main() -> None:
    """Go through what is not measured yet."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path("runs/balanced"))
    out = parser.parse_args().out
    rows = json.loads(RESULT.read_text())["rows"] if RESULT.exists() else []
    tasks = [load_task(t) for t in TASKS]
    mapped = out / "map"
    done = {r["trial"] for r in rows}
    wanted = {name: trial for name, trial in TRIALS.items() if name not in done}
    if not mapped.exists() and (
        "untrained, map" not in done or MAP in [v for t in wanted.values() for v in t.values()]
    ):
        debias(
            DEFAULT,
            "trained",
            out=mapped,
            languages=ELEVEN,
            vector_cache=out / "vectors",
            precision="bf16",
        )

    def keep(more: list[dict]) -> None:
        rows.extend(more)
        whole = {
            "rows": rows,
            "base": BASE,
            "trials": TRIALS,
            "versions": library_versions(),
            "machine": machine_info(),
        }
        write_text(RESULT, json.dumps(whole, indent=1) + "\n")
        print(*map(line, more), sep="\n", flush=True)

    for name, model in (("untrained", DEFAULT), ("untrained, map", str(mapped))):
        if name not in done:
            keep(rows_of(name, Retriever(model), tasks, out / "measured", 1.0))
    for name, trial in wanted.items():
        config = override(BASE, {k: str(mapped) if v == MAP else v for k, v in trial.items()})
        place = out / f"run-{name}".replace(" ", "-").replace(",", "")
        trained = Retriever(str(train(config, place)))
        before = Retriever(config.get("model", {}).get("name", DEFAULT))
        at, more = 0.0, []
        for share in SHARES:
            if share:
                average_with(trained, before, 1 - (1 - share) / (1 - at))
            at = share
            more += rows_of(name, trained, tasks, out / "measured", share)
        keep(more)
        shutil.rmtree(place / "checkpoints", ignore_errors=True)


if __name__ == "__main__":
    main()
