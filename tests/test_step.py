"""A step's gradients.

Cached = plain, rows of the word table = dense, adapters, checkpointed layers; processes.
"""

import json
import os
import socket
import subprocess
import sys
import time

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.test_training import config, weights

from mixling.errors import MixlingError
from mixling.models.retriever import Retriever
from mixling.training.backward import backward
from mixling.training.embedding_gradient import sparse_embedding_gradient
from mixling.training.load_config import load_config
from mixling.training.memory import checkpoint_layers
from mixling.training.objective import Objective
from mixling.training.processes import partition_by_tokens
from mixling.training.tokenized import tokenize_batch
from mixling.training.train import train
from mixling.training.training_data import load_training_data


def gradients(
    chain, *, table=False, dropout=False, temperature=0.05, size=16, prepare_model=None, **options
):
    """Loss and gradients of the first batch."""
    settings = load_config(
        {**config(chain), "batches": {"size": size}, "objective": {"temperature": temperature}}
    )
    pairs = load_training_data(settings).texts
    retriever = Retriever(str(chain), packed=options.pop("packed", True))
    retriever.model.double().train(dropout)
    if prepare_model is not None:
        prepare_model(retriever)
    rows = sparse_embedding_gradient(retriever.model) if table else None
    objective = Objective(settings, retriever)
    turn = tokenize_batch(settings, retriever, objective, pairs, 0)
    loss = backward(retriever, turn.tokens, objective.loss_of(turn.batch), seed=7, **options)
    found = {n: p.grad.clone() for n, p in retriever.model.named_parameters() if p.grad is not None}
    if rows is not None:
        touched = rows.rows()
        ids = {i for t in turn.tokens for i in t}
        assert set(touched.tolist()) - {retriever.pad} == ids
        rows.clear()
        assert not rows.gradient.any()
        rows.close()
    return loss, found


def near(a, b, most):
    assert abs(a[0] - b[0]) < most and a[1].keys() == b[1].keys()
    scale = max(1.0, *(float(g.abs().max()) for g in a[1].values()))
    assert all((a[1][k] - b[1][k]).abs().max() < most * scale for k in a[1])


@pytest.mark.parametrize("temperature", [0.02, 1.0])
@pytest.mark.parametrize("max_cached_tokens", [1, 60, 300])
def test_cached_equals_plain(chain, max_cached_tokens, temperature):
    plain = gradients(chain, temperature=temperature)
    near(
        plain, gradients(chain, temperature=temperature, max_cached_tokens=max_cached_tokens), 1e-9
    )


def test_cached_sees_the_same_dropout_in_both_passes(chain):
    one = gradients(chain, dropout=True, max_cached_tokens=200, packed=False)
    again = gradients(chain, dropout=True, max_cached_tokens=200, packed=False)
    near(one, again, 1e-9)
    # the gradient is that of the loss under those very masks: a small step down it lowers the loss
    # as it says
    settings = load_config(
        {**config(chain), "batches": {"size": 16}, "objective": {"temperature": 0.05}}
    )
    pairs = load_training_data(settings).texts
    retriever = Retriever(str(chain))
    retriever.model.train(True)
    objective = Objective(settings, retriever)
    turn = tokenize_batch(settings, retriever, objective, pairs, 0)
    loss = objective.loss_of(turn.batch)
    before = backward(retriever, turn.tokens, loss, seed=7, max_cached_tokens=200)
    squares = sum(
        float(p.grad.pow(2).sum()) for p in retriever.model.parameters() if p.grad is not None
    )
    rate = 1e-3 / squares
    with torch.no_grad():
        for p in retriever.model.parameters():
            if p.grad is not None:
                p -= rate * p.grad
    after = backward(retriever, turn.tokens, loss, seed=7, max_cached_tokens=200)
    assert before - after == pytest.approx(rate * squares, rel=0.1)


def test_packed_step_equals_padded_step(chain):
    near(gradients(chain), gradients(chain, packed=False), 1e-9)


@pytest.mark.parametrize("max_cached_tokens", [None, 60])
def test_rows_of_the_word_table_are_the_dense_gradient(chain, max_cached_tokens):
    near(gradients(chain), gradients(chain, table=True, max_cached_tokens=max_cached_tokens), 1e-9)
    near(gradients(chain, packed=False), gradients(chain, table=True, packed=False), 1e-9)


def test_checkpointed_layers_give_the_same_gradients_and_keep_less(chain):
    near(gradients(chain), gradients(chain, prepare_model=checkpoint_layers), 1e-9)
    kept = []
    for ready in (lambda r: None, checkpoint_layers):
        retriever, sizes = Retriever(str(chain)), []
        ready(retriever)
        with torch.autograd.graph.saved_tensors_hooks(
            lambda x, s=sizes: (s.append(x.numel()), x)[1], lambda x: x
        ):
            retriever.embed([[5] * 60] * 4)
        kept.append(sum(sizes))
    assert kept[1] < kept[0] / 2


def test_adapters_alone_are_trained_and_merged_into_an_ordinary_folder(chain, tmp_path):
    base = weights(chain)
    settings = config(chain)
    settings["model"]["lora"] = {"rank": 4, "targets": ["query", "value"]}
    after = weights(train(settings, tmp_path / "run"))
    assert after.keys() == base.keys()
    changed = {k for k in base if not torch.equal(base[k], after[k])}
    assert changed and all(k.endswith(("query.weight", "value.weight")) for k in changed)
    settings["model"]["lora"] = {"targets": ["nowhere"]}
    with pytest.raises(MixlingError, match=r"model\.lora\.targets"):
        train(settings, tmp_path / "bad")


