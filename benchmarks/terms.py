"""Claim: a term of the objective costs at most what its further texts cost to encode.

    python -m benchmarks.terms

Optimal transport takes less than a tenth of a step of OPTICAL. Computes gradients of hybrid batches
of MLQA (e5-small, batch 32, bf16, no optimizer) with each term beside the plain loss, in turns in
one process. Teachers are the model itself and encode anew in every step. Hard negatives are random
passages, because their cost does not depend on their text. `adapt-language` takes 32 pairs of
SIB-200's sentences, which are shorter.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import torch

from benchmarks.sides import write
from mixling.corpora.catalog import load
from mixling.corpora.corpus import NEGATIVES, Corpus
from mixling.machine import keep_freed_memory, matrix_rate
from mixling.models.retriever import Retriever
from mixling.training.adapt_language import _distillation_loss
from mixling.training.backward import backward
from mixling.training.bitext import sentence_pairs
from mixling.training.embedding_gradient import sparse_embedding_gradient, zero_grad
from mixling.training.load_config import load_config
from mixling.training.mlm_head import MLMHead, make_masking, masked_loss
from mixling.training.objective import Objective
from mixling.training.pairs import PairTexts
from mixling.training.terms import optical
from mixling.training.tokenized import tokenize_batch
from mixling.training.training_data import load_training_data

NAMES = (
    "none",
    "bitext",
    "jsd",
    "lakda",
    "clear",
    "optical",
    "distil-vectors",
    "distil-cosine",
    "distil-scores",
    "margin-mse",
)


LISTS = ("one hard negative", "five hard negatives, a teacher of lists")


def with_negatives(corpus: Corpus, per_query: int = 5) -> Corpus:
    """Return a corpus with random passages as hard negatives."""
    random, n = np.random.default_rng(0), corpus.queries.num_rows
    columns = (
        np.repeat(np.arange(n), per_query),
        random.integers(corpus.passages.num_rows, size=n * per_query),
    )
    return replace(corpus, negatives=pa.table([pa.array(c) for c in columns], schema=NEGATIVES))


def adapting(retriever: Retriever) -> dict[str, Callable[[int], torch.Tensor]]:
    """Return the losses of `mixling adapt-language` as functions of a step."""
    corpus = load("sib-200", "train", languages=["en", "sw"])
    pairs = sentence_pairs(corpus, ["sw"], {}, "en")
    masking = make_masking(retriever, pairs, masks=True)
    head = MLMHead(retriever.encoder.config.hidden_size, masking.subwords)

    def masked(objective: Literal["mlm", "tlm"], step: int) -> torch.Tensor:
        batch, random = pairs[32 * step : 32 * step + 32], np.random.default_rng(step)
        return masked_loss(retriever, head, batch, objective, masking, random)

    def distilled(step: int) -> torch.Tensor:
        batch = pairs[32 * step : 32 * step + 32]
        return _distillation_loss(retriever, retriever, batch, "query")

    return {
        "adapt: mlm": partial(masked, "mlm"),
        "adapt: tlm": partial(masked, "tlm"),
        "adapt: distil": distilled,
    }


def main() -> None:
    """Measure, print and write the result."""
    keep_freed_memory()
    retriever = Retriever()
    embedding_gradient = sparse_embedding_gradient(retriever.model)
    teacher = Retriever()
    sides: dict[str, tuple[Any, Objective, PairTexts]] = {}
    plain = load_config({"data": {"sources": ["mlqa"]}})
    data = load_training_data(plain)
    corpora, schedule, pairs = data.corpora, data.schedule, data.texts
    corpora_with_negatives = [with_negatives(c) for c in corpora]
    for name in (*NAMES, *LISTS):
        terms = (
            [] if name in ("none", LISTS[0]) else [{"name": name, "pivot": "de"}]
        )  # MLQA here has no English
        if name == LISTS[1]:
            terms = [{"name": "distil-scores", "over": "list", "pivot": "de"}]
        config = load_config({"data": {"sources": ["mlqa"]}, "objective": {"terms": terms}})
        negatives = (1, 5)[LISTS.index(name)] if name in LISTS else 0
        objective = Objective(config, retriever)
        term: Any
        for term in objective.terms:
            if term.teacher is not None:
                term.teacher = teacher  # one copy is enough
        sides[name] = (
            config,
            objective,
            PairTexts(corpora_with_negatives, schedule, 600, negatives) if negatives else pairs,
        )
    transport_seconds = [0.0]
    transport_cost = optical.transport_cost

    def timed(*arguments: Any) -> torch.Tensor:
        start_time = time.perf_counter()
        value: torch.Tensor = transport_cost(*arguments)
        transport_seconds[0] += time.perf_counter() - start_time
        return value

    optical.transport_cost = timed  # type: ignore[assignment]
    adaptation_losses = adapting(retriever)
    seconds: dict[str, list[float]] = {name: [] for name in (*sides, *adaptation_losses)}
    rates, shares = [], []
    for step in range(4):
        rates.append(matrix_rate(0.3))
        for name in seconds:
            start_time, transport_seconds[0] = time.perf_counter(), 0.0
            if name in adaptation_losses:
                with torch.autocast("cpu", torch.bfloat16):
                    loss = adaptation_losses[name](step)
                loss.backward()
            else:
                config, objective, texts = sides[name]
                batch = tokenize_batch(config, retriever, objective, texts, step)
                backward(
                    retriever,
                    batch.tokens,
                    objective.loss_of(batch.batch),
                    token_loss=objective.token_loss_of(batch.batch),
                    precision="bf16",
                )
                zero_grad(
                    [*retriever.model.parameters(), *objective.parameters()], embedding_gradient
                )
            if step:
                seconds[name].append(time.perf_counter() - start_time)
                shares += [transport_seconds[0] / seconds[name][-1]] if name == "optical" else []
            if name in adaptation_losses:
                retriever.model.zero_grad(set_to_none=False)  # the word table keeps its gradient
    rows = []
    for name, term_seconds in seconds.items():
        ratios = [a / b for a, b in zip(term_seconds, seconds["none"], strict=True)]
        rows.append(
            {
                "term": name,
                "seconds a step": round(statistics.median(term_seconds), 2),
                "times plain": round(statistics.median(ratios), 2),
            }
        )
    transport_share = round(statistics.median(shares), 3)
    write(
        __file__,
        {"rows": rows, "transport, share of its step": transport_share, "matrix rate": rates},
    )


if __name__ == "__main__":
    main()
