"""The folder of a run: its configuration, log, checkpoints, model and record.

A run can be stopped at any moment and goes on from its newest checkpoint. Checkpoints, model and
record are complete or absent; the log may end in a line that was cut off. The record is written
last, so its existence means that the run is finished.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import torch

from mixling.corpora.files import open_run_dir, write_text
from mixling.disk import new_file, one_writer, read_object
from mixling.errors import MixlingError

_CHECKPOINT, _KEPT = re.compile(r"step-(\d+)\.pt$"), re.compile(r"kept-(\d+)\.pt$")


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run.

    Args:
        path: The folder. It need not exist yet.
    """

    path: Path

    @property
    def model(self) -> Path:
        """The trained model, a sentence-transformers folder."""
        return self.path / "model"

    @property
    def record_file(self) -> Path:
        """`run.json`: what was trained, on what, how, and where. It is written last."""
        return self.path / "run.json"

    @property
    def log_file(self) -> Path:
        """`log.jsonl`: one JSON object a step."""
        return self.path / "log.jsonl"

    @property
    def checkpoints(self) -> Path:
        """The folder of the newest checkpoint and of the best one."""
        return self.path / "checkpoints"

    @property
    def finished(self) -> bool:
        """Whether the run is finished."""
        return self.record_file.exists()

    @property
    def begun(self) -> bool:
        """Whether there is a checkpoint."""
        return bool(self._checkpoint_files())

    def locked(self) -> contextlib.AbstractContextManager[None]:
        """Keep other processes from writing into the folder meanwhile.

        Raises:
            MixlingError: Another process writes into it.
        """
        return one_writer(self.path)

    def claim(
        self, job: dict[str, Any], migrate: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    ) -> bool:
        """Write the configuration, or check that the folder holds a run of this configuration.

        Args:
            job: The configuration, as JSON.
            migrate: Fills in what a configuration lacks that an earlier version wrote.

        Returns:
            Whether the run is new.

        Raises:
            MixlingError: The folder holds something else.
        """
        return open_run_dir(self.path, job, "config.json", migrate)

    def record(self) -> dict[str, Any]:
        """Read the record of a finished run."""
        return read_object(self.record_file)

    def finish(self, record: Mapping[str, Any]) -> None:
        """Write the record, which marks the run as finished."""
        write_text(self.record_file, json.dumps(record, indent=1, ensure_ascii=False))

    @contextlib.contextmanager
    def open_log(self, step: int) -> Iterator[TextIO]:
        """Open the log for appending, without the lines of `step` and later steps.

        They run again.
        """
        if self.log_file.exists():
            lines = self.log_file.read_text(encoding="utf-8").splitlines()
            write_text(self.log_file, "".join(x + "\n" for x in lines if _step_of(x) < step))
        with self.log_file.open("a", encoding="utf-8") as log:
            yield log

    def seconds(self) -> float:
        """Seconds of all steps in the log, those before an interruption included."""
        lines = self.log_file.read_text(encoding="utf-8").splitlines()
        return round(sum(float(json.loads(x)["seconds"]) for x in lines), 1)

    def save_checkpoint(self, step: int, state: Mapping[str, Any]) -> None:
        """Save the state after `step` steps, then remove older checkpoints."""
        _save(self.checkpoints / f"step-{step:08d}.pt", state)
        for number, path in self._checkpoint_files():
            if number != step:
                path.unlink()

    def keep_checkpoint(self, step: int, state: Mapping[str, Any]) -> None:
        """Save the state after `step` steps for longer runs, which go on from it."""
        _save(self.checkpoints / f"kept-{step:08d}.pt", state)

    def take_over(self, earlier: RunFolder, most: int) -> int:
        """Begin with the kept checkpoint of another run, and its lines of the log.

        Args:
            earlier: The other run.
            most: The greatest number of steps that it may have done there.

        Returns:
            The number of steps done.

        Raises:
            MixlingError: The other run has no such checkpoint.
        """
        kept = earlier._checkpoint_files(_KEPT)
        if not kept:
            raise MixlingError(
                f"{earlier.path}: the run has kept no checkpoint to go on from. It needs "
                'training.schedule = "wsd", and must have reached its decay.'
            )
        step, path = max(kept)
        if step > most:
            raise MixlingError(
                f"{earlier.path}: the run has {step} steps before its decay, and this run {most}. "
                "Raise training.steps."
            )
        lines = earlier.log_file.read_text(encoding="utf-8").splitlines()
        write_text(self.log_file, "".join(x + "\n" for x in lines if _step_of(x) < step))
        with new_file(self.checkpoints / f"step-{step:08d}.pt") as temporary:
            shutil.copyfile(path, temporary)
        return step

    def newest_checkpoint(self) -> tuple[int, dict[str, Any]] | None:
        """Read the newest checkpoint.

        Returns:
            The number of steps done and the state after them, or None if there is no checkpoint.
        """
        files = self._checkpoint_files()
        if not files:
            return None
        step, path = max(files)
        return step, torch.load(path, map_location="cpu", weights_only=True)

    def save_best(self, weights: Mapping[str, Any]) -> None:
        """Save the weights of the step that validates best."""
        _save(self.checkpoints / "best.pt", {"model": weights})

    def best_weights(self) -> dict[str, Any]:
        """Read the weights that `save_best` saved."""
        state = torch.load(self.checkpoints / "best.pt", map_location="cpu", weights_only=True)
        weights: dict[str, Any] = state["model"]
        return weights

    def _checkpoint_files(self, pattern: re.Pattern[str] = _CHECKPOINT) -> list[tuple[int, Path]]:
        if not self.checkpoints.is_dir():
            return []
        matches = ((pattern.search(p.name), p) for p in self.checkpoints.iterdir())
        return [(int(m[1]), p) for m, p in matches if m]


def _save(path: Path, state: Mapping[str, Any]) -> None:
    """Save a state so that the file is complete or absent."""
    with new_file(path) as temporary, temporary.open("wb") as out:
        torch.save(dict(state), out)


def _step_of(line: str) -> float:
    """The step of a line of the log, infinity for a line that was cut off."""
    try:
        return int(json.loads(line)["step"])
    except json.JSONDecodeError:
        return float("inf")