def test_adapters_begin_alike_and_go_on_after_a_cut(chain, tmp_path):
    settings = config(chain)
    settings["model"]["lora"] = {"rank": 4}
    whole = weights(train(settings, tmp_path / "whole"))

    def stop(row):
        if row["step"] == 5:
            raise KeyboardInterrupt

    torch.rand(3)  # whatever was drawn before
    with pytest.raises(KeyboardInterrupt):
        train(settings, tmp_path / "cut", on_step=stop)
    cut = weights(train(settings, tmp_path / "cut"))
    assert all(torch.equal(whole[k], cut[k]) for k in whole)


@given(st.lists(st.integers(1, 256), min_size=0, max_size=60), st.integers(1, 5))
def test_shares_hold_every_text_once_and_are_balanced(lengths, n):
    found = partition_by_tokens(lengths, n)
    assert sorted(i for part in found for i in part) == list(range(len(lengths)))
    loads = [sum(lengths[i] for i in part) for part in found]
    assert max(loads) - min(loads) <= max(lengths, default=0)


CODE = """
import json, os, signal, sys, torch
torch.set_num_threads(1)
from mixling.training.train import train
stop = int(os.environ.get("STOP", -1))
train(json.load(open(sys.argv[1])), sys.argv[2],
      on_step=lambda r: os.kill(os.getpid(), signal.SIGKILL) if r["step"] == stop else None)
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def launch(forks, folder, settings, out, processes, **environment):
    """Train in so many processes, with the variables that torchrun gives them."""
    (folder / "config.json").write_text(json.dumps(settings))
    common = {
        **os.environ,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
        "WORLD_SIZE": str(processes),
        "LOCAL_WORLD_SIZE": str(processes),
        **environment,
    }
    with (folder / "said").open("w+") as said:
        running = [
            forks.start(
                CODE,
                folder / "config.json",
                out,
                env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
                stdout=said,
                stderr=subprocess.STDOUT,
            )
            for rank in range(processes)
        ]
        deadline = time.monotonic() + 300
        while any(one.poll() is None for one in running):
            # as torchrun does, when one has failed
            if any(one.returncode for one in running) or time.monotonic() > deadline:
                for one in running:
                    one.terminate()
            time.sleep(0.05)
        stopped = [one.returncode != 0 for one in running]
        assert stopped == ["STOP" in environment] * processes, (folder / "said").read_text()
    return out


def launch_on_machines(folder, settings, out, nodes):
    """Train under torchrun on so many machines, each with its own loopback address."""
    (folder / "trained.py").write_text(CODE)
    (folder / "config.json").write_text(json.dumps(settings))
    port, running = free_port(), []
    for node in range(nodes):
        command = [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--nproc-per-node=1",
            f"--nnodes={nodes}",
            f"--node-rank={node}",
            "--master-addr=127.0.0.1",
            f"--master-port={port}",
            f"--local-addr=127.0.0.{node + 1}",
            str(folder / "trained.py"),
            str(folder / "config.json"),
            str(out),
        ]
        running.append(
            subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
        )
    for one in running:
        said, _ = one.communicate(timeout=300)
        assert one.returncode == 0, said


def losses(run):
    return [json.loads(x)["loss"] for x in (run / "log.jsonl").read_text().splitlines()]


def alike(a, b):
    """Losses and weights to 1e-5. AdamW turns rounding into steps of the rate, another part of it
    on every processor, so the runs compared here have a small one (1e-5); a gradient that lacked a
    process's share would still show.
    """
    assert len(losses(a)) == len(losses(b))
    assert max(abs(x - y) for x, y in zip(losses(a), losses(b), strict=True)) < 1e-5
    one, other = weights(a / "model"), weights(b / "model")
    assert max(float((one[k] - other[k]).abs().max()) for k in one) < 1e-5


@pytest.mark.slow
def test_two_processes_compute_what_one_does_and_resume_on_one(chain, tmp_path, forks):
    settings = config(chain, steps=20, checkpoint_every=5, lr=1e-5)
    train(settings, tmp_path / "one")
    launch(forks, tmp_path, settings, tmp_path / "two", 2)
    alike(tmp_path / "one", tmp_path / "two")
    assert json.loads((tmp_path / "two" / "run.json").read_text())["processes"] == 2
    # a run of two processes that is killed goes on with one
    launch(forks, tmp_path, settings, tmp_path / "part", 2, STOP="12")
    assert not (tmp_path / "part" / "run.json").exists() and len(losses(tmp_path / "part")) < 20
    train(settings, tmp_path / "part")
    alike(tmp_path / "one", tmp_path / "part")


@pytest.mark.slow
def test_two_machines_compute_what_one_does(chain, tmp_path):
    settings = config(chain, steps=6, max_cached_tokens=100, lr=1e-5)
    train(settings, tmp_path / "one")
    launch_on_machines(tmp_path, settings, tmp_path / "two", 2)
    alike(tmp_path / "one", tmp_path / "two")
