"""Claim: texts should go through in calls of about 1,000 tokens to encode; to train, 2,000 and more
are alike.

    python -m benchmarks.calls

Encodes 600 random XQuAD-R sentences and takes training steps (32 MLQA pairs, bf16, median of three
after one) with several token budgets, packed, the word table trained and frozen. Prints the tables
of docs/performance.md; writes JSON.
"""

from __future__ import annotations

import random
import statistics
import time

from benchmarks.sides import encoder_weights, write
from mixling.evaluation.benchmarks import load_task
from mixling.machine import keep_freed_memory, matrix_rate
from mixling.models.forward import TokenBudgets
from mixling.models.retriever import Retriever
from mixling.models.weights import DEFAULT
from mixling.training import backward as gradients
from mixling.training.embedding_gradient import sparse_embedding_gradient, zero_grad
from mixling.training.load_config import load_config
from mixling.training.objective import Objective
from mixling.training.tokenized import tokenize_batch
from mixling.training.training_data import load_training_data


def encoding(retriever: Retriever) -> list[dict]:
    """GFLOP/s of the encoder's matrix products while encoding."""
    texts = random.Random(0).sample(load_task("xquad-r").passages, 600)
    tokens = sum(map(len, retriever.tokenize(texts, "passage")))
    weights = encoder_weights(retriever)
    rows = []
    for budget in (1024, 2048, 4096, 8192):
        line: dict = {"tokens a call": budget}
        for precision in ("fp32", "bf16"):
            begun = time.perf_counter()
            retriever.encode(texts, "passage", precision=precision, max_tokens=budget)
            line[precision] = round(2 * weights * tokens / (time.perf_counter() - begun) / 1e9)
        rows.append(line)
    return rows


def training(retriever: Retriever) -> list[dict]:
    """Tokens a second of a step's gradients (without the optimizer)."""
    settings = load_config({"data": {"sources": ["mlqa"]}})
    pairs = load_training_data(settings).texts
    objective = Objective(settings, retriever)
    turns = [tokenize_batch(settings, retriever, objective, pairs, i) for i in range(4)]
    rows = []
    for frozen in (False, True):
        for name, weight in retriever.model.named_parameters():
            weight.requires_grad_(not (frozen and "word_embeddings" in name))
            weight.grad = None
        table_rows = sparse_embedding_gradient(retriever.model)
        for budget in (1024, 2048, 4096, 20000):
            budgets = TokenBudgets(1024, 4096, train=budget, cached=10**6)
            gradients.token_budgets = lambda _, b=budgets: b
            speeds = []
            for turn in turns:
                begun = time.perf_counter()
                gradients.backward(
                    retriever, turn.tokens, objective.loss_of(turn.batch), precision="bf16"
                )
                speeds.append(sum(map(len, turn.tokens)) / (time.perf_counter() - begun))
                zero_grad(retriever.model.parameters(), table_rows)
            rows.append(
                {
                    "tokens a call": budget,
                    "word table": "frozen" if frozen else "trained",
                    "tokens a second": round(statistics.median(speeds[1:])),
                }
            )
        if table_rows is not None:
            table_rows.close()
    return rows


def table(rows: list[dict]) -> str:
    """Rows as Markdown."""
    lines = [f"| {' | '.join(rows[0])} |", "|" + "---|" * len(rows[0])]
    return "\n".join([*lines, *(f"| {' | '.join(str(v) for v in r.values())} |" for r in rows)])


def main() -> None:
    """Measure, print, write."""
    keep_freed_memory()
    retriever, rate = Retriever(DEFAULT), matrix_rate(2)
    row = {"matrix rate": rate, "encoding": encoding(retriever), "training": training(retriever)}
    print(table(row["encoding"]), table(row["training"]), sep="\n\n")
    write(__file__, row)


if __name__ == "__main__":
    main()
