"""Claim: calls of about 1,000 tokens encode fastest; in training, 2,000 and more are alike.

    python -m benchmarks.calls

Encodes 600 random XQuAD-R sentences and takes training steps (32 MLQA pairs, bf16, median of three
after one) with several token budgets, packed, with a trained and a frozen embedding table. Prints
the tables of docs/development/performance.md.
"""

from __future__ import annotations

import random
import statistics
import time
from functools import partial
from typing import Any

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
    """Measure GFLOP/s of the encoder's matrix products while encoding."""
    texts = random.Random(0).sample(load_task("xquad-r").passages, 600)
    tokens = sum(map(len, retriever.tokenize(texts, "passage")))
    weights = encoder_weights(retriever)
    rows = []
    for budget in (1024, 2048, 4096, 8192):
        row: dict = {"tokens a call": budget}
        for precision in ("fp32", "bf16"):
            start_time = time.perf_counter()
            retriever.encode(texts, "passage", precision=precision, max_tokens=budget)
            row[precision] = round(2 * weights * tokens / (time.perf_counter() - start_time) / 1e9)
        rows.append(row)
    return rows


def training(retriever: Retriever) -> list[dict]:
    """Measure tokens a second of a step's gradients (without the optimizer)."""
    config = load_config({"data": {"sources": ["mlqa"]}})
    pairs = load_training_data(config).texts
    objective = Objective(config, retriever)
    batches = [tokenize_batch(config, retriever, objective, pairs, i) for i in range(4)]
    rows = []
    for frozen in (False, True):
        for name, weight in retriever.model.named_parameters():
            weight.requires_grad_(not (frozen and "word_embeddings" in name))
            weight.grad = None
        table_rows = sparse_embedding_gradient(retriever.model)
        for budget in (1024, 2048, 4096, 20000):
            budgets = TokenBudgets(1024, 4096, train=budget, cached=10**6)
            gradients.token_budgets = partial(_same_budgets, budgets)
            speeds = []
            for batch in batches:
                start_time = time.perf_counter()
                gradients.backward(
                    retriever, batch.tokens, objective.loss_of(batch.batch), precision="bf16"
                )
                speeds.append(sum(map(len, batch.tokens)) / (time.perf_counter() - start_time))
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


def _same_budgets(budgets: TokenBudgets, device: object) -> TokenBudgets:
    """Return the budgets for any device."""
    return budgets


def table(rows: list[dict]) -> str:
    """Format rows as Markdown."""
    lines = [f"| {' | '.join(rows[0])} |", "|" + "---|" * len(rows[0])]
    return "\n".join([*lines, *(f"| {' | '.join(str(v) for v in r.values())} |" for r in rows)])


def main() -> None:
    """Measure, print and write the result."""
    keep_freed_memory()
    retriever, rate = Retriever(DEFAULT), matrix_rate(2)
    row: dict[str, Any] = {
        "matrix rate": rate,
        "encoding": encoding(retriever),
        "training": training(retriever),
    }
    print(table(row["encoding"]), table(row["training"]), sep="\n\n")
    write(__file__, row)


if __name__ == "__main__":
    main()
