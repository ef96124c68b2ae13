"""Checkpoints: written to a temporary name, flushed, renamed; the newest whole one is where a run goes on."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any

import torch

from mixling.corpora.files import write_text
from mixling.disk import new_file

_NAME = re.compile(r"step-(\d+)\.pt$")


def write_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Save a state; the file is complete or absent."""
    with new_file(path) as temporary, temporary.open("wb") as out:
        torch.save(state, out)


def write_step(folder: Path, step: int, state: dict[str, Any]) -> None:
    """Save the state after `step` steps and remove older ones."""
    write_checkpoint(folder / f"step-{step:08d}.pt", state)
    for number, path in _steps(folder):
        if number != step:
            path.unlink()


def newest_checkpoint(folder: Path) -> tuple[int, dict[str, Any]] | None:
    """(step, state) of the newest checkpoint, or None."""
    found = _steps(folder)
    if not found:
        return None
    step, path = max(found)
    return step, torch.load(path, map_location="cpu", weights_only=True)


def _steps(folder: Path) -> list[tuple[int, Path]]:
    if not folder.is_dir():
        return []
    return [(int(m[1]), p) for p in folder.iterdir() if (m := _NAME.search(p.name))]


def truncate_log(log: Path, step: int) -> None:
    """Keep the log's lines of steps before `step`: later ones are taken again."""
    if not log.exists():
        return
    kept = []
    for line in log.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            if json.loads(line)["step"] < step:
                kept.append(line + "\n")
    write_text(log, "".join(kept))
