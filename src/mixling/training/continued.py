"""Runs that go on from a shorter run whose learning rate was constant until its decay."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from mixling.corpora.inputs import INPUTS_FILE
from mixling.disk import read_object
from mixling.errors import MixlingError
from mixling.training.config import Config
from mixling.training.load_config import migrate_config
from mixling.training.optimizer import stable_steps
from mixling.training.run_folder import RunFolder

logger = logging.getLogger(__name__)
# what a longer run may set otherwise than the run that it goes on from
_FREE = ("steps", "decay", "continues", "checkpoint_every", "average_with_base", "device")


def kept_step(config: Config) -> int | None:
    """Return the number of steps after which a run keeps a checkpoint for longer runs."""
    training = config.training
    return stable_steps(training.steps, training.decay) if training.schedule == "wsd" else None


def continue_run(config: Config, run: RunFolder) -> None:
    """Begin a new run with the steps of the run that its configuration continues.

    Args:
        config: The run's configuration.
        run: The run's folder, which is claimed already.

    Raises:
        MixlingError: The other run differs in more than its length, or cannot be continued.
    """
    if config.training.continues is None:
        return
    earlier, most = RunFolder(Path(config.training.continues)), kept_step(config)
    if most is None:
        raise MixlingError(
            f'{run.path}: training.continues needs training.schedule = "wsd", which is constant '
            f"until its decay (now {config.training.schedule})."
        )
    if config.training.warmup <= 1:
        raise MixlingError(
            f"{run.path}: training.warmup is {config.training.warmup:g}, a fraction of the steps, "
            "which differs between runs of two lengths. Give training.warmup as a number of steps "
            "in both runs."
        )
    this, other = (_comparable(x) for x in (run, earlier))
    wrong = [name for name in this if this[name] != other.get(name)]
    if wrong:
        raise MixlingError(
            f"{run.path}: {', '.join(wrong)} must be as in {earlier.path}, which the run "
            f"continues. Only training.{', training.'.join(_FREE)} may differ."
        )
    step = run.take_over(earlier, most)
    logger.info("going on from step %d of %s", step, earlier.path)


def _comparable(run: RunFolder) -> dict[str, Any]:
    """Return what two runs must share, by the name of the option or the input.

    Raises:
        MixlingError: The folder holds no run.
    """
    file = run.path / "config.json"
    if not file.exists():
        raise MixlingError(
            f"{run.path}: the folder holds no run (no config.json). training.continues takes the "
            "folder of a run, for instance runs/short."
        )
    config = migrate_config(read_object(file))
    training = {f"training.{k}": v for k, v in config["training"].items() if k not in _FREE}
    inputs = read_object(run.path / INPUTS_FILE)["inputs"]
    tables = {k: v for k, v in config.items() if k not in ("training", "soup")}
    return {**tables, **training, **inputs}
