"""A run's folder: claimed once, its log cut where it goes on, its record written last."""

import json

import pytest
import torch

from mixling.errors import MixlingError
from mixling.models.retriever import Retriever
from mixling.training.load_config import load_config
from mixling.training.loop import resume, training_loop
from mixling.training.memory import make_trainable, set_training_mode
from mixling.training.run_folder import RunFolder


def test_a_folder_holds_one_job(tmp_path):
    run = RunFolder(tmp_path / "run")
    assert run.claim({"a": 1}) and not run.claim({"a": 1}) and not run.finished
    with pytest.raises(MixlingError, match="another configuration, which differs in a"):
        run.claim({"a": 2})
    run.finish({"steps": 3})
    assert run.finished and run.record() == {"steps": 3}


class Counter:
    """Counts its steps; a checkpoint holds the count."""

    def __init__(self):
        self.n = 0

    def state_dict(self):
        return {"n": self.n}

    def load_state_dict(self, state):
        self.n = state["n"]


def steps(run, counter, stop_after=None):
    def take_step(step):
        counter.n += 1
        return {"step": step, "n": counter.n}

    state = {"counter": counter}
    return training_loop(
        run,
        state,
        take_step,
        first=resume(run, state),
        steps=10,
        checkpoint_every=4,
        title="counting",
        summary=str,
        after_step=lambda row, done: done == stop_after,
    )


def test_a_run_goes_on_from_its_newest_checkpoint_and_the_log_has_each_step_once(tmp_path):
    run, counter = RunFolder(tmp_path), Counter()
    assert steps(run, counter, stop_after=6) == 6 and counter.n == 6
    with run.log_file.open("a") as log:
        log.write('{"step": 6, "n"')  # a line that was cut off
    assert run.newest_checkpoint()[0] == 4
    again = Counter()
    assert steps(run, again) == 10 and again.n == 10
    rows = [json.loads(x) for x in run.log_file.read_text().splitlines()]
    assert [r["step"] for r in rows] == list(range(10)) and [r["n"] for r in rows] == [
        *range(1, 11)
    ]
    assert [p.name for p in run.checkpoints.iterdir()] == ["step-00000010.pt"]
    assert steps(run, Counter()) == 10  # nothing is left to do


def test_the_dropout_of_adapters_stays_on_after_a_validation(chain):
    config = load_config(
        {
            "data": {"sources": ["sample"]},
            "model": {"name": str(chain), "lora": {"rank": 2, "dropout": 0.5}},
        }
    )
    retriever = Retriever(str(chain))
    make_trainable(retriever, config)

    def training():
        drops = [
            m for m in retriever.model.modules() if isinstance(m, torch.nn.Dropout) and m.p == 0.5
        ]
        return bool(drops) and all(m.training for m in drops)

    assert training()
    retriever.model.eval()  # as a validation does
    set_training_mode(retriever, config.training)
    assert training()
