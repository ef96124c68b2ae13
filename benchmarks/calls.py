"""Claim: texts should go through in calls of few tokens: about 1,000 to encode, about 3,000 to train (two cores).

    python benchmarks/calls.py

Encodes 600 random XQuAD-R sentences and takes training steps (32 MLQA pairs, bf16, mean of three after one) with
several token budgets, the word table trained and frozen. Prints the tables of docs/performance.md; writes JSON.
"""

from __future__ import annotations

import itertools
import json
import random
import time
from pathlib import Path

import torch

from mixling.evaluation.benchmarks import task
from mixling.machine import machine, matrix_rate, versions
from mixling.models.retriever import Retriever
from mixling.models.weights import DEFAULT
from mixling.training.config import read
from mixling.training.pairs import prepare
from mixling.training.train import batch_loss


def encoding(retriever: Retriever) -> list[dict]:
    """GFLOP/s of the encoder's matrix products while encoding."""
    texts = random.Random(0).sample(task("xquad-r").candidates, 600)
    tokens = sum(map(len, retriever.tokenize(texts, "passage")))
    weights = sum(p.numel() for n, p in retriever.model.named_parameters() if "encoder." in n)
    rows = []
    for budget in (1024, 2048, 4096, 8192):
        line: dict = {"tokens a call": budget}
        for precision in ("fp32", "bf16"):
            begun = time.perf_counter()
            retriever.encode(texts, "passage", precision=precision, budget=budget)
            line[precision] = round(2 * weights * tokens / (time.perf_counter() - begun) / 1e9)
        rows.append(line)
    return rows


def training(retriever: Retriever) -> list[dict]:
    """Seconds of a step's parts."""
    settings = read({"data": {"sources": ["mlqa"]}})
    _, schedule, pairs = prepare(settings)
    rows, plain = [], Retriever.embed
    for frozen in (False, True):
        for name, weight in retriever.model.named_parameters():
            weight.requires_grad_(not (frozen and "word_embeddings" in name))
            weight.grad = None
        some = [p for p in retriever.model.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(some, lr=1e-9, fused=True)
        for budget in (1024, 3072, 6144, 20000):
            retriever.embed = lambda tokens, _=0, b=budget: plain(retriever, tokens, b)  # type: ignore[method-assign, assignment]
            times = []
            for step in range(4):
                marks = [time.perf_counter()]
                with torch.autocast("cpu", torch.bfloat16):
                    loss, _ = batch_loss(settings, retriever, pairs.batch(schedule.plan(step)))
                marks.append(time.perf_counter())
                loss.backward()
                marks.append(time.perf_counter())
                torch.nn.utils.clip_grad_norm_(some, 1.0)
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                marks.append(time.perf_counter())
                times.append([b - a for a, b in itertools.pairwise(marks)])
            parts = [round(sum(column) / 3, 2) for column in zip(*times[1:], strict=True)]
            rows.append({"tokens a call": budget, "word table": "frozen" if frozen else "trained",
                         "forward": parts[0], "backward": parts[1], "clip and optimiser": parts[2],
                         "in all": round(sum(parts), 2)})  # fmt: skip
    return rows


def table(rows: list[dict]) -> str:
    """Rows as Markdown."""
    lines = [f"| {' | '.join(rows[0])} |", "|" + "---|" * len(rows[0])]
    return "\n".join([*lines, *(f"| {' | '.join(str(v) for v in r.values())} |" for r in rows)])


def main() -> None:
    """Measure, print, write."""
    retriever, rate = Retriever(DEFAULT), matrix_rate(2)
    row = {"matrix rate": rate, "encoding": encoding(retriever), "training": training(retriever)}
    print(table(row["encoding"]), table(row["training"]), sep="\n\n")
    whole = {**row, "machine": machine(), "versions": versions()}
    Path(__file__).with_suffix(".json").write_text(json.dumps(whole, indent=1) + "\n")


if __name__ == "__main__":
    main()
