"""Claim: a training step in bf16 takes an eighth of the time of sentence-transformers' defaults.

    python -m benchmarks.training

The same MLQA pairs (batch 32, passages to 256 tokens, all weights of e5-small) go through `mixling
train` and through sentence-transformers' trainer with MultipleNegativesRankingLoss on a CPU: with
its defaults (fp32, the model's dropout), with dropout off, and at its best (bf16, dropout off, the
memory options of the C library that Mixling uses). Ratios are of pairs per second, alternating;
losses of the sides without dropout are compared step by step.
"""

from __future__ import annotations

import os
import tempfile
from functools import partial
from typing import Any

from benchmarks.sides import Turns, alternate, peaks, products, ratio, write

STEPS, ROUNDS, RATE = 3, 3, 3e-5


def train_config(precision: str) -> dict[str, Any]:
    """Configure a run of ours.

    It has the defaults, with a constant learning rate and no decay so that losses can be compared.
    """
    return {
        "data": {"sources": ["mlqa"]},
        "training": {
            "steps": STEPS * (ROUNDS + 1),
            "lr": RATE,
            "warmup": 0,
            "schedule": "constant",
            "weight_decay": 0,
            "precision": precision,
            "checkpoint_every": 10**6,
        },
    }


def ours(precision: str, turns: Turns) -> None:
    """Run `mixling train`, waiting for the others after every third step."""
    from mixling.training.train import train

    rows: list[dict] = []

    def on_step(row: dict) -> None:
        rows.append(row)
        if len(rows) % STEPS == 0:
            last_rows = rows[-STEPS:]
            turns.done(
                losses=[r["loss"] for r in last_rows],
                tokens=sum(r["tokens"] for r in last_rows),
                pairs=32 * STEPS,
            )
            turns.wait()

    turns.wait()
    train(train_config(precision), tempfile.mkdtemp() + "/run", on_step=on_step)


def theirs(bf16: bool, dropout: bool, memory: bool, turns: Turns) -> None:
    """Run sentence-transformers' trainer on the same batches."""
    import torch
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
        losses,
    )
    from torch.utils.data import BatchSampler, SequentialSampler
    from transformers import TrainerCallback

    from mixling.corpora.values import with_titles
    from mixling.machine import keep_freed_memory
    from mixling.models.retriever import Retriever
    from mixling.training.load_config import load_config
    from mixling.training.training_data import load_training_data

    if memory:
        keep_freed_memory()
    data = load_training_data(load_config(train_config("fp32")))
    schedule, pairs = data.schedule, data.texts
    retriever = Retriever(packed=False)
    model = retriever.model
    model.max_seq_length = 256
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout) and not dropout:
            module.p = 0.0
    rows: dict[str, list[str]] = {"anchor": [], "positive": []}
    for step in range(STEPS * (ROUNDS + 1)):
        batch = pairs.batch(schedule.plan(step))
        rows["anchor"] += [retriever.prompt("query") + t for t in batch.queries]
        read = with_titles(batch.passage_titles, batch.passages)
        rows["positive"] += [retriever.prompt("passage") + t for t in read]

    class InOrder(SentenceTransformerTrainer):
        """A trainer that takes the batches in order."""

        def get_batch_sampler(
            self, dataset: Any, batch_size: int, drop_last: bool, *_: Any, **__: Any
        ) -> Any:
            """Return batches in order."""
            return BatchSampler(SequentialSampler(dataset), batch_size, drop_last)

    class Stop(TrainerCallback):
        """Waits for the other sides after every third step."""

        def on_train_begin(self, *_: Any, **__: Any) -> None:
            """Wait for the first turn."""
            turns.wait()

        def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            """End a turn after its last step."""
            if state.global_step % STEPS == 0 and len(state.log_history) == state.global_step:
                losses_logged = [r["loss"] for r in state.log_history[-STEPS:]]
                turns.done(losses=[float(x) for x in losses_logged], pairs=32 * STEPS)
                turns.wait()

    arguments = SentenceTransformerTrainingArguments(
        tempfile.mkdtemp(),
        per_device_train_batch_size=32,
        max_steps=STEPS * (ROUNDS + 1),
        learning_rate=RATE,
        lr_scheduler_type="constant",
        bf16=bf16,
        use_cpu=True,
        save_strategy="no",
        report_to=[],
        logging_steps=1,
        disable_tqdm=True,
    )
    InOrder(
        model,
        arguments,
        train_dataset=Dataset.from_dict(rows),
        callbacks=[Stop()],
        loss=losses.MultipleNegativesRankingLoss(model, scale=50.0),
    ).train()


def main() -> None:
    """Measure, print and write the result."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    our_sides: dict[str, Any] = {"ours": partial(ours, "bf16"), "ours fp32": partial(ours, "fp32")}
    # two comparisons: five processes at once would not fit into 24 GiB
    first = alternate({**our_sides, "theirs": partial(theirs, False, True, False)}, ROUNDS)
    second = alternate(
        {
            **our_sides,
            "theirs fp32 without dropout": partial(theirs, False, False, False),
            "theirs at best": partial(theirs, True, False, True),
        },
        ROUNDS,
    )
    row: dict[str, Any] = {
        "times as fast as it comes": ratio(first, "theirs", "ours"),
        "times as fast as its best": ratio(second, "theirs at best", "ours"),
        "fp32, times as fast as it comes": ratio(first, "theirs", "ours fp32"),
        "fp32, times as fast without its dropout": ratio(
            second, "theirs fp32 without dropout", "ours fp32"
        ),
        **products(second, 6),
    }
    our_losses, their_losses = (
        [x for r in second["sides"][n] for x in r["losses"]]
        for n in ("ours fp32", "theirs fp32 without dropout")
    )
    row["largest difference of a step's loss, fp32 without dropout"] = max(
        abs(x - y) for x, y in zip(our_losses, their_losses, strict=True)
    )
    row["peak GiB"] = peaks({**second["sides"], "theirs": first["sides"]["theirs"]})
    write(__file__, {**row, "first": first, "second": second})


if __name__ == "__main__":
    main()
