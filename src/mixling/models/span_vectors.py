"""Encode texts together with parts of them, in one pass (late chunking, arXiv:2409.04701).

The vector of a part is the mean of the states of its tokens, each of which has read the whole text;
then it goes through the rest of the model's chain, as the vector of the text does. So parts cost no
further pass through the encoder. A model that pools in another way than by the mean has no such
vectors: its chain expects the state of one token.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from mixling.corpora.values import with_titles
from mixling.errors import check_finite_vectors
from mixling.models.encoder import ExternalEncoder
from mixling.models.forward import batches_by_tokens, forward_tokens, token_budgets
from mixling.models.precision import Precision, choose_precision
from mixling.models.prompts import model_inputs
from mixling.threads import fitting_threads

if TYPE_CHECKING:
    from mixling.models.retriever import Retriever

Span = tuple[int, int]


def has_span_vectors(encoder: Retriever | ExternalEncoder) -> bool:
    """Return whether parts of a text can be encoded with the text.

    The encoder must have its weights here, pool by the mean of all tokens right after the
    transformer, and have a tokenizer that says where its tokens stand.
    """
    if isinstance(encoder, ExternalEncoder) or not encoder.tokenizer.is_fast:
        return False
    return len(encoder.head_modules()) == 2 and encoder.settings.pooling.value == "mean"


def encode_with_spans(
    retriever: Retriever,
    texts: Sequence[str],
    role: str | None,
    spans: Sequence[Sequence[Span]],
    *,
    titles: Sequence[str | None] | None = None,
    languages: Sequence[str] | None = None,
    precision: Precision = "auto",
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Encode texts and parts of them.

    Args:
        retriever: A model for which `has_span_vectors` is true.
        texts: The texts.
        role: "query", "passage" or None.
        spans: The parts of each text as characters `[begin, end)`, in their order, without overlap.
        titles: Titles of the texts.
        languages: Languages of the texts, for a model that needs them.
        precision: Number format to compute in.

    Returns:
        The vectors of the texts, float32 `[n, dimensions]`, as `Retriever.encode` returns them; and
        for each text the vectors of its parts, float32 `[n_spans, dimensions]`. A part without
        tokens, because the model reads only the beginning of a long text, has a vector of zeros.

    Raises:
        MixlingError: A text has no token, or a vector holds NaN or infinity.
    """
    names = with_titles(titles, list(texts))
    tokens = retriever.tokenize(texts, role, titles=titles)
    token_spans = _token_spans(retriever, texts, role, spans, titles)
    means = [np.zeros((len(x), 0), np.float32) for x in spans]
    pooled = np.empty((len(tokens), 0), np.float32)
    head = torch.nn.Sequential(*retriever.head_modules())
    bf16 = choose_precision(retriever.device, precision) == "bf16"
    first, budget = retriever.first_position, token_budgets(retriever.device).encode
    with (
        torch.inference_mode(),
        torch.autocast(retriever.device.type, torch.bfloat16, enabled=bf16),
    ):
        lengths = [len(t) for t in tokens]
        for indices in batches_by_tokens(lengths, budget, first is not None):
            states: list[torch.Tensor] = []
            call = [tokens[i] for i in indices]
            with fitting_threads(sum(map(len, call))):
                out = forward_tokens(head, call, retriever.pad, budget, first, states)
            part = out.cpu().numpy()
            if not pooled.shape[1]:
                pooled = np.empty((len(tokens), part.shape[1]), np.float32)
            pooled[indices] = part
            for i, x in zip(indices, states, strict=True):
                means[i] = _span_means(x, token_spans[i], len(spans[i]))
    check_finite_vectors(pooled, lambda row: repr(names[row][:60]), retriever.name)
    vectors = retriever.encode_tail(pooled, names, role, languages)
    counts = [len(x) for x in spans]
    if not sum(counts):
        empty = np.zeros((0, vectors.shape[1]), np.float32)
        return vectors, [empty for _ in texts]
    # A part is in the language of its text.
    parts = retriever.encode_tail(
        np.concatenate([x for x in means if len(x)]),
        [name for name, n in zip(names, counts, strict=True) for _ in range(n)],
        role,
        None
        if languages is None
        else [tag for tag, n in zip(languages, counts, strict=True) for _ in range(n)],
    )
    read = np.concatenate(
        [np.isin(np.arange(n), t) for n, t in zip(counts, token_spans, strict=True)]
    )
    parts[~read] = 0
    return vectors, np.split(parts, np.cumsum(counts)[:-1])


def _token_spans(
    retriever: Retriever,
    texts: Sequence[str],
    role: str | None,
    spans: Sequence[Sequence[Span]],
    titles: Sequence[str | None] | None,
) -> list[np.ndarray]:
    """Return the part that holds each token of each text, int64 `[n_tokens]`; -1 for none.

    A token belongs to the part of its last character, because a tokenizer may count the space
    before a word as the word's. The text is the end of what the model reads.
    """
    inputs = model_inputs(retriever.prompt(role), retriever.settings.titles.value, texts, titles)
    offsets = retriever.tokenizer(
        inputs,
        truncation=True,
        max_length=retriever.max_length,
        return_attention_mask=False,
        return_token_type_ids=False,
        return_offsets_mapping=True,
    )["offset_mapping"]
    result = []
    for text, read, places, parts in zip(texts, inputs, offsets, spans, strict=True):
        start = len(read) - len(text)
        begins = [begin for begin, _ in parts]
        numbers = []
        for begin, end in places:
            last = end - 1 - start
            number = bisect_right(begins, last) - 1 if end > begin else -1
            numbers.append(number if number >= 0 and last < parts[number][1] else -1)
        result.append(np.array(numbers, np.int64))
    return result


def _span_means(states: torch.Tensor, token_spans: np.ndarray, n: int) -> np.ndarray:
    """Return the mean state of the tokens of each part, float32 `[n, dim]`; zeros for none.

    Args:
        states: States of the tokens of one text, `[n_tokens, dim]`.
        token_spans: The part of each token, int64 `[n_tokens]`; -1 for none.
        n: How many parts there are.
    """
    members = torch.zeros(n, len(token_spans))
    inside = np.flatnonzero(token_spans >= 0)
    members[token_spans[inside], inside] = 1
    members /= members.sum(1, keepdim=True).clamp(min=1)
    with torch.autocast(states.device.type, enabled=False):
        means: np.ndarray = (members.to(states.device) @ states.float()).cpu().numpy()
    return means
