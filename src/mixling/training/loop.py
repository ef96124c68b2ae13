"""The loop that `train` and `adapt_language` share: steps, log, progress, checkpoints, resuming."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from mixling.progress import Progress
from mixling.threads import fitting_threads
from mixling.training.run_folder import RunFolder

Row = dict[str, Any]


class Stateful(Protocol):
    """Something whose state a checkpoint holds: a module, an optimizer, a validation."""

    def state_dict(self) -> Mapping[str, Any]:
        """Return the state."""

    def load_state_dict(self, state_dict: Any, /) -> Any:
        """Take a state over."""


def resume(run: RunFolder, state: Mapping[str, Stateful]) -> int:
    """Load the newest checkpoint into `state`.

    Returns:
        The number of steps that are done already, 0 without a checkpoint.
    """
    checkpoint = run.newest_checkpoint()
    if checkpoint is None:
        return 0
    step, saved = checkpoint
    for name, part in state.items():
        part.load_state_dict(saved[name])
    return step


def training_loop(
    run: RunFolder,
    state: Mapping[str, Stateful],
    take_step: Callable[[int], Row],
    *,
    first: int,
    steps: int,
    checkpoint_every: int,
    kept_step: int | None = None,
    title: str,
    summary: Callable[[Row], str],
    after_step: Callable[[Row, int], bool] | None = None,
    on_step: Callable[[Row], None] | None = None,
    writes: bool = True,
) -> int:
    """Run the steps `first` to `steps` - 1, log each one and save checkpoints.

    Args:
        run: Where log and checkpoints are written.
        state: What a checkpoint holds, by name.
        take_step: Runs step i and returns its line of the log.
        first: The first step, as `resume` returns it.
        steps: The number of steps of the whole run.
        checkpoint_every: Steps between two checkpoints; step `steps` gets one too.
        kept_step: Number of steps after which the checkpoint is kept for longer runs.
        title: Title of the progress bar.
        summary: A few words about a step, for the progress bar.
        after_step: Called with the line of the log and the number of steps done; returns whether to
            stop early.
        on_step: The user's callback, called with the line of the log.
        writes: Whether this process writes. Of several processes one does.

    Returns:
        The number of steps done.
    """
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(run.open_log(first)) if writes else None
        progress = stack.enter_context(Progress(title)) if writes else None
        for step in range(first, steps):
            with fitting_threads():  # what else the machine does may change from step to step
                row, done = take_step(step), step + 1
            if log is not None and progress is not None:
                log.write(json.dumps(row) + "\n")
                log.flush()
                progress(done - first, steps - first, summary(row))
            if on_step is not None:
                on_step(row)
            stop = after_step is not None and after_step(row, done)
            due = done % checkpoint_every == 0 or done in (steps, kept_step)
            if writes and due:
                saved = {k: part.state_dict() for k, part in state.items()}
                if done == kept_step:  # first: a run that is killed in between comes here again
                    run.keep_checkpoint(done, saved)
                run.save_checkpoint(done, saved)
            if stop:
                return done
    return max(first, steps)
