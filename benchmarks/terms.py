"""Claim: a further term of the objective costs at most what its further texts cost to encode; the
transport in OPTICAL is under a tenth of its step.

    python -m benchmarks.terms

Gradients of hybrid batches of MLQA (e5-small, batch 32, bf16, no optimizer) with each term beside
the plain loss, in turns in one process; teachers are the model itself, encoded anew in every step.
Hard negatives are random passages here: what they cost does not depend on what they say. `adapt`
takes 32 pairs of SIB-200's sentences, which are shorter.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from benchmarks.sides import write
from mixling.corpora.catalog import load
from mixling.corpora.corpus import NEGATIVES, Corpus
from mixling.machine import keep_freed_memory, matrix_rate
from mixling.models.retriever import Retriever
from mixling.models.vocabulary import mask_token
from mixling.training import adapt
from mixling.training import objective as objectives
from mixling.training.backward import backward
from mixling.training.embedding_gradient import sparse_embedding_gradient, zero_grad
from mixling.training.load_config import load_config
from mixling.training.objective import Objective
from mixling.training.pairs import PairTexts
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


def with_negatives(corpus: Corpus, each: int = 5) -> Corpus:
    """A corpus with random passages as hard negatives."""
    random, n = np.random.default_rng(0), corpus.queries.num_rows
    columns = (
        np.repeat(np.arange(n), each),
        random.integers(corpus.passages.num_rows, size=n * each),
    )
    return replace(corpus, negatives=pa.table([pa.array(c) for c in columns], schema=NEGATIVES))


def adapting(retriever: Retriever) -> dict[str, Callable[[int], torch.Tensor]]:
    """The losses of `mixling adapt-language` as functions of a step."""
    rows = adapt.pairs(load("sib-200", "train", languages=["en", "sw"]), ["sw"], {}, "en")
    words = np.array(
        sorted(
            {
                t
                for ids in retriever.tokenize([x for p in rows for x in (p.text, p.other)])
                for t in ids
            }
        )
    )
    special = frozenset(retriever.tokenizer.all_special_ids)
    words = words[~np.isin(words, list(special))]
    head = adapt.MLMHead(retriever.dimensions, words)
    mask = mask_token(retriever.tokenizer)

    def masked(kind: str) -> Callable[[int], torch.Tensor]:
        return lambda step: adapt._masked(
            retriever,
            head,
            rows[32 * step : 32 * step + 32],
            kind,
            mask,
            special,
            words,
            np.random.default_rng(step),
        )

    return {
        "adapt: mlm": masked("mlm"),
        "adapt: tlm": masked("tlm"),
        "adapt: distil": lambda step: adapt._distil(
            retriever, retriever, rows[32 * step : 32 * step + 32], "query"
        ),
    }


def main() -> None:
    """Measure, print, write."""
    keep_freed_memory()
    retriever = Retriever()
    table = sparse_embedding_gradient(retriever.model)
    sides: dict[str, tuple[Any, Objective, PairTexts]] = {}
    plain = load_config({"data": {"sources": ["mlqa"]}})
    data = load_training_data(plain)
    corpora, schedule, pairs = data.corpora, data.schedule, data.texts
    more = [with_negatives(c) for c in corpora]
    for name in (*NAMES, *LISTS):
        terms = (
            [] if name in ("none", LISTS[0]) else [{"name": name, "pivot": "de"}]
        )  # MLQA here has no English
        if name == LISTS[1]:
            terms = [{"name": "distil-scores", "over": "list", "pivot": "de"}]
        settings = load_config({"data": {"sources": ["mlqa"]}, "objective": {"terms": terms}})
        count = (1, 5)[LISTS.index(name)] if name in LISTS else 0
        one = Objective(settings, retriever)
        for teacher in one.teachers:  # one copy of the teacher is enough
            one.teachers[teacher] = next(
                (o.teachers[teacher] for _, o, _ in sides.values() if teacher in o.teachers),
                one.teachers[teacher],
            )
        sides[name] = settings, one, PairTexts(more, schedule, 600, count) if count else pairs
    spent = [0.0]
    transport = objectives.transport

    def timed(*given: Any) -> torch.Tensor:
        begun = time.perf_counter()
        value = transport(*given)
        spent[0] += time.perf_counter() - begun
        return value

    objectives.transport = timed
    alone = adapting(retriever)
    seconds: dict[str, list[float]] = {name: [] for name in (*sides, *alone)}
    rates, shares = [], []
    for step in range(4):
        rates.append(matrix_rate(0.3))
        for name in seconds:
            begun, spent[0] = time.perf_counter(), 0.0
            if name in alone:
                with torch.autocast("cpu", torch.bfloat16):
                    loss = alone[name](step)
                loss.backward()
            else:
                settings, objective, texts = sides[name]
                turn = tokenize_batch(settings, retriever, objective, texts, step)
                backward(
                    retriever,
                    turn.tokens,
                    objective.loss_of(turn.batch),
                    token_loss=objective.token_loss_of(turn.batch),
                    precision="bf16",
                )
                zero_grad([*retriever.model.parameters(), *objective.parameters()], table)
            if step:
                seconds[name].append(time.perf_counter() - begun)
                shares += [spent[0] / seconds[name][-1]] if name == "optical" else []
            if name in alone:
                retriever.model.zero_grad(set_to_none=False)  # the word table keeps its gradient
    rows = []
    for name, mine in seconds.items():
        each = [a / b for a, b in zip(mine, seconds["none"], strict=True)]
        rows.append(
            {
                "term": name,
                "seconds a step": round(statistics.median(mine), 2),
                "times plain": round(statistics.median(each), 2),
            }
        )
    share = round(statistics.median(shares), 3)
    write(__file__, {"rows": rows, "transport, share of its step": share, "matrix rate": rates})


if __name__ == "__main__":
    main()
