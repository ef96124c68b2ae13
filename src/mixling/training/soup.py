"""Several runs of one model whose weights are averaged, a "soup" (Wortsman et al. 2022, arXiv:2203.05482)."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from accelerate import PartialState

from mixling.corpora.files import open_run_dir
from mixling.training.average import average
from mixling.training.base_model import load_base_model, on_cpu
from mixling.training.config import Config
from mixling.training.inputs import same_inputs
from mixling.training.linear_transform import fit_before_training
from mixling.training.load_config import ingredients, migrate_config
from mixling.training.save_run import save_run
from mixling.training.sentence_sources import locate_sentences

OF_A_RUN = ("config", "steps", "best", "seconds", "plan")


def train_soup(settings: Config, out: Path, run: Callable[[Config, Path, Path], Path]) -> Path:
    """Train each run in `out`/run-1, run-2, …, by `run` (its settings, its folder, where sentences and map are kept), and write
    the average to `out`/model. Cut off, it goes on. Returns the model folder."""
    runs, state = ingredients(settings), PartialState(cpu=on_cpu(settings.training))
    if state.is_main_process:
        new = open_run_dir(out, settings.model_dump(mode="json"), "config.json", migrate_config)
        same_inputs(settings, out, new)
    state.wait_for_everyone()
    if (out / "run.json").exists():
        return out / "model"
    folders = [out / f"run-{n}" for n in range(1, len(runs) + 1)]
    for n, (one, folder) in enumerate(zip(runs, folders, strict=True), 1):
        if state.is_main_process:
            print(f"mixling: run {n} of {len(runs)}, to be averaged, in {folder}", file=sys.stderr)
        run(one, folder, out)
    if state.is_main_process:
        _average(settings, out, folders)
    state.wait_for_everyone()
    return out / "model"


def _average(settings: Config, out: Path, folders: list[Path]) -> None:
    settings = fit_before_training(locate_sentences(settings, out), out)  # made by the runs
    retriever = load_base_model(settings.model)
    average(retriever, [folder / "model" for folder in folders], settings.model.trust_remote_code)
    done = [json.loads((folder / "run.json").read_text(encoding="utf-8")) for folder in folders]
    facts = {
        "steps": sum(r["steps"] for r in done),
        "best": None,
        "seconds": round(sum(r["seconds"] for r in done), 1),
        "plan": "+".join(r["plan"] for r in done),
        "runs": [{k: r[k] for k in OF_A_RUN} for r in done],
    }
    save_run(
        settings,
        out,
        retriever,
        {**{k: done[0][k] for k in ("precision", "processes", "data")}, **facts},
    )
