"""Token lists to vectors, with gradients: the one place where texts meet the encoder.

Texts are sorted by length and go through in calls of at most `budget` tokens, packed where the encoder can take
them so (`models/packed.py`), else padded to the longest of the call.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from mixling.models.packed import packed_row


def batches_by_tokens(
    lengths: Sequence[int], budget: int, packed: bool = False
) -> Iterator[list[int]]:
    """Groups of indices, by falling length, of at most `budget` tokens (one text at least): padded ones, or packed."""
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    start = 0
    while start < len(order):
        end, used, longest = start + 1, lengths[order[start]], max(lengths[order[start]], 1)
        while end < len(order):
            used = used + lengths[order[end]] if packed else (end + 1 - start) * longest
            if used > budget:
                break
            end += 1
        yield order[start:end]
        start = end


def forward_tokens(
    model: torch.nn.Module,
    tokens: Sequence[Sequence[int]],
    pad: int,
    budget: int,
    first: int | None = None,
    states: list[Tensor] | None = None,
) -> Tensor:
    """Vectors of texts given as token ids, in their order: float [n, dimensions].

    model: a sentence-transformers chain; pad: the padding token's id; budget: tokens a call; first: position of a
    text's first token if they go packed, None if padded (`packed.first_position`); states: if given, it is filled with
    the last states of each text's tokens, [tokens, d] each, in the texts' order.
    """
    device = next(model.parameters()).device
    if not _packs(model, device):
        first = None
    outputs, order = [], []
    kept: list[Tensor] = []
    for indices in batches_by_tokens([len(t) for t in tokens], budget, first is not None):
        some = [tokens[i] for i in indices]
        features = _padded(some, pad, device) if first is None else packed_row(some, first, device)
        features = model(features)
        made = features["sentence_embedding"]
        outputs.append(made.float() if made.dtype.itemsize < 4 else made)
        if states is not None:
            lengths = [len(t) for t in some]
            tokens_of = features["token_embeddings"]
            parts = (
                tokens_of[0].split(lengths)
                if first is not None
                else [x[:n] for x, n in zip(tokens_of, lengths, strict=True)]
            )
            kept.extend(x.float() if x.dtype.itemsize < 4 else x for x in parts)
        order.extend(indices)
    back = torch.empty(len(order), dtype=torch.long)
    back[torch.tensor(order)] = torch.arange(len(order))
    if states is not None:
        states.extend(kept[i] for i in back.tolist())
    return torch.cat(outputs)[back.to(device)]


def _packs(model: torch.nn.Module, device: torch.device) -> bool:
    """On a GPU variable-length attention wants half precision and no dropout."""
    if device.type == "cpu":
        return True
    half = torch.is_autocast_enabled(device.type) or next(model.parameters()).dtype != torch.float32
    return device.type == "cuda" and half and not model.training


def _padded(tokens: Sequence[Sequence[int]], pad: int, device: torch.device) -> dict[str, Any]:
    longest = max(map(len, tokens))
    ids = torch.full((len(tokens), longest), pad, dtype=torch.long)
    mask = torch.zeros((len(tokens), longest), dtype=torch.long)
    for i, text in enumerate(tokens):
        ids[i, : len(text)] = torch.as_tensor(text, dtype=torch.long)
        mask[i, : len(text)] = 1
    return {"input_ids": ids.to(device), "attention_mask": mask.to(device)}
