"""Compute vectors of token lists, with gradients.

Every text reaches the encoder through this module.

Texts are sorted by length and go through in calls of a limited number of tokens. A call is packed
where the encoder can take it so (`mixling.models.packed`), else padded to its longest text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mixling.models.bert_layers import layer_states, takes
from mixling.models.bert_structure import Layer, bert_layers
from mixling.models.packed import packed_row


@dataclass(frozen=True)
class TokenBudgets:
    """How many tokens go through an encoder at once, by purpose.

    On a CPU a call is small, so that its states fit the caches. On a GPU a call is large, since
    small calls leave the GPU idle. docs/development/performance.md shows the measurements.

    Args:
        encode: Tokens of one call without gradients that returns vectors of texts.
        token_vectors: Tokens of one call without gradients that returns vectors of tokens.
        train: Tokens of one call with gradients.
        cached: Tokens whose states are kept for the backward pass. A batch with more tokens goes
            through the encoder twice (GradCache, arXiv:2101.06983).
    """

    encode: int
    token_vectors: int
    train: int
    cached: int


_CPU_BUDGETS = TokenBudgets(encode=1024, token_vectors=4096, train=4096, cached=16384)
_GPU_BUDGETS = TokenBudgets(encode=65536, token_vectors=65536, train=32768, cached=32768)


def token_budgets(device: torch.device | str) -> TokenBudgets:
    """Return the default token budgets of a device.

    Args:
        device: The device of the encoder's weights.

    Returns:
        Budgets of a CPU, or of a GPU for every other device.
    """
    return _CPU_BUDGETS if torch.device(device).type == "cpu" else _GPU_BUDGETS


def batches_by_tokens(
    lengths: Sequence[int], max_tokens: int, packed: bool = False
) -> Iterator[list[int]]:
    """Partition texts into calls of the encoder, longest texts first.

    Args:
        lengths: Tokens of each text.
        max_tokens: Tokens of a call at most. A longer text is a call of its own.
        packed: Whether a call takes the sum of its texts' lengths, instead of their number times
            the longest length.

    Yields:
        Indices into `lengths` of the texts of one call. Equal lengths keep their order.
    """
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    start = 0
    while start < len(order):
        end, used, longest = start + 1, lengths[order[start]], max(lengths[order[start]], 1)
        while end < len(order):
            used = used + lengths[order[end]] if packed else (end + 1 - start) * longest
            if used > max_tokens:
                break
            end += 1
        yield order[start:end]
        start = end


def forward_tokens(
    model: torch.nn.Module,
    tokens: Sequence[Sequence[int]],
    pad: int,
    max_tokens: int,
    first: int | None = None,
    states: list[Tensor] | None = None,
) -> Tensor:
    """Return the vectors of tokenized texts, in the order of the texts.

    Args:
        model: A chain of sentence-transformers modules.
        tokens: Token ids of each text.
        pad: Id of the padding token.
        max_tokens: Tokens of a call at most.
        first: Position of a text's first token if texts are packed, as
            `packing_trial.first_position` returns it; None if they are padded.
        states: A list that is extended by the last hidden states of each text's tokens, float
            `[tokens, dim]`, in the order of the texts.

    Returns:
        Vectors, float `[n_texts, dim]`; half precision is converted to float32.
    """
    device = next(model.parameters()).device
    if not _can_pack(model, device):
        first = None
    outputs: list[Tensor] = []
    order: list[int] = []
    sorted_states: list[Tensor] = []
    for indices in batches_by_tokens([len(t) for t in tokens], max_tokens, first is not None):
        call = [tokens[i] for i in indices]
        features = _padded(call, pad, device) if first is None else packed_row(call, first, device)
        features = run_chain(model, features)
        outputs.append(_at_least_float32(features["sentence_embedding"]))
        if states is not None:
            sorted_states += _split_states(
                features["token_embeddings"], [len(t) for t in call], first is not None
            )
        order += indices
    inverse = torch.empty(len(order), dtype=torch.long)
    inverse[torch.tensor(order)] = torch.arange(len(order))
    if states is not None:
        states.extend(sorted_states[i] for i in inverse.tolist())
    return torch.cat(outputs)[inverse.to(device)]


def run_chain(model: Any, features: dict[str, Any]) -> dict[str, Any]:
    """Run texts through a chain, its encoder's layers by `bert_layers` where they are such.

    Args:
        model: A chain of sentence-transformers modules.
        features: The input of the chain, as `packed_row` returns it for packed texts.

    Returns:
        What the chain returns: "token_embeddings" and "sentence_embedding" are among it.
    """
    first = model[0]
    layers = _own_layers(first, features) if "cu_seq_lens_q" in features else None
    if layers is None:
        out: dict[str, Any] = model(features)
        return out
    embeddings = first.model.embeddings(
        input_ids=features["input_ids"], position_ids=features["position_ids"]
    )
    lengths = tuple(features["cu_seq_lens_q"].diff().tolist())
    states = layer_states(layers, embeddings[0], lengths)
    features = {**features, "token_embeddings": states[None]}
    for module in list(model)[1:]:
        features = module(features)
    return features


def _own_layers(first: Any, features: dict[str, Any]) -> list[Layer] | None:
    """Return the layers of a chain's first module, if packed texts can go through them here."""
    lengths = features["cu_seq_lens_q"].diff().tolist()
    if features["input_ids"].device.type != "cpu" or not takes(lengths):
        return None
    if getattr(first, "module_output_name", None) != "token_embeddings":
        return None
    return bert_layers(getattr(first, "model", None))


def _at_least_float32(x: Tensor) -> Tensor:
    """Convert half precision to float32."""
    return x.float() if x.dtype.itemsize < 4 else x


def _split_states(states: Tensor, lengths: list[int], packed: bool) -> list[Tensor]:
    """Split the states of a call, `[1, sum(lengths), dim]` or `[n, max(lengths), dim]`, by text."""
    if packed:
        parts = list(torch.split(states[0], lengths))
    else:
        parts = [x[:n] for x, n in zip(states, lengths, strict=True)]
    return [_at_least_float32(x) for x in parts]


def _can_pack(model: torch.nn.Module, device: torch.device) -> bool:
    """Whether packed texts can go through: on a GPU only in half precision and without dropout."""
    if device.type == "cpu":
        return True
    half = torch.is_autocast_enabled(device.type) or next(model.parameters()).dtype != torch.float32
    return device.type == "cuda" and half and not model.training


def _padded(tokens: Sequence[Sequence[int]], pad: int, device: torch.device) -> dict[str, Any]:
    """Return the input of an encoder for texts that are padded to the longest of them."""
    longest = max(map(len, tokens))
    ids = torch.full((len(tokens), longest), pad, dtype=torch.long)
    mask = torch.zeros((len(tokens), longest), dtype=torch.long)
    for i, text in enumerate(tokens):
        ids[i, : len(text)] = torch.as_tensor(text, dtype=torch.long)
        mask[i, : len(text)] = 1
    return {"input_ids": ids.to(device), "attention_mask": mask.to(device)}
