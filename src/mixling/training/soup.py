"""Model soups: several runs of one model whose weights are averaged (arXiv:2203.05482)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from accelerate import PartialState

from mixling.training.average import average
from mixling.training.base_model import load_base_model, on_cpu
from mixling.training.config import Config
from mixling.training.inputs import claim_run
from mixling.training.linear_transform import fit_before_training
from mixling.training.load_config import soup_runs
from mixling.training.run_folder import RunFolder
from mixling.training.save_run import save_run
from mixling.training.sentence_sources import locate_sentences

logger = logging.getLogger(__name__)
_KEPT = ("config", "steps", "best", "seconds", "plan")  # of each run, in the record of the soup


def train_soup(
    config: Config, soup: RunFolder, train_run: Callable[[Config, RunFolder, Path], Path]
) -> Path:
    """Train several runs and average their weights.

    Args:
        config: The configuration, with a table for each run.
        soup: The folder. The runs are trained in its folders run-1, run-2, … If it was interrupted,
            it goes on.
        train_run: Trains one run. It takes the run's configuration, its folder, and the folder of
            prepared inputs, which all runs share.

    Returns:
        The model folder.

    Raises:
        MixlingError: The configuration or the data are wrong, or the folder holds something else.
    """
    configs, state = soup_runs(config), PartialState(cpu=on_cpu(config.training))
    if state.is_main_process:
        claim_run(config, soup)
    state.wait_for_everyone()
    if soup.finished:
        return soup.model
    runs = [RunFolder(soup.path / f"run-{n}") for n in range(1, len(configs) + 1)]
    for n, (run_config, run) in enumerate(zip(configs, runs, strict=True), 1):
        if state.is_main_process:
            logger.info("run %d of %d, to be averaged, in %s", n, len(runs), run.path)
        train_run(run_config, run, soup.path)
    if state.is_main_process:
        _save_average(config, soup, runs)
    state.wait_for_everyone()
    return soup.model


def _save_average(config: Config, soup: RunFolder, runs: list[RunFolder]) -> None:
    """Average the models of the runs and save the result."""
    # the runs have written the prepared inputs
    prepared = fit_before_training(locate_sentences(config, soup.path), soup.path)
    retriever = load_base_model(prepared.model)
    average(retriever, [run.model for run in runs], prepared.model.trust_remote_code)
    records = [run.record() for run in runs]
    facts = {
        **{k: records[0][k] for k in ("precision", "processes", "data")},
        "steps": sum(r["steps"] for r in records),
        "best": None,
        "seconds": round(sum(r["seconds"] for r in records), 1),
        "plan": "+".join(r["plan"] for r in records),
        "runs": [{k: r[k] for k in _KEPT} for r in records],
    }
    save_run(config, prepared, soup, retriever, facts)
